import { readFiringTriggers } from '../../../database/catalog/firing-triggers.js';
import type { Queryable } from '../../../database/queryable.js';

/**
 * What users do on DDL is not about ours; nobody else can reach the database. Afterwards they are in the modes that they had.
 *
 * @param contents a scratch database, which is dropped when `work` fails
 */
export async function withoutEventTriggers(contents: Queryable, work: () => Promise<void>): Promise<void> {
  const firing = await readFiringTriggers(contents, []);
  for (const { silence } of firing) await contents.query(silence);
  await work();
  for (const { restore } of [...firing].reverse()) await contents.query(restore);
}
