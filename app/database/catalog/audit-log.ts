import { escapeIdentifier } from 'pg';
import type { Queryable } from '../queryable.js';

/** What there is of an audit log. */
export interface AuditLogFacts {
  readonly hasSchema: boolean;
  /** Tables, views and sequences in the schema. */
  readonly relations: readonly LogRelation[];
  /** Whether the row trigger that chains the entries is there. */
  readonly isChained: boolean;
  /** Whether there is the function that keeps partitions from being changed. */
  readonly canProtect: boolean;
  /** The role that the functions belong to: whether it is there, and whether this login may act for it or make it. */
  readonly role: { readonly exists: boolean; readonly isOurs: boolean };
  /** Rights that the role lacks; on the schema itself where `relation` is null. */
  readonly missingRights: readonly { readonly relation: string | null; readonly privileges: string }[];
  /** The months from this one on that have to have a partition, by name, and from when to when; in order. */
  readonly months: readonly { readonly name: string; readonly from: string; readonly to: string }[];
}

export interface LogRelation {
  readonly name: string;
  /** With their types, in order. */
  readonly columns: readonly string[];
  readonly isPartition: boolean;
  /** What keeps rows from being written as they should be: rules, row security, and triggers that are not the log's. */
  readonly rules: readonly string[];
  readonly hasRowSecurity: boolean;
  readonly triggers: readonly string[];
}

/** The names of the triggers that the log has on its tables. */
export const OWN_TRIGGERS = ['refuse_change', 'forget_logged', 'chain_entry', 'note_chain'];

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
      select c.oid, c.relname, c.relispartition, c.relrowsecurity or c.relforcerowsecurity as has_row_security
      from pg_catalog.pg_class c
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
          'hasRowSecurity', own.has_row_security,
          'rules', array(select r.rulename from pg_catalog.pg_rewrite r
            where r.ev_class = own.oid and r.rulename <> '_RETURN' order by 1),
          'triggers', array(select t.tgname from pg_catalog.pg_trigger t
            where t.tgrelid = own.oid and not t.tgisinternal and t.tgparentid = 0 and t.tgname <> all ($4) order by 1)
        ) order by own.relname)
        from own), '[]') as relations,
      exists (
        select from pg_catalog.pg_trigger t join own on own.oid = t.tgrelid
        where own.relname = 'audit_logs' and t.tgname = 'chain_entry') as "isChained",
      exists (
        select from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
        where n.nspname = $1 and f.proname = 'refuse_change' and f.pronargs = 0) as "canProtect",
      (select pg_catalog.jsonb_build_object('exists', r.oid is not null, 'isOurs', case
          when r.oid is null then me.rolsuper or me.rolcreaterole
          -- from 16 on, a member need not be allowed to act for the role
          else pg_catalog.pg_has_role(r.oid, case when pg_catalog.current_setting('server_version_num')::integer >= 160000
            then 'SET' else 'MEMBER' end) end)
        from pg_catalog.pg_roles me left join pg_catalog.pg_roles r on r.rolname = $2
        where me.rolname = current_user) as role,
      coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('relation', m.relation, 'privileges', m.privileges) order by m.relation)
        from (
          select missing.relation, missing.privileges from missing
          union all
          select null, 'usage' where not exists (
            select from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.rolname = $2
            where n.nspname = $1 and pg_catalog.has_schema_privilege(r.oid, n.oid, 'usage'))
        ) m), '[]') as "missingRights",
      (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', 'audit_logs_' || pg_catalog.to_char(m, 'YYYY_MM'),
          'from', pg_catalog.to_char(m, 'YYYY-MM-DD 00:00:00+00'),
          'to', pg_catalog.to_char(m + interval '1 month', 'YYYY-MM-DD 00:00:00+00')) order by m)
        from pg_catalog.generate_series(pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC'),
          pg_catalog.date_trunc('month', pg_catalog.now() at time zone 'UTC') + interval '${MONTHS_AHEAD} months', interval '1 month') m) as months`,
    [schema, role, JSON.stringify(wanted), OWN_TRIGGERS],
  );
  const [facts] = rows;
  if (facts === undefined) throw new Error('a select without from gave no row');
  return facts;
}

/**
 * Those of `months` that a partition can be made for: where the default partition has entries of a month, they stay there.
 * Who may not look there is told of none.
 */
export async function readFreeMonths(
  db: Queryable,
  schema: string,
  months: AuditLogFacts['months'],
): Promise<AuditLogFacts['months']> {
  const { rows } = await db.query<{ may: boolean }>(
    `select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as may
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = 'audit_logs_default'`,
    [schema],
  );
  const [rest] = rows;
  if (months.length === 0 || rest === undefined) return months;
  if (!rest.may) return [];
  const found = await db.query<{ name: string }>(
    `select w.name from pg_catalog.jsonb_to_recordset($1::jsonb) as w (name text, "from" timestamp with time zone, "to" timestamp with time zone)
    where not exists (select from ${escapeIdentifier(schema)}.audit_logs_default d where d.created_at >= w."from" and d.created_at < w."to")`,
    [JSON.stringify(months)],
  );
  const free = new Set(found.rows.map(({ name }) => name));
  return months.filter(({ name }) => free.has(name));
}

export interface Expired {
  /** The oldest first. */
  readonly partitions: readonly string[];
  /** The beginning of what is kept. */
  readonly before: string;
  /** Whether the default partition has entries as old. */
  readonly hasStrays: boolean;
  /** Whether entries were ever chained. */
  readonly hasChain: boolean;
}

/** Partitions of months that ended before `months` months ago, the oldest first; and whether others hold entries as old. */
export async function readExpired(db: Queryable, schema: string, months: number): Promise<Expired> {
  const { rows } = await db.query<Expired & { hasDefault: boolean }>(
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
        where n.nspname = $1 and c.relname = 'audit_logs_default' and pg_catalog.has_table_privilege(c.oid, 'select')) as "hasDefault",
      exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = 'audit_chain') as "hasChain"
    from wanted`,
    [schema, months],
  );
  const { partitions = [], before = '', hasDefault = false, hasChain = false } = rows[0] ?? {};
  if (!hasDefault) return { partitions, before, hasChain, hasStrays: false };
  const strays = await db.query<{ found: boolean }>(
    `select exists (select from ${escapeIdentifier(schema)}.audit_logs_default d where d.created_at < $1::timestamp with time zone) as found`,
    [before],
  );
  return { partitions, before, hasChain, hasStrays: strays.rows[0]?.found === true };
}

/** By the names of the functions of the log in `schema`: the columns that each writes as secrets. */
export async function readSecretColumns(
  db: Queryable,
  schema: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await db.query<{ name: string; secret: string }>(
    `
    select f.proname::text as name, pg_catalog.substring(f.prosrc, '^\\n-- secret: (\\[[^\\n]*\\])\\n') as secret
    from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
    where n.nspname = $1 and f.prosrc ~ '^\\n-- secret: \\['`,
    [schema],
  );
  return new Map(rows.map(({ name, secret }) => [name, JSON.parse(secret) as string[]]));
}
