import type { DependencyEdge, FactBase, StableId } from '@supabase/pg-delta';
import { LEFT_AT_HOME } from '../left-at-home.js';

/**
 * The facts that TO is to have without grants and owners of FROM: those of FROM, and of TO what belongs to its environment.
 * So a view that has to be made again is given back to its owner and to those who may read it.
 *
 * @param from without owners and grants
 * @param to with both
 */
export async function desiredFacts(from: FactBase, to: FactBase): Promise<FactBase> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const facts = new Map(from.facts().map((fact) => [encodeId(fact.id), fact]));
  const reference = new Set(from.referenceOnly);
  for (const fact of to.facts()) {
    const { id, parent } = fact;
    const key = encodeId(id);
    const isTold = parent === undefined || facts.has(encodeId(parent));
    const isOfPresent = id.kind !== 'acl' || facts.has(encodeId(id.target));
    // roles of either server may be named; none of them is made
    if (!(id.kind === 'role' || isOfEnvironment(id)) || facts.has(key) || !isTold || !isOfPresent) continue;
    facts.set(key, fact);
    if (to.isReferenceOnly(id)) reference.add(key);
  }
  const stays = ({ kind, from: id }: DependencyEdge) => (kind === 'owner' && from.has(id)) || isOfEnvironment(id);
  return buildFactBase([...facts.values()], [...from.edges, ...to.edges.filter(stays)], from.source, reference);
}

/** The facts of TO when all is done, without what its environment gives to objects that were not there before. */
export async function withoutNewGrants(now: FactBase, before: FactBase): Promise<FactBase> {
  const { buildFactBase } = await import('@supabase/pg-delta');
  const facts = now.facts().filter(({ id }) => id.kind !== 'acl' || before.has(id.target));
  const edges = now.edges.filter(({ kind, from }) => kind !== 'owner' || before.has(from));
  return buildFactBase(facts, [...edges], now.source, now.referenceOnly);
}

/**
 * Without what connects an environment with others: replication and logins elsewhere are its own. Extensions that only one database
 * of a server can have are for reference only.
 */
export async function withoutConnections(base: FactBase): Promise<{ facts: FactBase; leftOut: readonly StableId[] }> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const kept = base.facts().filter(({ id }) => !connects(id));
  const edges = base.edges.filter(({ from, to }) => !connects(from) && !connects(to));
  const unique = kept.flatMap(({ id }) => (isOfLeftAtHome(id, base) ? [id] : []));
  return {
    facts: buildFactBase(kept, [...edges], base.source, new Set([...base.referenceOnly, ...unique.map(encodeId)])),
    leftOut: base.facts().flatMap(({ id }) => (!('target' in id) && (connects(id) || isLeftAtHome(id)) ? [id] : [])),
  };
}

function connects(id: StableId): boolean {
  return 'target' in id ? connects(id.target) : id.kind === 'subscription' || id.kind === 'userMapping';
}

/** What came with it, too, and what is said about that. */
function isOfLeftAtHome(id: StableId, base: FactBase): boolean {
  if (isLeftAtHome(id)) return true;
  if ('target' in id) return isOfLeftAtHome(id.target, base);
  const isMember = ({ kind, to }: DependencyEdge) => kind === 'memberOfExtension' && isLeftAtHome(to);
  if (base.outgoingEdges(id).some(isMember)) return true;
  const parent = base.get(id)?.parent;
  return parent !== undefined && isOfLeftAtHome(parent, base);
}

function isLeftAtHome(id: StableId): boolean {
  return id.kind === 'extension' && LEFT_AT_HOME.includes(id.name);
}

function isOfEnvironment({ kind }: StableId): boolean {
  return kind === 'acl' || kind === 'defaultPrivilege';
}
