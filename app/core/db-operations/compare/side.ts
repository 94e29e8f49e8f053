import type { Client } from 'pg';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { readDatabaseProperties } from '../database-state/database-properties.js';
import { withSnapshot } from '../database-state/snapshot.js';
import { together } from '../database-state/together.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { refuseSameDatabase } from '../same-database.js';

/** One of two databases, in one transaction that only reads and sees one moment. */
export interface Side {
  readonly target: Target;
  readonly client: Client;
  readonly major: number;
  readonly properties: DatabaseProperties;
}

/** Both of them. */
export interface Sides {
  readonly from: Side;
  readonly to: Side;
  /** Aborted as well when one side has failed: what the other one waits for is broken off. */
  readonly signal: AbortSignal;
  readonly onProgress: NonNullable<OperationControls['onProgress']>;
}

/** Milliseconds that a side waits for a table another session has locked. */
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Runs `work` with a snapshot of each database.
 *
 * @throws ManageDbError `USAGE` where both are the same database, `LOCK_TIMEOUT`, and the connection's codes
 */
export function withSides<T>(
  from: Target,
  to: Target,
  { signal, onProgress = () => undefined }: OperationControls,
  work: (sides: Sides) => Promise<T>,
): Promise<T> {
  const failure = new AbortController();
  const either = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
  const snapshot = { lockTimeoutMs: LOCK_TIMEOUT_MS, signal: either };
  return withSnapshot(from.settings, snapshot, (ours) =>
    withSnapshot(to.settings, snapshot, async (theirs) => {
      try {
        await refuseSameDatabase(from, to, ours.client, theirs.client);
        const [one, other] = [await sideOf(from, ours.client), await sideOf(to, theirs.client)];
        return await work({ from: one, to: other, signal: either, onProgress });
      } catch (error) {
        failure.abort();
        throw error;
      }
    }),
  );
}

/** Runs `work` on both sides at the same time; when one fails, the other is broken off. */
export function onBoth<T>(
  { from, to, signal }: Sides,
  work: (side: Side, signal: AbortSignal) => Promise<T>,
): Promise<[T, T]> {
  const breakable = (side: Side) => (inner: AbortSignal) => {
    const breakOff = () => void side.client.end().catch(() => undefined);
    inner.addEventListener('abort', breakOff, { once: true });
    return work(side, inner).finally(() => inner.removeEventListener('abort', breakOff));
  };
  return together(signal, breakable(from), breakable(to));
}

async function sideOf(target: Target, client: Client): Promise<Side> {
  const properties = await readDatabaseProperties(client, target.database);
  if (properties === null || target.serverMajor === null) {
    throw new ManageDbError('DATABASE_MISSING', `${target.database} of ${target.environment} has gone in this moment.`);
  }
  return { target, client, major: target.serverMajor, properties };
}
