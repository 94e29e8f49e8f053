import type { Queryable } from '../../../../database/queryable.js';
import { listed } from '../../../listed.js';
import { shellQuote } from '../../../shell-quote.js';
import { ok, type RunCheck, statements } from '../check.js';

interface DisabledTrigger {
  readonly trigger: string;
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly isKey: boolean;
  /** Somebody has said so, and the registry knows it. */
  readonly isOnPurpose: boolean;
  readonly fix: string;
}

export const checkDisabledTriggers: RunCheck = async (db, { environment }) => {
  const { rows } = await db.query<DisabledTrigger>(disabledTriggers(await isRegistryReadable(db)));
  if (rows.length === 0) return ok(0, 'Every trigger is enabled.');
  const unwanted = rows.filter(({ isOnPurpose }) => !isOnPurpose);
  const onPurpose = rows.filter(({ isOnPurpose }) => isOnPurpose);
  const names = (some: readonly DisabledTrigger[]) => listed(some.map(({ trigger }) => trigger));
  const detail = [
    ...(unwanted.length > 0 ? [`Disabled: ${names(unwanted)}.`] : []),
    ...(unwanted.some(({ isKey }) => isKey)
      ? ['Foreign keys are not enforced where their own triggers are disabled.']
      : []),
    ...(onPurpose.length > 0 ? [`Disabled on purpose: ${names(onPurpose)}.`] : []),
  ].join(' ');
  if (unwanted.length > 0) {
    return { status: 'warning', value: rows.length, detail, fix: statements(unwanted.map(({ fix }) => fix)) };
  }
  const commands = onPurpose.map(
    ({ schema, table, name }) =>
      `manage_db enable-db-trigger ${shellQuote(name)} --table ${shellQuote(`${schema}.${table}`)} --env ${environment}`,
  );
  return { status: 'info', value: rows.length, detail, fix: statements([...new Set(commands)]) };
};

async function isRegistryReadable(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ readable: boolean }>(`
    select coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT'), false)
      as readable
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relname = 'trigger_registry'`);
  return rows[0]?.readable ?? false;
}

/*
 * The clones on partitions count: each has a mode of its own, and is known by the trigger that it comes from. Until
 * PostgreSQL 14 they are internal, as the triggers behind keys are: those are reported once a table. ENABLE makes a trigger
 * fire in ordinary sessions only, and ENABLE TRIGGER ALL does so with all of them: each is given the mode that it should have.
 */
const disabledTriggers = (hasRegistry: boolean): string => `
  with recursive tree (oid, root) as (
    select t.oid, t.oid from pg_catalog.pg_trigger t where t.tgparentid = 0
    union all
    select t.oid, tree.root from tree join pg_catalog.pg_trigger t on t.tgparentid = tree.oid
  ), registered (schema_name, table_name, trigger_name, wanted_mode) as (
    ${
      hasRegistry
        ? 'select r.schema_name, r.table_name, r.trigger_name, r.wanted_mode from manage_db.trigger_registry r'
        : 'select null::text, null::text, null::text, null::text where false'
    }
  ), disabled as (
    select t.tgname, n.nspname, c.relname, root.tgname as root_name, rn.nspname as root_schema, rc.relname as root_table,
      r.wanted_mode, case when k.contype = 'f' then 'foreign' when k.contype in ('p', 'u', 'x') then 'deferrable' end as keys,
      case
        when r.wanted_mode in ('always', 'replica') then r.wanted_mode || ' '
        when r.wanted_mode is null and root.tgenabled = 'A' then 'always '
        when r.wanted_mode is null and root.tgenabled = 'R' then 'replica '
        else '' end as mode
    from tree
    join pg_catalog.pg_trigger t on t.oid = tree.oid
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_trigger root on root.oid = tree.root
    join pg_catalog.pg_class rc on rc.oid = root.tgrelid
    join pg_catalog.pg_namespace rn on rn.oid = rc.relnamespace
    left join pg_catalog.pg_constraint k on k.oid = t.tgconstraint
    left join registered r on r.schema_name = rn.nspname and r.table_name = rc.relname and r.trigger_name = root.tgname
    where t.tgenabled = 'D' and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  )
  select pg_catalog.format('the %s keys of %I.%I', d.keys, d.nspname, d.relname) as trigger,
    d.nspname::text as schema, d.relname::text as "table", null as name, d.keys = 'foreign' as "isKey",
    false as "isOnPurpose", pg_catalog.format('alter table %I.%I %s', d.nspname, d.relname,
      pg_catalog.string_agg(pg_catalog.format('enable trigger %I', d.tgname), ', ' order by d.tgname)) as fix
  from disabled d
  where d.keys is not null
  group by d.keys, d.nspname, d.relname
  union all
  select pg_catalog.format('%I on %I.%I', d.tgname, d.nspname, d.relname),
    d.root_schema::text, d.root_table::text, d.root_name::text, false,
    coalesce(d.wanted_mode = 'disabled', false),
    pg_catalog.format('alter table %I.%I enable %strigger %I', d.nspname, d.relname, d.mode, d.tgname)
  from disabled d
  where d.keys is null
  order by 5 desc, 1`;
