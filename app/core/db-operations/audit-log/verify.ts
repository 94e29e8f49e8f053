import { escapeIdentifier } from 'pg';
import { OWN_TRIGGERS } from '../../../database/catalog/audit-log.js';
import { TGTYPE } from '../../../database/catalog/trigger-sql.js';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf, PermissionError } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import type { Target } from '../../safety/gate.js';
import { entryHash, REFUSE_CHANGE_BODY } from '../../triggers/audit/audit-log.js';
import { LOG_WRITER } from '../../triggers/audit/audit-setup.js';

export interface AuditFinding {
  /**
   * `changed`: an entry is not as it was written; `missing`: entries are gone; `end`: the end is not the one that was
   * written; `unchained`: an entry was written beside the chain; `unprotected`: somebody may write into the log, or change it.
   */
  readonly kind: 'changed' | 'missing' | 'end' | 'unchained' | 'unprotected';
  readonly detail: string;
}

/** Where the log is, and whether its entries are to be chained. */
export interface AuditLogPlace {
  readonly schema: string;
  readonly isChained: boolean;
}

/**
 * What is wrong with the log, in order. Under an empty search_path.
 *
 * @throws PermissionError to whom may not read the log
 */
export async function readAuditFindings(
  db: Queryable,
  { schema, isChained }: AuditLogPlace,
  { user, database }: Target,
): Promise<{ readonly entries: number; readonly chained: number; readonly findings: readonly AuditFinding[] }> {
  const s = escapeIdentifier(schema);
  try {
    const { rows } = await db.query<{ entries: number; chained: number }>(
      `select pg_catalog.count(*)::double precision as entries, pg_catalog.count(l.position)::double precision as chained from ${s}.audit_logs l`,
    );
    const { entries = 0, chained = 0 } = rows[0] ?? {};
    const links = await brokenLinks(db, s);
    const hasEnd = await hasChain(db, schema);
    const findings = [
      ...(await unprotected(db, schema)),
      ...(await strangers(db, schema)),
      ...links,
      ...(hasEnd ? await wrongEnd(db, s) : []),
      ...(hasEnd && isChained ? await unchained(db, s) : []),
      ...(isChained && !hasEnd ? [notChained()] : []),
    ];
    return { entries, chained, findings };
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    throw new PermissionError(`${user} may not read the audit log of ${database}; nothing was checked.`, {
      hint: `Let its owner run: grant usage on schema ${s} to ${escapeIdentifier(user)}; grant select on all tables in schema ${s} to ${escapeIdentifier(user)};`,
      cause: error,
    });
  }
}

/** Every entry against its own hash, and every hash against the one before: in one pass through the server. */
async function brokenLinks(db: Queryable, s: string): Promise<readonly AuditFinding[]> {
  const { rows } = await db.query<{ kind: 'changed' | 'missing'; position: string; before: string | null }>(`
    select case when not is_own then 'changed' else 'missing' end as kind, position::text as position, before::text as before
    from (
      select l.position, l.hash is not distinct from ${entryHash('l')} as is_own,
        pg_catalog.lag(l.position) over w as before,
        pg_catalog.lag(l.hash) over w is not distinct from l.previous_hash as is_linked
      from ${s}.audit_logs l where l.position is not null
      window w as (order by l.position)
    ) checked
    where not is_own or (before is not null and (position <> before + 1 or not is_linked))
    order by position limit 1000`);
  return rows.map(({ kind, position, before }) => ({
    kind,
    detail:
      kind === 'changed'
        ? `Entry ${position} is not as it was written.`
        : `What follows entry ${before ?? '0'} is not what was written after it (next is ${position}).`,
  }));
}

async function hasChain(db: Queryable, schema: string): Promise<boolean> {
  const { rows } = await db.query<{ chain: string | null }>('select pg_catalog.to_regclass($1)::text as chain', [
    `${schema}.audit_chain`,
  ]);
  return rows[0]?.chain != null;
}

async function wrongEnd(db: Queryable, s: string): Promise<readonly AuditFinding[]> {
  const { rows } = await db.query<{
    first: string | null;
    wanted: string;
    last: string | null;
    head: string;
    same: boolean;
  }>(`
    select f.position::text as first, c.first_position::text as wanted, l.position::text as last, c.position::text as head,
      l.hash is not distinct from c.hash as same
    from ${s}.audit_chain c
    left join lateral (select a.position from ${s}.audit_logs a where a.position is not null order by a.position limit 1) f on true
    left join lateral (select a.position, a.hash from ${s}.audit_logs a where a.position is not null order by a.position desc limit 1) l on true`);
  const [found] = rows;
  if (found === undefined) return [{ kind: 'end', detail: 'The record of the end of the chain is gone.' }];
  const { first, wanted, last, head, same } = found;
  const isEmptied = last === null && Number(wanted) > Number(head);
  if (isEmptied) return [];
  return [
    ...(first === wanted || last === null
      ? []
      : [{ kind: 'missing', detail: `The log begins with entry ${first}, and not with ${wanted}.` } as const]),
    ...((last ?? '0') === head && (same || last === null)
      ? []
      : [{ kind: 'end', detail: `The log ends with entry ${last ?? '0'}, and ${head} were written.` } as const]),
  ];
}

