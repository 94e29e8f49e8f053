import type { Queryable } from '../queryable.js';

export interface NamedRelationFacts {
  readonly schema: string;
  readonly name: string;
  /** The planner's estimate, of all partitions; `null`: it has none. */
  readonly rows: number | null;
  /** With TOAST, without indexes, of all partitions. `null`: it is just being dropped. */
  readonly bytes: number | null;
  readonly indexBytes: number | null;
}

/**
 * The oids of relations as statements of `db` would find them, by its search_path, in the order given; `null` for names that
 * mean nothing. Executes no operator: the search_path may put others before PostgreSQL's.
 */
export async function findRelationOids(
  db: Queryable,
  identifiers: readonly string[],
): Promise<readonly (number | null)[]> {
  if (identifiers.length === 0) return [];
  const { rows } = await db.query<{ oid: number | null }>(
    `select pg_catalog.float8(pg_catalog.int8(pg_catalog.oid(pg_catalog.to_regclass(name)))) as oid
     from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality as w (name, place) order by place`,
    [identifiers],
  );
  return rows.map(({ oid }) => oid);
}

/**
 * What there is to know of relations, in the order given; `null` for what is none. Of an index, the facts of its table.
 * Measuring a table waits for whoever has the whole of it.
 *
 * @param db with the search_path pinned
 */
export async function readNamedRelations(
  db: Queryable,
  oids: readonly (number | null)[],
): Promise<readonly (NamedRelationFacts | null)[]> {
  if (oids.length === 0) return [];
  const { rows } = await db.query<NamedRelationFacts & { place: number }>(NAMED_RELATIONS, [oids]);
  const byPlace = new Map(rows.map(({ place, ...facts }) => [place, facts]));
  return oids.map((_oid, index) => byPlace.get(index + 1) ?? null);
}

const NAMED_RELATIONS = `
  with named as (
    select w.place, w.oid from pg_catalog.unnest($1::oid[]) with ordinality as w (oid, place)
  ), tables as (
    select named.place, t.oid, n.nspname, t.relname
    from named
    left join pg_catalog.pg_index i on i.indexrelid = named.oid
    join pg_catalog.pg_class t on t.oid = coalesce(i.indrelid, named.oid)
    join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  )
  select tables.place::int, tables.nspname::text as schema, tables.relname::text as name,
    case when pg_catalog.bool_and(c.reltuples >= 0) then pg_catalog.sum(c.reltuples)::float8 end as rows,
    pg_catalog.sum(pg_catalog.pg_table_size(c.oid))::float8 as bytes,
    pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid))::float8 as "indexBytes"
  from tables
  cross join lateral (
    select tables.oid as member union select p.relid::oid from pg_catalog.pg_partition_tree(tables.oid::regclass) p where p.isleaf
  ) members
  join pg_catalog.pg_class c on c.oid = members.member
  where c.relkind not in ('p', 'I') or not exists (select from pg_catalog.pg_inherits h where h.inhparent = c.oid)
  group by tables.place, tables.nspname, tables.relname`;
