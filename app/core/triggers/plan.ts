import {
  type InstalledTrigger,
  readInstalledTriggers,
  readTriggerTargets,
} from '../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../database/queryable.js';
import { readConditions } from './conditions.js';
import type { TriggerDeclaration } from './declaration.js';
import { resolveFunctions } from './functions.js';
import type { TriggerPack } from './pack.js';
import type { PlannedTrigger, Skipped, TriggerFilter, TriggerPlan, UndecidedTrigger } from './planned-trigger.js';
import { findTables } from './tables.js';

/**
 * Compares what `packs` declare with the live catalog, in a fixed number of queries. Needs an open transaction with an
 * empty search_path, in which the functions are installed.
 *
 * @throws ManageDbError `NOT_FOUND` when a declared function does not exist
 */
export async function planTriggers(
  db: Queryable,
  packs: readonly TriggerPack[],
  filter: TriggerFilter,
): Promise<TriggerPlan> {
  const wanted = packs.flatMap((pack) => pack.declarations.map((declaration) => ({ declaration, pack })));
  const targets = await readTriggerTargets(db, columnsOf(wanted.map(({ declaration }) => declaration)));
  const installed = await readInstalledTriggers(db, [...new Set(wanted.map(({ declaration }) => declaration.name))]);
  const functions = await resolveFunctions(db, wanted);

  const skipped: Skipped[] = [];
  const chosen = new Map<string, UndecidedTrigger>();
  for (const { declaration, pack } of wanted) {
    const found = findTables(declaration, targets, filter);
    skipped.push(...found.skipped);
    for (const target of found.tables) {
      // a later pack, such as the workspace, has the last word about a trigger of the same name
      chosen.set(key(target.oid, declaration.name), {
        declaration,
        target,
        function: functions(declaration, pack),
        installed: null,
      });
    }
  }
  const existing = new Map(installed.map((trigger) => [key(trigger.tableOid, trigger.name), trigger]));
  const pairs = [...chosen].map(([id, planned]) => ({ ...planned, installed: existing.get(id) ?? null }));
  return decide(db, pairs, skipped);
}

/** Everything but the condition can be compared field by field; conditions have to be printed by the server first. */
async function decide(db: Queryable, pairs: readonly UndecidedTrigger[], skipped: Skipped[]): Promise<TriggerPlan> {
  const triggers: PlannedTrigger[] = [];
  const undecided: UndecidedTrigger[] = [];
  for (const pair of pairs) {
    const obstacle = obstacleTo(pair);
    if (obstacle !== null) skipped.push(skip(pair, obstacle));
    else if (pair.installed === null) triggers.push({ ...pair, action: 'create' });
    else if (!hasSameFields(pair, pair.installed)) triggers.push({ ...pair, action: 'replace' });
    else if (pair.declaration.when === null) triggers.push({ ...pair, action: 'unchanged' });
    else undecided.push(pair);
  }
  const conditions = await readConditions(db, undecided);
  undecided.forEach((pair, index) => {
    const isSame = conditions[index] === pair.installed?.when;
    triggers.push({ ...pair, action: isSame ? 'unchanged' : 'replace' });
  });
  return { triggers: triggers.sort(byTable), skipped };
}

function obstacleTo({ installed }: UndecidedTrigger): string | null {
  if (installed?.isClone) return 'a trigger of this name comes from the partitioned table above; declare it there';
  if (installed?.isConstraint)
    return 'a constraint trigger of this name exists, and PostgreSQL cannot replace one; drop or rename it first';
  return null;
}

function hasSameFields({ declaration, function: wanted }: UndecidedTrigger, installed: InstalledTrigger): boolean {
  return (
    installed.type === typeBits(declaration) &&
    installed.functionOid === wanted.oid &&
    !installed.hasTransitionTables &&
    (installed.when === null) === (declaration.when === null) &&
    installed.args.length === declaration.args.length &&
    installed.args.every((arg, index) => arg === declaration.args[index]) &&
    [...installed.updateOf].sort().join('\0') === [...(declaration.updateOf ?? [])].sort().join('\0')
  );
}

function typeBits({ level, timing, on }: TriggerDeclaration): number {
  const events = { insert: 4, delete: 8, update: 16, truncate: 32 } as const;
  const timings = { before: 2, after: 0, 'instead of': 64 } as const;
  return on.reduce((bits, event) => bits | events[event], (level === 'row' ? 1 : 0) | timings[timing]);
}

function columnsOf(declarations: readonly TriggerDeclaration[]): string[] {
  const columns = declarations.flatMap(({ table, updateOf }) => [
    ...(updateOf ?? []),
    ...(typeof table === 'object' && 'kind' in table ? [...Object.keys(table.having), ...table.lacking] : []),
  ]);
  return [...new Set(columns)];
}

function skip({ target, declaration }: UndecidedTrigger, reason: string): Skipped {
  return { schema: target.schema, table: target.name, name: declaration.name, reason };
}

function key(tableOid: number, name: string): string {
  return `${tableOid} ${name}`;
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
