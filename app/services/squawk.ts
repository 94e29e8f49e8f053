/** squawk, a linter of migrations that ships as a program in a package of npm. The only place that starts it. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ManageDbError } from '../core/errors.js';
import * as z from '../core/schema.js';
import { runOffline } from './client-tools.js';
import { packageRoot } from './package-root.js';

export interface SquawkFinding {
  /** From 0. */
  readonly line: number;
  /** In bytes, from 0. */
  readonly column: number;
  readonly rule: string;
  readonly message: string;
  readonly help: string | null;
}

export interface SquawkOptions {
  readonly environment: string;
  /** Its settings (`.squawk.toml`) are looked for from here upwards. */
  readonly folder: string;
  /** Of the server the file is for, such as `15.18`. */
  readonly serverVersion: string | null;
  readonly isTransactional: boolean;
  readonly exclude: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** It takes milliseconds for a file. */
const TIMEOUT_MS = 30_000;

/** What it writes with `--reporter json`. */
const REPORT = z.array(
  z.object({
    line: z.number(),
    column: z.number(),
    rule_name: z.string(),
    message: z.string(),
    help: z.nullable(z.string()),
  }),
);

/** The path of squawk's program; `null` where the package was not installed, or not for this machine. */
export function findSquawk(): string | null {
  const name = process.platform === 'win32' ? 'squawk.exe' : 'squawk';
  try {
    // the program is in a package of its own, which belongs to squawk-cli and not to us
    const outer = createRequire(join(packageRoot(), 'package.json')).resolve('squawk-cli/package.json');
    return createRequire(outer).resolve(`@squawk-cli/${process.platform}-${process.arch}/bin/${name}`);
  } catch {
    return null;
  }
}

/**
 * What squawk says about a text.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` with what it said, `INTERRUPTED`
 * @example await runSquawk('/…/squawk', 'drop table visits;', { environment, folder, serverVersion: '15.18', isTransactional: true, exclude: [] })
 */
export async function runSquawk(program: string, sql: string, options: SquawkOptions): Promise<SquawkFinding[]> {
  const { environment, folder, serverVersion, isTransactional, exclude, signal } = options;
  const [version] = /^\d+(\.\d+)*/.exec(serverVersion ?? '') ?? [];
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const args = [
    '--reporter=json',
    '--stdin-filepath=migration.sql',
    ...(isTransactional ? ['--assume-in-transaction'] : ['--no-assume-in-transaction']),
    ...(version === undefined ? [] : [`--pg-version=${version}`]),
    ...exclude.map((rule) => `--exclude=${rule}`),
  ];
  const { stdout } = await runOffline(program, args, {
    environment,
    folder,
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    stdin: Readable.from([sql]),
    // with findings it ends with 1, and what goes wrong is said on stderr
    isSuccess: (lines) => lines.length === 0,
  });
  return read(stdout);
}

function read(stdout: string): SquawkFinding[] {
  try {
    return REPORT.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout)).map(({ rule_name: rule, ...rest }) => ({
      ...rest,
      rule,
    }));
  } catch (error) {
    throw new ManageDbError('CLIENT_TOOL_FAILED', 'What squawk has answered cannot be read.', {
      hint: 'Install the version of squawk-cli that manage_db asks for: npm install',
      cause: error,
    });
  }
}
