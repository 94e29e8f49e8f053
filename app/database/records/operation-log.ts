import { codeOf } from '../../core/errors.js';
import type { Level } from '../../core/levels.js';
import type { Queryable } from '../queryable.js';
import { isTrustedOwner } from './trusted-owner.js';

export const OPERATION_EVENTS = ['attempted', 'denied', 'succeeded', 'failed', 'interrupted'] as const;
export type OperationEvent = (typeof OPERATION_EVENTS)[number];

/** What the client knows of an entry; the rest is the server's. The names are the columns'. */
export interface OperationEntry {
  /** Made by the client: an entry that is sent twice is written once. */
  readonly entry_id: string;
  /** Ties the entries of one attempt together. */
  readonly attempt: string;
  readonly event: OperationEvent;
  readonly operation: string;
  readonly environment: string;
  readonly database_name: string;
  readonly host: string;
  readonly port: number;
  readonly level: Level | null;
  readonly actor: string;
  readonly os_user: string;
  readonly client_host: string;
  readonly application: string;
  readonly tool: string;
  readonly reason: string | null;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly details: Readonly<Record<string, unknown>>;
  readonly duration_ms: number | null;
  /** ISO; counts only for an entry that comes from a file. */
  readonly occurred_at: string;
  readonly source: 'database' | 'file';
}

/** An entry as it stands in the log. Times in ISO, hashes in hexadecimal. */
export interface LoggedOperation {
  readonly id: number;
  readonly entryId: string;
  readonly attempt: string;
  readonly event: OperationEvent;
  readonly operation: string;
  readonly environment: string;
  readonly database: string;
  readonly host: string;
  readonly port: number;
  readonly level: Level | null;
  readonly actor: string;
  readonly login: string;
  readonly osUser: string;
  readonly clientHost: string;
  readonly application: string;
  readonly tool: string;
  readonly reason: string | null;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly details: Readonly<Record<string, unknown>>;
  readonly durationMs: number | null;
  readonly occurredAt: string;
  readonly recordedAt: string;
  readonly source: 'database' | 'file';
  /** `null`: it is the first. */
  readonly previousHash: string | null;
  readonly hash: string;
}

export interface OperationFilter {
  /** ISO; entries from this moment on. */
  readonly since?: string | undefined;
  /** ISO; entries before this moment. */
  readonly until?: string | undefined;
  readonly operation?: string | undefined;
  readonly event?: OperationEvent | undefined;
  /** The actor or the login. */
  readonly actor?: string | undefined;
  readonly limit: number;
}

/** Where a log ends: which one it is, its newest entry, and that entry's hash in hexadecimal. */
export interface LogHead {
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  readonly id: number;
  readonly hash: string;
}

/**
 * Appends one entry, unless it is there already. Returns its id. Characters that the encoding of the database lacks are
 * written as their codes: `\u60a3`.
 */
export async function appendOperation(db: Queryable, entry: OperationEntry): Promise<number> {
  const sent = JSON.stringify(entry);
  try {
    return await append(db, sent);
  } catch (error) {
    if (codeOf(error) !== UNTRANSLATABLE_CHARACTER) throw error;
    return await append(db, inAscii(sent));
  }
}

const UNTRANSLATABLE_CHARACTER = '22P05';

async function append(db: Queryable, entry: string): Promise<number> {
  const { rows } = await db.query<{ id: string }>('select manage_db.append_operation($1::jsonb)::text as id', [entry]);
  return Number(rows[0]?.id);
}

/** In JSON only strings have other characters: what stands for one there is a backslash of its own and the code. */
function inAscii(json: string): string {
  return json.replaceAll(/[^ -~]/g, (unit) => `\\\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The newest entries that fit, the newest first. */
export async function readOperationLog(db: Queryable, filter: OperationFilter): Promise<readonly LoggedOperation[]> {
  const { since, until, operation, event, actor, limit } = filter;
  const { rows } = await db.query<{ [Key in keyof LoggedOperation]: LoggedOperation[Key] }>(ENTRIES, [
    since ?? null,
    until ?? null,
    operation ?? null,
    event ?? null,
    actor ?? null,
    limit,
  ]);
  return rows;
}

const iso = (column: string): string =>
  `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const ENTRIES = `
  select l.id::double precision as id, l.entry_id as "entryId", l.attempt, l.event, l.operation, l.environment,
    l.database_name as database, l.host, l.port, l.level, l.actor, l.login, l.os_user as "osUser",
    l.client_host as "clientHost", l.application, l.tool, l.reason, l.arguments, l.details,
    l.duration_ms::double precision as "durationMs", ${iso('l.occurred_at')} as "occurredAt",
    ${iso('l.recorded_at')} as "recordedAt", l.source,
    pg_catalog.encode(l.previous_hash, 'hex') as "previousHash", pg_catalog.encode(l.hash, 'hex') as hash
  from manage_db.operation_log l
  where ($1::timestamp with time zone is null or l.occurred_at >= $1::timestamp with time zone)
    and ($2::timestamp with time zone is null or l.occurred_at < $2::timestamp with time zone)
    and ($3::text is null or l.operation = $3) and ($4::text is null or l.event = $4)
    and ($5::text is null or $5 in (l.actor, l.login)
      or (l.source = 'file' and $5 = l.details ->> 'login'))
  order by l.id desc
  limit $6`;

/** `unreadable`: it is there, and this login may not read it. `damaged`: only a part of it is there. */
export type LogState = 'readable' | 'unreadable' | 'damaged' | 'absent';

/** Whether the log is there and may be read, whatever the version of the schema. */
export async function readLogState(db: Queryable): Promise<LogState> {
  const { rows } = await db.query<{ state: LogState }>(`
    with log_table as (
      select pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as is_readable
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'manage_db' and c.relname in ('operation_log', 'operation_log_head')
    ),
    way_in as (
      select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where n.nspname = 'manage_db' and p.proname = 'append_operation'
    )
    select case
      when pg_catalog.count(*) = 0 and not exists (select from way_in) then 'absent'
      when pg_catalog.count(*) < 2 then 'damaged'
      when pg_catalog.bool_and(is_readable) then 'readable'
      else 'unreadable'
    end as state
    from log_table`);
  return rows[0]?.state ?? 'absent';
}

/** Whether this login may append to the log of this database. */
export async function mayAppend(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query(`
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'manage_db' and p.proname = 'append_operation'
      and ${isTrustedOwner('n.nspowner')} and ${isTrustedOwner('p.proowner')}
      and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_function_privilege(p.oid, 'execute')`);
  return rowCount !== 0;
}

/** The head of the log; `null` while it is empty. */
export async function readHead(db: Queryable): Promise<LogHead | null> {
  const { rows } = await db.query<LogHead>(`
    select c.system_identifier::text as "systemIdentifier", d.oid as "databaseOid", h.id::double precision as id,
      pg_catalog.encode(h.hash, 'hex') as hash
    from manage_db.operation_log_head h
    cross join pg_catalog.pg_control_system() c
    join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
    where h.id > 0`);
  return rows[0] ?? null;
}
