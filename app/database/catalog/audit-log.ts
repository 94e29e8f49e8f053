import { escapeIdentifier } from 'pg';
import type { Queryable } from '../queryable.js';

/** What there is of an audit log. */
export interface AuditLogFacts {
  readonly hasSchema: boolean;
  /** Tables, views and sequences in the schema. */
  readonly relations: readonly LogRelation[];
  /** Whether the row trigger that chains the entries is there. */
  readonly isChained: boolean;
  /** The role that the functions belong to: whether it is there, and whether this login may act for it or make it. */
  readonly role: { readonly exists: boolean; readonly isOurs: boolean };
  /** Rights of that role that are missing, as `grant` takes them: `select, insert on audit_logs`. */
  readonly missingRights: readonly string[];
  /** The months from this one on that have to have a partition, by name, and from when to when; in order. */
  readonly months: readonly { readonly name: string; readonly from: string; readonly to: string }[];
}

export interface LogRelation {
  readonly name: string;
  /** With their types, in order. */
  readonly columns: readonly string[];
  readonly isPartition: boolean;
  /** Nothing changes or removes its rows. */
  readonly isProtected: boolean;
}

/** How many months there are partitions for, beside the running one. */
const MONTHS_AHEAD = 3;

/** Reads the catalog only. Under an empty search_path. */
export async function readAuditLogFacts(
  db: Queryable,
  { schema, role, rights }: { schema: string; role: string; rights: Readonly<Record<string, readonly string[]>> },
): Promise<AuditLogFacts> {
  const wanted = Object.entries(rights).flatMap(([table, privileges]) =>
    privileges.map((privilege) => ({ table, privilege })),
  );
  const { rows } = await db.query<AuditLogFacts>(
    `
    with own as (
      select c.oid, c.relname, c.relkind, c.relispartition from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm', 'f')
    ),
    missing as (
      select w."table" as relation, pg_catalog.string_agg(w.privilege, ', ' order by w.privilege) as privileges
      from pg_catalog.jsonb_to_recordset($3::jsonb) as w ("table" text, privilege text)
      left join own on own.relname = w."table"
      where own.oid is null or not exists (
        select from pg_catalog.pg_roles r where r.rolname = $2 and pg_catalog.has_table_privilege(r.oid, own.oid, w.privilege))
      group by 1
    )
    select exists (select from pg_catalog.pg_namespace n where n.nspname = $1) as "hasSchema",
      coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', own.relname,
          'isPartition', own.relispartition,
          'columns', array(
            select pg_catalog.concat(a.attname, ' ', pg_catalog.format_type(a.atttypid, a.atttypmod))
            from pg_catalog.pg_attribute a where a.attrelid = own.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
          'isProtected', exists (
            select from pg_catalog.pg_trigger t where t.tgrelid = own.oid and t.tgname = 'refuse_change')) order by own.relname)
        from own), '[]') as relations,
      exists (
        select from pg_catalog.pg_trigger t join own on own.oid = t.tgrelid
        where own.relname = 'audit_logs' and t.tgname = 'chain_entry') as "isChained",
      (select pg_catalog.jsonb_build_object('exists', r.oid is not null, 'isOurs', case when r.oid is not null
          then pg_catalog.pg_has_role(r.oid, 'MEMBER') else me.rolsuper or me.rolcreaterole end)
        from pg_catalog.pg_roles me left join pg_catalog.pg_roles r on r.rolname = $2
        where me.rolname = current_user) as role,
      array(select pg_catalog.concat(m.privileges, ' on ', m.relation) from missing m order by m.relation)
        || array(
          select 'usage on schema' from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.rolname = $2
          where n.nspname = $1 and not pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage')) as "missingRights",
      (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', 'audit_logs_' || pg_catalog.to_char(m, 'YYYY_MM'),
          'from', pg_catalog.to_char(m, 'YYYY-MM-DD 00:00:00+00'),
          'to', pg_catalog.to_char(m + interval '1 month', 'YYYY-MM-DD 00:00:00+00')) order by m)
        from pg_catalog.generate_series(pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC'),
          pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC') + interval '${MONTHS_AHEAD} months', interval '1 month') m) as months`,
    [schema, role, JSON.stringify(wanted)],
  );
  const [facts] = rows;
  if (facts === undefined) throw new Error('a select without from gave no row');
  return facts;
}

/** Which of `months` have entries in the default partition already, where they stay. */
export async function readMonthsInDefault(
  db: Queryable,
  schema: string,
  months: AuditLogFacts['months'],
): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ may: boolean }>(
    `select coalesce(pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select'), false) as may
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = 'audit_logs_default'`,
    [schema],
  );
  if (months.length === 0 || rows[0]?.may !== true) return new Set();
  const found = await db.query<{ name: string }>(
    `select w.name from pg_catalog.jsonb_to_recordset($1::jsonb) as w (name text, "from" timestamp with time zone, "to" timestamp with time zone)
    where exists (select from ${escapeIdentifier(schema)}.audit_logs_default d where d.created_at >= w."from" and d.created_at < w."to")`,
    [JSON.stringify(months)],
  );
  return new Set(found.rows.map(({ name }) => name));
}

/** Partitions of months that ended before `months` months ago, the oldest first; and whether others hold entries as old. */
export async function readExpired(
  db: Queryable,
  schema: string,
  months: number,
): Promise<{ readonly partitions: readonly string[]; readonly before: string; readonly hasStrays: boolean }> {
  const { rows } = await db.query<{ partitions: string[]; before: string; has_default: boolean }>(
    `
    with wanted as (select (pg_catalog.now() at time zone 'UTC') - pg_catalog.make_interval(months => $2::integer) as moment)
    select array(
        select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relispartition and c.relname ~ '^audit_logs_[0-9]{4}_[0-9]{2}$'
          and pg_catalog.to_date(pg_catalog.right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= wanted.moment
        order by c.relname) as partitions,
      -- of a month that has begun nothing goes
      pg_catalog.to_char(pg_catalog.date_trunc('month', wanted.moment), 'YYYY-MM-DD 00:00:00+00') as before,
      exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = 'audit_logs_default' and pg_catalog.has_table_privilege(c.oid, 'select')) as has_default
    from wanted`,
    [schema, months],
  );
  const { partitions = [], before = '', has_default: hasDefault = false } = rows[0] ?? {};
  if (!hasDefault) return { partitions, before, hasStrays: false };
  const strays = await db.query<{ found: boolean }>(
    `select exists (select from ${escapeIdentifier(schema)}.audit_logs_default d where d.created_at < $1::timestamp with time zone) as found`,
    [before],
  );
  return { partitions, before, hasStrays: strays.rows[0]?.found === true };
}
