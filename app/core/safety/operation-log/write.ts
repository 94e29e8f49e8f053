import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../../database/queryable.js';
import { appendOperation, mayAppend, type OperationEntry } from '../../../database/records/operation-log.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { isServerError } from '../../../services/database-errors.js';
import { codeOf, ManageDbError, messageOf } from '../../errors.js';
import { mirrorHead } from './heads.js';
import { dropPending, keepPending, type LogAddress, listPending, type PendingEntry, putAside } from './pending.js';

/** Where an entry belongs, and the way there. */
export interface LogPlace extends LogAddress {
  /** `null`: the database cannot be reached. Takes single statements, without a transaction. */
  readonly db: Queryable | null;
  /** Whether the schema manage_db may be created or upgraded for it: a look or a refusal must not leave one behind. */
  readonly mayCreateSchema: boolean;
  /** Whose attempt it is: an entry that is replayed later has the login of whoever replays it. */
  readonly login: string;
}

/**
 * Writes an entry into the log of its database, after those that have waited for it; where that is not possible, into the
 * workspace, from where it is added when the database can be reached again.
 *
 * @throws ManageDbError `UNREADABLE_FILE` when it can be written nowhere
 */
export async function writeOperationEntry(entry: OperationEntry, place: LogPlace): Promise<'database' | 'file'> {
  if (place.db !== null && (await isInDatabase(entry, place, place.db))) return 'database';
  try {
    keepPending({ ...entry, details: { ...entry.details, login: place.login } });
    return 'file';
  } catch (error) {
    throw new ManageDbError(
      'UNREADABLE_FILE',
      `${entry.operation} can be written into no log, neither that of ${place.database} nor the workspace's: ${messageOf(error)}. Nothing was changed.`,
      { hint: 'Make the folder .manage_db of the workspace writable.', cause: error },
    );
  }
}

async function isInDatabase(entry: OperationEntry, place: LogPlace, db: Queryable): Promise<boolean> {
  try {
    // whoever may not upgrade the schema can still append to the log that is there
    if (place.mayCreateSchema) await ensureSchema(db).catch(() => undefined);
    if (!(await mayAppend(db))) return false;
    for (const pending of listPending(place)) await replay(pending, db);
    await appended(entry, db);
  } catch {
    return false;
  }
  // the entry is written: a mirror that cannot be kept is no reason to write it twice
  await mirrorHead(db).catch(() => undefined);
  return true;
}

/** What the database will never take must not hold up what comes after it. */
async function replay(pending: PendingEntry, db: Queryable): Promise<void> {
  try {
    await appended({ ...pending.entry, source: 'file' }, db);
    dropPending(pending);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    putAside(pending);
  }
}

/** Again while others append: a session that begins in repeatable read has not seen what came while it waited. */
async function appended(entry: OperationEntry, db: Queryable): Promise<void> {
  const end = Date.now() + LONGEST_RACE_MS;
  for (;;) {
    try {
      await appendOperation(db, entry);
      return;
    } catch (error) {
      if (codeOf(error) !== SERIALIZATION_FAILURE || Date.now() > end) throw error;
      await sleep(Math.random() * 30);
    }
  }
}

const SERIALIZATION_FAILURE = '40001';
const LONGEST_RACE_MS = 5000;

/**
 * It is the entry itself that is wrong, and always will be: data exceptions, NOT NULL, CHECK, its size. A double id is the
 * fault of the log.
 */
function isRefusal(error: unknown): boolean {
  return isServerError(error) && /^(22...|23502|23514|54000)$/.test(error.code);
}
