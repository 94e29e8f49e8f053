import { isDeepStrictEqual } from 'node:util';
import type { Delta, DependencyEdge, FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../database/catalog/definition-details.js';
import { factKindOf, kindOf, nameOf, schemaOf } from './object-names.js';

export type DifferenceState = 'only_in_from' | 'only_in_to' | 'different';

export interface DefinitionDifference {
  /** In PostgreSQL's words: `table`, `column`, `text search configuration`, `grants`, … */
  readonly kind: string;
  /** `null`: it is in no schema. */
  readonly schema: string | null;
  /** To be read, quoted as SQL wants it: `clinic.patients.email`, `note_email on clinic.users`. */
  readonly name: string;
  readonly state: DifferenceState;
  /** Whether it is there, or not, because what it belongs to is. */
  readonly isPart: boolean;
  /** What differs; empty where one side does not have it. */
  readonly changes: readonly PropertyChange[];
  /** Whether the DDL covers all of it. */
  readonly hasDdl: boolean;
}

export interface PropertyChange {
  /** `type`, `definition`, `owner`, … */
  readonly property: string;
  /** `null`: as by default, or not to be shown. */
  readonly from: unknown;
  readonly to: unknown;
}

export interface ComparedDefinitions {
  readonly from: FactBase;
  readonly to: FactBase;
  readonly fromDetails: readonly DefinitionDetail[];
  readonly toDetails: readonly DefinitionDetail[];
}

/** Every difference between two parts that are comparable, by kind and name. */
export async function findDifferences(compared: ComparedDefinitions): Promise<DefinitionDifference[]> {
  const { diff, encodeId } = await import('@supabase/pg-delta');
  const { from, to, fromDetails, toDetails } = compared;
  const found = new Map<string, Found>();
  for (const delta of diff(to, from)) note(found, delta, compared, encodeId);
  for (const [key, one] of found) {
    const isPart = one.of !== null && found.get(one.of)?.state === one.state;
    found.set(key, { ...one, of: null, isPart });
  }
  noteMembers(found, compared, encodeId);
  noteDetails(found, { from, to, fromDetails, toDetails }, encodeId);
  return [...found.values()]
    .filter((one) => one.state !== 'different' || hasChanged(one, found, encodeId))
    .map(({ id: _id, of: _of, depends, changes, ...rest }) => ({
      ...rest,
      changes: [...changes, ...dependsChange(depends)],
    }))
    .sort((a, b) => compare(a.kind, b.kind) || compare(a.name, b.name));
}

interface Found extends Omit<DefinitionDifference, 'changes' | 'hasDdl'> {
  readonly id: StableId | null;
  readonly changes: PropertyChange[];
  /** What it belongs to; of a partition's index or constraint, that of the partitioned table. */
  readonly of: string | null;
  /** What it depends on in one of the two only. */
  readonly depends: { readonly from: StableId[]; readonly to: StableId[] };
  hasDdl: boolean;
}

type Encode = (id: StableId) => string;

/** What pg-delta adds to TO is only in FROM. */
function note(found: Map<string, Found>, delta: Delta, { from, to }: ComparedDefinitions, encodeId: Encode): void {
  switch (delta.verb) {
    case 'add':
    case 'remove': {
      const { id, parent } = delta.fact;
      const state = delta.verb === 'add' ? 'only_in_from' : 'only_in_to';
      const of = parent === undefined ? null : encodeId(parent);
      found.set(encodeId(id), { ...described(id), of, state, isPart: false });
      return;
    }
    case 'set': {
      const { changes } = changedObject(found, delta.id, encodeId);
      changes.push({ property: wordsFor(delta.attr), from: delta.to ?? null, to: delta.from ?? null });
      return;
    }
    default:
      // an object that is missing takes what it depends on with it; views of older servers depend on themselves
      if (isShared(delta.edge.from, from, to) && !isDeepStrictEqual(delta.edge.from, delta.edge.to))
        noteEdge(found, delta, encodeId);
  }
}

function isShared(id: StableId, from: FactBase, to: FactBase): boolean {
  return from.has(id) && to.has(id);
}

function noteEdge(
  found: Map<string, Found>,
  { verb, edge }: { readonly verb: 'link' | 'unlink'; readonly edge: DependencyEdge },
  encodeId: Encode,
): void {
  const side = verb === 'link' ? 'from' : 'to';
  const { changes, depends } = changedObject(found, edge.from, encodeId);
  if (edge.kind === 'depends') {
    depends[side].push(edge.to);
    return;
  }
  if (edge.kind !== 'owner') return;
  const at = changes.findIndex(({ property }) => property === 'owner');
  // pg-delta does not follow objects to roles that came with the server
  const unknown = 'a predefined role';
  const change = { property: 'owner', from: unknown, to: unknown, ...changes[at], [side]: nameOf(edge.to) };
  if (at === -1) changes.push(change);
  else changes[at] = change;
}

/** What came with an extension is not compared by itself, and so not where it is the users' on the other side either. */
function noteMembers(found: Map<string, Found>, { from, to }: ComparedDefinitions, encodeId: Encode): void {
  const extensionOf = (base: FactBase, id: StableId) => {
    const edge = base.outgoingEdges(id).find(({ kind }) => kind === 'memberOfExtension');
    return edge === undefined ? null : nameOf(edge.to);
  };
  for (const { id } of from.facts()) {
    if (!to.has(id)) continue;
    const change = { property: 'extension', from: extensionOf(from, id), to: extensionOf(to, id) };
    if (change.from === change.to) continue;
    const member = changedObject(found, id, encodeId);
    member.changes.push(change);
    member.hasDdl = false;
  }
}

function changedObject(found: Map<string, Found>, id: StableId, encodeId: Encode): Found {
  const key = encodeId(id);
  const known = found.get(key) ?? { ...described(id), state: 'different' as const, isPart: false };
  found.set(key, known);
  return known;
}

function described(id: StableId): Omit<Found, 'state' | 'isPart'> {
  const parts = { id, kind: kindOf(id), schema: schemaOf(id), name: nameOf(id), of: null };
  return { ...parts, changes: [], depends: { from: [], to: [] }, hasDdl: true };
}

/** Whose definition is the same may depend on something else only because that is missing, which is told by itself. */
function hasChanged({ changes, depends }: Found, found: ReadonlyMap<string, Found>, encodeId: Encode): boolean {
  if (changes.length > 0) return true;
  return [...depends.from, ...depends.to].some((id) => !found.has(encodeId(id)));
}

function dependsChange({ from, to }: Found['depends']): PropertyChange[] {
  if (from.length + to.length === 0) return [];
  const words = (ids: readonly StableId[]) => ids.map((id) => `${kindOf(id)} ${nameOf(id)}`);
  return [{ property: 'depends on', from: words(from), to: words(to) }];
}

function noteDetails(
  found: Map<string, Found>,
  { from, to, fromDetails, toDetails }: ComparedDefinitions,
  encodeId: Encode,
): void {
  const ours = new Map(fromDetails.map((detail) => [keyOf(detail, encodeId), detail]));
  const theirs = new Map(toDetails.map((detail) => [keyOf(detail, encodeId), detail]));
  for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
    const [one, other] = [ours.get(key), theirs.get(key)];
    const detail = one ?? other;
    const known = found.get(key);
    if (detail === undefined || (known !== undefined && known.state !== 'different')) continue;
    if (detail.isWhole && (one === undefined || other === undefined)) {
      const [state, missingIn] =
        other === undefined ? (['only_in_from', to] as const) : (['only_in_to', from] as const);
      const isPart = !hasRelation(missingIn, detail);
      found.set(key, { ...plain(detail), state, isPart, hasDdl: isPart });
      continue;
    }
    if (!detail.isWhole && !(hasObject(from, detail) && hasObject(to, detail))) continue;
    const seen = new Set(known?.changes.map(({ property }) => property));
    const changes = changesBetween(one?.properties ?? {}, other?.properties ?? {}).filter(
      ({ property }) => !seen.has(property.replace(NOT_SHOWN, '')),
    );
    if (changes.length === 0) continue;
    const merged = known ?? { ...plain(detail), state: 'different', isPart: false };
    merged.changes.push(...changes);
    merged.hasDdl = false;
    found.set(key, merged);
  }
  notePartitions(found);
}

