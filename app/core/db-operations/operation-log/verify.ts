import type { Queryable } from '../../../database/queryable.js';
import type { LogHead } from '../../../database/records/operation-log.js';
import { type ChainFinding, readHash, verifyChain } from '../../../database/records/operation-log-chain.js';
import { guardProblems } from './guards.js';

/** One thing that is wrong with the log. */
export interface LogFinding {
  readonly kind: ChainFinding['kind'] | 'mirror' | 'unguarded' | 'gone';
  /** The entry that shows it, where it is about one. */
  readonly id: number | null;
  readonly detail: string;
}

export interface LogReport {
  readonly entries: number;
  readonly findings: readonly LogFinding[];
}

const WORDS: Readonly<Record<ChainFinding['kind'], (id: number) => string>> = {
  changed: (id) => `Entry ${id} is not what was written: its hash does not fit its contents.`,
  missing: (id) => `Entries before ${id} are missing.`,
  unlinked: (id) => `Entry ${id} does not follow the entry before it.`,
  head: (id) => `The end of the log (${id}) is not its newest entry.`,
};

/**
 * Checks the chain, what protects it, and its end against `mirror`, the one that the workspace remembers.
 *
 * @param mirror read before the snapshot of `db` was taken: what is remembered later is no part of what is checked
 */
export async function verifyLog(db: Queryable, mirror: LogHead | null): Promise<LogReport> {
  const { entries, findings } = await verifyChain(db);
  const problems = await guardProblems(db);
  return {
    entries,
    findings: [
      ...findings.map(({ kind, id }) => ({ kind, id, detail: WORDS[kind](id) })),
      ...(await mirrorFindings(db, mirror)),
      ...problems.map((detail) => ({ kind: 'unguarded', id: null, detail }) as const),
    ],
  };
}

/** A log that cannot be checked because not all of it is there; `mirror` and what is left tell that it has been. */
export function missingLog(state: 'damaged' | 'absent', mirror: LogHead | null): LogReport {
  if (state === 'absent' && mirror === null) return { entries: 0, findings: [] };
  const known = mirror === null ? '' : `; this workspace knows of ${mirror.id} entries`;
  return { entries: 0, findings: [{ kind: 'gone', id: mirror?.id ?? null, detail: `The log is gone${known}.` }] };
}

async function mirrorFindings(db: Queryable, mirror: LogHead | null): Promise<readonly LogFinding[]> {
  if (mirror === null) return [];
  const { id, hash } = mirror;
  const present = await readHash(db, id);
  if (present === hash) return [];
  const detail =
    present === null
      ? `Entry ${id} is missing: this workspace has seen it, and it was the newest one then.`
      : `Entry ${id} is another one than this workspace has seen: the log was written anew.`;
  return [{ kind: 'mirror', id, detail }];
}
