import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface Column {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  /** As PostgreSQL writes it: `numeric(12,2)`, `public."Mood"[]`. */
  readonly type: string;
  readonly nullable: boolean;
  /** The default's expression; of a generated column, the expression that generates it. */
  readonly default: string | null;
  readonly identity: 'always' | 'by default' | null;
  readonly generated: 'stored' | 'virtual' | null;
  readonly comment: string | null;
  /** Only when it is not the type's own. */
  readonly collation: string | null;
  /** Where values that are too long for a row go, and whether they are compressed. */
  readonly storage: 'plain' | 'external' | 'extended' | 'main';
  /** How closely ANALYZE looks at it; null: as the server's `default_statistics_target` says. */
  readonly statisticsTarget: number | null;
}

/** The columns of tables and views, in the order of the table. */
export async function readColumns(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Column[]> {
  const { rows } = await db.query<Column & { attnum: number }>(COLUMNS, filterValues(filter));
  return rows.map(({ attnum, ...column }) => column);
}

const COLUMNS = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", a.attnum, a.attname::text as name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
    not a.attnotnull as nullable,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid) as "default",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end as generated,
    pg_catalog.col_description(a.attrelid, a.attnum) as comment,
    case when a.attcollation <> t.typcollation then pg_catalog.format('%I.%I', cn.nspname, co.collname) end as collation,
    case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end as storage,
    -- until PostgreSQL 16, -1 stands for none
    nullif(a.attstattarget, -1)::int as "statisticsTarget"
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_catalog.pg_collation co on co.oid = a.attcollation
  left join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", attnum',
);
