import type { LiveTrigger, LiveTriggerFunction, TriggerMode } from '../../database/catalog/live-triggers.js';
import type { RegisteredFunction, RegisteredTrigger, TriggerRecords } from '../../database/records/trigger-registry.js';
import { shellQuote } from '../shell-quote.js';
import type { DeclaredTrigger } from './declared-set.js';
import { checksumOf, type DeclaredState, declaredState, qualifiedFunction } from './declared-state.js';
import { type FunctionFile, functionKey } from './function-file.js';
import { keyOf, type TriggerRef } from './planned-trigger.js';
import { declaredWords, PARTS, type TriggerWords, wordsOf } from './trigger-words.js';

export const DRIFT_STATES = [
  'in_sync',
  'drifted',
  'manual_override',
  'disabled',
  'dropped',
  'unknown',
  'pending',
  'stale',
] as const;

/**
 * `in_sync`: as declared and as installed; `drifted`: the declaration or the file of the function has changed since;
 * `manual_override`: somebody has changed the live trigger or its function by hand; `disabled`: it does not fire, by hand
 * or on purpose; `dropped`: it is gone; `unknown`: somebody else's; `pending`: declared, and never applied; `stale`: the table
 * has changed since its function was generated.
 */
export type DriftState = (typeof DRIFT_STATES)[number];

/** `null`: there is none. */
export interface Difference {
  readonly field: string;
  readonly expected: string | null;
  readonly actual: string | null;
}

/** What is known about one trigger. */
export interface TriggerReport extends TriggerRef {
  readonly state: DriftState;
  /** Whether something should be done. Not where somebody has disabled it on purpose, nor for what is not ours. */
  readonly isDrift: boolean;
  /** In which sessions it fires; `null`: it is not there. */
  readonly mode: TriggerMode | null;
  /** `null`: nobody has said. */
  readonly wantedMode: TriggerMode | null;
  readonly version: number | null;
  readonly pack: string | null;
  readonly source: RegisteredTrigger['source'] | null;
  readonly function: string;
  readonly differences: readonly Difference[];
  /** What to do, in a sentence. */
  readonly recommendation: string;
}

/** Everything that a judgement rests on. */
export interface DriftFacts {
  readonly declared: readonly DeclaredTrigger[];
  readonly files: readonly FunctionFile[];
  readonly live: readonly LiveTrigger[];
  readonly liveFunctions: readonly LiveTriggerFunction[];
  readonly records: TriggerRecords;
  readonly serverVersionNum: number;
}

/** A report and what it was made of. */
export interface JudgedTrigger {
  readonly report: TriggerReport;
  readonly declared: DeclaredState | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
  readonly function: JudgedFunction;
}

/** A trigger function: what is there, what was installed, and what its file says. */
export interface JudgedFunction {
  readonly live: LiveTriggerFunction | null;
  readonly registered: RegisteredFunction | null;
  readonly file: FunctionFile | null;
  /** Somebody has changed it since it was installed. */
  readonly overridden: readonly Difference[];
  /** Its file has changed since. */
  readonly hasNewFile: boolean;
}

/**
 * Compares what is declared, what was installed and what is there, trigger by trigger and field by field. Pure.
 * Registered triggers of tables that are gone are not mentioned: they went with their tables.
 */
export function judgeTriggers(facts: DriftFacts): readonly JudgedTrigger[] {
  const functions = functionJudge(facts);
  const declared = byKey(
    facts.declared.map((one) => [{ ...one.target, table: one.target.name, name: one.declaration.name }, one]),
  );
  const live = byKey(facts.live.map((one) => [one, one]));
  const registered = byKey(facts.records.triggers.filter(({ hasTable }) => hasTable).map((one) => [one, one]));
  const keys = [...new Set([...declared.keys(), ...registered.keys(), ...live.keys()])].sort();
  return keys.map((key) =>
    judge(key, {
      declared: declared.get(key) ?? null,
      registered: registered.get(key) ?? null,
      live: live.get(key) ?? null,
      functions,
    }),
  );
}

function byKey<T>(entries: readonly (readonly [TriggerRef, T])[]): Map<string, T> {
  return new Map(entries.map(([ref, one]) => [keyOf(ref), one]));
}

interface Sides {
  readonly declared: DeclaredTrigger | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
  readonly functions: FunctionJudge;
}

