import { basename } from 'node:path';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { versionKey } from '../../migration-versions.js';
import { nextCommand } from '../../next-command.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import { explained } from '../failure.js';
import { type History, readHistory } from './history.js';
import type { Backend, MigrationStep, RanMigration, RunOptions } from './step.js';

export interface BrokenRun {
  readonly settings: ConnectionSettings;
  readonly options: RunOptions;
  readonly steps: readonly MigrationStep[];
  readonly ran: readonly RanMigration[];
  /** What it was at; `null`: it was between two. */
  readonly current: MigrationStep | null;
  readonly backend: Backend | null;
  /** Whether what was committed is on the disk of the server, as far as it has said. */
  readonly isSettled: boolean;
}

/** What a crash of the server may take back. */
export const UNSETTLED =
  'The server has not written all of that to its disk within 10 s: should it crash now, what was applied last may be gone, and its record with it.';

/** A function that has found a way to end its transaction: what it did is committed, and not recorded. */
export class EndedTransaction extends ManageDbError {}

/** How long a server is asked that may be coming up again, and a backend waited for that does not know yet that nobody listens. */
const ANSWER_MS = 10_000;

/**
 * `error` with what was and was not applied: the first question of somebody whose migration has failed. Where the
 * connection was lost, the records are asked, for a commit may have arrived.
 */
export async function explainRun(error: unknown, broken: BrokenRun): Promise<ManageDbError> {
  const { current, options } = broken;
  const plain = explained(error, '', options.signal);
  const isLost = plain.code === 'CONNECTION_LOST' || plain.code === 'INTERRUPTED';
  const isInPieces = current?.migration[current.direction]?.isTransactional === false;
  const history = isLost || isInPieces ? await readAfterwards(broken) : null;
  // a server that has crashed may have taken its last commits back
  const ran = lastOfEach(history === null ? broken.ran : broken.ran.filter((one) => isStill(one, history)));
  const rolledBack = ran.filter(({ direction }) => direction === 'down');
  const applied = ran.filter(({ direction }) => direction === 'up');
  const toApply = notAgain(broken.steps, rolledBack);
  const sentences = [
    ranSentence('Rolled back', rolledBack),
    ranSentence('Applied', applied),
    broken.isSettled ? '' : UNSETTLED,
    ...(current === null || error instanceof EndedTransaction ? [] : [currentSentence(current, isLost, history)]),
    restSentence({ ...broken, ran }),
    toApplySentence(toApply),
  ].filter((sentence) => sentence !== '');
  const known = explained(error, sentences.join(' '), options.signal);
  const hint = toApply.length === 0 ? known.hint : againHint(current);
  return withDetails(known, hint, {
    applied: applied.map(({ version }) => version),
    rolledBack: rolledBack.map(({ version }) => version),
    failed: current?.migration.version ?? null,
  });
}

function isStill({ version, direction }: RanMigration, { applied }: History): boolean {
  return applied.some((record) => versionKey(record.version) === versionKey(version)) === (direction === 'up');
}

/** What is applied again after it was rolled back is applied. */
function lastOfEach(ran: readonly RanMigration[]): readonly RanMigration[] {
  return ran.filter(({ version }, index) => !ran.slice(index + 1).some((later) => later.version === version));
}

function ranSentence(what: string, ran: readonly RanMigration[]): string {
  if (ran.length === 0) return '';
  return `${what} before and staying so: ${shortenedNames(ran)}.`;
}

function shortenedNames(ran: readonly RanMigration[]): string {
  const names = ran.map(({ version, name }) => `${version}_${name}`);
  const shown = names.length > 5 ? [...names.slice(0, 2), `${names.length - 3} more`, names.at(-1) ?? ''] : names;
  return shown.join(', ');
}

/** What was rolled back in order to be applied again, and was not: the same command would roll back others. */
function notAgain(steps: readonly MigrationStep[], rolledBack: readonly RanMigration[]): readonly RanMigration[] {
  const goesUp = (version: string) =>
    steps.some(({ direction, migration }) => direction === 'up' && migration.version === version);
  return rolledBack.filter(({ version }) => goesUp(version));
}

