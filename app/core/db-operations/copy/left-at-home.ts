/** Extensions that only one database of a server can have: they cannot be made in another one. */
export const LEFT_AT_HOME: readonly string[] = ['pg_cron'];

/** For the warnings of a stream copy. */
export function leftAtHome(extension: string): string {
  return `The extension ${extension} can be in one database of a server only, and does not come along.`;
}
