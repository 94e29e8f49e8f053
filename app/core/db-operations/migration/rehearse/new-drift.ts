import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { withConnection } from '../../../../services/with-connection.js';
import { keyOf } from '../../../triggers/planned-trigger.js';
import type { TriggerReport } from '../../../triggers/trigger-report.js';
import { readPacks } from '../../trigger-work/packs.js';
import { readDrift } from '../../trigger-work/read-drift.js';
import type { NewDrift } from './report.js';

/** The triggers of a database, and what has become of each. */
export type TriggerStates = readonly TriggerReport[];

/** @throws ManageDbError as {@link readDrift} */
export function readTriggerStates(
  settings: ConnectionSettings,
  { database, environment }: { readonly database: string; readonly environment: string },
): Promise<TriggerStates> {
  return withConnection(settings, { database }, async (db) => {
    const packs = await readPacks();
    await db.query('begin isolation level repeatable read read only');
    const { triggers } = await readDrift(db, packs, { environment });
    await db.query('rollback');
    return triggers.map(({ report }) => report);
  });
}

/** What is not as it should be, and was, or was so in another way. */
export function newDrift(before: TriggerStates, after: TriggerStates): NewDrift[] {
  const known = new Map(before.map((report) => [keyOf(report), report]));
  const now = new Set(after.map(keyOf));
  const changed = after.filter((report) => report.isDrift && known.get(keyOf(report))?.state !== report.state);
  // nobody has declared or registered these: without them nothing would tell that they are gone
  const gone = before.filter((report) => !now.has(keyOf(report)) && report.mode !== null);
  return [
    ...changed.map(({ schema, table, name, state, recommendation, ...report }) => ({
      ...{ schema, table, name, state, recommendation },
      before: known.get(keyOf({ schema, table, name, ...report }))?.state ?? null,
    })),
    ...gone.map(({ schema, table, name, state }) => ({
      ...{ schema, table, name, state: 'dropped' as const, before: state },
      recommendation: 'The migrations drop it.',
    })),
  ];
}
