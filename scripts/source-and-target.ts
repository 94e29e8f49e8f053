import { normalizeEnv } from '../app/core/environment-names.js';
import { ManageDbError } from '../app/core/errors.js';

/**
 * Refuses `--env` and `--from` that name two environments: the active one is FROM where nothing else is said.
 *
 * @throws ManageDbError `USAGE`
 */
export function refuseTwoSources(env: string | undefined, from: string | undefined): void {
  if (env === undefined || from === undefined || normalizeEnv(env) === normalizeEnv(from)) return;
  throw new ManageDbError('USAGE', `--env ${env} and --from ${from} name two environments beside --to.`, {
    hint: 'Leave out --env.',
  });
}
