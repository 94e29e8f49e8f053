import type { Action, FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../../database/catalog/definition-details.js';
import { kindOf, nameOf as nameOfObject } from '../../compare/object-names.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import type { OwnOptions } from './own-options.js';

export interface Expecting {
  readonly fromDetails: readonly DefinitionDetail[];
  readonly toDetails: readonly DefinitionDetail[];
  readonly actions: readonly Action[];
  readonly desired: FactBase;
  readonly ownOptions: readonly OwnOptions[];
  /** The version that each extension would be made in. */
  readonly extensions: ReadonlyMap<string, string>;
}

/**
 * What pg-delta does not read, as it will be when the statements are executed: they make none of it, and what they make
 * again has lost it.
 */
export function detailsAfter(expecting: Expecting): DefinitionDetail[] {
  const { fromDetails, toDetails, actions, desired, extensions } = expecting;
  const gone = new Set(actions.flatMap(({ destroys }) => destroys.flatMap(namesOf)));
  const stayed = toDetails.filter((detail) => !namesOfDetail(detail).some((name) => gone.has(name)));
  const known = new Set(stayed.map(keyOf));
  const added = addedColumns(actions);
  const made = actions.flatMap(({ produces }) => produces);
  const after = [
    ...stayed.map((detail) => withNewOrder(detail, { added, gone, stays: true })),
    ...fromDetails
      .filter((detail) => !known.has(keyOf(detail)))
      .flatMap((detail) => madeAnyway(detail, { desired, extensions, made }))
      .map((detail) => withNewOrder(detail, { added, gone, stays: false })),
  ];
  return withOptions(after, expecting);
}

/** Options of foreign data become those of the source, where none is one that each environment has its own of. */
function withOptions(
  after: readonly DefinitionDetail[],
  { fromDetails, ownOptions }: Pick<Expecting, 'fromDetails' | 'ownOptions'>,
): DefinitionDetail[] {
  const own = new Set(ownOptions.map(({ object }) => `${kindOf(object)} ${nameOfObject(object)}`));
  const wanted = new Map(fromDetails.map((detail) => [keyOf(detail), detail.properties[OPTIONS]]));
  return after.map((detail) => {
    const { kind, schema, name, properties } = detail;
    const words = schema === null ? quotedWhereNeeded(name) : qualified({ schema, name });
    if (!WITH_OPTIONS.includes(kind) || own.has(`${kind} ${words}`)) return detail;
    const { [OPTIONS]: _before, ...rest } = properties;
    const options = wanted.get(keyOf(detail));
    return { ...detail, properties: options === undefined ? rest : { ...rest, [OPTIONS]: options } };
  });
}

const OPTIONS = 'options (not shown)';
const WITH_OPTIONS = ['foreign-data wrapper', 'server', 'foreign table'];

/** What the server makes by itself, with what the statements make. */
function madeAnyway(
  detail: DefinitionDetail,
  { desired, extensions, made }: Pick<Expecting, 'desired' | 'extensions'> & { readonly made: readonly StableId[] },
): DefinitionDetail[] {
  const { kind, name, isWhole, properties } = detail;
  const version = kind === 'extension' ? extensions.get(name) : undefined;
  if (version !== undefined) return [{ ...detail, properties: { version } }];
  // the sequences of identities, and the indexes of partitions
  if (isWhole) return kind === 'sequence' || isMadeWithParent(detail, made) ? [detail] : [];
  const { populated, default: value, ...rest } = properties;
  const isInherited = desired
    .facts()
    .some(({ id, payload }) => id.kind === 'default' && id.name === name && payload.expr === value);
  return [
    {
      ...detail,
      properties: {
        ...(populated === undefined ? {} : { populated: true }),
        ...(value === undefined || !isInherited ? {} : { default: value }),
        ...Object.fromEntries(Object.entries(rest).filter(([property]) => WITH_COLUMNS.includes(property))),
      },
    },
  ];
}

/** An index or constraint of a partition, where it is the table's that is made, or the partition. */
function isMadeWithParent({ schema, relation, properties }: DefinitionDetail, made: readonly StableId[]): boolean {
  if (!('of index' in properties || 'of constraint' in properties)) return false;
  const parent = properties['of index'] ?? properties['of constraint'] ?? null;
  if (parent === null) return true;
  return made.some(
    (id) => nameOfObject(id) === parent || (id.kind === 'table' && id.schema === schema && id.name === relation),
  );
}

/** What a partition has from its table. */
const WITH_COLUMNS = ['not null', 'generated', 'column order'];

/** The columns of each table that are added, in the order of the statements. */
function addedColumns(actions: readonly Action[]): ReadonlyMap<string, readonly string[]> {
  const added = new Map<string, string[]>();
  for (const id of actions.flatMap(({ produces }) => produces)) {
    if (id.kind !== 'column') continue;
    const table = nameOf('relation', [id.schema, id.table]);
    added.set(table, [...(added.get(table) ?? []), id.name]);
  }
  return added;
}

interface Ordering {
  readonly added: ReadonlyMap<string, readonly string[]>;
  readonly gone: ReadonlySet<string>;
  /** Whether the table is there already. */
  readonly stays: boolean;
}

/** What is added comes last. */
function withNewOrder(detail: DefinitionDetail, { added, gone, stays }: Ordering): DefinitionDetail {
  const { schema, relation, properties } = detail;
  const order = properties['column order'];
  const more = added.get(nameOf('relation', [schema, relation]));
  if (!Array.isArray(order) || more === undefined) return detail;
  const isLeft = (name: unknown) => !gone.has(nameOf('column', [schema, relation, String(name)]));
  const now = [...(stays ? order.filter(isLeft) : []), ...more];
  return { ...detail, properties: { ...properties, 'column order': now } };
}

/** Grants and owners of what was there before have to be there afterwards, and no others are looked at. */
export function grantsKept(
  was: readonly DefinitionDetail[],
  {
    wanted,
    now,
    desired,
  }: {
    readonly wanted: readonly DefinitionDetail[];
    readonly now: readonly DefinitionDetail[];
    readonly desired: FactBase;
  },
): { readonly wanted: DefinitionDetail[]; readonly now: DefinitionDetail[] } {
  const before = new Map(was.map((detail) => [keyOf(detail), detail]));
  const current = new Map(now.map((detail) => [keyOf(detail), detail]));
  const wantedKeys = new Set(wanted.map(keyOf));
  const rights = (detail: DefinitionDetail | undefined) => {
    const { owner, grants } = detail?.properties ?? {};
    return { ...(owner === undefined ? {} : { owner }), ...(grants === undefined ? {} : { grants }) };
  };
  const isOfView = ({ kind, schema, relation }: DefinitionDetail) =>
    kind === 'column' &&
    schema !== null &&
    relation !== null &&
    (['view', 'materializedView'] as const).some((view) => desired.has({ kind: view, schema, name: relation }));
  // of what has no details any more there is nothing to read
  const onlyGranted = was.filter(
    (detail) => !wantedKeys.has(keyOf(detail)) && !detail.isWhole && (current.has(keyOf(detail)) || isOfView(detail)),
  );
  return {
    wanted: [
      ...wanted.map((detail) => ({
        ...detail,
        properties: { ...detail.properties, ...rights(before.get(keyOf(detail))) },
      })),
      ...onlyGranted.map((detail) => ({ ...detail, properties: rights(detail) })),
    ],
    now: now.map((detail) => {
      const { owner: _owner, grants: _grants, ...properties } = detail.properties;
      return { ...detail, properties: before.has(keyOf(detail)) ? { ...properties, ...rights(detail) } : properties };
    }),
  };
}

function keyOf({ kind, schema, relation, name }: DefinitionDetail): string {
  return JSON.stringify([kind, schema, relation, name]);
}

function nameOf(what: string, parts: readonly (string | null)[]): string {
  return JSON.stringify([what, ...parts]);
}

function namesOf(id: StableId): string[] {
  switch (id.kind) {
    case 'table':
    case 'view':
    case 'materializedView':
    case 'foreignTable':
      return [nameOf('relation', [id.schema, id.name])];
    case 'index':
    case 'sequence':
    case 'extension':
      return [nameOf(id.kind, ['schema' in id ? id.schema : null, id.name])];
    case 'constraint':
      return [nameOf('index', [id.schema, id.name])];
    case 'column':
    case 'trigger':
      return [nameOf(id.kind, [id.schema, id.table, id.name])];
    default:
      return [];
  }
}

function namesOfDetail({ kind, schema, relation, name }: DefinitionDetail): string[] {
  const what = kind.startsWith('index') ? 'index' : kind;
  return [nameOf('relation', [schema, relation]), nameOf(what, [schema, name]), nameOf(what, [schema, relation, name])];
}
