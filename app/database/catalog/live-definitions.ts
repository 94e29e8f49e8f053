import type { Queryable } from '../queryable.js';
import { modeSql, type TriggerMode } from './trigger-sql.js';

/** A function, procedure, view or trigger as PostgreSQL prints it. */
export interface PrintedDefinition {
  readonly oid: string;
  readonly definition: string;
  /** `clinic.touch(integer)`, `clinic.active`, `note_email on clinic.users` */
  readonly identity: string;
}

export interface PrintedRoutine extends PrintedDefinition {
  /** pg_proc.proargtypes. */
  readonly argumentTypes: string;
}

export interface PrintedTrigger extends PrintedDefinition {
  readonly mode: TriggerMode;
  readonly isConstraint: boolean;
}

/* All of these under an empty search_path, so that both sides are printed alike. */

/** The routine of this name and these arguments (pg_proc.proargtypes) in a schema; `pg_temp` is the session's own. */
export async function readPrintedRoutine(
  db: Queryable,
  { schema, name, argumentTypes }: { schema: string; name: string; argumentTypes: string | null },
): Promise<PrintedRoutine | null> {
  const { rows } = await db.query<PrintedRoutine>(
    `select p.oid::text, pg_catalog.pg_get_functiondef(p.oid) as definition, p.proargtypes::text as "argumentTypes",
       p.oid::pg_catalog.regprocedure::text as identity
     from pg_catalog.pg_proc p
     where p.proname = $2 and p.pronamespace = ${SCHEMA} and p.prokind in ('f', 'p', 'w')
       and ($3::text is null or p.proargtypes::text = $3)`,
    [schema, name, argumentTypes],
  );
  return rows[0] ?? null;
}

export async function readPrintedView(
  db: Queryable,
  { schema, name }: { schema: string; name: string },
): Promise<PrintedDefinition | null> {
  const { rows } = await db.query<PrintedDefinition>(
    `select c.oid::text, c.oid::pg_catalog.regclass::text as identity,
       'CREATE VIEW ' || c.oid::pg_catalog.regclass::text
         || coalesce(' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', '') || E' AS\\n'
         || pg_catalog.pg_get_viewdef(c.oid) || E'\\n' as definition
     from pg_catalog.pg_class c
     where c.relname = $2 and c.relnamespace = ${SCHEMA} and c.relkind = 'v'`,
    [schema, name],
  );
  return rows[0] ?? null;
}

/** The trigger of this name on a relation. */
export async function readPrintedTrigger(
  db: Queryable,
  { schema, table, name }: { schema: string; table: string; name: string },
): Promise<PrintedTrigger | null> {
  const { rows } = await db.query<PrintedTrigger>(
    `select t.oid::text, pg_catalog.pg_get_triggerdef(t.oid) || E'\\n' as definition, ${modeSql('t')} as mode,
       t.tgconstraint <> 0 as "isConstraint",
       pg_catalog.quote_ident(t.tgname) || ' on ' || t.tgrelid::pg_catalog.regclass::text as identity
     from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
     where t.tgname = $3 and c.relname = $2 and c.relnamespace = ${SCHEMA} and not t.tgisinternal`,
    [schema, table, name],
  );
  return rows[0] ?? null;
}

const SCHEMA = `(
  select n.oid from pg_catalog.pg_namespace n
  where n.nspname = $1 or ($1 = 'pg_temp' and n.oid = pg_catalog.pg_my_temp_schema()))`;

/** pg_proc.proargtypes for types as to_regtype takes them, under the session's search_path; `null` where one is not there. */
export async function readArgumentTypes(db: Queryable, types: readonly string[]): Promise<string | null> {
  const { rows } = await db.query<{ types: string | null }>(
    `select case when pg_catalog.count(*) = pg_catalog.count(pg_catalog.to_regtype(w.type))
       then coalesce(pg_catalog.string_agg(pg_catalog.to_regtype(w.type)::pg_catalog.oid::text, ' ' order by w.place), '') end as types
     from pg_catalog.unnest($1::text[]) with ordinality as w (type, place)`,
    [types],
  );
  return rows[0]?.types ?? null;
}

/** Whether something would be executed by any definition that is made, also by one that is rolled back. */
export async function hasEventTriggers(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ has: boolean }>(
    `select exists (select from pg_catalog.pg_event_trigger e where e.evtenabled <> 'D' and e.evtevent <> 'login') as has`,
  );
  return rows[0]?.has ?? false;
}

/** The tables and types on which a function, view or trigger is built. */
export async function readFoundations(db: Queryable, oid: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ oid: string }>(
    `select distinct d.refobjid::text as oid
     from pg_catalog.pg_depend d
     where d.refclassid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
       and d.refobjid <> $1::pg_catalog.oid
       and (d.objid = $1::pg_catalog.oid
         or (d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
           and d.objid in (select r.oid from pg_catalog.pg_rewrite r where r.ev_class = $1::pg_catalog.oid)))`,
    [oid],
  );
  return rows.map((row) => row.oid);
}
