import type { Queryable } from '../../../../database/queryable.js';
import { qualified } from '../../inspection/find-relation.js';
import { naming } from './copy-error.js';
import type { Lane } from './lane.js';

export interface AnalyzedRelation {
  readonly schema: string;
  readonly name: string;
  readonly quotedName: string;
}

export function analyzeTable(lane: Lane, relation: AnalyzedRelation): Promise<void> {
  return naming(`${qualified(relation)} could not be analyzed`, () =>
    lane.underEitherPath(async () => {
      await lane.target.query(`analyze ${relation.quotedName}`);
    }),
  );
}

/**
 * What is analyzed when everything is there: tables with partitions, which takes the partitions along, tables with heirs, and
 * materialized views.
 */
export async function readAnalyzedLast(db: Queryable): Promise<readonly AnalyzedRelation[]> {
  const { rows } = await db.query<AnalyzedRelation>(LAST);
  return rows;
}

const LAST = `
  select n.nspname::text as schema, c.relname::text as name, pg_catalog.format('%I.%I', n.nspname, c.relname) as "quotedName"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where not c.relispartition and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    and (c.relkind = 'p' or (c.relkind = 'm' and c.relispopulated)
      or (c.relkind = 'r' and exists (select from pg_catalog.pg_inherits i where i.inhparent = c.oid)))
  order by 1, 2`;
