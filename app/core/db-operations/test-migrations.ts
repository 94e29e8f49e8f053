import { guarded, type OperationOptions } from '../safety/gate.js';
import { runTests, type TestedMigrations, type TestSelection } from './migration/test/run-tests.js';

export type { TestFileResult } from './migration/test/run-test-file.js';
export type { TestedMigrations } from './migration/test/run-tests.js';
export type { FoundDifference, TestedMigration, TestedStep } from './migration/test/test-one.js';

export type TestMigrationsOptions = OperationOptions & TestSelection;

/**
 * Tries migrations out on an empty scratch database of the environment's server: those before them are replayed, then each goes up,
 * down, and up again, and what is defined must be what it was. Its `<version>_<name>.test.sql` runs then, in a transaction that is
 * rolled back: plain SQL that fails by an error (`assert` of PL/pgSQL), or pgTAP. No other database is touched.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `SQL_FAILED` where one before them fails or reaches beyond the database,
 *   `PERMISSION_DENIED` for a login without CREATEDB, `INTERRUPTED`, and what the gate and connecting throw
 * @example
 * const { ok, tested } = await testMigrations({ env: 'testing', versions: ['20261121093000'] });
 */
export function testMigrations(options: TestMigrationsOptions = {}): Promise<TestedMigrations> {
  const operation = options.allowServerWide ? 'test-db-migration-server-wide' : 'test-db-migration';
  return guarded(operation, options, (target) => runTests(target, options));
}
