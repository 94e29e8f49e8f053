import {
  type CheckedMasking,
  checkMasking,
  compareDatabases,
  copyDatabase,
  getDbSession,
  initDb,
  ManageDbError,
} from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat, listed, NotTested, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';

const CEREMONY = { KILL_SWITCH_OVERRIDE: 'true' } as const;

/** From one environment into another, and where nothing may be copied to. */
export function testDatabaseCopy(suite: Suite): void {
  suite.installation('the masking rules decide every column of what is protected', 'database', async (running) => {
    const { env, signal, note, installation } = running;
    if (installation.config?.security.protected !== true)
      throw new NotTested(`${env} is not protected: it is copied as it is`);
    const checked = await checkMasking({ env, signal }).catch((error: unknown) => {
      if (error instanceof ManageDbError && error.code === 'NOT_FOUND')
        throw new NotTested(`there are no masking rules yet: manage_db masking init --env ${env}`);
      throw error;
    });
    if (!checked.ok) throw new Unexpected(misfit(checked), `manage_db masking check --env ${env}`);
    note(`${checked.columns} columns, ${checked.masked} of them masked.`);
  });

  suite.prepare(async ({ signal }) => {
    for (const env of ['development', 'testing']) await initDb({ env, signal, consent: { yes: true } });
    await getDbSession(
      (db) => db.query("insert into notes (title) select 'note ' || i from generate_series(1, 50) i"),
      {
        env: 'development',
      },
    );
  });

  suite.library('copies development into testing, and both are equal', async ({ signal }) => {
    await copyDatabase({ from: 'development', to: 'testing', signal, disconnectUsers: true, consent: { yes: true } });
    const { isEqual, contents } = await compareDatabases({ from: 'development', to: 'testing', data: true, signal });
    expectThat(isEqual && contents !== null, 'The copy differs from what was copied.');
  });

  suite.library('a dry run copies nothing', async ({ signal }) => {
    await getDbSession((db) => db.query('delete from notes'), { env: 'testing' });
    await copyDatabase({ from: 'development', to: 'testing', signal, dryRun: true, consent: { yes: true } });
    const { isEqual } = await compareDatabases({ from: 'development', to: 'testing', data: true, signal });
    expectThat(!isEqual, 'The dry run has copied rows.');
  });

  suite.library('refuses to copy a database onto itself', async ({ signal }) => {
    const copying = copyDatabase({ from: 'testing', to: 'testing', signal, consent: { yes: true } });
    await expectRefusal('Copying testing onto itself', copying, 'USAGE');
  });

  suite.cli('compare-db says what differs, copy-db ends that', async ({ scratch }) => {
    const pair = ['--from', 'development', '--to', 'testing'];
    const before = await scratch.manageDb(['compare-db', ...pair, '--data']);
    expectEqual('What compare-db says before', [before.code, before.envelope().data?.isEqual], [4, false]);
    expectExit(await scratch.manageDb(['copy-db', ...pair, '--yes', '--disconnect-users']), 0);
    expectExit(await scratch.manageDb(['compare-db', ...pair, '--data']), 0);
  });

  suite.cli('copy-db refuses a protected target without the ceremony', async ({ scratch }) => {
    const line = ['copy-db', '--from', 'development', '--to', 'production', '--yes'];
    expectExit(await scratch.manageDb(line), 2);
    expectExit(await scratch.manageDb(line, { variables: CEREMONY }), 2);
    const looking = scratch.inside(() => getDbSession((db) => db.query('select 1'), { env: 'production' }));
    await expectRefusal('A session with production, which was never made', looking, 'DATABASE_MISSING');
  });
}

function misfit({ rules, undecided, problems, literals }: CheckedMasking): string {
  const parts = [
    ['undecided', undecided.map(({ schema, table, column }) => `${schema}.${table}.${column}`)],
    ['not fitting', problems.map(({ table, column }) => (column === null ? table : `${table}.${column}`))],
    ['with texts that nobody has acknowledged', literals.map(({ name }) => name)],
  ] as const;
  const said = parts.flatMap(([what, names]) => (names.length === 0 ? [] : [`${listed(names)} (${what})`]));
  return `${rules ?? 'The masking rules'} and the database do not go together: ${said.join('; ')}. A masked copy is refused.`;
}
