import type { LiveTrigger, TriggerMode } from '../../database/catalog/live-triggers.js';
import type { RegisteredTrigger } from '../../database/records/trigger-registry.js';
import type { DeclaredTrigger } from './declared-set.js';
import { checksumOf, type DeclaredState, declaredState, qualifiedFunction } from './declared-state.js';
import {
  type FunctionFacts,
  type FunctionJudge,
  fileDifferences,
  functionJudge,
  GENERATED,
  type JudgedFunction,
  missingFunction,
} from './judged-function.js';
import { keyOf, type TriggerRef } from './planned-trigger.js';
import { recommend } from './recommendation.js';
import type { Difference, TriggerReport } from './trigger-report.js';
import { declaredWords, PARTS, type TriggerWords, wordsOf } from './trigger-words.js';

/** Everything that a judgement rests on. */
export interface DriftFacts extends FunctionFacts {
  readonly environment: string;
  readonly declared: readonly DeclaredTrigger[];
  readonly live: readonly LiveTrigger[];
  /** The packs that write functions for tables, whose triggers healing drops where they are not declared any more. */
  readonly generating: readonly { readonly name: string; readonly functionSchema: string }[];
}

/** A report and what it was made of. */
export interface JudgedTrigger {
  readonly report: TriggerReport;
  readonly declared: DeclaredState | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
  readonly function: JudgedFunction;
  /** What somebody has changed of the trigger itself, without its function. */
  readonly byHand: readonly Difference[];
  /** Where it fires in other sessions than it should, on partitions too. */
  readonly modes: readonly Difference[];
}

export interface Judgement {
  readonly triggers: readonly JudgedTrigger[];
  /** Registered, neither declared nor there: nobody misses them. */
  readonly obsolete: readonly TriggerRef[];
}

/**
 * Compares what is declared, what was installed and what is there, trigger by trigger and field by field. Pure.
 * Registered triggers of tables that are gone are not mentioned: they went with their tables.
 */
export function judgeTriggers(facts: DriftFacts): Judgement {
  const functions = functionJudge(facts);
  const declared = byKey(
    facts.declared.map((one) => [{ ...one.target, table: one.target.name, name: one.declaration.name }, one]),
  );
  const live = byKey(facts.live.map((one) => [one, one]));
  const registered = byKey(facts.records.triggers.filter(({ hasTable }) => hasTable).map((one) => [one, one]));
  const keys = [...new Set([...declared.keys(), ...registered.keys(), ...live.keys()])].sort();
  const sides = keys.map((key) => ({
    key,
    declared: declared.get(key) ?? null,
    registered: registered.get(key) ?? null,
    live: live.get(key) ?? null,
  }));
  return {
    triggers: sides.filter((one) => !isObsolete(one)).map((one) => judge(one, functions, facts)),
    obsolete: sides.filter(isObsolete).map(({ key }) => refOf(key)),
  };
}

function byKey<T>(entries: readonly (readonly [TriggerRef, T])[]): Map<string, T> {
  return new Map(entries.map(([ref, one]) => [keyOf(ref), one]));
}

function refOf(key: string): TriggerRef {
  const [schema, table, name] = JSON.parse(key) as [string, string, string];
  return { schema, table, name };
}

interface Sides {
  readonly key: string;
  readonly declared: DeclaredTrigger | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
}

/** What was adopted or made by hand was never declared, and is missed all the same. */
function isObsolete({ declared, registered, live }: Sides): boolean {
  return declared === null && live === null && registered !== null && isFromDeclaration(registered);
}

function isFromDeclaration({ source }: RegisteredTrigger): boolean {
  return source === 'dsl' || source === 'generated';
}

