import type { Trigger } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { getOperationSession } from '../../../services/database-service.js';
import { PermissionError } from '../../errors.js';
import type { OperationOptions, Permit, Target } from '../../safety/gate.js';
import { withLockErrors } from '../../triggers/locks.js';
import { inTriggerTransaction, lockPatience } from '../trigger-work/in-trigger-transaction.js';
import { findTrigger, type TriggerName } from './find-trigger.js';

export type TriggerMode = Trigger['enabled'];

export interface SwitchedTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly before: TriggerMode;
  readonly after: TriggerMode;
}

/**
 * The work of `enable-db-trigger` and `disable-db-trigger`, without the gate. The database checks level and kill switch
 * once more, and logs in the same transaction.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `KILL_SWITCH`, `PERMISSION_DENIED`, and `LOCK_TIMEOUT` naming the sessions in
 *   the way
 */
export async function switchTrigger(
  target: Target,
  options: TriggerName & Pick<OperationOptions, 'signal'> & { readonly mode: TriggerMode },
  { attempt, reason, isKillSwitchOverridden }: Permit,
): Promise<SwitchedTrigger> {
  const { signal, mode } = options;
  const refusal = await upgradeIfAllowed(target);
  const work = { target, signal, advice: 'none', ...lockPatience({}) } as const;
  return inTriggerTransaction(work, async (db) => {
    const { relation, trigger } = await findTrigger(db, options);
    const { schema, name: table } = relation;
    if (refusal !== null && !(await hasTriggerControl(db))) throw refusal;
    if (isKillSwitchOverridden) await db.query(OVERRIDE);
    const { rows } = await withLockErrors({ tables: [relation], waitsFor: 'writers' }, () =>
      db.query<{ before: TriggerMode }>('select manage_db.set_trigger_mode($1, $2, $3, $4, $5, $6) as before', [
        schema,
        table,
        trigger.name,
        mode,
        attempt,
        reason,
      ]),
    );
    return { schema, table, name: trigger.name, before: rows[0]?.before ?? trigger.enabled, after: mode };
  });
}

/** For the database's own check, see manage_db.require_kill_switch_off. */
const OVERRIDE = `select pg_catalog.set_config('manage_db.kill_switch_override', 'true', true)`;

/** An operator may not upgrade the schema manage_db, and need not where it is new enough to do the work. */
async function upgradeIfAllowed({ environment }: Target): Promise<PermissionError | null> {
  try {
    await getOperationSession((db) => ensureSchema(db), { env: environment });
    return null;
  } catch (error) {
    if (error instanceof PermissionError) return error;
    throw error;
  }
}

async function hasTriggerControl(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query(`
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'manage_db' and p.proname = 'set_trigger_mode'`);
  return rowCount !== 0;
}
