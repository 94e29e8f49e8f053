import { pinned } from '../../services/catalog-path.js';
import { withConnection } from '../../services/with-connection.js';
import { currentEnv } from '../environment.js';
import { normalizeEnv } from '../environment-names.js';
import { type ErrorCode, ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { Linting, type LintResult, type LintSelection } from './migration/lint/linting.js';

export type { Blocks, LintedStatement, LintFinding, Severity } from './migration/lint/finding.js';
export type { LintResult } from './migration/lint/linting.js';

export type LintOptions = Pick<OperationOptions, 'env' | 'signal' | 'onTarget' | 'onProgress'> & LintSelection;

/** Asking must not queue up behind work. */
const LOCK_TIMEOUT = '2s';

/** Without a database that can be asked there is less to say, and no reason to say nothing. */
const OUT_OF_REACH: readonly ErrorCode[] = [
  'MISSING_SETTING',
  'CONNECTION_REFUSED',
  'CONNECTION_TIMEOUT',
  'CONNECTION_LOST',
  'HOST_NOT_FOUND',
  'SSL_FAILED',
  'AUTHENTICATION_FAILED',
  'PERMISSION_DENIED',
  'DATABASE_MISSING',
  'TOO_MANY_CONNECTIONS',
  'SERVER_UNAVAILABLE',
  'TARGET_SESSION_ATTRS',
  'EMBEDDED_SERVER_FAILED',
];

/**
 * Reads migrations as a careful colleague would: what they destroy, what they lock, whom that keeps waiting and for how
 * long, as large as the tables are now, and how it is done safely. Executes nothing of them.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `INVALID_CONFIGURATION` for files that are no migrations, `INTERRUPTED`
 * @example
 * const { findings } = await lintMigrations({ env: 'production' });
 * const grave = findings.filter(({ severity }) => severity === 'error');
 */
export async function lintMigrations(options: LintOptions = {}): Promise<LintResult> {
  try {
    return await guarded('lint-db-migration', options, (target) => lintFor(target, options));
  } catch (error) {
    if (!(error instanceof ManageDbError) || !OUT_OF_REACH.includes(error.code)) throw error;
    const environment = normalizeEnv(options.env ?? currentEnv());
    const which = options.files?.length ? '' : ' All migrations were linted, pending or not.';
    return new Linting(environment, options, [
      `The database of ${environment} could not be asked, so the sizes of its tables are not known.${which} ${error.message}`,
    ]).run(null, null);
  }
}

function lintFor(target: Target, options: LintOptions): Promise<LintResult> {
  const { settings, environment, serverVersion, host, port, database: name } = target;
  return withConnection(settings, { signal: options.signal, searchPath: 'application' }, async (client) => {
    // no transaction: what cannot be read must not keep us from reading the rest
    await client.query(`set default_transaction_read_only = on; set lock_timeout = '${LOCK_TIMEOUT}'`);
    const result = await new Linting(environment, options, []).run(
      { application: client, catalog: pinned(client) },
      serverVersion,
    );
    return { ...result, database: { environment, host, port, name } };
  });
}
