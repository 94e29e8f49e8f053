import { escapeLiteral } from 'pg';
import type { Queryable } from '../queryable.js';

/** A trigger that PostgreSQL has made for a foreign key or a deferrable key, and that somebody has switched. */
export interface ConstraintTriggerMode {
  /** Of the table that it is on: for a foreign key it may be the referenced one. */
  readonly schema: string;
  readonly table: string;
  readonly constraint: string;
  /** Of the constraint. */
  readonly ofSchema: string;
  readonly ofTable: string;
  /** In pg_catalog: what tells the triggers of one constraint on one table apart. Their names are numbers. */
  readonly function: string;
  readonly mode: 'disabled' | 'replica' | 'always';
}

/** Those that `alter table … disable trigger all` and the like have switched. pg_dump does not write them. */
export async function readConstraintTriggerModes(db: Queryable): Promise<ConstraintTriggerMode[]> {
  const { rows } = await db.query<ConstraintTriggerMode>(`${SWITCHED} order by 1, 2, 3, 4, 5, 6`);
  return rows;
}

/** Catalog-qualified: it is executed in sessions with any search_path. */
const FROM = `
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) t.tgrelid
  join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
  join pg_catalog.pg_constraint k on k.oid operator(pg_catalog.=) t.tgconstraint
  join pg_catalog.pg_class kc on kc.oid operator(pg_catalog.=) k.conrelid
  join pg_catalog.pg_namespace kn on kn.oid operator(pg_catalog.=) kc.relnamespace
  join pg_catalog.pg_proc p on p.oid operator(pg_catalog.=) t.tgfoid`;

const SWITCHED = `
  select n.nspname::text as schema, c.relname::text as table, k.conname::text as constraint, kn.nspname::text as "ofSchema",
    kc.relname::text as "ofTable", p.proname::text as function,
    case t.tgenabled when 'D' then 'disabled' when 'R' then 'replica' else 'always' end as mode
  ${FROM}
  where t.tgisinternal and t.tgenabled <> 'O'`;

/** One statement that switches them so again, where the login is a superuser: nobody else may. What is not there is left out. */
export function switchConstraintTriggers(modes: readonly ConstraintTriggerMode[]): string {
  const text = JSON.stringify(modes);
  const body = `
declare
  wanted record;
  trigger_name name;
begin
  if not pg_catalog.current_setting('is_superuser')::pg_catalog.bool then return; end if;
  for wanted in select * from pg_catalog.jsonb_to_recordset(${escapeLiteral(text)}::pg_catalog.jsonb)
    as w (schema text, "table" text, "constraint" text, "ofSchema" text, "ofTable" text, function text, mode text) loop
    select t.tgname into trigger_name ${FROM}
    where t.tgisinternal and n.nspname::text operator(pg_catalog.=) wanted.schema and c.relname::text operator(pg_catalog.=) wanted."table"
      and k.conname::text operator(pg_catalog.=) wanted."constraint" and kn.nspname::text operator(pg_catalog.=) wanted."ofSchema"
      and kc.relname::text operator(pg_catalog.=) wanted."ofTable" and p.proname::text operator(pg_catalog.=) wanted.function;
    if trigger_name is not null then
      execute pg_catalog.format('alter table only %I.%I %s trigger %I', wanted.schema, wanted."table",
        case wanted.mode when 'disabled' then 'disable' when 'replica' then 'enable replica' else 'enable always' end, trigger_name);
    end if;
  end loop;
end`;
  return `do ${escapeLiteral(body)}`;
}
