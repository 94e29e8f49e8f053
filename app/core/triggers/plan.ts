import type { TriggerMode } from '../../database/catalog/live-triggers.js';
import { MODE_OF_LETTER as MODES, TGTYPE } from '../../database/catalog/trigger-sql.js';
import {
  type InstalledTrigger,
  readInstalledTriggers,
  readTriggerTargets,
} from '../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../database/queryable.js';
import { type RegisteredTrigger, readTriggerRecords } from '../../database/records/trigger-registry.js';
import { ManageDbError } from '../errors.js';
import { readConditions } from './conditions.js';
import type { TriggerDeclaration } from './declaration.js';
import { columnsOf, type DeclaredTrigger, declaredSet } from './declared-set.js';
import { checksumOf, declaredState, qualifiedFunction } from './declared-state.js';
import { resolveFunctions } from './functions.js';
import { coveredPacks, type TriggerPack } from './pack.js';
import {
  keyOf,
  type PlannedTrigger,
  type Skipped,
  type TriggerFilter,
  type TriggerPlan,
  type UndecidedTrigger,
} from './planned-trigger.js';
import { findRemovals } from './removals.js';

export interface PlanOptions extends TriggerFilter {
  /** Only the triggers that this pack declares; another one's declaration of the same trigger still has the last word. */
  readonly pack?: string;
  /** The oids of the tables to look at; all of them where absent. */
  readonly tables?: readonly number[];
  /** Triggers ({@link keyOf}) that are not touched at all. */
  readonly leave?: ReadonlySet<string>;
  /** Triggers whose mode is set to the registered one, whatever somebody has made of it. */
  readonly enforceMode?: ReadonlySet<string>;
  /** Triggers whose mode is set to the declared one, also where somebody has chosen another on purpose. */
  readonly resetMode?: ReadonlySet<string>;
  /** What is done about triggers whose function does not exist; all of them are refused where absent. */
  readonly missingFunctions?: 'refuse' | 'skip';
}

/**
 * Compares what `packs` declare with the live catalog and the registry, in a fixed number of queries. Needs an open
 * transaction with an empty search_path, in which the functions are installed.
 *
 * @throws ManageDbError `NOT_FOUND` when a declared function does not exist, unless those are skipped
 */
export async function planTriggers(
  db: Queryable,
  packs: readonly TriggerPack[],
  options: PlanOptions,
): Promise<TriggerPlan> {
  const tables = options.tables ?? null;
  const targets = await readTriggerTargets(db, columnsOf(packs), tables);
  const covered = coveredPacks(packs, options.pack);
  const everything = declaredSet(packs, targets, options).triggers;
  const declared = everything.filter(({ pack }) => covered.includes(pack));
  const names = [...new Set(declared.map(({ declaration }) => declaration.name))];
  const installed = await readInstalledTriggers(db, names, tables);
  const records = await readTriggerRecords(db, tables === null ? null : targets);
  const functions = await resolveFunctions(db, covered);

  const existing = new Map(installed.map((trigger) => [`${trigger.tableOid} ${trigger.name}`, trigger]));
  const registered = new Map(records.triggers.map((trigger) => [keyOf(trigger), trigger]));
  const skipped = [...declaredSet(covered, targets, options).skipped];
  const pairs: UndecidedTrigger[] = [];
  for (const trigger of declared) {
    const ref = refOf(trigger);
    if (options.leave?.has(keyOf(ref))) continue;
    const called = functions(trigger.declaration, trigger.pack);
    if (called === null) {
      skipped.push({ ...ref, reason: withoutFunction(trigger, options) });
      continue;
    }
    const found = existing.get(`${trigger.target.oid} ${trigger.declaration.name}`) ?? null;
    pairs.push(undecided(trigger, called, { found, known: registered.get(keyOf(ref)) ?? null, options }));
  }
  const removals = await findRemovals(db, packs, { targets, declared: everything, records }, options);
  return { ...(await decide(db, pairs, { skipped, options })), removals };
}

function withoutFunction({ declaration, pack }: DeclaredTrigger, { missingFunctions }: PlanOptions): string {
  const { schema, name } = qualifiedFunction(declaration, pack);
  if (missingFunctions === 'skip')
    return `its function ${schema}.${name}() does not exist: put it into functions/${name}.sql`;
  throw new ManageDbError(
    'NOT_FOUND',
    `Trigger "${declaration.name}" calls ${schema}.${name}(), and there is no trigger function of that name. Nothing was changed.`,
    { hint: `Put it into functions/${name}.sql of the triggers folder, or correct "function" in the declaration.` },
  );
}

interface Known {
  readonly found: InstalledTrigger | null;
  readonly known: RegisteredTrigger | null;
  readonly options: PlanOptions;
}

function undecided(
  trigger: DeclaredTrigger,
  called: UndecidedTrigger['function'],
  { found, known, options }: Known,
): UndecidedTrigger {
  const state = declaredState(trigger.declaration, trigger.pack);
  const isReset = options.resetMode?.has(keyOf(refOf(trigger))) === true;
  return {
    ...trigger,
    function: called,
    installed: found,
    registered: known,
    state,
    checksum: checksumOf(state),
    wantedMode: isReset ? trigger.declaration.mode : wantedMode(trigger.declaration, found, known),
  };
}

