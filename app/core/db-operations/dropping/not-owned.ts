import { escapeIdentifier } from 'pg';
import { type ManageDbError, PermissionError } from '../../errors.js';
import { listed } from '../../listed.js';
import type { Target } from '../../safety/gate.js';

interface ForeignObject {
  readonly kind: string;
  readonly identity: string;
  readonly owner: string;
}

/** The error for objects that belong to others; lists them before anything is touched. */
export function notOwned(target: Target, objects: readonly ForeignObject[], unchanged: string): ManageDbError {
  const owners = [...new Set(objects.map(({ owner }) => owner))];
  const names = objects.map(({ kind, identity, owner }) => `${kind} ${identity} (${owner})`);
  return new PermissionError(
    `${target.user} may not drop ${objects.length} objects of ${target.database}, which belong to others: ${listed(names, 10)}. ${unchanged}`,
    {
      hint: `Connect as their owner or a superuser, or become a member: grant ${owners.map(escapeIdentifier).join(', ')} to ${escapeIdentifier(target.user)};`,
      details: { objects: objects.map(({ kind, identity, owner }) => ({ kind, identity, owner })) },
    },
  );
}
