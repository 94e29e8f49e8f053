import type { LiveTriggerFunction } from '../../database/catalog/live-triggers.js';
import type { RegisteredFunction, TriggerRecords } from '../../database/records/trigger-registry.js';
import { splitDefinition } from './function-definition.js';
import { type FunctionFile, functionKey } from './function-file.js';
import type { Difference } from './trigger-report.js';

/** A trigger function: what is there, what was installed, and what its file says. */
export interface JudgedFunction {
  readonly schema: string;
  readonly name: string;
  readonly live: LiveTriggerFunction | null;
  readonly registered: RegisteredFunction | null;
  readonly file: FunctionFile | null;
  /** Somebody has changed it since it was installed. */
  readonly overridden: readonly Difference[];
  /** Its file has changed since. */
  readonly hasNewFile: boolean;
  /** There is none, and it is not one of the server's own. */
  readonly isMissing: boolean;
}

export interface FunctionFacts {
  readonly files: readonly FunctionFile[];
  readonly liveFunctions: readonly LiveTriggerFunction[];
  readonly records: TriggerRecords;
}

export type FunctionJudge = (called: { readonly schema: string; readonly name: string }) => JudgedFunction;

/** Judges each function once, however many triggers call it. */
export function functionJudge({ files, liveFunctions, records }: FunctionFacts): FunctionJudge {
  const live = new Map(liveFunctions.map((one) => [functionKey(one), one]));
  const registered = new Map(records.functions.map((one) => [functionKey(one), one]));
  const file = new Map(files.map((one) => [functionKey(one), one]));
  const judged = new Map<string, JudgedFunction>();
  return ({ schema, name }) => {
    const key = functionKey({ schema, name });
    const known = judged.get(key);
    if (known !== undefined) return known;
    const sides = { live: live.get(key) ?? null, registered: registered.get(key) ?? null, file: file.get(key) ?? null };
    const one = {
      schema,
      name,
      ...sides,
      overridden: overriddenParts(sides),
      hasNewFile:
        sides.file !== null && sides.registered !== null && sides.file.checksum !== sides.registered.fileChecksum,
      isMissing: sides.live === null && schema !== 'pg_catalog',
    };
    judged.set(key, one);
    return one;
  };
}

function overriddenParts({ live, registered }: Pick<JudgedFunction, 'live' | 'registered'>): Difference[] {
  if (live === null || registered === null || live.isFromExtension) return [];
  const now = splitDefinition(live.definition);
  const before = splitDefinition(registered.definition);
  const differences: Difference[] = [];
  const differ = (field: string, expected: string, actual: string): void => {
    if (expected !== actual) differences.push({ field, expected, actual });
  };
  if (now.body !== before.body) {
    differences.push({ field: 'function body', expected: summary(before.body), actual: summary(now.body) });
  } else if (registered.isSameMajor && now.head !== before.head) {
    differences.push({ field: 'function attributes', expected: summary(before.head), actual: summary(now.head) });
  }
  differ('function security', securityOf(registered), securityOf(live));
  // with whose rights it runs; without SECURITY DEFINER that is the caller's business
  if (live.isSecurityDefiner) differ('function owner', registered.owner, live.owner);
  return differences;
}

function securityOf({ isSecurityDefiner }: { readonly isSecurityDefiner: boolean }): string {
  return isSecurityDefiner ? 'definer' : 'invoker';
}

function summary(text: string): string {
  return `${text.trim().split('\n').length} lines`;
}

/** The field of the difference that a table makes, and nobody's file. */
export const GENERATED = 'generated function';

/** What the file says that was not installed. */
export function fileDifferences({ hasNewFile, file, registered }: JudgedFunction): Difference[] {
  if (!hasNewFile || file === null) return [];
  const short = (checksum: string | null): string | null => (checksum === null ? null : checksum.slice(0, 12));
  return [
    {
      field: file.isGenerated ? GENERATED : 'function file',
      expected: short(file.checksum),
      actual: short(registered?.fileChecksum ?? null),
    },
  ];
}

/** That there is none. */
export function missingFunction({ isMissing, schema, name }: JudgedFunction): Difference[] {
  return isMissing ? [{ field: 'function', expected: `${schema}.${name}()`, actual: null }] : [];
}
