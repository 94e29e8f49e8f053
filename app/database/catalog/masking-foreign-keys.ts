import type { Queryable } from '../queryable.js';
import { withQualifiedNames } from './qualified-names.js';

/** A foreign key between tables, or the roots of partitions. */
export interface MaskingForeignKey {
  readonly name: string;
  readonly tableOid: number;
  readonly referencedOid: number;
  readonly pairs: readonly { readonly column: string; readonly referenced: string }[];
  /** MATCH FULL: all columns are null, or none. */
  readonly isFull: boolean;
}

/** The foreign keys that are enforced; not the copies of them that partitions have. */
export async function readMaskingForeignKeys(db: Queryable): Promise<readonly MaskingForeignKey[]> {
  const { rows } = await db.query<MaskingForeignKey>(FOREIGN_KEYS);
  return rows;
}

// conenforced came with PostgreSQL 18, hence the detour through jsonb
const FOREIGN_KEYS = withQualifiedNames(
  `
  select con.conname::text as name, con.confmatchtype = 'f' as "isFull",
    coalesce(pg_catalog.pg_partition_root(con.conrelid)::pg_catalog.oid, con.conrelid) as "tableOid",
    coalesce(pg_catalog.pg_partition_root(con.confrelid)::pg_catalog.oid, con.confrelid) as "referencedOid",
    (
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('column', a.attname, 'referenced', r.attname) order by u.place)
      from rows from (pg_catalog.unnest(con.conkey), pg_catalog.unnest(con.confkey)) with ordinality as u (own, other, place)
      join pg_catalog.pg_attribute a on a.attrelid = con.conrelid and a.attnum = u.own
      join pg_catalog.pg_attribute r on r.attrelid = con.confrelid and r.attnum = u.other
    ) as pairs
  from pg_catalog.pg_constraint con
  where con.contype = 'f' and con.conparentid = 0
    and coalesce((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)`,
  '"tableOid", name',
);
