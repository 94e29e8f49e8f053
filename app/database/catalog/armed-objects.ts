import type { QuarantineKind } from '../../config/copy-settings.js';
import type { Queryable } from '../queryable.js';

/** Something in a database that acts on the outside by itself, or holds the key to it. */
export interface ArmedObject {
  readonly kind: QuarantineKind;
  /** In words, without secrets. */
  readonly name: string;
  /** In this order, in a transaction. */
  readonly statements: readonly string[];
  /** The table that they write into. */
  readonly tableOid: number | null;
}

/**
 * Subscriptions, active jobs of pg_cron, user mappings, and options of foreign data that are secrets by their names, with the
 * statements that disarm them. Under a pinned search_path, and where policies hide no rows.
 */
export async function readArmedObjects(db: Queryable): Promise<readonly ArmedObject[]> {
  const { rows } = await db.query<{ [Key in keyof ArmedObject]: ArmedObject[Key] }>(OBJECTS);
  return [...rows, ...(await readCronJobs(db))];
}

/** Only options of foreign data that are secrets by their names. */
export async function readForeignSecrets(db: Queryable): Promise<readonly ArmedObject[]> {
  const { rows } = await db.query<{ [Key in keyof ArmedObject]: ArmedObject[Key] }>(
    `select o.* from (${OBJECTS}) o where o.kind = 'foreign-secrets'`,
  );
  return rows;
}

/** What is disarmed by name wherever it is an option of a wrapper, a server or a foreign table. */
const SECRET_NAME =
  '((^|_)pass|pass(word|wd|phrase|code)|pwd|secret|token|credentials?|(access|account|api|auth|private|shared)_?key)$';

/** Whether it is a secret by its name. */
export function isSecretOption(name: string): boolean {
  return new RegExp(SECRET_NAME, 'i').test(name);
}

/**
 * DROP SUBSCRIPTION would connect to the publisher to drop the slots of tables that are not synchronized yet, also where the
 * subscription has no slot of its own any more: it must lead nowhere before. A password is wanted of other owners than superusers.
 */
const NOWHERE = 'host=/nonexistent dbname=quarantine user=quarantine password=quarantine';

const OBJECTS = `
  select 'subscriptions' as kind, s.subname::text as name, array[
      pg_catalog.format('alter subscription %I disable', s.subname),
      pg_catalog.format('alter subscription %I connection %L', s.subname, '${NOWHERE}'),
      pg_catalog.format('alter subscription %I set (slot_name = none)', s.subname),
      pg_catalog.format('drop subscription %I', s.subname)] as statements, null::oid as "tableOid"
  from pg_catalog.pg_subscription s
  where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  union all
  select 'user-mappings', pg_catalog.format('%s on server %I', m.login, m.srvname),
    array[pg_catalog.format('drop user mapping for %s server %I', m.login, m.srvname)], null
  from (
    select u.srvname, case u.umuser when 0 then 'public' else pg_catalog.quote_ident(u.usename) end as login
    from pg_catalog.pg_user_mappings u) m
  union all
  select 'foreign-secrets', pg_catalog.format('%I of %s', x.option, o.object),
    array[pg_catalog.format('alter %s options (drop %I)', o.object, x.option)], null
  from (
    select pg_catalog.format('foreign data wrapper %I', w.fdwname), w.fdwoptions from pg_catalog.pg_foreign_data_wrapper w
    union all
    select pg_catalog.format('server %I', s.srvname), s.srvoptions from pg_catalog.pg_foreign_server s
    union all
    select pg_catalog.format('foreign table %I.%I', n.nspname, c.relname), f.ftoptions
    from pg_catalog.pg_foreign_table f join pg_catalog.pg_class c on c.oid = f.ftrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  ) o (object, options)
  cross join lateral (select s.option_name from pg_catalog.pg_options_to_table(o.options) s) x (option)
  where x.option ~* '${SECRET_NAME}'
  order by 1, 2`;

/** pg_cron has its tables always here, and looks at them in one database of the server only: whatever that is called then. */
async function readCronJobs(db: Queryable): Promise<readonly ArmedObject[]> {
  const { rows } = await db.query<{ oid: number | null }>(
    `select (
      select d.objid from pg_catalog.pg_extension e
      join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = e.oid
        and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype = 'e'
      where e.extname = 'pg_cron' and d.objid = pg_catalog.to_regclass('cron.job')
    ) as oid`,
  );
  const oid = rows[0]?.oid ?? null;
  if (oid === null) return [];
  const { rows: jobs } = await db.query<{ name: string; statement: string }>(
    `select pg_catalog.concat_ws(' ', 'job', j.jobid, j.jobname) as name,
      pg_catalog.format('update cron.job set active = false where jobid = %s', j.jobid) as statement
    from cron.job j where j.active order by j.jobid`,
  );
  return jobs.map(({ name, statement }) => ({ kind: 'cron-jobs', name, statements: [statement], tableOid: oid }));
}
