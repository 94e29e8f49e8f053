import type { DbRoleResult } from '../../app/core/db-operations/roles.js';
import type { Paint } from './paint.js';

/** What `grant-db-role` and `revoke-db-role` did. */
export function renderDbRole({ database, login, before, after }: DbRoleResult, paint: Paint): string {
  const named = `${paint.bold(login)} in ${database}`;
  return before === after
    ? `${named}: ${after ?? 'no level'}, as before`
    : `${paint.green('✓')} ${named}: ${before ?? 'no level'} → ${paint.bold(after ?? 'no level')}`;
}

/** What somebody would wonder about afterwards. */
export function warningsOfDbRole({ database, login, after, level, why, mayConnect }: DbRoleResult): readonly string[] {
  return [
    ...(level === (after ?? 'viewer') ? [] : [`${login} has the level ${level} all the same: ${why}.`]),
    ...(mayConnect ? [] : [`${login} may not connect to ${database}: let its owner grant CONNECT on it.`]),
  ];
}
