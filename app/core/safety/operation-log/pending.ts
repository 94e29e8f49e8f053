import { renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { OPERATION_EVENTS, type OperationEntry } from '../../../database/records/operation-log.js';
import { codeOf } from '../../errors.js';
import { makeFolder, writeFileAtomically } from '../../files.js';
import { LEVELS } from '../../levels.js';
import * as z from '../../schema.js';
import { folderOf, namesIn, readOwn } from './own-files.js';

/** Which log an entry belongs to. */
export interface LogAddress {
  readonly environment: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

export interface PendingEntry {
  readonly file: string;
  readonly entry: OperationEntry;
}

/**
 * Keeps an entry in the workspace until its database can be reached. One file each, complete or not there at all, so that
 * any number of processes may write and replay at once without a lock.
 */
export function keepPending(entry: OperationEntry): void {
  const time = entry.occurred_at.replaceAll(/[^0-9TZ]/g, '');
  count += 1;
  const sequence = String(count).padStart(6, '0');
  writeFileAtomically(
    join(folderOf('pending'), `${time}-${sequence}-${entry.entry_id}.json`),
    `${JSON.stringify(entry)}\n`,
  );
}

/** Two entries of the same millisecond keep their order. */
let count = 0;

/** The entries that wait for the log at `address`, in the order in which they were made. */
export function listPending(address: LogAddress): readonly PendingEntry[] {
  return entriesIn(folderOf('pending'), address);
}

/** The entries that the database at `address` has refused; they remain in the workspace. */
export function listRefused(address: LogAddress): readonly PendingEntry[] {
  return entriesIn(folderOf('refused'), address);
}

/** Forgets an entry that the database has now. */
export function dropPending({ file }: PendingEntry): void {
  rmSync(file, { force: true });
}

/** Keeps an entry that the database refuses where it is no longer sent. */
export function putAside({ file }: PendingEntry): void {
  makeFolder(folderOf('refused'));
  try {
    renameSync(file, join(folderOf('refused'), basename(file)));
  } catch (error) {
    // another process has just done it
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function entriesIn(folder: string, address: LogAddress): readonly PendingEntry[] {
  return namesIn(folder).flatMap((name) => {
    const file = join(folder, name);
    const entry = readOwn(file, ENTRY);
    return entry !== null && belongsTo(entry, address) ? [{ file, entry }] : [];
  });
}

const facts = z.record(z.string(), z.unknown());

/** Only its form: whether it can be true, the database decides. */
const ENTRY = z.strictObject({
  entry_id: z.string(),
  attempt: z.string(),
  event: z.enum(OPERATION_EVENTS),
  operation: z.string(),
  environment: z.string(),
  database_name: z.string(),
  host: z.string(),
  port: z.int(),
  level: z.nullable(z.enum(LEVELS)),
  actor: z.string(),
  os_user: z.string(),
  client_host: z.string(),
  application: z.string(),
  tool: z.string(),
  reason: z.nullable(z.string()),
  arguments: facts,
  details: facts,
  duration_ms: z.nullable(z.number()),
  occurred_at: z.string(),
  source: z.enum(['database', 'file']),
});

function belongsTo(entry: OperationEntry, { environment, host, port, database }: LogAddress): boolean {
  return (
    entry.environment === environment && entry.host === host && entry.port === port && entry.database_name === database
  );
}
