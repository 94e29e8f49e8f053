import { tmpdir } from 'node:os';
import { startedIfEmbedded } from '../../../../services/connection/engine.js';
import { withWorkFolder } from '../../../../services/work-folder.js';
import { ManageDbError } from '../../../errors.js';
import { stopIfAborted } from '../../../progress.js';
import { withSnapshot } from '../../database-state/snapshot.js';
import { fill } from './fill.js';
import { Sessions } from './sessions.js';
import type { Moment, StreamCopy, StreamedCopy } from './stream-copy.js';

/** Milliseconds that a table is waited for that somebody alters. */
const LOCK_TIMEOUT_MS = 30_000;

/** The same for those who follow: who is in their way waits for the first of us, and keeps everybody else waiting. */
const FOLLOWING_LOCK_TIMEOUT_MS = 2000;

/**
 * Fills the empty database `scratch` with what the source is at one moment, whatever is written there meanwhile: rows flow from
 * server to server, without a file in between. Afterwards it is analyzed, and as the restore of a backup would leave it: nothing of
 * how it was filled stays behind. The source is only read.
 *
 * Where it fails, or is stopped, the scratch database is of no use any more.
 *
 * @throws ManageDbError `INTERRUPTED`, `SQL_FAILED`, `PERMISSION_DENIED`, `LOCK_TIMEOUT`, `CONNECTION_LOST`, `DISK_FULL`,
 *   `NOT_FOUND` for a table that is to be left out, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`
 * @example
 * const { tables } = await streamInto({ source, target, scratch, sourceMajor: 15, targetMajor: 15, jobs: 2,
 *   leaveOut: { largeObjects: false, rowsOf: ['public.sessions'] }, controls: { signal } });
 */
export async function streamInto(copy: StreamCopy): Promise<StreamedCopy> {
  const { signal } = copy.controls;
  stopIfAborted(signal);
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const source = await startedIfEmbedded(copy.source);
  const target = await startedIfEmbedded(copy.target);
  const sessions = new Sessions(either);
  try {
    return await withWorkFolder(tmpdir(), (folder) =>
      atOneMoment({ settings: source, major: copy.sourceMajor }, either, async (moment) => {
        const fillFrom = (blueprint: Moment) =>
          fill({
            ...{ copy: { ...copy, source, target }, source: moment, blueprint, folder, sessions, signal: either },
            ...{ lockTimeoutMs: FOLLOWING_LOCK_TIMEOUT_MS, stop: () => over.abort() },
          });
        const { definitionsFrom: other } = copy;
        if (other === undefined) return fillFrom(moment);
        return atOneMoment({ ...other, settings: await startedIfEmbedded(other.settings) }, either, fillFrom);
      }),
    );
  } catch (error) {
    if (signal?.aborted) throw new ManageDbError('INTERRUPTED', 'The copy was interrupted.', { cause: error });
    throw error;
  } finally {
    await sessions.closeAll();
  }
}

function atOneMoment<T>(
  of: Pick<Moment, 'settings' | 'major'>,
  signal: AbortSignal,
  work: (moment: Moment) => Promise<T>,
): Promise<T> {
  return withSnapshot(of.settings, { lockTimeoutMs: LOCK_TIMEOUT_MS, signal }, ({ client, id }) =>
    work({ ...of, db: client, snapshot: id }),
  );
}
