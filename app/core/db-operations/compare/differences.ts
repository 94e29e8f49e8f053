import { isDeepStrictEqual } from 'node:util';
import type { Delta, DependencyEdge, FactBase, StableId } from '@supabase/pg-delta';
import type { ComparedDefinitions, DefinitionDifference, Encode, Found, PropertyChange } from './found-difference.js';
import { noteDetails } from './note-details.js';
import { kindOf, nameOf, schemaOf } from './object-names.js';
import { inWords } from './property-words.js';

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
      changes: [...changes.map(inWords), ...dependsChange(depends)],
    }))
    .sort((a, b) => compare(a.kind, b.kind) || compare(a.name, b.name));
}

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
    if ((change.from === null) === (change.to === null)) continue;
    // it need not take part
    if ((change.from === null ? from : to).isReferenceOnly(id)) continue;
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

/** `generatedExpr` → `generated expression`. */
function wordsFor(attribute: string): string {
  const words = attribute.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.replace(/\bdef\b/, 'definition').replace(/\bexpr\b/, 'expression');
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