function judge(
  sides: Sides,
  functions: FunctionJudge,
  { generating, environment }: Pick<DriftFacts, 'generating' | 'environment'>,
): JudgedTrigger {
  const { declared, registered, live } = sides;
  const ref = refOf(sides.key);
  const state = declared === null ? null : declaredState(declared.declaration, declared.pack);
  const called = functions(calledBy(sides));
  const wanted = declared === null ? called : functions(qualifiedFunction(declared.declaration, declared.pack));
  const pack = declared?.pack.name ?? registered?.pack ?? null;
  const calls = generating.find(({ functionSchema }) => functionSchema === called.schema);
  const evidence: Evidence = {
    state,
    registered,
    live,
    function: called,
    missing: missingFunction(wanted),
    byHand:
      registered === null || live === null
        ? []
        : byHandDifferences(registered, live).filter(
            ({ field }) => !(followsTable({ state, registered, called }) && MOVES_ALONG.has(field)),
          ),
    modes: registered === null || live === null ? [] : modeDifferences(registered.wantedMode, live),
    // what lies in the schema of the pack protects the log, and calls functions that are not written for a table
    callsGenerated: calls !== undefined && calls.functionSchema !== ref.schema && isGenerated(called),
  };
  const verdict = verdictOf(evidence);
  const isUndeclared = verdict.differences.some(({ field }) => field === DECLARATION);
  const isRemovable =
    evidence.callsGenerated ||
    generating.some(({ name, functionSchema }) => name === registered?.pack && functionSchema !== ref.schema);
  const report: TriggerReport = {
    ...ref,
    ...verdict,
    recommendation: recommend({ ...ref, ...verdict, isUndeclared, isRemovable, environment, function: wanted }),
    mode: live?.mode ?? null,
    wantedMode: wantedMode(state, registered),
    version: declared?.declaration.version ?? registered?.version ?? null,
    pack,
    source: registered?.source ?? null,
    function: `${called.schema}.${called.name}`,
  };
  const { byHand, modes } = evidence;
  return { report, declared: state, registered, live, function: called, byHand, modes };
}

/** Its declaration was written for the table, and would be another now: PostgreSQL has renamed the columns in what is there. */
function followsTable({
  state,
  registered,
  called,
}: Pick<Evidence, 'state'> & { registered: RegisteredTrigger; called: JudgedFunction }): boolean {
  return called.file?.isGenerated === true && state !== null && registered.checksum !== checksumOf(state);
}

const MOVES_ALONG: ReadonlySet<string> = new Set(['condition', 'columns']);

/** That of the trigger which is there, or else of the one that was, or shall be. */
function calledBy({ declared, registered, live }: Sides): { schema: string; name: string } {
  if (live !== null) return { schema: live.functionSchema, name: live.functionName };
  if (declared !== null) return qualifiedFunction(declared.declaration, declared.pack);
  return { schema: registered?.functionSchema ?? '', name: registered?.functionName ?? '' };
}

function isGenerated({ file, registered }: JudgedFunction): boolean {
  return file?.isGenerated === true || registered !== null;
}

/** What somebody has chosen on purpose counts until the declaration says something new. */
function wantedMode(state: DeclaredState | null, registered: RegisteredTrigger | null): TriggerMode | null {
  if (registered === null) return state?.mode ?? null;
  return state === null || state.mode === registered.declaredMode ? registered.wantedMode : state.mode;
}

interface Evidence {
  readonly state: DeclaredState | null;
  readonly registered: RegisteredTrigger | null;
  readonly live: LiveTrigger | null;
  readonly function: JudgedFunction;
  readonly missing: readonly Difference[];
  readonly byHand: readonly Difference[];
  readonly modes: readonly Difference[];
  readonly callsGenerated: boolean;
}

type Verdict = Pick<TriggerReport, 'state' | 'isDrift' | 'differences'>;

