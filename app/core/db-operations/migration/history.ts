import type { Queryable } from '../../../database/queryable.js';
import { ownTables } from '../../../database/records/own-tables.js';
import { isTrustedOwner } from '../../../database/records/trusted-owner.js';

/** What manage_db.migrations says of one migration. */
export interface AppliedRecord {
  readonly version: string;
  readonly name: string;
  readonly checksum: string;
  readonly durationMs: number;
  readonly actor: string;
  readonly tool: string;
  readonly appliedAt: Date;
  /** It was in place before manage_db came, and was not executed. */
  readonly isBaseline: boolean;
}

export type Direction = 'up' | 'down';

/** One statement of a migration that runs statement by statement. */
export interface JournalEntry {
  readonly version: string;
  readonly direction: Direction;
  /** From 1. */
  readonly position: number;
  readonly statementChecksum: string;
  readonly state: 'begun' | 'done';
  /** What the catalog said before the statement. */
  readonly before: unknown;
}

export interface History {
  readonly applied: readonly AppliedRecord[];
  /** By position. */
  readonly journal: readonly JournalEntry[];
}

/**
 * What has been applied to a database, and how far what is not finished has come; nothing where manage_db has no records.
 * In three queries, and with the right to read the schema manage_db.
 */
export async function readHistory(db: Queryable): Promise<History> {
  const { rows } = await db.query<{ name: string }>(
    `select c.relname as name
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'manage_db' and c.relname = any ($1) and c.relkind = 'r'
       and ${isTrustedOwner('n.nspowner')} and ${isTrustedOwner('c.relowner')}`,
    [ownTables('history')],
  );
  const tables = new Set(rows.map(({ name }) => name));
  return {
    applied: tables.has('migrations') ? await readApplied(db) : [],
    journal: tables.has('migration_journal') ? await readJournal(db) : [],
  };
}

/** An older manage_db's table has no is_baseline yet. */
async function readApplied(db: Queryable): Promise<readonly AppliedRecord[]> {
  const { rows } = await db.query<AppliedRecord>(
    `select version, name, checksum, duration_ms as "durationMs", actor, tool, applied_at as "appliedAt",
       coalesce((pg_catalog.to_jsonb(m) operator(pg_catalog.->>) 'is_baseline')::boolean, false) as "isBaseline"
     from manage_db.migrations m
     order by pg_catalog.length(version), version`,
  );
  return rows;
}

export async function readJournal(db: Queryable): Promise<readonly JournalEntry[]> {
  const { rows } = await db.query<JournalEntry>(
    `select version, direction, position, statement_checksum as "statementChecksum", state, before
     from manage_db.migration_journal
     order by pg_catalog.length(version), version, direction, position`,
  );
  return rows;
}