function judge(key: string, { declared, registered, live, functions }: Sides): JudgedTrigger {
  const [schema, table, name] = JSON.parse(key) as [string, string, string];
  const state = declared === null ? null : declaredState(declared.declaration, declared.pack);
  const called = functionOf({ declared, registered, live });
  const judged = functions(called);
  const verdict = verdictOf({ state, registered, live, function: judged, isDeclared: declared !== null });
  const report: TriggerReport = {
    schema,
    table,
    name,
    ...verdict,
    recommendation: recommend(verdict, { schema, table, name }),
    mode: live?.mode ?? null,
    wantedMode: registered?.wantedMode ?? declared?.declaration.mode ?? null,
    version: declared?.declaration.version ?? registered?.version ?? null,
    pack: declared?.pack.name ?? registered?.pack ?? null,
    source: registered?.source ?? null,
    function: `${called.schema}.${called.name}`,
  };
  return { report, declared: state, registered, live, function: judged };
}

function functionOf({ declared, registered, live }: Omit<Sides, 'functions'>): { schema: string; name: string } {
  if (live !== null) return { schema: live.functionSchema, name: live.functionName };
  if (registered !== null) return { schema: registered.functionSchema, name: registered.functionName };
  return declared === null ? { schema: '', name: '' } : qualifiedFunction(declared.declaration, declared.pack);
}

interface Evidence {
  readonly state: DeclaredState | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
  readonly function: JudgedFunction;
  readonly isDeclared: boolean;
}

type Verdict = Pick<TriggerReport, 'state' | 'isDrift' | 'differences'>;

function verdictOf(evidence: Evidence): Verdict {
  const { state, registered, live, isDeclared, function: called } = evidence;
  if (registered === null) {
    if (!isDeclared) return { state: 'unknown', isDrift: false, differences: [] };
    const differences =
      live === null || state === null ? [] : differing(declaredWords(state), wordsOf(live), ['condition']);
    return { state: 'pending', isDrift: true, differences };
  }
  if (live === null) return { state: 'dropped', isDrift: true, differences: [] };
  const byHand = [...differing(wordsOf(registered), wordsOf(live)), ...called.overridden];
  const modes = modeDifferences(registered, live);
  const declaredAnew = [...declarationDifferences(state, registered), ...fileDifferences(called)];
  if (byHand.length > 0) return { state: 'manual_override', isDrift: true, differences: [...byHand, ...modes] };
  if (modes.length > 0) {
    const doesNotFire = modes.some(({ actual }) => actual === 'disabled');
    return { state: doesNotFire ? 'disabled' : 'manual_override', isDrift: true, differences: modes };
  }
  if (called.hasNewFile && called.file?.isGenerated === true && declaredAnew.every(({ field }) => field === GENERATED))
    return { state: 'stale', isDrift: true, differences: declaredAnew };
  if (declaredAnew.length > 0) return { state: 'drifted', isDrift: true, differences: declaredAnew };
  if (live.mode === 'disabled') return { state: 'disabled', isDrift: false, differences: [] };
  return { state: 'in_sync', isDrift: false, differences: [] };
}

function differing(expected: TriggerWords, actual: TriggerWords, except: readonly string[] = []): Difference[] {
  return PARTS.filter((part) => !except.includes(part) && expected[part] !== actual[part]).map((field) => ({
    field,
    expected: expected[field],
    actual: actual[field],
  }));
}

function modeDifferences({ wantedMode }: RegisteredTrigger, live: LiveTrigger): Difference[] {
  const own = live.mode === wantedMode ? [] : [{ field: 'mode', expected: wantedMode, actual: live.mode }];
  // where the trigger itself has another mode, its clones differ from that, not from what is wanted
  const others = live.otherModes.filter(({ mode }) => mode !== wantedMode);
  return [
    ...own,
    ...others.map(({ schema, table, mode }) => ({
      field: `mode on ${schema}.${table}`,
      expected: wantedMode,
      actual: mode,
    })),
  ];
}

