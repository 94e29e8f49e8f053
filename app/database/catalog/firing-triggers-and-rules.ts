import type { Queryable } from '../queryable.js';
import type { FiringSwitch } from './firing-triggers.js';

/**
 * The triggers and rules of `tables` and of their partitions and heirs, and the event triggers that this login may switch: in the
 * order in which they are switched off. What keeps foreign keys and deferred constraints is not among them.
 */
export async function readFiringTriggersAndRules(
  db: Queryable,
  tables: readonly number[],
): Promise<readonly FiringSwitch[]> {
  const { rows } = await db.query<FiringSwitch>(FIRING, [tables]);
  return rows;
}

const ENABLE = (mode: string): string =>
  `case ${mode} when 'R' then 'enable replica' when 'A' then 'enable always' else 'enable' end`;

/** Before PostgreSQL 15, what a partition has of its parent's triggers counts as internal, as foreign keys do. */
const FIRING = `
  with recursive tree (oid) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union
    select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.oid
  ),
  named (oid, name) as (
    select c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname)
    from tree join pg_catalog.pg_class c on c.oid = tree.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  ),
  firing (place, what, name, mode) as (
    select 2, pg_catalog.format('alter table only %s', r.name), pg_catalog.format('trigger %I', t.tgname), t.tgenabled
    from named r join pg_catalog.pg_trigger t on t.tgrelid = r.oid join pg_catalog.pg_proc f on f.oid = t.tgfoid
    where not (f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and f.proname ~ '^(RI_FKey_|unique_key_recheck$)')
    union all
    select 2, pg_catalog.format('alter table only %s', r.name), pg_catalog.format('rule %I', w.rulename), w.ev_enabled
    from named r join pg_catalog.pg_rewrite w on w.ev_class = r.oid where w.ev_type <> '1'
  )
  select pg_catalog.format('alter event trigger %I disable', e.evtname) as "off",
    pg_catalog.format('alter event trigger %I %s', e.evtname, ${ENABLE('e.evtenabled')}) as "on", 1 as place
  from pg_catalog.pg_event_trigger e where e.evtenabled <> 'D' and pg_catalog.pg_has_role(e.evtowner, 'USAGE')
  union all
  select pg_catalog.format('%s disable %s', f.what, f.name), pg_catalog.format('%s %s %s', f.what, ${ENABLE('f.mode')}, f.name), f.place
  from firing f where f.mode <> 'D'
  order by place, "off"`;
