import type { LoggedOperation } from '../../../database/records/operation-log.js';
import type { CopiedPart, CopyStrategy, Expectation } from './copy-plan.js';

/** The kind of a copy, as it decides about its speed. */
export interface CopyKind {
  readonly from: string;
  readonly part: CopiedPart;
  readonly strategy: CopyStrategy;
  readonly isMasked: boolean;
}

/** What the operation log says of a copy that has succeeded. */
export interface CopyRecord extends CopyKind {
  readonly bytes: number;
  readonly durationMs: number;
}

/** Bytes in a second, by a machine with two processors and local disks: of the whole database, with its indexes. */
const RULE: Record<CopyStrategy | 'masked', number> = {
  stream: 40_000_000,
  masked: 8_000_000,
  template: 400_000_000,
};

/** Checking, swapping, and the records, however small the database is. */
const ALWAYS_MS = 2000;

/**
 * Says how long a copy of `bytes` will take.
 *
 * @param log entries of copies of the target, the newest first
 * @example expectCopy(1_000_000_000, { from: 'staging', part: 'all', strategy: 'template', isMasked: false }, []).durationMs // 4500
 */
export function expectCopy(bytes: number, kind: CopyKind, log: readonly LoggedOperation[]): Expectation {
  const last = log.map(recordOf).find((record) => record !== null && isSameKind(record, kind));
  if (last !== undefined && last !== null && last.bytes > 0) {
    // the part that does not depend on the size is in it
    const durationMs = Math.round(last.durationMs * Math.max(1, bytes / last.bytes));
    return { bytes, durationMs, basis: 'history' };
  }
  const perSecond = RULE[kind.isMasked ? 'masked' : kind.strategy];
  return { bytes, durationMs: Math.round(ALWAYS_MS + (bytes / perSecond) * 1000), basis: 'rule' };
}

function isSameKind(one: CopyKind, other: CopyKind): boolean {
  const keys = ['from', 'part', 'strategy', 'isMasked'] as const;
  return keys.every((key) => one[key] === other[key]);
}

function recordOf({ details }: LoggedOperation): CopyRecord | null {
  const { copy } = details;
  if (typeof copy !== 'object' || copy === null) return null;
  const { from, part, strategy, isMasked, bytes, durationMs } = copy as {
    readonly [Key in keyof CopyRecord]?: unknown;
  };
  if (part !== 'all' && part !== 'schema' && part !== 'data') return null;
  if (strategy !== 'stream' && strategy !== 'template') return null;
  if (typeof from !== 'string' || typeof isMasked !== 'boolean') return null;
  if (typeof bytes !== 'number' || typeof durationMs !== 'number') return null;
  return { from, part, strategy, isMasked, bytes, durationMs };
}
