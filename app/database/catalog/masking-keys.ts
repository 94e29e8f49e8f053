import type { Queryable } from '../queryable.js';
import { FIRST_OWN_OID } from './auditable-tables.js';
import { withQualifiedNames } from './qualified-names.js';

/** What no two rows of a table may have in common. */
export interface UniqueKey {
  /** Of the table, or of the root of its partitions. */
  readonly tableOid: number;
  readonly name: string;
  readonly kind: 'unique' | 'exclusion';
  /** Those that stand in it by themselves. */
  readonly columns: readonly string[];
  /** Those that its expressions and generated columns are made of, and its condition. */
  readonly otherColumns: readonly string[];
  /** Its expressions only turn letters into lower case. */
  readonly onlyLowers: boolean;
  readonly nullsAreEqual: boolean;
}

/** Every unique index and exclusion constraint of users' tables; those of partitions only where their table has none. */
export async function readUniqueKeys(db: Queryable): Promise<readonly UniqueKey[]> {
  const { rows } = await db.query<UniqueKey>(UNIQUE_KEYS);
  return rows;
}

// until PostgreSQL 14, what generates a column is a dependency of the column, not of its expression;
// indnullsnotdistinct came with PostgreSQL 15, hence the detour through jsonb
const UNIQUE_KEYS = withQualifiedNames(
  `
  select coalesce(pg_catalog.pg_partition_root(i.indrelid)::pg_catalog.oid, i.indrelid) as "tableOid", named.relname::text as name,
    case when i.indisexclusion then 'exclusion' else 'unique' end as kind,
    array(
      select a.attname::text from pg_catalog.unnest(i.indkey::int2[]) with ordinality as u (attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
      where u.place <= i.indnkeyatts and a.attgenerated = '' order by u.place
    ) as columns,
    array(
      select distinct coalesce(source.attname, a.attname)::text
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_attrdef made on made.adrelid = a.attrelid and made.adnum = a.attnum and a.attgenerated <> ''
      left join pg_catalog.pg_depend of_made
        on made.oid is not null
        and (of_made.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and of_made.objid = made.oid
          or of_made.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and of_made.objid = a.attrelid and of_made.objsubid = a.attnum)
        and of_made.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and of_made.refobjid = i.indrelid
        and of_made.refobjsubid not in (0, a.attnum)
      left join pg_catalog.pg_attribute source on source.attrelid = i.indrelid and source.attnum = of_made.refobjsubid
      where a.attrelid = i.indrelid and a.attnum > 0 and (made.oid is null or source.attnum is not null)
        and coalesce(source.attnum, a.attnum) <> all (i.indkey::int2[])
        and (a.attnum = any (i.indkey::int2[]) or exists (
          select from pg_catalog.pg_depend d
          where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
            and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))
    ) as "otherColumns",
    i.indpred is null and not exists (
      select from pg_catalog.generate_series(1, i.indnkeyatts) place
      where i.indkey[place - 1] = 0
        and pg_catalog.pg_get_indexdef(i.indexrelid, place, false) !~ '^lower\\(\\(?("([^"]|"")+"|[a-z0-9_$]+)(\\)::text)?\\)$'
    ) and not exists (
      select from pg_catalog.unnest(i.indkey::int2[]) u (attnum)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum and a.attgenerated <> ''
    ) as "onlyLowers",
    coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as "nullsAreEqual"
  from pg_catalog.pg_index i
  join pg_catalog.pg_class named on named.oid = i.indexrelid and not named.relispartition
  where (i.indisunique or i.indisexclusion) and i.indrelid >= ${FIRST_OWN_OID}`,
  '"tableOid", name',
);
