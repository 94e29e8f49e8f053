import type { DependencyEdge, Fact, FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../database/catalog/definition-details.js';
import type { Selection } from '../manifest/selection.js';
import { isSelected } from '../manifest/selection.js';
import { schemaOf } from './object-names.js';
import type { Definitions } from './read-definitions.js';

/** What of two databases is compared. */
export interface Part {
  /** `null`: everything but manage_db's own. */
  readonly selection: Selection | null;
  readonly withOwners: boolean;
  readonly withGrants: boolean;
  /** Of the two servers. */
  readonly oldestMajor: number;
  readonly newestMajor: number;
}

/** The schema that differs by nature: stamp, log and registry of a database are its own. */
const OWN_SCHEMA = 'manage_db';

/**
 * The facts of one side with which it is compared. What takes no part stays, for reference only: pg-delta does not compare
 * it, and takes it as given where something depends on it.
 */
export async function partOf({ facts }: Definitions, part: Part): Promise<FactBase> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const { resolveView } = await import('@supabase/pg-delta/policy');
  // what came with an extension is compared by the extension's version
  const view = resolveView(facts, undefined);
  const owners = ownersOf(view, encodeId);
  const kept = view.facts().filter((fact) => isCompared(fact, part, owners, encodeId));
  const taking = new Set<string>();
  for (const fact of kept) if (takesPart(fact, view, part)) taking.add(encodeId(fact.id));
  const reference = new Set(view.referenceOnly);
  for (const { id } of kept) if (!taking.has(encodeId(id))) reference.add(encodeId(id));
  const edges = view.edges.filter(({ kind }) => kind !== 'owner' || part.withOwners);
  return buildFactBase(
    kept.map((fact) => known(fact, part)),
    [...edges],
    view.source,
    reference,
  );
}

/** The details of one side, as {@link partOf} its facts. */
export function detailsOf({ details }: Definitions, part: Part): DefinitionDetail[] {
  return details
    .filter(({ kind, schema, relation }) => isInPart(part, schema, relation) && isKnown(kind, part))
    .map((detail) => {
      const { owner, grants, ...properties } = detail.properties;
      return {
        ...detail,
        properties: {
          ...properties,
          ...(owner === undefined || !part.withOwners ? {} : { owner }),
          ...(grants === undefined || !part.withGrants ? {} : { grants }),
        },
      };
    })
    .filter(
      ({ kind, properties }) => !kind.startsWith('grants ') || properties.grants !== undefined || part.withGrants,
    );
}

/** Whether an object of `schema`, which is the relation or belongs to it, is compared. */
export function isInPart({ selection }: Part, schema: string | null, relation: string | null): boolean {
  if (selection === null) return schema !== OWN_SCHEMA;
  if (schema === null) return false;
  if (selection.tables.length === 0) return selection.schemas.includes(schema);
  return relation !== null && isSelected(selection, { schema, name: relation });
}

type Encode = (id: StableId) => string;

/** The owner of each object. */
function ownersOf(view: FactBase, encodeId: Encode): ReadonlyMap<string, string> {
  const isOwner = ({ kind, to }: DependencyEdge) => kind === 'owner' && to.kind === 'role';
  return new Map(view.edges.filter(isOwner).map(({ from, to }) => [encodeId(from), to.kind === 'role' ? to.name : '']));
}

/** What owners themselves may do is called by their names, so it goes with the owners. */
function isCompared({ id }: Fact, part: Part, owners: ReadonlyMap<string, string>, encodeId: Encode): boolean {
  if (id.kind === 'defaultPrivilege') return part.withGrants;
  if (id.kind !== 'acl') return true;
  const isOwner = id.grantee === EVERY_OWNER || owners.get(encodeId(id.target)) === id.grantee;
  return part.withGrants && (part.withOwners || !isOwner);
}

/** Owns the schema public since PostgreSQL 15, in databases that were not upgraded or restored from an older one. */
const EVERY_OWNER = 'pg_database_owner';

/** Roles belong to the server. Parts of something take part with it. */
function takesPart({ id, parent, payload }: Fact, view: FactBase, part: Part): boolean {
  if (id.kind === 'role' || id.kind === 'membership') return false;
  if (id.kind === 'acl' && id.target.kind === 'role') return false;
  // PostgreSQL 17 has names for what the domain of an older server has as a property
  if (id.kind === 'constraint' && parent?.kind === 'domain' && payload.type === 'n' && part.oldestMajor < 17)
    return false;
  if (part.selection === null) return schemaOf(id) !== OWN_SCHEMA;
  const schema = schemaOf(id);
  if (schema === null) return false;
  if (part.selection.tables.length === 0) return part.selection.schemas.includes(schema);
  if (isRelation(id) && isSelected(part.selection, id)) return true;
  if (id.kind === 'sequence') return numbersSelected(payload.ownedBy, part.selection);
  const above = parent === undefined ? undefined : view.get(parent);
  return above !== undefined && takesPart(above, view, part);
}

function isRelation(id: StableId): id is Extract<StableId, { readonly kind: 'table' }> {
  return ['table', 'view', 'materializedView', 'foreignTable', 'sequence'].includes(id.kind);
}

/** Whether a sequence belongs to a column of a selected table. */
function numbersSelected(ownedBy: unknown, selection: Selection): boolean {
  if (typeof ownedBy !== 'object' || ownedBy === null || !('schema' in ownedBy) || !('table' in ownedBy)) return false;
  return isSelected(selection, { schema: String(ownedBy.schema), name: String(ownedBy.table) });
}

/** PostgreSQL 18 has names for what older servers have as a property of a column. */
function isKnown(kind: string, { oldestMajor }: Part): boolean {
  return kind !== 'not-null constraint' || oldestMajor >= 18;
}

/** Without what only one of the servers knows, and in the words of the newer one. */
function known(fact: Fact, { oldestMajor }: Part): Fact {
  const { id, payload } = fact;
  if (oldestMajor < 15 && id.kind === 'collation' && payload.provider === 'i') {
    const locale = payload.locale ?? payload.lcCollate;
    return { ...fact, payload: { ...payload, locale, lcCollate: null, lcCtype: null } };
  }
  if (oldestMajor >= 17 || (id.kind !== 'acl' && id.kind !== 'defaultPrivilege')) return fact;
  // since PostgreSQL 17 `grant all` grants this, too, and owners have it
  const without = (list: unknown) => (Array.isArray(list) ? list.filter((one) => one !== 'MAINTAIN') : []);
  return {
    ...fact,
    payload: { ...payload, privileges: without(payload.privileges), grantable: without(payload.grantable) },
  };
}