function verdictOf(evidence: Evidence): Verdict {
  const { state, registered, live, function: called, modes, missing } = evidence;
  if (registered === null) return state === null ? strange(evidence) : pending(evidence, state);
  if (live === null) return { state: 'dropped', isDrift: true, differences: missing };
  const byHand = [...evidence.byHand, ...called.overridden];
  const gone = state === null && isFromDeclaration(registered) ? [UNDECLARED] : [];
  if (byHand.length > 0) {
    return { state: 'manual_override', isDrift: true, differences: [...byHand, ...modes, ...gone] };
  }
  if (modes.length > 0) {
    const differences = [...modes, ...gone];
    return { state: modes.some(isDisabled) ? 'disabled' : 'manual_override', isDrift: true, differences };
  }
  const declaredAnew = [...gone, ...declarationDifferences(state, registered), ...fileDifferences(called), ...missing];
  const isOfTable = ({ field }: Difference) => field === GENERATED || field.startsWith('declared ');
  if (called.file?.isGenerated && declaredAnew.length > 0 && declaredAnew.every(isOfTable))
    return { state: 'stale', isDrift: true, differences: declaredAnew };
  if (declaredAnew.length > 0) return { state: 'drifted', isDrift: true, differences: declaredAnew };
  if (live.mode === 'disabled') return { state: 'disabled', isDrift: false, differences: [] };
  return { state: 'in_sync', isDrift: false, differences: [] };
}

const DECLARATION = 'declaration';
const UNDECLARED: Difference = { field: DECLARATION, expected: null, actual: 'installed' };

/** Neither declared nor registered. Under another name, a trigger of ours would do everything twice. */
function strange({ callsGenerated }: Evidence): Verdict {
  return { state: 'unknown', isDrift: callsGenerated, differences: callsGenerated ? [UNDECLARED] : [] };
}

function pending({ live, function: called, missing }: Evidence, state: DeclaredState): Verdict {
  if (live === null) return { state: 'pending', isDrift: true, differences: missing };
  const differences = [
    ...differing(declaredWords(state), wordsOf(live), 'presence of conditions'),
    ...modeDifferences(state.mode, live),
    ...missing,
  ];
  const isFunctionInstalled = called.registered !== null && called.overridden.length === 0 && !called.hasNewFile;
  // a condition is printed in the server's way: only applying can compare it with what was written
  const isThere = differences.length === 0 && state.when === null && isFunctionInstalled;
  return { state: 'pending', isDrift: !isThere, differences };
}

/** Another major version prints conditions in its own way; there the declaration's checksum has to speak for them. */
function byHandDifferences(registered: RegisteredTrigger, live: LiveTrigger): Difference[] {
  return differing(wordsOf(registered), wordsOf(live), registered.isSameMajor ? 'all' : 'presence of conditions');
}

function differing(
  expected: TriggerWords,
  actual: TriggerWords,
  compared: 'all' | 'presence of conditions',
): Difference[] {
  const isSame = (part: keyof TriggerWords): boolean =>
    part === 'condition' && compared !== 'all'
      ? (expected.condition === null) === (actual.condition === null)
      : expected[part] === actual[part];
  return PARTS.filter((part) => !isSame(part)).map((field) => ({
    field,
    expected: expected[field],
    actual: actual[field],
  }));
}

function modeDifferences(wanted: TriggerMode, live: LiveTrigger): Difference[] {
  const own = live.mode === wanted ? [] : [{ field: 'mode', expected: wanted, actual: live.mode }];
  // where the trigger itself has another mode, its clones differ from that, not from what is wanted
  const others = live.otherModes.filter(({ mode }) => mode !== wanted);
  return [
    ...own,
    ...others.map(({ schema, table, mode }) => ({
      field: `mode on ${schema}.${table}`,
      expected: wanted,
      actual: mode,
    })),
  ];
}

/** Whether a difference of modes is that it does not fire. */
export function isDisabled({ actual }: Difference): boolean {
  return actual === 'disabled';
}

function declarationDifferences(state: DeclaredState | null, registered: RegisteredTrigger): Difference[] {
  if (state === null || registered.checksum === checksumOf(state)) return [];
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
