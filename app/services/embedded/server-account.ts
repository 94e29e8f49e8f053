import { ManageDbError } from '../../core/errors.js';
import type { OperationControls } from '../../core/progress.js';
import { type Account, runProgram } from './run-program.js';
import { SYSTEM_FOLDER } from './server-home.js';

/** The system user that root's embedded servers run as: PostgreSQL refuses to run as root. */
const ACCOUNT_NAME = 'manage_db';

/** Debian, Fedora and most others have the first; BusyBox the second. */
const WAYS_TO_CREATE: readonly (readonly string[])[] = [
  ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', SYSTEM_FOLDER, '--shell', '/bin/false'],
  ['adduser', '-S', '-D', '-H', '-h', SYSTEM_FOLDER, '-s', '/bin/false'],
];

/**
 * The unprivileged account of root's servers, created when it is missing. Call it under a lock.
 *
 * @throws EMBEDDED_SERVER_FAILED it is missing and cannot be created.
 */
export async function ensureServerAccount(controls: OperationControls): Promise<NonNullable<Account>> {
  const existing = await lookUp();
  if (existing !== null) return existing;
  controls.onProgress?.({ step: `creating the system user ${ACCOUNT_NAME} (PostgreSQL refuses to run as root)` });
  const failures: string[] = [];
  for (const [program = '', ...args] of WAYS_TO_CREATE) {
    const result = await runProgram(program, [...args, ACCOUNT_NAME]);
    const created = await lookUp();
    if (created !== null) return created;
    failures.push(`${program}: ${result.output}`);
  }
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `The system user ${ACCOUNT_NAME} is missing and cannot be created.`,
    {
      hint: `PostgreSQL refuses to run as root. Create it (useradd --system ${ACCOUNT_NAME}), run as an ordinary user, or set DEVELOPMENT_DATABASE_URL.`,
      details: { failures },
    },
  );
}

async function lookUp(): Promise<NonNullable<Account> | null> {
  const [user, group] = await Promise.all([
    runProgram('id', ['-u', ACCOUNT_NAME]),
    runProgram('id', ['-g', ACCOUNT_NAME]),
  ]);
  if (!user.ok || !group.ok) return null;
  const account = { uid: Number(user.output), gid: Number(group.output) };
  if (account.uid > 0) return account;
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `The user ${ACCOUNT_NAME} of this machine is root under another name.`,
    {
      hint: 'PostgreSQL refuses to run as root: give it a uid of its own.',
    },
  );
}
