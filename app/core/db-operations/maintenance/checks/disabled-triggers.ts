import { listed, ok, type RunCheck, statements } from '../check.js';

export const checkDisabledTriggers: RunCheck = async (db) => {
  const { rows } = await db.query<{ trigger: string; fix: string; internal: boolean }>(DISABLED_TRIGGERS);
  if (rows.length === 0) return ok(0, 'Every trigger is enabled.');
  const unenforced = rows.filter(({ internal }) => internal);
  return {
    status: 'warning',
    value: rows.length,
    detail: [
      `Disabled: ${listed(rows.map(({ trigger }) => trigger))}.`,
      ...(unenforced.length > 0 ? ['Foreign keys are not enforced where their own triggers are disabled.'] : []),
    ].join(' '),
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/*
 * The clones on partitions count: each has a mode of its own. DISABLE TRIGGER ALL also disables the triggers behind
 * foreign keys, which have no name that one could enable: they are reported once a table.
 */
const DISABLED_TRIGGERS = `
  select distinct
    case when t.tgisinternal then pg_catalog.format('the foreign keys of %I.%I', n.nspname, c.relname)
      else pg_catalog.format('%I on %I.%I', t.tgname, n.nspname, c.relname) end as trigger,
    case when t.tgisinternal then pg_catalog.format('alter table %I.%I enable trigger all', n.nspname, c.relname)
      else pg_catalog.format('alter table %I.%I enable trigger %I', n.nspname, c.relname, t.tgname) end as fix,
    t.tgisinternal as internal
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where t.tgenabled = 'D' and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  order by 3 desc, 1`;