/** What somebody has chosen on purpose counts until the declaration says something new. */
function wantedMode(
  { mode }: TriggerDeclaration,
  installed: InstalledTrigger | null,
  registered: RegisteredTrigger | null,
): TriggerMode {
  if (registered !== null) return registered.declaredMode === mode ? registered.wantedMode : mode;
  return installed === null ? mode : MODES[installed.mode];
}

/** Everything but the condition can be compared field by field; conditions have to be printed by the server first. */
async function decide(
  db: Queryable,
  pairs: readonly UndecidedTrigger[],
  { skipped, options }: { skipped: Skipped[]; options: PlanOptions },
): Promise<Pick<TriggerPlan, 'triggers' | 'skipped'>> {
  const triggers: PlannedTrigger[] = [];
  const open: UndecidedTrigger[] = [];
  const add = (pair: UndecidedTrigger, action: PlannedTrigger['action']): void => {
    triggers.push({ ...pair, action, setsMode: setsMode(pair, action, options) });
  };
  for (const pair of pairs) {
    const obstacle = obstacleTo(pair);
    if (obstacle !== null) skipped.push({ ...refOf(pair), reason: obstacle });
    else if (pair.installed === null) add(pair, 'create');
    else if (!hasSameFields(pair, pair.installed)) add(pair, changing(pair, pair.installed));
    else if (pair.declaration.when === null || isAsRegistered(pair)) add(pair, 'unchanged');
    else open.push(pair);
  }
  const conditions = await readConditions(db, open);
  open.forEach((pair, index) => {
    const isSame = pair.installed === null || conditions[index] === pair.installed.when;
    add(pair, isSame || pair.installed === null ? 'unchanged' : changing(pair, pair.installed));
  });
  return { triggers: triggers.sort(byTable), skipped };
}

/** The condition too: it was printed by the server when the same declaration was applied. */
function isAsRegistered({ installed, registered, checksum }: UndecidedTrigger): boolean {
  return registered !== null && registered.checksum === checksum && registered.definition === installed?.definition;
}

function changing({ declaration }: UndecidedTrigger, installed: InstalledTrigger): PlannedTrigger['action'] {
  return installed.isConstraint || declaration.constraint !== null ? 'recreate' : 'replace';
}

/** A new trigger fires in ordinary sessions; the mode of one that was there is only touched where that was asked for. */
function setsMode(pair: UndecidedTrigger, action: PlannedTrigger['action'], options: PlanOptions): boolean {
  const { declaration, installed, registered, wantedMode: wanted } = pair;
  if (installed === null) return wanted !== 'origin';
  // those of views are always on
  if (pair.target.kind === 'v') return false;
  const key = keyOf(refOf(pair));
  const modes = [installed.mode, ...installed.cloneModes];
  if ((options.enforceMode?.has(key) || options.resetMode?.has(key)) && modes.some((mode) => MODES[mode] !== wanted))
    return true;
  const isDeclaredAnew = registered !== null && registered.declaredMode !== declaration.mode;
  return isDeclaredAnew && (action === 'recreate' || MODES[installed.mode] !== wanted);
}

function obstacleTo({ installed, registered, declaration }: UndecidedTrigger): string | null {
  if (installed?.isClone) return 'a trigger of this name comes from the partitioned table above; declare it there';
  if (installed === null || registered !== null) return null;
  if (installed.isConstraint && declaration.constraint === null)
    return 'a constraint trigger of this name exists, and PostgreSQL cannot replace one; drop or rename it first';
  if (!installed.isConstraint && declaration.constraint !== null)
    return 'another trigger of this name exists, and a constraint trigger cannot replace one; drop or rename it first';
  return null;
}

function hasSameFields({ declaration, function: wanted }: UndecidedTrigger, installed: InstalledTrigger): boolean {
  const { constraint, referencing } = declaration;
  return (
    installed.type === typeBits(declaration) &&
    installed.functionOid === wanted.oid &&
    installed.isConstraint === (constraint !== null) &&
    installed.isDeferrable === (constraint?.deferrable ?? false) &&
    installed.isInitiallyDeferred === (constraint?.initiallyDeferred ?? false) &&
    installed.oldTable === referencing.old &&
    installed.newTable === referencing.new &&
    (installed.when === null) === (declaration.when === null) &&
    installed.args.length === declaration.args.length &&
    installed.args.every((arg, index) => arg === declaration.args[index]) &&
    [...installed.updateOf].sort().join('\0') === [...(declaration.updateOf ?? [])].sort().join('\0')
  );
}

function typeBits({ level, timing, on }: TriggerDeclaration): number {
  const timings = { before: TGTYPE.before, after: 0, 'instead of': TGTYPE.insteadOf } as const;
  return on.reduce((bits, event) => bits | TGTYPE[event], (level === 'row' ? TGTYPE.row : 0) | timings[timing]);
}

function refOf({ target, declaration }: DeclaredTrigger): { schema: string; table: string; name: string } {
  return { schema: target.schema, table: target.name, name: declaration.name };
}

function byTable(a: PlannedTrigger, b: PlannedTrigger): number {
  return (
    compare(a.target.schema, b.target.schema) ||
    compare(a.target.name, b.target.name) ||
    compare(a.declaration.name, b.declaration.name)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