function declarationDifferences(state: DeclaredState | null, registered: RegisteredTrigger): Difference[] {
  if (state === null) {
    // what was adopted or made by hand was never declared
    return registered.source === 'dsl' ? [{ field: 'declaration', expected: null, actual: 'installed' }] : [];
  }
  if (registered.checksum === checksumOf(state)) return [];
  const old = registered.declaration as Partial<DeclaredState> | null;
  const names = Object.keys(state) as (keyof DeclaredState)[];
  return names
    .filter((name) => JSON.stringify(state[name]) !== JSON.stringify(old?.[name] ?? null))
    .map((name) => ({ field: `declared ${name}`, expected: shown(state[name]), actual: shown(old?.[name] ?? null) }));
}

function shown(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function fileDifferences({ hasNewFile, file, registered }: JudgedFunction): Difference[] {
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

const GENERATED = 'generated function';

type FunctionJudge = (called: { readonly schema: string; readonly name: string }) => JudgedFunction;

function functionJudge({ files, liveFunctions, records, serverVersionNum }: DriftFacts): FunctionJudge {
  const live = new Map(liveFunctions.map((one) => [functionKey(one), one]));
  const registered = new Map(records.functions.map((one) => [functionKey(one), one]));
  const file = new Map(files.map((one) => [functionKey(one), one]));
  const judged = new Map<string, JudgedFunction>();
  return (called) => {
    const key = functionKey(called);
    const known = judged.get(key);
    if (known !== undefined) return known;
    const sides = { live: live.get(key) ?? null, registered: registered.get(key) ?? null, file: file.get(key) ?? null };
    const one = {
      ...sides,
      overridden: overriddenParts(sides, serverVersionNum),
      hasNewFile:
        sides.file !== null && sides.registered !== null && sides.file.checksum !== sides.registered.fileChecksum,
    };
    judged.set(key, one);
    return one;
  };
}

function overriddenParts(
  { live, registered }: Pick<JudgedFunction, 'live' | 'registered'>,
  serverVersionNum: number,
): Difference[] {
  if (live === null || registered === null || live.isFromExtension) return [];
  // every major version prints what stands around the body in its own way
  const isSameMajor = Math.floor(registered.serverVersionNum / 10_000) === Math.floor(serverVersionNum / 10_000);
  const compared = isSameMajor ? (text: string) => text : bodyOf;
  const differences: Difference[] = [];
  if (compared(live.definition) !== compared(registered.definition)) {
    const field = bodyOf(live.definition) === bodyOf(registered.definition) ? 'function attributes' : 'function body';
    differences.push({ field, expected: summary(registered.definition), actual: summary(live.definition) });
  }
  // with whose rights it runs; without SECURITY DEFINER that is the caller's business
  if (live.isSecurityDefiner && live.owner !== registered.owner) {
    differences.push({ field: 'function owner', expected: registered.owner, actual: live.owner });
  }
  return differences;
}

/** From `AS $function$` on. */
function bodyOf(definition: string): string {
  const start = definition.indexOf('\nAS ');
  return start === -1 ? definition : definition.slice(start);
}

function summary(definition: string): string {
  return `${definition.trimEnd().split('\n').length} lines`;
}

function recommend({ state, isDrift, differences }: Verdict, { schema, table, name }: TriggerRef): string {
  const on = `--table ${shellQuote(`${schema}.${table}`)}`;
  switch (state) {
    case 'in_sync':
      return 'Nothing to do.';
    case 'pending':
      return `Apply it: manage_db apply-db-triggers ${on}`;
    case 'stale':
      return 'Generate its function anew: manage_db verify-db-triggers --fix';
    case 'dropped':
      return 'Bring it back: manage_db verify-db-triggers --fix';
    case 'disabled':
      return isDrift
        ? `Somebody disabled it by hand. Enable it (manage_db verify-db-triggers --fix), or mean it: manage_db disable-db-trigger ${shellQuote(name)} ${on}`
        : `It was disabled on purpose. To let it fire again: manage_db enable-db-trigger ${shellQuote(name)} ${on}`;
    case 'unknown':
      return 'It was made by somebody else. Declare it in the triggers folder, or leave it.';
    case 'manual_override':
      return `Look at it (manage_db diff-db-triggers ${shellQuote(name)} ${on}); then take the change into the declaration, or overwrite it: manage_db verify-db-triggers --fix --override-drift`;
    case 'drifted':
      return differences.some(({ field }) => field === 'declaration')
        ? `It is not declared any more. Drop it (manage_db drop-db-trigger ${shellQuote(name)} ${on}), or declare it again.`
        : `Apply the new one: manage_db apply-db-triggers ${on}`;
  }
}
