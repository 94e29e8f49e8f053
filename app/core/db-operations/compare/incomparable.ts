import type { Unreadable } from '../../../database/catalog/unreadable.js';
import { qualified } from '../inspection/find-relation.js';
import type { ComparedSequence } from './compare-sequences.js';
import type { ComparedTable } from './compare-tables.js';
import { nameOf } from './object-names.js';
import { isInPart, type Part } from './part.js';
import type { Definitions } from './read-definitions.js';
import type { Side } from './side.js';

/** Something that could not be read, so that nobody knows whether it is equal. */
export interface NotCompared {
  /** `rows`, `sequence`, `large objects`, `user mapping`, `security label`. */
  readonly what: string;
  readonly name: string;
  readonly environment: string;
  /** In a sentence. */
  readonly because: string;
}

/** Of what was compared, what the login of one side could not read. */
export function unreadOf(
  side: Side,
  unreadable: readonly Unreadable[],
  compared: readonly (ComparedTable | ComparedSequence)[],
): NotCompared[] {
  const { environment, user } = side.target;
  const unread = new Set(
    compared.filter(({ state }) => state === 'not_compared').map(({ schema, name }) => qualified({ schema, name })),
  );
  return unreadable
    .map(({ kind, because, ...relation }) => ({ kind, because, name: qualified(relation) }))
    .filter(({ name }) => unread.has(name))
    .map(({ kind, because, name }) => ({
      what: kind === 'table' ? 'rows' : 'sequence',
      name,
      environment,
      because: because === 'policy' ? `Policies hide rows from ${user}.` : `${user} may not read it.`,
    }));
}

/** What pg-delta could not read of the definitions of one side. */
export function undefinedOf({ target }: Side, { diagnostics }: Definitions, part: Part): NotCompared[] {
  const { environment, user } = target;
  return diagnostics.flatMap(({ code, subject, message }) => {
    if (code === 'user-mapping-unreadable' && isInPart(part, null, null)) {
      const name = subject === undefined ? '' : nameOf(subject);
      return [{ what: 'user mapping', name, environment, because: `${user} may not read its options.` }];
    }
    if (code === 'unresolved_security_label')
      return [{ what: 'security label', name: '', environment, because: message }];
    return [];
  });
}

/** Roles that objects of FROM belong to or that hold grants there, and that the server of TO does not have. */
export function rolesMissing(from: Definitions, to: Definitions): string[] {
  const named = [
    ...from.facts.edges.flatMap(({ kind, to: role }) => (kind === 'owner' && role.kind === 'role' ? [role.name] : [])),
    ...from.facts
      .facts()
      .flatMap(({ id }) => (id.kind === 'acl' || id.kind === 'defaultPrivilege' ? [id.grantee] : [])),
  ];
  const present = new Set(to.facts.facts().flatMap(({ id }) => (id.kind === 'role' ? [id.name] : [])));
  return [...new Set(named)]
    .filter((role) => role !== 'PUBLIC' && !role.startsWith('pg_') && !present.has(role))
    .sort();
}
