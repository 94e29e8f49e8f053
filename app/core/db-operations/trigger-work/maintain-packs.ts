import type { TriggerPack } from '../../triggers/pack.js';
import { executeForPack } from '../../triggers/pack-tables.js';
import { inTriggerTransaction, type TriggerTransactions } from './in-trigger-transaction.js';

/**
 * Does for each of `packs` what its tables need, such as dropping what is too old, in a transaction of its own: together
 * with the triggers it would lock the tables of the pack before those of the application, which lock them the other way round.
 *
 * @returns the statements, which `dryRun` does not execute
 * @throws ManageDbError `LOCK_TIMEOUT` naming the sessions in the way, `SQL_FAILED`; the triggers stay applied
 */
export function maintainPacks(
  work: TriggerTransactions,
  packs: readonly TriggerPack[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<readonly string[]> {
  const sentence = (pack: string) => `The triggers are applied, and the tables of the ${pack} pack are not maintained.`;
  return onTables(work, packs, { part: 'maintenance', dryRun, ...(dryRun ? {} : { sentence }) });
}

/**
 * Does what tables of `packs` that are there already need before anything is applied, each pack's in a transaction of its
 * own for the same reason.
 *
 * @returns the statements
 * @throws ManageDbError as {@link maintainPacks}; no trigger is changed
 */
export function preparePacks(work: TriggerTransactions, packs: readonly TriggerPack[]): Promise<readonly string[]> {
  return onTables(work, packs, { part: 'preparation', dryRun: false });
}

interface Part {
  readonly part: 'preparation' | 'maintenance';
  readonly dryRun: boolean;
  readonly sentence?: (pack: string) => string;
}

async function onTables(
  work: TriggerTransactions,
  packs: readonly TriggerPack[],
  { part, dryRun, sentence }: Part,
): Promise<readonly string[]> {
  const done: string[] = [];
  for (const pack of packs) {
    const wantedBy = pack[part];
    if (wantedBy === undefined) continue;
    const own = { ...work, ...(sentence === undefined ? {} : { unchanged: sentence(pack.name) }) };
    const statements = await inTriggerTransaction(own, async (db) => {
      await db.query(
        `select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('quote_all_identifiers', 'off', true)`,
      );
      const wanted = await wantedBy(db);
      return dryRun || wanted.length === 0 ? wanted : executeForPack(db, pack, wanted);
    });
    done.push(...statements);
  }
  return done;
}
