import type { FactBase } from '@supabase/pg-delta';
import type { Definitions } from '../../compare/read-definitions.js';

/** Without comments that somebody has written on what belongs to an extension: pg_dump leaves them out, too. */
export async function withoutCommentsOnMembers(base: FactBase, { facts }: Definitions): Promise<FactBase> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const members = new Set(
    facts.edges.flatMap(({ kind, from }) => (kind === 'memberOfExtension' ? [encodeId(from)] : [])),
  );
  const parents = new Map(facts.facts().map(({ id, parent }) => [encodeId(id), parent]));
  const isOfMember = (key: string): boolean => {
    const parent = parents.get(key);
    return members.has(key) || (parent !== undefined && isOfMember(encodeId(parent)));
  };
  const kept = base.facts().filter(({ id }) => id.kind !== 'comment' || !isOfMember(encodeId(id.target)));
  const ids = new Set(kept.map(({ id }) => encodeId(id)));
  const gone = new Set(base.facts().flatMap(({ id }) => (ids.has(encodeId(id)) ? [] : [encodeId(id)])));
  const edges = base.edges.filter(({ from, to }) => !gone.has(encodeId(from)) && !gone.has(encodeId(to)));
  return buildFactBase(kept, edges, base.source, base.referenceOnly);
}
