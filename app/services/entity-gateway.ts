import { escapeIdentifier, type QueryResultRow } from 'pg';
import { ManageDbError } from '../core/errors.js';
import { type EntityValues, heard } from './entity-listeners.js';
import type { DbSession } from './session.js';
import type { EntityMixin } from './timestamp-mixin.js';

export interface EntityDefinition<Row extends object> {
  /** `patients` or `clinic.patients`, as the names are, without quotes. */
  readonly table: string;
  /** The columns of the primary key. */
  readonly key: readonly (keyof Row & string)[];
  readonly mixins?: readonly EntityMixin[];
}

/** Values of the columns of a primary key. */
export type EntityKey<Row extends object> = Partial<Row>;

/** Reads and writes single rows of one table; everything else is SQL. */
export interface Entity<Row extends object> {
  /** Inserts one row and returns it as the database has it, after defaults and triggers. */
  insert(session: DbSession, values: Partial<Row>): Promise<Row>;
  /** Changes one row and returns it; `null` where there is none. Without changes it only reads. */
  update(session: DbSession, key: EntityKey<Row>, changes: Partial<Row>): Promise<Row | null>;
  find(session: DbSession, key: EntityKey<Row>): Promise<Row | null>;
  /** Deletes one row; `false` where there was none. */
  remove(session: DbSession, key: EntityKey<Row>): Promise<boolean>;
}

/**
 * Defines how the application writes rows of a table: defaults by mixins, then listeners, then one statement.
 *
 * @throws ManageDbError `USAGE` for a definition without a table or a key; the entity's functions throw it for an
 *   incomplete key, and PostgreSQL's errors as they are
 * @example
 * const patients = defineEntity<Patient>({ table: 'clinic.patients', key: ['id'], mixins: [timestampMixin] });
 * const ann = await getDbSession((session) => patients.insert(session, { name: 'Ann' }), { user: 'dr. ida' });
 */
export function defineEntity<Row extends object>(definition: EntityDefinition<Row>): Entity<Row> {
  const { key, mixins = [] } = definition;
  const table = tableOf(definition);
  const where = (from: number): string =>
    key.map((column, index) => `${escapeIdentifier(column)} = $${from + index}`).join(' and ');

  const entity: Entity<Row> = {
    async insert(session, values) {
      const row = await prepared('insert', session, values);
      const columns = Object.keys(row);
      const list = columns.map((column) => escapeIdentifier(column)).join(', ');
      const parameters = columns.map((_, index) => `$${index + 1}`).join(', ');
      const contents = columns.length === 0 ? 'default values' : `(${list}) values (${parameters})`;
      const inserted = await first<Row>(session, `insert into ${table} ${contents} returning *`, Object.values(row));
      if (inserted !== null) return inserted;
      throw new ManageDbError(
        'SQL_FAILED',
        `Nothing was inserted into ${definition.table}: a trigger or a rule kept the row out.`,
      );
    },
    async update(session, keyValues, changes) {
      const place = valuesOf(keyValues);
      if (Object.values(changes).every((value) => value === undefined)) return entity.find(session, keyValues);
      const row = await prepared('update', session, changes);
      const set = Object.keys(row).map((column, index) => `${escapeIdentifier(column)} = $${index + 1}`);
      const text = `update ${table} set ${set.join(', ')} where ${where(set.length + 1)} returning *`;
      return first<Row>(session, text, [...Object.values(row), ...place]);
    },
    find: async (session, keyValues) =>
      first<Row>(session, `select * from ${table} where ${where(1)}`, valuesOf(keyValues)),
    remove: async (session, keyValues) =>
      (await first(session, `delete from ${table} where ${where(1)} returning 1 as gone`, valuesOf(keyValues))) !==
      null,
  };

  async function prepared(event: 'insert' | 'update', session: DbSession, given: Partial<Row>): Promise<EntityValues> {
    const values: EntityValues = { ...given };
    const now = new Date();
    for (const { insertDefaults, updateDefaults } of mixins) {
      const defaults = event === 'insert' ? insertDefaults : updateDefaults;
      for (const [column, make] of Object.entries(defaults)) values[column] ??= make(now);
    }
    const row = await heard(values, [...mixins, entity], { session, table: definition.table, event });
    return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
  }

  function valuesOf(keyValues: EntityKey<Row>): unknown[] {
    const missing = key.filter((column) => keyValues[column] === undefined);
    if (missing.length === 0) return key.map((column) => keyValues[column]);
    throw new ManageDbError(
      'USAGE',
      `The key of ${definition.table} lacks ${missing.join(', ')}. Nothing was executed.`,
      {
        hint: `Give ${key.join(', ')}.`,
      },
    );
  }

  return entity;
}

function tableOf<Row extends object>({ table, key }: EntityDefinition<Row>): string {
  const parts = table.split('.');
  if (key.length > 0 && parts.length <= 2 && parts.every((part) => part !== '')) {
    return parts.map((part) => escapeIdentifier(part)).join('.');
  }
  throw new ManageDbError('USAGE', `${JSON.stringify(table)} cannot be an entity: it needs a table and its key.`, {
    hint: "defineEntity({ table: 'clinic.patients', key: ['id'] })",
  });
}

async function first<Row>(session: DbSession, text: string, values: unknown[]): Promise<Row | null> {
  const { rows } = await session.query<QueryResultRow>(text, values);
  return (rows[0] as Row | undefined) ?? null;
}
