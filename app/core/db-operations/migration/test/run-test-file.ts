import { basename } from 'node:path';
import type { Client } from 'pg';
import { readExtensions } from '../../../../database/catalog/extensions.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isConnectionLost } from '../../../../services/connection/connection-errors.js';
import { checkSqlFile, readSqlFile, runSqlFile, type SqlSource, withPlace } from '../../../../services/sql-script.js';
import { ManageDbError, messageOf } from '../../../errors.js';
import { judgePlan, readTap } from './tap.js';

/** What has come of a `<version>_<name>.test.sql`. */
export interface TestFileResult {
  /** Its name. */
  readonly file: string;
  readonly ok: boolean;
  /** Tests of pgTAP; a file of plain SQL is one test. */
  readonly passed: number;
  readonly failed: number;
  /** What failed, with its place; empty when all is well. */
  readonly detail: string;
}

/** Functions by which a file of pgTAP begins or ends, as no other does. */
const USES_PGTAP =
  /\b(?:plan|no_plan|finish|runtests|has_table|has_column|col_is_pk|throws_ok|lives_ok|results_eq)\s*\(/i;

const NOTHING = 'It tests nothing: no statement is in it.';

/**
 * Runs a test file in a transaction that is rolled back, whatever comes of it. Every error fails it, and so does every line `not ok`
 * of pgTAP, which is created for it where the server has it.
 *
 * @param client a session of its own in the scratch database, under the search_path of the application
 * @throws what ends the connection
 */
export async function runTestFile(client: Client, path: string): Promise<TestFileResult> {
  const file = basename(path);
  const rows: string[] = [];
  try {
    const source = testSource(path);
    const statements = await checkSqlFile(source);
    if (statements?.length === 0) return { file, ok: false, passed: 0, failed: 1, detail: NOTHING };
    await client.query('begin');
    try {
      await client.query(`select pg_catalog.set_config('plpgsql.check_asserts', 'on', true)`);
      if (USES_PGTAP.test(source.sql)) await providePgtap(client);
      await execute(client, source, { statements, rows });
      // what is deferred to the end of a transaction that never comes
      await client.query('set constraints all immediate');
    } finally {
      await client.query('rollback');
    }
  } catch (error) {
    if (isConnectionLost(error)) throw error;
    const { passed, failures } = readTap(rows);
    const detail = [...failures, messageOf(error)].join('\n');
    return { file, ok: false, passed, failed: failures.length + 1, detail };
  }
  return judged(file, rows);
}

/** @throws ManageDbError `UNREADABLE_FILE` */
export function testSource(path: string): SqlSource {
  return { path, sql: readSqlFile(path), firstLine: 1 };
}

function judged(file: string, rows: readonly string[]): TestFileResult {
  const tap = readTap(rows);
  if (!tap.isTap && tap.failures.length === 0) return { file, ok: true, passed: 1, failed: 0, detail: '' };
  const problem = judgePlan(tap);
  const detail = [...tap.failures, ...(problem === null ? [] : [problem])].join('\n');
  return { file, ok: detail === '', passed: tap.passed, failed: tap.failures.length, detail };
}

interface Execution {
  /** `null`: only the server can read them. */
  readonly statements: Awaited<ReturnType<typeof checkSqlFile>>;
  /** What they give is added here. */
  readonly rows: string[];
}

/** One by one, as what each of them says is wanted although a later one fails. */
async function execute(client: Client, source: SqlSource, { statements, rows }: Execution): Promise<void> {
  if (statements === null) {
    await runSqlFile(client, source);
    return;
  }
  for (const statement of statements) {
    const query = () => client.query({ text: statement.text, rowMode: 'array' });
    const result = await withPlace(source, statement, query);
    for (const [first] of result.rows) if (typeof first === 'string') rows.push(first);
  }
}

/** In the transaction of the test: it is gone with it. */
async function providePgtap(client: Queryable): Promise<void> {
  if ((await readExtensions(client)).some(({ name }) => name === 'pgtap')) return;
  const { rows } = await client.query(`select from pg_catalog.pg_available_extensions e where e.name = 'pgtap'`);
  if (rows.length === 0) {
    throw new ManageDbError('NOT_FOUND', 'It uses pgTAP, which is not installed on the server.', {
      hint: 'On the machine of the server: apt-get install postgresql-<version>-pgtap',
    });
  }
  await client.query('create extension if not exists pgtap');
}
