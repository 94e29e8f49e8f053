import { escapeLiteral } from 'pg';
import { ADVISORY_LOCKS } from '../../../database/advisory-locks.js';
import { currentActor } from '../../../services/actor.js';
import { PIN_TRANSACTION } from '../../../services/catalog-path.js';
import { isServerError } from '../../../services/database-errors.js';
import { packageVersion } from '../../../services/package-root.js';
import type { Direction } from './history.js';
import type { Migration } from './migration-files.js';
import type { RunContext } from './step.js';

/**
 * What the transaction of a migration is known by: gone when it has ended, whoever ended it. Where a file is executed statement by
 * statement, the session: gone when a statement has reset its settings.
 */
export const MARK = 'manage_db.migration';

/** To what the server gives a session of this login in this database. */
const RESET_SESSION = ['reset session authorization', 'reset role', 'reset all'];

export interface Opening {
  readonly mark: string;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/**
 * Begins the transaction of a migration: nothing that is set for the database or the login ends it or makes it read only,
 * and no wait for a lock is longer than `lockTimeoutMs`.
 */
export function openingStatements(context: RunContext, { lockTimeoutMs, statementTimeoutMs, mark }: Opening): string[] {
  return [
    'begin isolation level read committed read write',
    // behind a pooler, the session is whoever's had it before
    ...(context.backend === null ? RESET_SESSION : []),
    ...limits(context, lockTimeoutMs, statementTimeoutMs),
    ...(context.noticesLoss ? ["set local client_connection_check_interval = '500ms'"] : []),
    // for a login called manage_db, "$user" in the search_path is our own schema
    `select pg_catalog.set_config('search_path', 'public', true) where pg_catalog.current_schema() operator(pg_catalog.=) 'manage_db'`,
    `set local ${MARK} = ${escapeLiteral(mark)}`,
  ];
}

/** Says whether this runner has the lock, for the transaction. */
export const TRY_LOCK = `select pg_catalog.pg_try_advisory_xact_lock(${ADVISORY_LOCKS.migrations}) as locked`;

/** What all records and the journal are known by: another state has another one. */
const STATE = `pg_catalog.concat_ws('/', pg_catalog.count(*), coalesce(pg_catalog.date_part('epoch', pg_catalog.max(applied_at)), 0),
    (select pg_catalog.count(*) from manage_db.migration_journal))`;

/** Says what the records are known by, for a session that has its own settings. */
export const LOOK_AT_STATE = `select ${STATE} as state from manage_db.migrations`;

/** The same, and the checksum of `version` where it is one of them. */
export function lookSql(version: string): string {
  return `select ${STATE} as state,
      (select checksum from manage_db.migrations where ${isVersion(version)}) as checksum
    from manage_db.migrations`;
}

/** {@link TRY_LOCK} and {@link lookSql} as statements that fail when it is not so. */
export function expectSql(state: string): string[] {
  return [
    `select ${orFail(`pg_catalog.pg_try_advisory_xact_lock(${ADVISORY_LOCKS.migrations})`, 'another runner is at work')}`,
    `select ${orFail(`${STATE} operator(pg_catalog.=) ${escapeLiteral(state)}`, 'the records have changed')} from manage_db.migrations`,
  ];
}

/** A statement cannot raise an error of its own, but a text that is no number can: the log of the server shows what it says. */
function orFail(condition: string, message: string): string {
  return `(case when ${condition} then '1' else ${escapeLiteral(`manage_db: ${message}`)} end)::pg_catalog.int4`;
}

/** Of the transaction, whatever the database and the login have. */
export function limits({ serverMajor }: RunContext, lockTimeoutMs: number, statementTimeoutMs: number): string[] {
  return [
    `set local statement_timeout = ${statementTimeoutMs}`,
    `set local lock_timeout = ${lockTimeoutMs}`,
    'set local idle_in_transaction_session_timeout = 0',
    ...(serverMajor >= 17 ? ['set local transaction_timeout = 0'] : []),
  ];
}

/** Makes deferred checks now, where their error still belongs to the file, and takes back what it has set and kept for the session. */
export const LEAVE_FILE: readonly string[] = [
  'set constraints all immediate',
  'close all',
  'unlisten *',
  'deallocate all',
  'discard temp',
  'discard sequences',
  'select pg_catalog.pg_advisory_unlock_all()',
  ...RESET_SESSION,
];

/** Before statements of ours within a transaction of a file: as the login, and without its search_path. */
export function asOurselves(context: RunContext, lockTimeoutMs: number): string[] {
  return [
    'set local session authorization default',
    'set local role none',
    PIN_TRANSACTION,
    'set local row_security = off',
    ...limits(context, lockTimeoutMs, 0),
  ];
}

/** The record of a migration that was executed, or the end of it. */
export function recordStatements(migration: Migration, direction: Direction, durationMs: number): string[] {
  const { version, name, checksum } = migration;
  const forget = `delete from manage_db.migration_journal where ${isVersion(version)}`;
  if (direction === 'down') return [forget, `delete from manage_db.migrations where ${isVersion(version)}`];
  return [forget, insertSql([version, name, checksum].map(escapeLiteral), String(durationMs))];
}

/** The same for one that is executed in the same round trip: the server measures how long it took. */
export function measuredRecord({ version, name, checksum }: Migration): string {
  const duration = `(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.now())
    operator(pg_catalog.*) 1000)::int`;
  return `${insertSql([version, name, checksum].map(escapeLiteral), duration)}
    returning pg_catalog.concat_ws('', pg_catalog.date_part('epoch', applied_at)) as epoch`;
}

/** What the records are known by when one more was written; if it is not the newest by the clock, they are read again. */
export function stateAfter(state: string, epoch: string): string {
  const [count = '', , journal = ''] = state.split('/');
  return [Number(count) + 1, epoch, journal].join('/');
}

function insertSql(values: readonly string[], duration: string): string {
  return `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
    values (${values.join(', ')}, ${duration}, ${actorSql()}, ${escapeLiteral(`manage_db ${packageVersion()}`)})`;
}

/**
 * Lets the next commit follow this one before it is on the disk: a commit later in the run, or {@link FLUSHED}, waits for
 * both. Until then a crash of the server takes the file and its record back together.
 */
export const COMMIT_AHEAD = 'set local synchronous_commit = off';

/** Where the log of the server ends, and whether all of it up to `$1` is on the disk. */
export const LOG_END = 'select pg_catalog.pg_current_wal_insert_lsn()::text as lsn';
export const FLUSHED =
  'select pg_catalog.pg_current_wal_flush_lsn() operator(pg_catalog.>=) $1::pg_catalog.pg_lsn as flushed';

const NOT_RECORDED = 'the record is not as it was written';

/** Fails, see {@link isNotRecorded}, when the record was not written, or not removed: a trigger or a rule may have prevented it. */
export function expectRecorded(version: string, direction: Direction): string {
  // going up it is there as it was written
  const condition =
    direction === 'up' ? `version operator(pg_catalog.=) ${escapeLiteral(version)}` : isVersion(version);
  const exists = `exists (select from manage_db.migrations where ${condition})`;
  return `select ${orFail(direction === 'up' ? exists : `not ${exists}`, NOT_RECORDED)}`;
}

export function isNotRecorded(error: unknown): boolean {
  return isServerError(error) && error.message.includes(NOT_RECORDED);
}

/** Condition on a column `version`, under any search_path. */
export function isVersion(version: string): string {
  return `pg_catalog.ltrim(version, '0') operator(pg_catalog.=) pg_catalog.ltrim(${escapeLiteral(version)}, '0')`;
}

/** Whoever the application says is at it, else the login. */
export function actorSql(): string {
  const actor = currentActor();
  return actor === null ? 'session_user' : escapeLiteral(actor);
}
