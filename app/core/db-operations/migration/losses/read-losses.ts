import type { Queryable } from '../../../../database/queryable.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { readEffects, type SqlSource } from '../../../../services/sql-script.js';
import { LiveNames, readSearchPath } from '../live-names.js';
import { type CountingLimits, RowCounter } from './count-rows.js';
import type { Loss } from './loss.js';
import { lossesOf } from './losses-of.js';

export type { Loss } from './loss.js';

/** One part of a migration: SQL, or a function, into which nobody can look. */
export type LosingPart = SqlSource | { readonly path: string };

/**
 * What `parts` will lose when they are executed in this order, counted in the database as it is now. What an earlier
 * statement makes is not there yet and is no loss; what one renames is found by its new name. Empty tables and columns
 * without a value lose nothing.
 *
 * Only reads. A count ends after a time, and waits for a locked table only for a moment; the statistics of the table are
 * asked then, and the loss says so.
 *
 * @param db in an open read only transaction with the search_path that migrations have; it is pinned afterwards
 * @example
 * const [loss] = await readLosses(db, [{ path, sql: 'alter table patients drop column phone', firstLine: 1 }]);
 * loss.sentence // 'drops 41,203 non-null values of patients.phone'
 */
export async function readLosses(
  db: Queryable,
  parts: readonly LosingPart[],
  limits: CountingLimits = {},
): Promise<readonly Loss[]> {
  const path = await readSearchPath(db);
  await db.query(PIN_TRANSACTION);
  const work = { db, names: new LiveNames(db, path), counter: new RowCounter(db, limits) };
  const losses: Loss[] = [];
  for (const part of parts) {
    // a runner resets the settings between files
    work.names.setPath(null);
    const statements = 'sql' in part ? await readEffects(part) : null;
    if (statements === null) {
      losses.push(unreadable(part));
      continue;
    }
    for (const { line, effects } of statements) {
      for (const effect of effects) {
        for (const found of await lossesOf(work, effect)) losses.push({ ...found, file: part.path, line });
      }
    }
  }
  return losses;
}

function unreadable(part: LosingPart): Loss {
  const what = 'sql' in part ? 'SQL that cannot be read beforehand' : 'a function';
  const sentence = `executes ${what}: what is lost by it cannot be foreseen`;
  return { kind: 'unforeseen', object: null, rows: null, isEstimate: false, sentence, file: part.path, line: null };
}
