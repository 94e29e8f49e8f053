import type { FiringSwitch } from '../../../database/catalog/firing-triggers.js';
import { readFiringTriggersAndRules } from '../../../database/catalog/firing-triggers-and-rules.js';
import type { Queryable } from '../../../database/queryable.js';

/**
 * Runs `work` while no trigger or rule of `tables` fires, and no event trigger that the login may switch; afterwards all are in
 * the modes that they had. Foreign keys hold meanwhile, which they would not in sessions that replicate
 * (`session_replication_role`), and where triggers fire that are meant to do so always.
 *
 * @param db in a transaction, of a database that nobody else can reach
 */
export async function withoutTriggers<T>(db: Queryable, tables: readonly number[], work: () => Promise<T>): Promise<T> {
  return whileSwitchedOff(db, await readFiringTriggersAndRules(db, tables), async () => {
    const result = await work();
    // a table with checks that are still to come cannot be altered
    await db.query('set constraints all immediate');
    return result;
  });
}

/**
 * What users do on DDL is not about ours; nobody else can reach the database. Afterwards they are in the modes that they had.
 *
 * @param contents a scratch database, which is dropped when `work` fails
 */
export async function withoutEventTriggers(contents: Queryable, work: () => Promise<void>): Promise<void> {
  await whileSwitchedOff(contents, await readFiringTriggersAndRules(contents, []), work);
}

/** Where `work` fails they stay off: the transaction is rolled back then, or the database dropped. */
async function whileSwitchedOff<T>(
  db: Queryable,
  switches: readonly FiringSwitch[],
  work: () => Promise<T>,
): Promise<T> {
  for (const { off } of switches) await db.query(off);
  const result = await work();
  for (const { on } of [...switches].reverse()) await db.query(on);
  return result;
}
