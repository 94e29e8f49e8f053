/**
 * What has to stand in the next command for it to meet the same environment: nothing where that is the active one.
 *
 * @param env as given with `--env`
 * @example `manage_db check-database${envFlag('testing')}` // 'manage_db check-database --env testing'
 */
export function envFlag(env: string | undefined): string {
  return env === undefined ? '' : ` --env ${env}`;
}
