import { readAuditableTables } from '../../../database/catalog/auditable-tables.js';
import { readLiveTriggers } from '../../../database/catalog/live-triggers.js';
import { TGTYPE } from '../../../database/catalog/trigger-sql.js';
import type { Queryable } from '../../../database/queryable.js';

export interface AuditedTable {
  readonly schema: string;
  readonly table: string;
  /** `partly`: some events, or changes through some of its partitions, are not logged. */
  readonly state: 'audited' | 'partly' | 'not_audited';
  /** What is not logged, in words; empty where everything is. */
  readonly missing: readonly string[];
}

const EVENTS = [
  ['INSERT', TGTYPE.insert],
  ['UPDATE', TGTYPE.update],
  ['DELETE', TGTYPE.delete],
  ['TRUNCATE', TGTYPE.truncate],
] as const;

/** Every table of the application, by what calls a function of `schema` and is not disabled. Under an empty search_path. */
export async function readCoverage(db: Queryable, schema: string): Promise<readonly AuditedTable[]> {
  const logged = new Map<string, number>();
  for (const { schema: in_, table, functionSchema, functionName, mode, fields } of await readLiveTriggers(db)) {
    // those with conditions only note which rows are moved; one that is not ALWAYS misses what is replicated
    if (functionSchema !== schema || !functionName.startsWith('log_') || mode !== 'always' || fields.when !== null)
      continue;
    if ((fields.type & TGTYPE.before) !== 0) continue;
    const key = JSON.stringify([in_, table]);
    logged.set(key, (logged.get(key) ?? 0) | fields.type);
  }
  const tables = (await readAuditableTables(db, null)).filter((table) => table.schema !== schema);
  return tables.map(({ schema: in_, name, partitions }) => {
    const relations = [{ schema: in_, name }, ...partitions];
    const missing = relations.flatMap((relation) => {
      const bits = logged.get(JSON.stringify([relation.schema, relation.name])) ?? 0;
      const events = EVENTS.filter(([, bit]) => (bits & bit) === 0).map(([event]) => event);
      const on = relation.name === name && relation.schema === in_ ? '' : ` on ${relation.schema}.${relation.name}`;
      return events.length === 0 ? [] : [`${events.join(', ')}${on}`];
    });
    const isNothing =
      missing.length === relations.length &&
      missing.every((words) => words.startsWith('INSERT, UPDATE, DELETE, TRUNCATE'));
    return {
      schema: in_,
      table: name,
      state: missing.length === 0 ? 'audited' : isNothing ? 'not_audited' : 'partly',
      missing,
    };
  });
}
