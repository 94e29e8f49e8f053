import { executeForPack } from '../../triggers/apply.js';
import type { TriggerPack } from '../../triggers/pack.js';
import { inTriggerTransaction, type TriggerTransactions } from './in-trigger-transaction.js';

/**
 * Does for each of `packs` what its tables need, such as dropping what is too old, in a transaction of its own: together
 * with the triggers it would lock the tables of the pack before those of the application, which lock them the other way round.
 *
 * @returns the statements, which `dryRun` does not execute
 * @throws ManageDbError `LOCK_TIMEOUT` naming the sessions in the way, `SQL_FAILED`; the triggers stay applied
 */
export async function maintainPacks(
  work: TriggerTransactions,
  packs: readonly TriggerPack[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<readonly string[]> {
  const done: string[] = [];
  for (const pack of packs) {
    const { maintenance } = pack;
    if (maintenance === undefined) continue;
    const unchanged = `The triggers are applied, and the tables of the ${pack.name} pack are not maintained.`;
    const statements = await inTriggerTransaction({ ...work, ...(dryRun ? {} : { unchanged }) }, async (db) => {
      await db.query(`select pg_catalog.set_config('search_path', '', true)`);
      const wanted = await maintenance(db);
      return dryRun || wanted.length === 0 ? wanted : executeForPack(db, pack, wanted);
    });
    done.push(...statements);
  }
  return done;
}
