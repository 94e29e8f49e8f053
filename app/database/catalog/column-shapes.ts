import type { Queryable } from '../queryable.js';
import { withQualifiedNames } from './qualified-names.js';

/** What the planner's statistics say about a column, without any value of it. */
export interface ColumnShape {
  readonly tableOid: number;
  readonly column: string;
  /** Different values; `null` where they grow with the table. */
  readonly distinct: number | null;
  /** Bytes. */
  readonly averageWidth: number;
  /** Among the values that the statistics hold there is something of that form. */
  readonly hasAddresses: boolean;
  readonly hasPhoneNumbers: boolean;
}

/** The statistics that the login may read, of all tables; values are looked at on the server, and stay there. */
export async function readColumnShapes(db: Queryable): Promise<readonly ColumnShape[]> {
  const { rows } = await db.query<ColumnShape>(SHAPES);
  return rows;
}

const SAMPLES = `pg_catalog.concat(s.most_common_vals::pg_catalog.text, s.histogram_bounds::pg_catalog.text)`;

const SHAPES = withQualifiedNames(
  `
  select c.oid as "tableOid", s.attname::text as column,
    case when s.n_distinct > 0 then s.n_distinct::pg_catalog.float8 end as distinct, s.avg_width as "averageWidth",
    ${SAMPLES} ~ '[^,{"@ ]@[a-zA-Z0-9-]+[.][a-zA-Z]' as "hasAddresses",
    ${SAMPLES} ~ '[+]?[0-9][0-9 ()/-]{7,}[0-9]' as "hasPhoneNumbers"
  from pg_catalog.pg_stats s
  join pg_catalog.pg_namespace n on n.nspname = s.schemaname
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = s.tablename
  where pg_catalog.left(s.schemaname, 3) <> 'pg_' and s.schemaname <> 'information_schema'`,
  '"tableOid", "column"',
);
