import { checkDb, dropAllTables, initDb, inspectDb, resetDb } from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';

/** What other categories look at in full. */
const ELSEWHERE = /stamp|kill-switch|migration|backup|trigger|drift/;

/** The health of the database, and beginning anew. */
export function testMaintenance(suite: Suite): void {
  suite.installation('no check of the database is critical', 'database', async ({ env, signal, note }) => {
    const { checks } = await checkDb({ env, signal });
    const critical = checks.find(({ name, status }) => status === 'critical' && !ELSEWHERE.test(name));
    if (critical !== undefined)
      throw new Unexpected(
        `${critical.name}: ${critical.detail}`,
        critical.fix ?? `manage_db check-database --env ${env}`,
      );
    const warnings = checks.filter(({ status }) => status === 'warning').map(({ name }) => name);
    note(`${checks.length} checks${warnings.length === 0 ? '' : `; warnings: ${warnings.join(', ')}`}.`);
  });

  suite.prepare(async ({ signal }) => {
    await initDb({ env: 'development', signal, consent: { yes: true } });
  });

  suite.library('initializing again changes nothing', async ({ signal }) => {
    const again = await initDb({ env: 'development', signal, consent: { yes: true } });
    expectEqual('What was done again', [again.databaseCreated, again.migrations.length], [false, 0]);
  });

  suite.library('every check says how it is, and in what words', async ({ signal }) => {
    const { checks } = await checkDb({ env: 'development', signal });
    expectThat(checks.length > 10, `There are only ${checks.length} checks.`);
    const silent = checks.filter(({ detail }) => detail.trim() === '');
    expectEqual('The checks without a word', silent, []);
  });

  suite.library('dropping and resetting want somebody to agree', async ({ signal }) => {
    const operation = { env: 'development', signal };
    await expectRefusal('Dropping everything', dropAllTables(operation), 'CONFIRMATION_REQUIRED');
    await expectRefusal('Resetting', resetDb(operation), 'CONFIRMATION_REQUIRED');
    expectEqual('The tables', await tables(signal), ['notes']);
  });

  suite.cli('check-database examines the database', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['check-database']), 0);
  });

  suite.cli('drop-all-tables drops them, initialize-db makes them again', async ({ scratch, signal }) => {
    expectExit(await scratch.manageDb(['drop-all-tables', '--yes']), 0);
    expectEqual('The tables after drop-all-tables', await scratch.inside(() => tables(signal)), []);
    expectExit(await scratch.manageDb(['initialize-db', '--yes']), 0);
    expectEqual('The tables after initialize-db', await scratch.inside(() => tables(signal)), ['notes']);
  });

  suite.cli('reset-database begins anew', async ({ scratch, signal }) => {
    expectExit(await scratch.manageDb(['reset-database', '--yes']), 0);
    expectEqual('The tables', await scratch.inside(() => tables(signal)), ['notes']);
  });

  suite.cli('reset-database is refused when nobody agrees', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['reset-database']), 2, 'CONFIRMATION_REQUIRED');
  });
}

async function tables(signal: AbortSignal): Promise<readonly string[]> {
  const { tables: found = [] } = await inspectDb({ env: 'development', signal, schema: 'public' });
  return found.map(({ name }) => name);
}
