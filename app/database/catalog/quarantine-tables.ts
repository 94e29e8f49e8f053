import type { Queryable } from '../queryable.js';

export interface QuarantineColumn {
  readonly name: string;
  /** With its schema where it needs one, and its length. */
  readonly type: string;
  readonly isGenerated: boolean;
}

/** A relation whose rows somebody wants to change. */
export interface QuarantineTable {
  /** Why its rows cannot be changed here, in words; `null`: they can. */
  readonly obstacle: string | null;
  readonly columns: readonly QuarantineColumn[];
}

/** Under a pinned search_path, so that every type comes with its schema. */
export async function readQuarantineTable(db: Queryable, oid: number): Promise<QuarantineTable | null> {
  const { rows } = await db.query<{ [Key in keyof QuarantineTable]: QuarantineTable[Key] }>(TABLE, [oid]);
  return rows[0] ?? null;
}

const TABLE = `
  with recursive tree (oid) as (
    select $1::pg_catalog.oid
    union
    select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.oid
  )
  select
    case
      when n.nspname = 'manage_db' then 'it belongs to manage_db'
      when c.relkind not in ('r', 'p') then 'it is no table'
      when far.name is not null then 'its partition ' || far.name || ' is on another server'
    end as obstacle,
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', a.attname,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'isGenerated', a.attgenerated <> '') order by a.attnum)
      from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join lateral (
    select pg_catalog.format('%I.%I', m.nspname, p.relname)
    from tree join pg_catalog.pg_class p on p.oid = tree.oid join pg_catalog.pg_namespace m on m.oid = p.relnamespace
    where p.relkind = 'f' limit 1) far (name) on true
  where c.oid = $1`;
