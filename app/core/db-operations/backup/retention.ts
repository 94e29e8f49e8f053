import type { BackupSummary } from './repository/summary.js';
import { isSafetyLabel } from './safety-label.js';

/** How many are kept: the newest ones, and the newest one of each day, ISO week and month, all in UTC. */
export interface RetentionRules {
  readonly keepLast?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
}

/** What becomes of a backup, and why. */
export interface Retained {
  readonly backup: BackupSummary;
  readonly isKept: boolean;
  /** Why it is kept; for one that is not kept, that no rule keeps it. */
  readonly reasons: readonly string[];
}

/**
 * Decides which backups of **one** environment are kept. Only complete ones are counted and only complete ones are given
 * up. Whatever the rules say, what somebody would need most stays: the newest one, the newest with everything in it, and
 * the newest of those that were verified best.
 */
export function retain(backups: readonly BackupSummary[], rules: RetentionRules): Retained[] {
  const newestFirst = [...backups].sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  const all = newestFirst.filter(({ state }) => state === 'complete');
  // what was replaced or dropped is no backup that somebody has planned
  const complete = all.filter(({ label }) => !isSafetyLabel(label));
  const reasons = new Map<string, string[]>();
  const keep = (backup: BackupSummary | undefined, reason: string): void => {
    if (backup !== undefined) reasons.set(backup.path, [...(reasons.get(backup.path) ?? []), reason]);
  };

  for (const backup of complete.slice(0, rules.keepLast ?? 0)) keep(backup, `one of the last ${rules.keepLast}`);
  for (const [count, noun, periodOf] of [
    [rules.keepDaily, 'day', dayOf],
    [rules.keepWeekly, 'week', weekOf],
    [rules.keepMonthly, 'month', monthOf],
  ] as const) {
    for (const [period, backup] of newestOfEach(complete, periodOf, count ?? 0)) keep(backup, `${noun} ${period}`);
  }
  keep(complete[0], 'the newest');
  const whole = complete.find(({ isWhole }) => isWhole);
  if (whole !== complete[0]) keep(whole, 'the newest with everything in it');
  keep(bestVerified(complete), 'the newest that is verified');
  const replaced = all.filter(({ label }) => isSafetyLabel(label));
  keep(replaced[0], 'the newest of what was replaced or dropped');
  const wholeReplaced = replaced.find(({ isWhole }) => isWhole);
  // of tables alone does not lead back to the whole database
  if (wholeReplaced !== replaced[0]) keep(wholeReplaced, 'the newest database that was replaced or dropped');

  return newestFirst.map((backup) => {
    const why = backup.state === 'complete' ? reasons.get(backup.path) : [leftAlone(backup)];
    return { backup, isKept: why !== undefined, reasons: why ?? ['no rule keeps it'] };
  });
}

/** One with everything in it before one with a part, one that was restored before one whose files were read. */
function bestVerified(complete: readonly BackupSummary[]): BackupSummary | undefined {
  for (const isWhole of [true, false]) {
    for (const how of ['deep', 'files'] as const) {
      const found = complete.find((backup) => backup.isWhole === isWhole && backup.verification?.how === how);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** What is damaged may be all that is left of something; what is incomplete may be somebody's work. */
function leftAlone({ state, worker }: BackupSummary): string {
  if (state === 'damaged') return 'damaged: look at it, and remove it by hand';
  if (worker === 'running') return 'being made now';
  return worker === 'elsewhere'
    ? 'incomplete, of another machine: remove it by hand when nobody makes it'
    : 'incomplete, and swept when it is certain that nobody makes it';
}

/** The newest backup of each of the newest `count` periods that have one. */
function newestOfEach(
  complete: readonly BackupSummary[],
  periodOf: (at: Date) => string,
  count: number,
): readonly (readonly [string, BackupSummary])[] {
  const newest = new Map<string, BackupSummary>();
  for (const backup of complete) {
    const period = periodOf(new Date(backup.createdAt));
    if (!newest.has(period)) newest.set(period, backup);
  }
  return [...newest].slice(0, count);
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

function monthOf(at: Date): string {
  return at.toISOString().slice(0, 7);
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** `2026-W01`. A week belongs to the year that its Thursday is in. */
export function weekOf(at: Date): string {
  const midnight = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate());
  const weekday = (new Date(midnight).getUTCDay() + 6) % 7;
  const thursday = new Date(midnight + (3 - weekday) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS / 7);
  return `${year}-W${String(week).padStart(2, '0')}`;
}