function notChained(): AuditFinding {
  const command = nextCommand('apply-db-triggers --pack audit');
  return { kind: 'unchained', detail: `The entries are to be chained, and are not yet: ${command}` };
}

async function unchained(db: Queryable, s: string): Promise<readonly AuditFinding[]> {
  const { rows } = await db.query<{ id: string }>(`
    select l.id::text as id from ${s}.audit_logs l cross join ${s}.audit_chain c
    where l.position is null and l.id > c.unchained_until order by l.id limit 1000`);
  return rows.map(({ id }) => ({ kind: 'unchained', detail: `The entry with id ${id} was written beside the chain.` }));
}

/** What may be written by nobody but the role of the log, and is no partition: needs $1, the schema. */
const HELPERS = `
    select c.oid, c.relowner, c.relacl, pg_catalog.format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname in ('moving_rows', 'audit_chain')`;

/** The log and its partitions: needs $1, the schema. */
const LOG_TABLES = `
    select c.oid, c.relowner, c.relacl, pg_catalog.format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and (c.relname = 'audit_logs' or exists (
      select from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
      where i.inhrelid = c.oid and p.relname = 'audit_logs' and p.relnamespace = n.oid))`;

/** Before each statement that changes or removes rows. */
const ANY_CHANGE = TGTYPE.before | TGTYPE.delete | TGTYPE.update | TGTYPE.truncate;

/** The trigger, and what it calls, as they were made. */
async function unprotected(db: Queryable, schema: string): Promise<readonly AuditFinding[]> {
  const { rows } = await db.query<{ name: string }>(
    `
    select l.name from (${LOG_TABLES}) l
    where not exists (
      select from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc f on f.oid = t.tgfoid
      join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
      where t.tgrelid = l.oid and t.tgname = 'refuse_change' and t.tgenabled = 'A' and t.tgtype = ${ANY_CHANGE}
        and t.tgqual is null and fn.nspname = $1 and f.proname = 'refuse_change' and f.prosrc = $2)
    order by 1`,
    [schema, REFUSE_CHANGE_BODY],
  );
  return rows.map(({ name }) => ({
    kind: 'unprotected',
    detail: `${name} can be changed: its trigger refuse_change is gone, off, or does something else.`,
  }));
}

async function strangers(db: Queryable, schema: string): Promise<readonly AuditFinding[]> {
  const { rows } = await db.query<{ detail: string }>(
    `
    select pg_catalog.format('%s has been given %s on %s.', coalesce(r.rolname, 'everybody'),
      pg_catalog.string_agg(a.privilege_type, ', ' order by a.privilege_type), l.name) as detail
    from (${LOG_TABLES} union all ${HELPERS}) l cross join lateral pg_catalog.aclexplode(l.relacl) a
    left join pg_catalog.pg_roles r on r.oid = a.grantee
    where a.grantee <> l.relowner and a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
      and not coalesce(r.rolname = $2 and (a.privilege_type = 'INSERT' or l.name !~ '\\.audit_logs'), false)
    group by r.rolname, l.name
    union all
    select pg_catalog.format('The rule %I on %s may keep entries from being written.', w.rulename, l.name)
    from (${LOG_TABLES} union all ${HELPERS}) l join pg_catalog.pg_rewrite w on w.ev_class = l.oid
    union all
    select pg_catalog.format('The trigger %I on %s is not the log''s own.', t.tgname, l.name)
    from (${LOG_TABLES} union all ${HELPERS}) l join pg_catalog.pg_trigger t on t.tgrelid = l.oid
    where not t.tgisinternal and t.tgparentid = 0
      and t.tgname <> all ($3)
    union all
    select pg_catalog.format('%s may act for %s, and so write into the log.', member.rolname, writer.rolname)
    from pg_catalog.pg_roles writer join pg_catalog.pg_auth_members m on m.roleid = writer.oid
    join pg_catalog.pg_roles member on member.oid = m.member
    where writer.rolname = $2 and not member.rolsuper and not member.rolcreaterole
      and not exists (select from (${LOG_TABLES}) l where pg_catalog.pg_has_role(member.oid, l.relowner, 'MEMBER'))
    order by 1`,
    [schema, LOG_WRITER, OWN_TRIGGERS],
  );
  return rows.map(({ detail }) => ({ kind: 'unprotected', detail }));
}
