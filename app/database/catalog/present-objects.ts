import type { Queryable } from '../queryable.js';

/** Something that may be there, by its name. */
export interface WantedObject {
  readonly kind: string;
  readonly name: string;
  /** Where names without a schema are looked for, in this order; `$user` is the login's. */
  readonly schemas: readonly string[];
  /** What it belongs to; `null`: to no table. */
  readonly table: string | null;
  /** Of a routine, by pg_type.typname; `null`: any. */
  readonly argumentTypes: readonly string[] | null;
}

/**
 * Which of `wanted` are there, in the order given. What a statement would make is looked for in the first of its schemas that
 * there is, a table in all of them. In one query, and without locks.
 *
 * @param db with the search_path pinned
 */
export async function readPresence(db: Queryable, wanted: readonly WantedObject[]): Promise<readonly boolean[]> {
  if (wanted.length === 0) return [];
  const { rows } = await db.query<{ place: number }>(PRESENT, [
    JSON.stringify(wanted.map((one, place) => ({ ...one, place }))),
  ]);
  const places = new Set(rows.map(({ place }) => place));
  return wanted.map((_one, place) => places.has(place));
}

const PRESENT = `
  select w.place
  from pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb)
    as w (place int, kind text, name text, schemas text[], "table" text, "argumentTypes" text[])
  left join lateral (
    select n.oid
    from pg_catalog.unnest(w.schemas) with ordinality as p (schema, place)
    join pg_catalog.pg_namespace n on n.nspname = case p.schema when '$user' then session_user else p.schema end
    order by p.place limit 1
  ) home on true
  left join lateral (
    select c.oid
    from pg_catalog.unnest(w.schemas) with ordinality as p (schema, place)
    join pg_catalog.pg_namespace n on n.nspname = case p.schema when '$user' then session_user else p.schema end
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w."table"
    order by p.place limit 1
  ) owner on true
  where case w.kind
    when 'schema' then exists (select from pg_catalog.pg_namespace n where n.nspname = w.name)
    when 'extension' then exists (select from pg_catalog.pg_extension e where e.extname = w.name)
    when 'type' then exists (select from pg_catalog.pg_type t where t.typname = w.name and t.typnamespace = home.oid)
    when 'column' then exists (
      select from pg_catalog.pg_attribute a
      where a.attrelid = owner.oid and a.attname = w.name and a.attnum > 0 and not a.attisdropped)
    when 'constraint' then exists (
      select from pg_catalog.pg_constraint c where c.conrelid = owner.oid and c.conname = w.name)
    when 'trigger' then exists (
      select from pg_catalog.pg_trigger t where t.tgrelid = owner.oid and t.tgname = w.name and not t.tgisinternal)
    when 'policy' then exists (select from pg_catalog.pg_policy p where p.polrelid = owner.oid and p.polname = w.name)
    when 'rule' then exists (select from pg_catalog.pg_rewrite r where r.ev_class = owner.oid and r.rulename = w.name)
    -- one that is not valid is what a CREATE INDEX CONCURRENTLY has left that has failed
    when 'index' then exists (
      select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = owner.oid and c.relname = w.name and i.indisvalid)
    when 'function' then exists (
      select from pg_catalog.pg_proc p
      where p.pronamespace = home.oid and p.proname = w.name and p.prokind in ('f', 'w') and ${sameArguments()})
    when 'procedure' then exists (
      select from pg_catalog.pg_proc p
      where p.pronamespace = home.oid and p.proname = w.name and p.prokind = 'p' and ${sameArguments()})
    else exists (
      select from pg_catalog.pg_class c
      where c.relnamespace = home.oid and c.relname = w.name and w.kind = case c.relkind
        when 'r' then 'table' when 'p' then 'table' when 'f' then 'foreign table' when 'v' then 'view'
        when 'm' then 'materialized view' when 'S' then 'sequence' end)
  end`;

/** Of the routine `p`. */
function sameArguments(): string {
  return `(w."argumentTypes" is null or w."argumentTypes" = array(
    select t.typname::text
    from pg_catalog.unnest(p.proargtypes::oid[]) with ordinality as a (oid, place)
    join pg_catalog.pg_type t on t.oid = a.oid
    order by a.place))`;
}

/**
 * The schemas in which sessions that begin now make and find what is written without one. The session's own search_path is
 * pinned, and is what it was afterwards.
 */
export async function readStartingSchemas(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ schemas: string[] }>(STARTING_SCHEMAS);
  return rows[0]?.schemas ?? [];
}

/* In one statement: a pool would meet two connections. Each part waits for the one before, see withQualifiedNames. */
const STARTING_SCHEMAS = `
  with begun as materialized (
    select pg_catalog.current_setting('search_path') as previous, pg_catalog.set_config('search_path', s.reset_val, true) as path
    from pg_catalog.pg_settings s where s.name = 'search_path'
  ), found as materialized (
    select pg_catalog.current_schemas(false)::text[] as schemas where (select path from begun) is not null
  ), restored as materialized (
    select pg_catalog.set_config('search_path', (select previous from begun), true) as path
    where (select pg_catalog.count(*) from found) >= 0
  )
  select schemas from found where (select path from restored) is not null`;
