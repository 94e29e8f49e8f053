import type { Queryable } from '../queryable.js';

/** The statements that switch something that fires off, and back into the mode that it is in now. */
export interface FiringSwitch {
  readonly off: string;
  readonly on: string;
}

/** The users' triggers of these tables that fire in an ordinary session; constraint triggers of theirs are among them. */
export async function readFiringTriggers(db: Queryable, tables: readonly number[]): Promise<readonly FiringSwitch[]> {
  const { rows } = await db.query<FiringSwitch>(FIRING, [tables]);
  return rows;
}

const FIRING = `
  select pg_catalog.format('alter table only %I.%I disable trigger %I', n.nspname, c.relname, t.tgname) as "off",
    pg_catalog.format('alter table only %I.%I enable%s trigger %I', n.nspname, c.relname,
      case t.tgenabled when 'A' then ' always' else '' end, t.tgname) as "on"
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_constraint k on k.oid = t.tgconstraint
  where t.tgrelid = any ($1::oid[]) and t.tgenabled in ('O', 'A') and coalesce(k.contype, 't') = 't'
  order by t.tgrelid, t.tgname`;
