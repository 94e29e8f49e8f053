import { escapeIdentifier } from 'pg';
import { readColumnFacts, readVolatileFunctions } from '../../../../database/catalog/named-objects.js';
import type { ConvertedColumn } from '../../../../services/sql-script.js';
import { keepsValues } from '../../copy/schema-update/keeps-values.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import type { CountedRows } from './count-rows.js';
import type { FoundLoss, LossWork } from './loss-work.js';
import { amount } from './words.js';

/** In how many rows a value is another one, or none, after its column was given another type. */
export async function lossesOfConversion(work: LossWork, effect: ConvertedColumn): Promise<readonly FoundLoss[]> {
  const { db, names, counter } = work;
  const relation = await names.find(effect.table);
  const column = relation === null ? null : names.column(relation.oid, effect.name);
  if (relation === null || column === null) return [];
  const facts = await readColumnFacts(db, relation.oid, column);
  // what is computed is computed again
  if (facts === null || facts.isGenerated) return [];
  if (effect.using === 'none' && keepsValues(facts.type, effect.toWords)) return [];
  const counted = await countChanged(work, effect, { relation, column, from: facts.type });
  if (counted.rows === 0) return [];
  const name = `${names.shown(relation)}.${quotedWhereNeeded(column)}`;
  const object = `${qualified(relation)}.${quotedWhereNeeded(column)}`;
  if (counted.rows !== null) {
    const sentence = `changes ${amount(counted, 'value')} of ${name} by making it ${effect.toWords} instead of ${facts.type}`;
    return [{ kind: 'changed_values', object, rows: counted.rows, isEstimate: false, sentence }];
  }
  const all = await counter.valuesOf(relation, column);
  if (all.rows === 0 && !all.isEstimate) return [];
  const sentence = `may change values of ${name} by making it ${effect.toWords} instead of ${facts.type}: how many cannot be counted (${counted.because ?? ''}); it has ${amount(all, 'value')}`;
  return [{ kind: 'changed_values', object, rows: null, isEstimate: false, sentence }];
}

interface Conversion {
  readonly relation: { readonly schema: string; readonly name: string };
  readonly column: string;
  readonly from: string;
}

async function countChanged(
  { db, counter, names }: LossWork,
  { to, using, functions }: ConvertedColumn,
  { relation, column, from }: Conversion,
): Promise<CountedRows> {
  const not = (because: string): CountedRows => ({ rows: null, isEstimate: false, because });
  if (using === null) return not('its USING cannot be read');
  const [called] = await readVolatileFunctions(db, functions);
  if (called !== undefined) return not(`it calls ${called}, which may do something`);
  const value = escapeIdentifier(column);
  const table = `${escapeIdentifier(relation.schema)}.${escapeIdentifier(relation.name)}`;
  const converted = using === 'none' ? `${value}::${to}` : `(${using}\n)::${to}`;
  const count = (back: string): Promise<CountedRows> =>
    counter.countedBy(
      `select pg_catalog.count(*)::text as rows from ${table}
       where (${converted}${back})::text operator(pg_catalog.<>) ${value}::text
         or ((${converted}) is null and ${value} is not null)`,
      names.searchPath,
    );
  const counted = await count(`::${from}`);
  // there is no way back for every type: then the values are compared as they are written
  return counted.rows === null && /cannot cast type/.test(counted.because ?? '') ? count('') : counted;
}
