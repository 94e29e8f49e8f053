import { beforeInsert, beforeUpdate } from './entity-listeners.js';

/** Values that an entity gets by itself; listeners can subscribe to every entity that has it. */
export interface EntityMixin {
  readonly name: string;
  /** Columns that an INSERT gets where the caller has not given them. All of one row are made at the same moment. */
  readonly insertDefaults: Readonly<Record<string, (now: Date) => unknown>>;
  /** The same for an UPDATE. */
  readonly updateDefaults: Readonly<Record<string, (now: Date) => unknown>>;
}

const moment = (now: Date): Date => new Date(now);

/**
 * The four columns of seed 003: `created_at` and `updated_at` have defaults, `created_by` and `updated_by` are set to the
 * session's user by a listener. The base triggers do the same for everything that does not come through an entity; both
 * work in parallel, and what is set here is kept there (but `updated_at`, which always moves forward there).
 *
 * @example defineEntity<Invoice>({ table: 'billing.invoices', key: ['id'], mixins: [timestampMixin] });
 */
export const timestampMixin: EntityMixin = Object.freeze({
  name: 'timestamp',
  insertDefaults: { created_at: moment, updated_at: moment },
  updateDefaults: { updated_at: moment },
});

// nobody is nobody: without a user the columns are left to the triggers, which know what stands for one
beforeInsert(timestampMixin, (values, { session }) => {
  if (session.user === '') return;
  values.created_by ??= session.user;
  values.updated_by ??= session.user;
});
beforeUpdate(timestampMixin, (values, { session }) => {
  if (session.user !== '') values.updated_by ??= session.user;
});
