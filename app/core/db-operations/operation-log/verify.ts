import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import { hasOperationLog, type LogHead } from '../../../database/records/operation-log.js';
import {
  type ChainFinding,
  readHash,
  readLogGuards,
  verifyChain,
} from '../../../database/records/operation-log-chain.js';
import { shippedBody } from '../../../database/schema/ensure-schema.js';
import { readMirror } from '../../safety/operation-log/heads.js';

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
  readonly isMirrored: boolean;
}

/** The triggers without which the log is not append-only. */
const GUARDS = [
  { table: 'operation_log', trigger: 'chain_operation' },
  { table: 'operation_log', trigger: 'refuse_change' },
  { table: 'operation_log_head', trigger: 'refuse_change' },
] as const;

const WORDS: Readonly<Record<ChainFinding['kind'], (id: number) => string>> = {
  changed: (id) => `Entry ${id} is not what was written: its hash does not fit its contents.`,
  missing: (id) => `Entries before ${id} are missing.`,
  unlinked: (id) => `Entry ${id} does not follow the entry before it.`,
  head: (id) => `The end of the log (${id}) is not its newest entry.`,
};

/** Checks the chain, the triggers that protect it, and its end against the one that the workspace remembers. */
export async function verifyLog(db: Queryable): Promise<LogReport> {
  const mirror = readMirror(await readObservation(db));
  const isMirrored = mirror !== null;
  if (!(await hasOperationLog(db))) {
    return { entries: 0, isMirrored, findings: mirror === null ? [] : [goneFinding(mirror)] };
  }
  const { entries, findings } = await verifyChain(db);
  return {
    entries,
    isMirrored,
    findings: [
      ...findings.map(({ kind, id }) => ({ kind, id, detail: WORDS[kind](id) })),
      ...(await mirrorFindings(db, mirror)),
      ...(await guardFindings(db)),
    ],
  };
}

function goneFinding({ id }: LogHead): LogFinding {
  return { kind: 'gone', id, detail: `The log is gone, or may not be read; this workspace knows of ${id} entries.` };
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

async function guardFindings(db: Queryable): Promise<readonly LogFinding[]> {
  const guards = await readLogGuards(db);
  const problems = GUARDS.flatMap(({ table, trigger }) => {
    const guard = guards.find((it) => it.table === table && it.trigger === trigger);
    const name = `The trigger ${trigger} on manage_db.${table}`;
    if (guard === undefined) return [`${name} is gone.`];
    if (guard.mode !== 'A') return [`${name} is switched off, or not for every session.`];
    return guard.function === trigger && guard.body === shippedBody(trigger) ? [] : [`${name} calls another function.`];
  });
  const strangers = guards
    .filter((it) => !GUARDS.some(({ table, trigger }) => it.table === table && it.trigger === trigger))
    .map(({ table, trigger }) => `The trigger ${trigger} on manage_db.${table} is none of ours.`);
  return [...problems, ...strangers].map((detail) => ({ kind: 'unguarded', id: null, detail }));
}
