import { isDeepStrictEqual } from 'node:util';
import type { FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../database/catalog/definition-details.js';
import type { ComparedDefinitions, Encode, Found, PropertyChange } from './found-difference.js';
import { factKindOf, nameOf } from './object-names.js';

/** Adds to what pg-delta has found what it does not read. */
export function noteDetails(
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
