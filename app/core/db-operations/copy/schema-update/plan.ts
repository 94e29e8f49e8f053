import type { Action, LockClass, StableId } from '@supabase/pg-delta';
import type { TableName } from '../../../../database/catalog/rows-at-stake.js';
import { listed } from '../../../listed.js';
import type { Target } from '../../../safety/gate.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import type { NotCompared } from '../../compare/incomparable.js';
import { kindOf, nameOf } from '../../compare/object-names.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { inTwo } from '../in-two.js';
import { usedLabels } from './labels.js';
import { makesUpOptions, type OwnOptions } from './own-options.js';
import { type StatementRisk, tablesOf } from './risks.js';
import type { UpdateSteps } from './update-steps.js';
import type { WantedSchema } from './wanted-schema.js';

export interface UpdateStatement {
  readonly sql: string;
  readonly risks: readonly Pick<StatementRisk, 'kind' | 'text'>[];
  /** Whether it adds a label to an enum. */
  readonly addsLabel: boolean;
}

/** A table that stays locked until all is done. */
export interface UpdateLock extends TableName {
  readonly mode: 'access exclusive' | 'share row exclusive' | 'share' | 'share update exclusive';
  /** Who waits for it. */
  readonly waits: 'everybody' | 'writers' | 'nobody';
}

export interface SchemaUpdatePlan {
  readonly from: UpdateSide;
  readonly to: UpdateSide;
  /** To be executed in this order; empty where there is nothing to do. */
  readonly statements: readonly UpdateStatement[];
  /** Whether labels of enums are committed before the rest, which uses them. */
  readonly labelsFirst: boolean;
  readonly locks: readonly UpdateLock[];
  /** What would be lost, in sentences; without leave to lose it nothing is done. */
  readonly losses: readonly string[];
  /** Why it cannot be done as it is, in sentences. */
  readonly obstacles: readonly string[];
  readonly differences: readonly DefinitionDifference[];
  /** What will be different all the same: no statement makes it equal. */
  readonly remaining: readonly DefinitionDifference[];
  readonly warnings: readonly string[];
  readonly wanted: WantedSchema;
}

export type UpdateSide = Pick<Target, 'environment' | 'host' | 'port' | 'database' | 'serverVersion'>;

export interface Circumstances {
  /** Of each action. */
  readonly risks: readonly (readonly StatementRisk[])[];
  readonly from: Target;
  readonly to: Target;
  /** The extensions that the target's server has, and their versions. */
  readonly available: ReadonlyMap<string, string>;
  readonly encoding: readonly DefinitionDifference[];
  readonly unread: readonly NotCompared[];
}

/** The steps in the words of those who decide about them. */
export function describeSteps(wanted: WantedSchema, steps: UpdateSteps, around: Circumstances): SchemaUpdatePlan {
  const { actions, differences, remaining, leftOut, ownOptions } = steps;
  const { script } = wanted;
  const labels = script === null ? usedLabels(steps) : [];
  // whatever is made from nothing is made as it is, but for the versions that the server has and options that are secrets
  const left =
    script === null ? remaining : remaining.filter((one) => one.kind === 'extension' || isOfOptions(one, ownOptions));
  const [unique, connections] = inTwo(leftOut, ({ kind }) => kind === 'extension');
  return {
    from: sideOf(around.from),
    to: sideOf(around.to),
    statements:
      script?.map(({ shown }) => ({ sql: shown, risks: [], addsLabel: false })) ??
      actions.map((action, index) => ({
        sql: action.sql,
        risks: (around.risks[index] ?? []).map(({ kind, text }) => ({ kind, text })),
        addsLabel: addsLabel(action),
      })),
    labelsFirst: labels.length > 0,
    locks: script === null ? locksOf(steps, around.risks) : [],
    losses: lossesIn(around.risks),
    obstacles: obstaclesIn(script === null ? steps : { ...steps, problem: null, actions: [] }, around),
    differences: [...around.encoding, ...differences],
    remaining: [...around.encoding, ...left],
    warnings: [
      ...(labels.length === 0
        ? []
        : [`New labels are committed before the statements that use them, and stay if those fail: ${listed(labels)}.`]),
      ...(connections.length === 0
        ? []
        : [`Subscriptions and user mappings stay as they are: ${inWords(connections)}.`]),
      ...(unique.length === 0
        ? []
        : [`Extensions that only one database of a server can have stay as they are: ${inWords(unique)}.`]),
      ...optionWarnings(ownOptions, remaining),
      ...around.unread.map(
        ({ what, name, environment, because }) => `Not compared: ${what} ${name} of ${environment}. ${because}`,
      ),
    ],
    wanted,
  };
}

function isOfOptions({ kind, name }: DefinitionDifference, ownOptions: readonly OwnOptions[]): boolean {
  return ownOptions.some(({ object }) => kindOf(object) === kind && nameOf(object) === name);
}

