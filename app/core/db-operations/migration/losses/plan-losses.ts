import { withConnection } from '../../../../services/with-connection.js';
import type { Target } from '../../../safety/gate.js';
import type { MigrationStep } from '../step.js';
import type { CountingLimits } from './count-rows.js';
import type { Loss } from './loss.js';
import { readLosses } from './read-losses.js';

/**
 * What `steps` will lose when they are executed in this order, in that of their statements; also for going up. Reads only, on a connection of its own
 * that sees names as migrations do, and gives every count up before it becomes a burden, see {@link readLosses}.
 *
 * @throws ManageDbError the connection's codes
 * @example
 * const losses = await planLosses(target, [{ migration, direction: 'down' }]);
 */
export async function planLosses(
  target: Target,
  steps: readonly MigrationStep[],
  { signal, ...limits }: CountingLimits & { readonly signal?: AbortSignal | undefined } = {},
): Promise<readonly Loss[]> {
  const parts = steps.flatMap(({ migration, direction }) => migration[direction] ?? []);
  return withConnection(target.settings, { signal, searchPath: 'application' }, async (client) => {
    await client.query('begin transaction isolation level repeatable read, read only');
    return readLosses(
      client,
      parts.map((part) => (part.kind === 'sql' ? part.source : { path: part.path })),
      limits,
    );
  });
}
