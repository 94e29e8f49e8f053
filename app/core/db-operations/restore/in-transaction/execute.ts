import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { type ClientTools, runClientTool, runOffline } from '../../../../services/client-tools.js';
import { withTemporaryFile } from '../../../../services/work-folder.js';
import { ManageDbError } from '../../../errors.js';
import { DUMP_NAMES } from '../../backup/dump/dump.js';
import { tableProgress } from '../../backup/dump/table-progress.js';
import { restoredContents } from './archive-contents.js';
import type { Dropping } from './dropping.js';
import type { TransactionRestore } from './request.js';
import { DROPPED, LOADED, LOCKED, script } from './script.js';

export interface Attempt {
  readonly tools: ClientTools;
  readonly plan: Dropping;
  /** What is restored under instead of an empty one. */
  readonly searchPath: string | null;
}

export interface Executed {
  /** The id of the transaction; `null`: its COMMIT was not sent, so that it will be rolled back. */
  readonly xid: string | null;
  /** Psql may have failed after its COMMIT had arrived. */
  readonly failure: Failure | null;
}

export interface Failure {
  readonly error: unknown;
  /** What was there had been dropped by then. */
  readonly isDropped: boolean;
}

/** Has psql do everything in one transaction, and pg_restore write what it loads. What fails while they run is returned. */
export async function execute(restore: TransactionRestore, attempt: Attempt): Promise<Executed> {
  const { tools, plan } = attempt;
  const { folder, manifest, controls } = restore;
  const archive = join(folder, DUMP_NAMES[manifest.format]);
  const { environment } = manifest;
  const { stdout } = await runOffline(tools.pgRestore, ['--list', archive], { environment, signal: controls.signal });
  const { list, owners } = restoredContents(stdout, manifest, plan.keptSchemas);
  return withTemporaryFile('list', list, (path) => executeList(restore, attempt, { archive, list: path, owners }));
}

interface Loading {
  readonly archive: string;
  /** The path of the file that says what of it. */
  readonly list: string;
  readonly owners: readonly string[];
}

async function executeList(
  restore: TransactionRestore,
  { tools, plan, searchPath }: Attempt,
  { archive, list, owners }: Loading,
): Promise<Executed> {
  const { target, manifest, controls } = restore;
  const { settings } = target;
  let xid = '';
  let isCommitting = false;
  let isDropped = false;
  let failure: Failure | null = null;
  try {
    const contents = new PassThrough();
    const [whole, locked, loaded] = [latch(), latch(), latch()];
    // psql: without it nobody says that all is locked, and what it was is backed up for nothing
    const gone = new AbortController();
    const noted = (work: Promise<void>): Promise<void> =>
      work.catch((error: unknown) => {
        if (!gone.signal.aborted) failure = { error, isDropped };
        throw error;
      });
    await inOrder(
      controls.signal,
      async (signal) => {
        const parts = {
          restore,
          plan,
          searchPath,
          owners,
          onCommit: () => {
            isCommitting = true;
          },
          whole: whole.opened,
          locked: locked.opened.then(() => !gone.signal.aborted),
          loaded: loaded.opened.then(() => !gone.signal.aborted),
          beforeCommit: () => noted(restore.beforeCommit()),
          backUp: () => noted(restore.backUp(AbortSignal.any([signal, gone.signal]))),
        };
        const progress = tableProgress({
          onProgress: controls.onProgress,
          verb: 'restoring',
          jobs: 1,
          total: manifest.tables.length,
        });
        const args = ['--set=ON_ERROR_STOP=1', '--quiet', '--output=/dev/null', '--file=-'];
        await runClientTool(tools.psql, args, {
          settings,
          signal,
          stdin: Readable.from(script(contents, parts)),
          onEnd: () => {
            gone.abort();
            locked.open();
            loaded.open();
          },
          onStderr: (line) => {
            xid = /manage_db transaction (\d+)/.exec(line)?.[1] ?? xid;
            if (line.includes(LOCKED)) locked.open();
            if (line.includes(DROPPED)) isDropped = true;
            if (line.includes(LOADED)) loaded.open();
            progress(line);
          },
          // else what pg_restore has written, and nobody reads any more, would keep it waiting
        }).finally(() => contents.destroy());
      },
      async (signal) => {
        const args = [`--use-list=${list}`, '--single-transaction', '--file=-', archive];
        await runOffline(tools.pgRestore, args, { environment: manifest.environment, signal, stdout: contents });
        whole.open();
      },
    );
    return { xid, failure: null };
  } catch (error) {
    return { xid: isCommitting ? xid : null, failure: failure ?? { error, isDropped } };
  }
}

/**
 * Runs both at the same time; the end of one aborts the other. What `first` has failed with is thrown before what has
 * become of the other one by that.
 */
async function inOrder(
  signal: AbortSignal | undefined,
  first: (signal: AbortSignal) => Promise<void>,
  second: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const either = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
  const guarded = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      controller.abort();
      throw error;
    });
  const one = guarded(first(either));
  const other = second(either).catch(async (error: unknown) => {
    // nobody reads any more what it writes: why, the first one says, which is about to end by itself
    if (!(error instanceof ManageDbError)) await one.catch(() => undefined);
    throw error;
  });
  const [a, b] = await Promise.allSettled([one, guarded(other)]);
  const isOwn = (result: PromiseSettledResult<void>): result is PromiseRejectedResult =>
    result.status === 'rejected' && !(result.reason instanceof ManageDbError && result.reason.code === 'INTERRUPTED');
  for (const result of [a, b]) if (isOwn(result)) throw result.reason;
  for (const result of [a, b]) if (result.status === 'rejected') throw result.reason;
}

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