function inWords(ids: readonly StableId[]): string {
  return listed([...new Set(ids.map((id) => `${kindOf(id)} ${nameOf(id)}`))]);
}

/** Where the options are not the same on both sides. */
function optionWarnings(ownOptions: readonly OwnOptions[], remaining: readonly DefinitionDifference[]): string[] {
  const differing = ownOptions.filter((own) => remaining.some((one) => isOfOptions(one, [own])));
  const of = (which: 'missing' | 'kept') =>
    differing.flatMap((own) => own[which].map((option) => `${quotedWhereNeeded(option)} of ${inWords([own.object])}`));
  const [missing, kept] = [of('missing'), of('kept')];
  const [first] = differing.filter((own) => own.missing.length > 0);
  return [
    ...(first === undefined
      ? []
      : [
          `Options that may be secrets do not come along: ${listed(missing)}. Where they are needed: ${addOptions(first)}.`,
        ]),
    ...(kept.length === 0 ? [] : [`Options that may be secrets stay what they are: ${listed(kept)}.`]),
  ];
}

/** As an example. */
function addOptions({ object, missing: [option = ''] }: OwnOptions): string {
  const kind = object.kind === 'fdw' ? 'foreign data wrapper' : kindOf(object);
  return `alter ${kind} ${nameOf(object)} options (add ${quotedWhereNeeded(option)} '…')`;
}

/** Each once. */
export function lossesIn(risks: Circumstances['risks']): string[] {
  return [...new Set(risks.flat().flatMap(({ kind, text }) => (kind === 'loss' ? [text] : [])))];
}

export function addsLabel({ transactionality }: Action): boolean {
  return transactionality === 'commitBoundaryAfter';
}

function sideOf({ environment, host, port, database, serverVersion }: Target): UpdateSide {
  return { environment, host, port, database, serverVersion };
}

function obstaclesIn(
  { problem, actions, missingRoles, deltas }: UpdateSteps,
  { to, available }: Circumstances,
): string[] {
  const missing = deltas.flatMap((delta) => {
    const id = delta.verb === 'add' ? delta.fact.id : null;
    return id?.kind === 'extension' && !available.has(id.name) ? [id.name] : [];
  });
  const madeUp = actions.filter(({ sql }) => makesUpOptions(sql));
  const lone = actions.filter(({ transactionality }) => transactionality === 'nonTransactional');
  return [
    ...(problem === null ? [] : [`It cannot be planned: ${problem.replace(/[.\s]*$/, '')}.`]),
    ...(missing.length === 0
      ? []
      : [`The server of ${to.environment} does not have these extensions: ${missing.join(', ')}.`]),
    ...(missingRoles.length === 0
      ? []
      : [`The server of ${to.environment} lacks roles that the schema names: ${missingRoles.join(', ')}.`]),
    ...madeUp.map(
      ({ produces, consumes }) =>
        `Options that may be secrets are not read, so this cannot be made again: ${inWords(produces.length > 0 ? produces : consumes)}.`,
    ),
    ...lone.map(({ sql }) => `It cannot run in a transaction: ${sql}.`),
  ];
}

const STRENGTH: readonly LockClass[] = [
  'none',
  'shareUpdateExclusive',
  'share',
  'shareRowExclusive',
  'accessExclusive',
];
const LOCKS: Readonly<Record<Exclude<LockClass, 'none'>, Pick<UpdateLock, 'mode' | 'waits'>>> = {
  shareUpdateExclusive: { mode: 'share update exclusive', waits: 'nobody' },
  share: { mode: 'share', waits: 'writers' },
  shareRowExclusive: { mode: 'share row exclusive', waits: 'writers' },
  accessExclusive: { mode: 'access exclusive', waits: 'everybody' },
};

/** The strongest lock that each table of the target needs, always in the same order. */
function locksOf({ actions, present }: UpdateSteps, risks: Circumstances['risks']): UpdateLock[] {
  const strongest = new Map<string, { readonly table: TableName; readonly lock: LockClass }>();
  for (const action of actions) {
    for (const table of tablesOf(action)) {
      if (!present.has({ kind: 'table', schema: table.schema, name: table.name })) continue;
      const name = qualified(table);
      const known = strongest.get(name)?.lock ?? 'none';
      if (STRENGTH.indexOf(action.lockClass) > STRENGTH.indexOf(known))
        strongest.set(name, { table, lock: action.lockClass });
    }
  }
  // whose values change although no statement names it
  for (const { table } of risks.flat()) {
    if (table !== null) strongest.set(qualified(table), { table, lock: 'accessExclusive' });
  }
  return [...strongest.entries()]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, { table, lock }]) => (lock === 'none' ? [] : [{ ...table, ...LOCKS[lock] }]));
}
