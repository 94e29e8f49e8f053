/** What pg_dump, pg_restore and psql 17 and newer set first of all, and servers before 17 do not know. */
export const UNKNOWN_SETTING = 'SET transaction_timeout = 0;';
const FIRST_MAJOR_THAT_KNOWS_IT = 17;

/** What has to be taken out of a dump's text for this server; `null`: nothing. */
export function unknownStatementFor(serverMajor: number): string | null {
  return serverMajor < FIRST_MAJOR_THAT_KNOWS_IT ? UNKNOWN_SETTING : null;
}

/** Whether this pg_restore cannot do without an error what it does on this server. */
export function setsUnknownSetting(toolMajor: number, serverMajor: number): boolean {
  return toolMajor >= FIRST_MAJOR_THAT_KNOWS_IT && serverMajor < FIRST_MAJOR_THAT_KNOWS_IT;
}

/** Whether a line of pg_restore is one of those that {@link failedOnlyOnUnknownSetting} judges by. */
export function isAboutErrors(line: string): boolean {
  return line.endsWith(COMMAND) || COUNTED.test(line);
}

/** Whether every error that pg_restore counted came from {@link UNKNOWN_SETTING}. */
export function failedOnlyOnUnknownSetting(lines: readonly string[]): boolean {
  const counted = lines.map((line) => COUNTED.exec(line)?.[1]).find((count) => count !== undefined);
  const expected = lines.filter((line) => line.endsWith(COMMAND)).length;
  return counted !== undefined && expected === Number(counted);
}

const COMMAND = `Command was: ${UNKNOWN_SETTING}`;
const COUNTED = /errors ignored on restore: (\d+)$/;
