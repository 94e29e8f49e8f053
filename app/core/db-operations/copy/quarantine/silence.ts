import { readFiringTriggers } from '../../../../database/catalog/firing-triggers.js';
import type { Queryable } from '../../../../database/queryable.js';

/**
 * Runs `work` while no trigger or rule of `tables` fires, and no event trigger that the login may switch; afterwards all are in
 * the modes that they had. Foreign keys hold meanwhile, which they would not in sessions that replicate
 * (`session_replication_role`), and where triggers fire that are meant to do so always.
 *
 * @param db in a transaction, of a database that nobody else can reach
 */
export async function inSilence<T>(db: Queryable, tables: readonly number[], work: () => Promise<T>): Promise<T> {
  const firing = await readFiringTriggers(db, tables);
  for (const { silence } of firing) await db.query(silence);
  const result = await work();
  // a table with checks that are still to come cannot be altered
  await db.query('set constraints all immediate');
  for (const { restore } of [...firing].reverse()) await db.query(restore);
  return result;
}
