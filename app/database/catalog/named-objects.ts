import type { Queryable } from '../queryable.js';
import type { ObjectAddress } from './taken-along.js';

/** A relation that is there. */
export interface NamedRelation {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind. */
  readonly kind: string;
}

/** The relation of this name in one schema; `null`: there is none. Takes no lock on it. */
export async function findNamedRelation(db: Queryable, schema: string, name: string): Promise<NamedRelation | null> {
  const { rows } = await db.query<NamedRelation>(
    `select c.oid::text, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2`,
    [schema, name],
  );
  return rows[0] ?? null;
}

/** The names of everything in pg_class outside of the system's schemas, for not asking for each of very many. */
export async function readTakenNames(
  db: Queryable,
): Promise<readonly { readonly schema: string; readonly name: string }[]> {
  const { rows } = await db.query<{ schema: string; name: string }>(
    `select n.nspname::text as schema, c.relname::text as name
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'`,
  );
  return rows;
}

/** The type or domain of this name in the first of `schemas` that has it. */
export async function findNamedType(
  db: Queryable,
  schemas: readonly string[],
  name: string,
): Promise<ObjectAddress | null> {
  return addressed(
    db,
    `select 'pg_type' as catalog, t.oid::text, 0 as column
     from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
     where t.typname = $2 and n.nspname = any ($1::text[])
     order by pg_catalog.array_position($1::text[], n.nspname::text) limit 1`,
    [schemas, name],
  );
}

export function findNamedSchema(db: Queryable, name: string): Promise<ObjectAddress | null> {
  return addressed(
    db,
    `select 'pg_namespace' as catalog, oid::text, 0 as column from pg_catalog.pg_namespace where nspname = $1`,
    [name],
  );
}

export function findNamedExtension(db: Queryable, name: string): Promise<ObjectAddress | null> {
  return addressed(
    db,
    `select 'pg_extension' as catalog, oid::text, 0 as column from pg_catalog.pg_extension where extname = $1`,
    [name],
  );
}

/** The functions and procedures of this name in the first of `schemas` that has one; `argumentTypes` as for to_regtype. */
export async function findNamedRoutines(
  db: Queryable,
  schemas: readonly string[],
  { name, argumentTypes }: { readonly name: string; readonly argumentTypes: readonly string[] | null },
): Promise<readonly ObjectAddress[]> {
  const { rows } = await db.query<ObjectAddress>(
    `with named as (
       select p.oid, pg_catalog.array_position($1::text[], n.nspname::text) as place
       from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
       where p.proname = $2 and n.nspname = any ($1::text[])
         and ($3::text[] is null or p.proargtypes::text = (
           select coalesce(pg_catalog.string_agg(pg_catalog.to_regtype(w.type)::pg_catalog.oid::text, ' ' order by w.place), '')
           from pg_catalog.unnest($3::text[]) with ordinality as w (type, place)))
     )
     select 'pg_proc' as catalog, n.oid::text, 0 as column from named n
     where n.place = (select pg_catalog.min(place) from named)`,
    [schemas, name, argumentTypes],
  );
  return rows;
}

/** The column of a relation. */
export function findNamedColumn(db: Queryable, relation: string, name: string): Promise<ObjectAddress | null> {
  return addressed(
    db,
    `select 'pg_class' as catalog, a.attrelid::text as oid, a.attnum::integer as column
     from pg_catalog.pg_attribute a where a.attrelid = $1::pg_catalog.oid and a.attname = $2 and a.attnum > 0 and not a.attisdropped`,
    [relation, name],
  );
}

export interface ColumnFacts {
  /** As PostgreSQL writes it, with its modifiers. */
  readonly type: string;
  /** Computed from other columns. */
  readonly isGenerated: boolean;
}

export async function readColumnFacts(db: Queryable, relation: string, name: string): Promise<ColumnFacts | null> {
  const { rows } = await db.query<ColumnFacts>(
    `select pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attgenerated <> '' as "isGenerated"
     from pg_catalog.pg_attribute a where a.attrelid = $1::pg_catalog.oid and a.attname = $2 and not a.attisdropped`,
    [relation, name],
  );
  return rows[0] ?? null;
}

/** What a sequence has given last; `null`: nothing yet, or it cannot be asked. */
export async function readSequenceValue(db: Queryable, oid: string): Promise<string | null> {
  const { rows } = await db.query<{ value: string | null }>(
    `select case when pg_catalog.has_sequence_privilege($1::pg_catalog.oid, 'usage, select')
       then pg_catalog.pg_sequence_last_value($1::pg_catalog.oid::pg_catalog.regclass) end::text as value`,
    [oid],
  );
  return rows[0]?.value ?? null;
}

/** Those of `names` that a volatile function has: counting what calls them could do something, or not give the same twice. */
export async function readVolatileFunctions(db: Queryable, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const { rows } = await db.query<{ name: string }>(
    `select distinct p.proname::text as name
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
     where p.proname = any ($1::text[]) and p.provolatile = 'v'
       and not (n.nspname = 'pg_catalog' and p.proname = any ($2::text[]))
     order by 1`,
    [names, HARMLESS],
  );
  return rows.map(({ name }) => name);
}

/** Volatile, and without any effect that would be missed. */
const HARMLESS = [
  'clock_timestamp',
  'timeofday',
  'random',
  'gen_random_uuid',
  'uuidv4',
  'uuidv7',
  'setval',
  'nextval',
  'currval',
  'lastval',
  'set_config',
  'pg_sleep',
  'pg_notify',
  'query_to_xml',
];

async function addressed(db: Queryable, sql: string, values: unknown[]): Promise<ObjectAddress | null> {
  const { rows } = await db.query<ObjectAddress>(sql, values);
  return rows[0] ?? null;
}
