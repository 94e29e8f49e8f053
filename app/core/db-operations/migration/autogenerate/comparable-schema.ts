import type { FactBase } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../../database/catalog/definition-details.js';
import { findDifferences } from '../../compare/differences.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import { detailsOf, type Part, partOf } from '../../compare/part.js';
import type { Definitions } from '../../compare/read-definitions.js';
import { withoutCommentsOnMembers } from '../../copy/schema-update/comments-on-members.js';
import { withoutConnections } from '../../copy/schema-update/desired-facts.js';
import { withSortedOptions } from '../../copy/schema-update/own-options.js';
import { isManaged, isManagedTrigger, type ManagedObjects } from './managed-objects.js';

/** What of a database migrations answer for. */
export interface ComparableSchema {
  readonly facts: FactBase;
  /** What pg-delta does not read. */
  readonly details: readonly DefinitionDetail[];
}

export interface Belonging {
  /** Of the server: both databases are on the same one. */
  readonly major: number;
  readonly withOwners: boolean;
  readonly managed: ManagedObjects;
}

/**
 * Without what is not a migration's: the schema manage_db, what came with extensions, subscriptions and user mappings, roles, owners
 * where nobody has asked for them, and what `apply-db-triggers` makes. That stays for reference, as something may depend on it.
 */
export async function comparableSchema(definitions: Definitions, belonging: Belonging): Promise<ComparableSchema> {
  const { buildFactBase, encodeId } = await import('@supabase/pg-delta');
  const { major, withOwners, managed } = belonging;
  const part: Part = { selection: null, withOwners, withGrants: true, oldestMajor: major, newestMajor: major };
  const own = await withoutCommentsOnMembers(await partOf(definitions, part), definitions);
  const facts = await withSortedOptions((await withoutConnections(own)).facts);
  const others = facts.facts().flatMap(({ id }) => (isManaged(managed, id) ? [encodeId(id)] : []));
  const reference = new Set([...facts.referenceOnly, ...others]);
  return {
    facts: buildFactBase(facts.facts(), [...facts.edges], facts.source, reference),
    details: detailsOf(definitions, part).filter((detail) => belongs(detail, managed)),
  };
}

function belongs({ kind, schema, relation, name }: DefinitionDetail, managed: ManagedObjects): boolean {
  if (kind === 'subscription' || kind === 'user mapping') return false;
  if (schema === null) return true;
  if (schema === managed.auditSchema) return false;
  return kind !== 'trigger' || relation === null || !isManagedTrigger(managed, schema, relation, name);
}

/** What is different in `is` from what is wanted. */
export function differencesOf(wanted: ComparableSchema, is: ComparableSchema): Promise<DefinitionDifference[]> {
  return findDifferences({ from: wanted.facts, to: is.facts, fromDetails: wanted.details, toDetails: is.details });
}