function plain(detail: DefinitionDetail): Omit<Found, 'state' | 'isPart'> {
  const { kind, schema, properties } = detail;
  const of = properties['of index'] ?? properties['of constraint'] ?? null;
  const names = { id: idOf(detail), kind, schema, name: nameOfDetail(detail), of: of === null ? null : String(of) };
  return { ...names, changes: [], depends: { from: [], to: [] }, hasDdl: false };
}

/** The indexes and constraints of partitions go with those of the tables that they are of. */
function notePartitions(found: Map<string, Found>): void {
  const keyOf = ({ state, kind }: Found, name: string) => JSON.stringify([state, kind, name]);
  const oneSided = new Set([...found.values()].map((one) => keyOf(one, one.name)));
  for (const [key, one] of found) {
    if (one.of === null || one.state === 'different' || !oneSided.has(keyOf(one, one.of))) continue;
    found.set(key, { ...one, isPart: true, hasDdl: true });
  }
}

/** What is compared by a checksum: it may be a secret. */
const NOT_SHOWN = ' (not shown)';

function changesBetween(
  one: Readonly<Record<string, unknown>>,
  other: Readonly<Record<string, unknown>>,
): PropertyChange[] {
  const properties = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return properties.flatMap((property) => {
    const [from, to] =
      property === 'column order' ? inCommon(one[property], other[property]) : [one[property], other[property]];
    if (isDeepStrictEqual(from, to)) return [];
    const isHidden = property.endsWith(NOT_SHOWN);
    return [{ property, from: isHidden ? null : (from ?? null), to: isHidden ? null : (to ?? null) }];
  });
}

