import { withConnection } from '../../../../services/with-connection.js';
import type { Target } from '../../../safety/gate.js';
import type { MigrationStep } from '../step.js';
import { compareWithLive } from './compare-with-live.js';
import type { LiveDifferences } from './live-difference.js';

/**
 * {@link compareWithLive} for the SQL of `steps`, on a connection of its own that sees names as migrations do; what is made
 * for the comparison is rolled back.
 *
 * @throws ManageDbError the connection's codes
 * @example
 * const { differences, unsafe } = await readLiveDifferences(target, pending);
 */
export function readLiveDifferences(
  target: Target,
  steps: readonly MigrationStep[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<LiveDifferences> {
  const sources = steps.flatMap(({ migration, direction }) => {
    const part = migration[direction];
    return part?.kind === 'sql' ? [part.source] : [];
  });
  return withConnection(target.settings, { signal, searchPath: 'application' }, async (client) => {
    await client.query('begin');
    try {
      return await compareWithLive(client, sources);
    } finally {
      await client.query('rollback').catch(() => undefined);
    }
  });
}