function toApplySentence(toApply: readonly RanMigration[]): string {
  if (toApply.length === 0) return '';
  return `Pending now: ${shortenedNames([...toApply].reverse())}.`;
}

/** With what a redo goes on that has broken off. */
function againHint(current: MigrationStep | null): string {
  const again = nextCommand('apply-db-migration');
  if (current === null) return `What was rolled back is applied again by: ${again}`;
  const file = basename(current.migration.path);
  return `See to it that ${file} can be ${current.direction === 'up' ? 'applied' : 'rolled back'}. What is pending is applied by: ${again}`;
}

function currentSentence({ migration, direction }: MigrationStep, isLost: boolean, history: History | null): string {
  const file = `${migration.version}_${migration.name}`;
  if (migration[direction]?.isTransactional !== false) {
    if (!isLost) return `Nothing of ${file} remains.`;
    if (history === null)
      return `Whether ${file} was committed cannot be asked: ${nextCommand('show-all-migrations')} says it when the server answers.`;
    const isThere = history.applied.some(({ version }) => versionKey(version) === versionKey(migration.version));
    return isThere === (direction === 'up') ? `${file} was committed, and is recorded.` : `Nothing of ${file} remains.`;
  }
  if (history === null) return `How far ${file} has come is in its journal: the next run goes on from there.`;
  const entries = history.journal.filter(
    (entry) => versionKey(entry.version) === versionKey(migration.version) && entry.direction === direction,
  );
  const done = entries.filter(({ state }) => state === 'done').length;
  const begun = entries.find(({ state }) => state === 'begun');
  if (entries.length === 0) return `Nothing of ${file} remains.`;
  return [
    ...(done === 0
      ? []
      : [
          `Of ${file}, ${done === 1 ? '1 statement is' : `${done} statements are`} done: the next run goes on from there.`,
        ]),
    ...(begun === undefined
      ? []
      : [`Statement ${begun.position} of ${file} was begun: what it has done until then stays.`]),
  ].join(' ');
}

function restSentence({ steps, ran, current }: BrokenRun): string {
  const touched = new Set([
    ...ran.map(({ version }) => version),
    ...(current === null ? [] : [current.migration.version]),
  ]);
  const left = steps.filter(({ migration }) => !touched.has(migration.version)).length;
  if (left > 0 && current !== null) return `${left} more ${left === 1 ? 'was' : 'were'} not begun.`;
  return current === null && ran.length === 0 ? 'No migration was applied.' : '';
}

/** After whoever is still at work there: the backend of a lost connection ends when it notices. */
async function readAfterwards({ settings, options, backend }: BrokenRun): Promise<History | null> {
  const place = options.database === undefined ? {} : { database: options.database };
  const deadline = Date.now() + ANSWER_MS;
  for (;;) {
    try {
      return await withConnection(settings, place, async (db) => {
        // who interrupts wants an end: a statement that runs does not notice by itself
        if (options.signal?.aborted && backend !== null) await db.query(END_BACKEND, [backend.pid, backend.startedAt]);
        await db.query('begin');
        await takeAdvisoryLock(db, 'migrations', { timeoutMs: Math.max(0, deadline - Date.now()) });
        return readHistory(db);
      });
    } catch {
      if (Date.now() > deadline) return null;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

const END_BACKEND = `
  select pg_catalog.pg_terminate_backend(pid)
  from pg_catalog.pg_stat_activity
  where pid = $1 and backend_start::text = $2`;

function withDetails(
  error: ManageDbError,
  hint: string | null,
  details: Readonly<Record<string, unknown>>,
): ManageDbError {
  return new ManageDbError(error.code, error.message.trim(), {
    ...(hint === null ? {} : { hint }),
    details: { ...error.details, ...details },
    cause: error.cause,
  });
}