/** The order of the columns that both have: the others are told by themselves. */
function inCommon(one: unknown, other: unknown): [unknown, unknown] {
  if (!Array.isArray(one) || !Array.isArray(other)) return [null, null];
  return [one.filter((name) => other.includes(name)), other.filter((name) => one.includes(name))];
}

/** The object of pg-delta's that a detail is about. */
function idOf({ kind, schema, relation, name, isWhole }: DefinitionDetail): StableId | null {
  const factKind = isWhole ? undefined : factKindOf(kind);
  switch (factKind) {
    case 'table':
    case 'view':
    case 'materializedView':
    case 'foreignTable':
    case 'sequence':
    case 'index':
    case 'type':
      return schema === null ? null : { kind: factKind, schema, name };
    case 'column':
    case 'trigger':
      return schema === null || relation === null ? null : { kind: factKind, schema, table: relation, name };
    case 'extension':
    case 'server':
    case 'fdw':
      return { kind: factKind, name };
    default:
      return null;
  }
}

function keyOf(detail: DefinitionDetail, encodeId: Encode): string {
  const id = idOf(detail);
  return id === null ? JSON.stringify([detail.kind, detail.name]) : encodeId(id);
}

function nameOfDetail(detail: DefinitionDetail): string {
  const id = idOf(detail);
  return id === null ? detail.name : nameOf(id);
}

/** What is missing altogether is told by itself, so its details need not be. */
function hasObject(facts: FactBase, detail: DefinitionDetail): boolean {
  const id = idOf(detail);
  return id === null || id.kind === 'column' || id.kind === 'trigger' ? hasRelation(facts, detail) : facts.has(id);
}

/** Also where there is no relation that it belongs to. */
function hasRelation(facts: FactBase, { schema, relation }: DefinitionDetail): boolean {
  if (schema === null || relation === null) return true;
  const kinds = ['table', 'view', 'materializedView', 'foreignTable', 'type'] as const;
  return kinds.some((kind) => facts.has({ kind, schema, name: relation }));
}

/** `generatedExpr` → `generated expression`. */
function wordsFor(attribute: string): string {
  const words = attribute.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.replace(/\bdef\b/, 'definition').replace(/\bexpr\b/, 'expression');
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
