import type { Fact, FactBase } from '@supabase/pg-delta';
import { kindOf, nameOf } from '../../compare/object-names.js';
import { type PlannedActions, planActions } from '../../compare/plan-ddl.js';
import { usedLabels } from '../../copy/schema-update/labels.js';
import { withOwnOptions } from '../../copy/schema-update/own-options.js';
import { quotedWhereNeeded } from '../../inspection/find-relation.js';
import { type PlannedStatement, plannedStatements } from './destructive.js';

/** One migration, both ways. */
export interface PlannedChange {
  /** What its name ends with; `null`: it is the change itself. */
  readonly suffix: string | null;
  readonly up: PlannedDirection;
  readonly down: PlannedDirection;
}

export interface PlannedDirection {
  readonly statements: readonly PlannedStatement[];
  /** Under which the statements are meant to be executed. */
  readonly settings: PlannedActions['settings'];
  /** Why nothing could be planned. */
  readonly problem: string | null;
  /** Options of foreign data that may be secrets: nobody reads their values, so they are left out. */
  readonly withoutOptions: readonly string[];
}

/**
 * The migrations that lead from `before` to `after`, in their order. New labels of an enum that other statements use have to be
 * committed before those: they come as a migration of their own.
 */
export async function planChanges(before: FactBase, after: FactBase): Promise<PlannedChange[]> {
  const planned = await planActions(after, before);
  if (usedLabels(planned).length === 0) return [await change(before, after, null)];
  const between = await withNewLabels(before, planned);
  return [await change(before, between, 'labels'), await change(between, after, null)];
}

async function change(before: FactBase, after: FactBase, suffix: string | null): Promise<PlannedChange> {
  return { suffix, up: await direction(before, after), down: await direction(after, before) };
}

async function direction(present: FactBase, desired: FactBase): Promise<PlannedDirection> {
  const { facts, ownOptions } = await withOwnOptions(desired, present, false);
  const { actions, deltas, settings, problem } = await planActions(facts, present);
  return {
    statements: await plannedStatements({ actions, deltas, present, desired: facts }),
    settings,
    problem: problem ?? outsideOfTransactions(actions),
    withoutOptions: ownOptions.flatMap(({ object, missing }) =>
      missing.map((option) => `${quotedWhereNeeded(option)} of ${kindOf(object)} ${nameOf(object)}`),
    ),
  };
}

function outsideOfTransactions(actions: PlannedActions['actions']): string | null {
  const first = actions.find(({ transactionality }) => transactionality === 'nonTransactional');
  return first === undefined ? null : `${first.sql} cannot run in a transaction`;
}

/** What is there, and nothing else, with the labels that are to be added to its enums. */
async function withNewLabels(before: FactBase, { deltas }: PlannedActions): Promise<FactBase> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const values = new Map(
    deltas.flatMap((delta) => {
      if (delta.verb !== 'set' || delta.id.kind !== 'type' || delta.attr !== 'values') return [];
      return isOnlyLonger(delta.from, delta.to) ? [[encodeId(delta.id), delta.to] as const] : [];
    }),
  );
  const facts = before.facts().map((fact): Fact => {
    const labels = values.get(encodeId(fact.id));
    return labels === undefined ? fact : { ...fact, payload: { ...fact.payload, values: labels } };
  });
  return buildFactBase(facts, [...before.edges], before.source, before.referenceOnly);
}

/** Where labels go, or change their order, the type is made anew, and all of its labels can be used at once. */
function isOnlyLonger(from: unknown, to: unknown): boolean {
  if (!Array.isArray(from) || !Array.isArray(to)) return false;
  const kept = to.filter((label) => from.includes(label));
  return kept.length === from.length && kept.every((label, place) => label === from[place]);
}
