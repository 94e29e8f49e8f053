import type { Client } from 'pg';
import type { QuarantineKind, QuarantineSettings } from '../../../../config/copy-settings.js';
import { type ArmedObject, readArmedObjects } from '../../../../database/catalog/armed-objects.js';
import type { Queryable } from '../../../../database/queryable.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { liftTimeouts } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { withoutTriggers } from '../../database-state/without-triggers.js';
import { explained } from '../../failure.js';
import { type DisarmedRows, disarmRows, refuseRowsLeft } from './disarm-rows.js';
import { findNamedRows } from './named-rows.js';

/** What was disarmed in a copy; no secrets. */
export interface Quarantined {
  readonly objects: readonly QuarantinedObject[];
  /** By table, as the configuration names them. */
  readonly rows: readonly DisarmedRows[];
  /** What `keep` has left as it is. */
  readonly kept: readonly QuarantinedObject[];
}

export interface QuarantinedObject {
  readonly kind: QuarantineKind;
  readonly name: string;
}

/**
 * Disarms what would act on the outside from a copy, in one transaction: drops subscriptions without connecting to their publishers,
 * user mappings, and options of foreign servers and tables that are secrets by their names; switches jobs of pg_cron off; and
 * deletes or changes the rows that the configuration names. No trigger fires. Then looks whether anything armed is left.
 *
 * @param client a session of ours in the copy, which nobody else can reach yet
 * @throws ManageDbError `INVALID_CONFIGURATION` for tables and columns that are not there, with near names, `SQL_FAILED` with the
 *   place in a condition, `PERMISSION_DENIED`, `INTERRUPTED`; the copy is as it was then
 * @example
 * const { quarantine: settings } = await readCopySettings('testing');
 * const { objects, rows } = await quarantine(client, settings, { signal, onProgress });
 */
export async function quarantine(
  client: Client,
  settings: QuarantineSettings,
  { signal, onProgress }: OperationControls = {},
): Promise<Quarantined> {
  try {
    stopIfAborted(signal);
    onProgress?.({ step: 'disarming what would act on the outside' });
    await client.query(`begin read write; ${PIN_TRANSACTION}; set local row_security = off`);
    await liftTimeouts(client, 'transaction');
    const result = await disarm(client, settings, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
    stopIfAborted(signal);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw explained(error, 'The copy could not be quarantined.', signal);
  }
}

/**
 * Looks in the database that is to be copied whether everything is there that the configuration names for the quarantine: better
 * known before hours of copying.
 *
 * @param db under a pinned search_path
 * @throws ManageDbError `INVALID_CONFIGURATION` with everything that is not there at once
 */
export async function checkQuarantine(db: Queryable, settings: QuarantineSettings): Promise<void> {
  await findNamedRows(db, settings);
}

async function disarm(client: Client, settings: QuarantineSettings, controls: OperationControls): Promise<Quarantined> {
  const isKept = ({ kind }: ArmedObject): boolean => settings.keep.includes(kind);
  const named = await findNamedRows(client, settings);
  const found = await readArmedObjects(client);
  const armed = found.filter((one) => !isKept(one));
  const tables = [...armed.flatMap(({ tableOid }) => tableOid ?? []), ...named.map(({ relation }) => relation.oid)];
  const rows = await withoutTriggers(client, [...new Set(tables)], async () => {
    // what leads to other servers goes first: rows may be in partitions there
    for (const { statements } of armed) {
      stopIfAborted(controls.signal);
      for (const statement of statements) await client.query(statement);
    }
    const disarmed: DisarmedRows[] = [];
    // conditions are the users' own SQL: they mean what they mean in the database
    await client.query('set local search_path to default');
    for (const [done, one] of named.entries()) {
      stopIfAborted(controls.signal);
      controls.onProgress?.({ step: `quarantining rows of ${one.key}`, done, total: named.length });
      disarmed.push(await disarmRows(client, one));
    }
    for (const one of named) await refuseRowsLeft(client, one);
    await client.query(PIN_TRANSACTION);
    return disarmed;
  });
  refuseArmed((await readArmedObjects(client)).filter((one) => !isKept(one)));
  return { objects: armed.map(nameOf), rows, kept: found.filter(isKept).map(nameOf) };
}

function refuseArmed(left: readonly ArmedObject[]): void {
  if (left.length === 0) return;
  const names = left.map(({ kind, name }) => `${name} (${kind})`);
  throw new ManageDbError('SQL_FAILED', `Still armed after the quarantine: ${names.join(', ')}.`, {
    hint: 'Look for what has made them again, such as an event trigger.',
    details: { left: left.map(nameOf) },
  });
}

function nameOf({ kind, name }: ArmedObject): QuarantinedObject {
  return { kind, name };
}
