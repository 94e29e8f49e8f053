import { isDeepStrictEqual } from 'node:util';
import { type ErrorCode, ManageDbError } from '../../app/index.js';
import type { CommandResult } from './command-line.js';

export { listed } from '../../app/core/listed.js';

/** What was found is not as it should be. */
export class Unexpected extends Error {
  override readonly name = 'Unexpected';

  /** @param hint what to type next */
  constructor(
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}

/** This cannot be tested here, and that is nobody's fault. */
export class NotTested extends Error {
  override readonly name = 'NotTested';
}

/** @throws Unexpected unless `isSo` */
export function expectThat(isSo: boolean, otherwise: string, hint: string | null = null): asserts isSo {
  if (!isSo) throw new Unexpected(otherwise, hint);
}

/** @throws Unexpected that says what was expected */
export function expectEqual(what: string, found: unknown, expected: unknown): void {
  if (isDeepStrictEqual(found, expected)) return;
  throw new Unexpected(`${what} is ${shown(found)}, and should be ${shown(expected)}.`);
}

/**
 * That `work` is refused, by one of `codes`.
 *
 * @throws Unexpected when it succeeds; what it throws, when that is something else
 */
export async function expectRefusal(
  what: string,
  work: Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<ManageDbError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error === null) throw new Unexpected(`${what} was not refused, and should be: ${codes.join(' or ')}.`);
  if (error instanceof ManageDbError && codes.includes(error.code)) return error;
  throw error;
}

/** That `work` ends with an error of PostgreSQL that has this SQLSTATE, as it is or as the cause of another. */
export async function expectSqlState(what: string, work: Promise<unknown>, sqlState: string): Promise<void> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error === null) throw new Unexpected(`${what} succeeded, and should be refused (SQLSTATE ${sqlState}).`);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
    if ('code' in cause && cause.code === sqlState) return;
  if (error instanceof ManageDbError && error.details.sqlState === sqlState) return;
  throw error;
}

/** That a command ended with this exit code; with another, the error that it printed is said. */
export function expectExit(result: CommandResult, code: number, errorCode?: ErrorCode): void {
  const { error } = result.envelope();
  const said = error === null ? result.stderr.trim().split('\n').at(-1) : `${error.code}: ${error.message}`;
  expectThat(
    result.code === code,
    `${result.line} ended with exit code ${result.code}, and should end with ${code}${said ? `. ${said}` : '.'}`,
    error?.hint ?? null,
  );
  if (errorCode !== undefined) expectEqual(`The error of ${result.line}`, error?.code, errorCode);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : (JSON.stringify(value) ?? String(value));
}
