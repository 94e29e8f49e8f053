import {
  dropAllTables,
  engageKillSwitch,
  initDb,
  killSwitchStatus,
  releaseKillSwitch,
  resetDb,
  verifyOperationLog,
  withKillSwitchOverride,
} from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat, NotTested, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';

const OVERRIDE = { KILL_SWITCH_OVERRIDE: 'true' } as const;

/** That the database is known for what it is, and that nothing is changed by mistake. */
export function testSafety(suite: Suite): void {
  suite.installation('the stamp says what the database is', 'database', async ({ env, note, installation }) => {
    const { stamp, database } = installation;
    if (stamp === null) throw new Unexpected('The stamp cannot be read.', `manage_db switch-env --status --env ${env}`);
    if (stamp.state === 'unstamped' && database.state === 'there' && database.isEmpty)
      throw new NotTested('the database is empty, and nobody has to say yet what it is');
    expectThat(
      stamp.state === 'trusted',
      `The stamp of ${installation.config?.connection?.database} is not in order (${stamp.state}): ${stamp.because}`,
      stamp.state === 'mismatch'
        ? `Choose --env ${stamp.stamp?.environment ?? '…'}; or, if it is ${env} from now on: manage_db stamp-database --env ${env}`
        : `manage_db stamp-database --env ${env}`,
    );
    note(stamp.because);
  });

  suite.installation('nobody has changed the operation log', 'database', async ({ env, signal, note }) => {
    const { ok, entries, findings } = await verifyOperationLog({ env, signal });
    const [finding] = findings;
    if (!ok)
      throw new Unexpected(
        finding?.detail ?? 'The operation log is broken.',
        `manage_db verify-operation-log --env ${env}`,
      );
    note(`${entries} entries.`);
  });

  suite.prepare(async ({ scratch, signal }) => {
    const confirm = `EXECUTE INITIALIZE_DB ON ${scratch.databases.production}`;
    await withKillSwitchOverride({}, () =>
      initDb({ env: 'production', signal, consent: { confirm, reason: 'a feature test' } }),
    );
    await initDb({ env: 'testing', signal, consent: { yes: true } });
  });

  suite.library('production is not changed by a mere yes', async ({ signal }) => {
    const operation = { env: 'production', signal, consent: { yes: true } };
    await expectRefusal('Dropping the tables of production', dropAllTables(operation), 'KILL_SWITCH');
    await withKillSwitchOverride({}, async () => {
      const reset = () => resetDb(operation);
      await expectRefusal('Resetting production', Promise.resolve().then(reset), 'CONFIRMATION_REQUIRED');
      const confirm = { confirm: 'EXECUTE RESET_DATABASE ON another', reason: 'a feature test' };
      await expectRefusal('Resetting another', resetDb({ ...operation, consent: confirm }), 'CONFIRMATION_MISMATCH');
    });
  });

  suite.library('a kill switch that is engaged stops changes, and no longer', async ({ signal }) => {
    const operation = { env: 'testing', signal };
    await engageKillSwitch({ ...operation, consent: { reason: 'a feature test' } });
    expectThat((await killSwitchStatus(operation)).isLocked, 'It is engaged, and not said to be.');
    await withKillSwitchOverride({}, () =>
      expectRefusal('Resetting testing', resetDb({ ...operation, consent: { yes: true } }), 'KILL_SWITCH'),
    );
    await releaseKillSwitch({ ...operation, consent: { yes: true, reason: 'a feature test' } });
    await initDb({ ...operation, consent: { yes: true } });
  });

  suite.library('what was attempted is in the operation log, unbroken', async ({ signal }) => {
    const { ok, entries, findings } = await verifyOperationLog({ env: 'testing', signal });
    expectEqual('What is wrong with the log', findings, []);
    expectThat(ok && entries > 2, `There are only ${entries} entries.`);
  });

  suite.cli('the database of production is protected under every name', async ({ scratch }) => {
    const before = scratch.read('.env.development');
    try {
      scratch.write({ '.env.development': scratch.read('.env.production') });
      const result = await scratch.manageDb(['reset-database', '--env', 'development', '--yes'], {
        variables: OVERRIDE,
      });
      expectExit(result, 2, 'PROTECTED_ENVIRONMENT');
    } finally {
      scratch.write({ '.env.development': before });
    }
  });

  suite.cli('a database with the stamp of another environment is not changed', async ({ scratch }) => {
    const before = scratch.read('.env.development');
    try {
      scratch.write({ '.env.development': scratch.read('.env.testing') });
      expectExit(await scratch.manageDb(['reset-database', '--env', 'development', '--yes']), 2, 'STAMP_MISMATCH');
    } finally {
      scratch.write({ '.env.development': before });
    }
  });

  suite.cli('whoami and verify-operation-log answer', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['whoami', '--env', 'testing']), 0);
    expectExit(await scratch.manageDb(['verify-operation-log', '--env', 'testing']), 0);
  });

  suite.cli(
    'the ceremony lets through what is meant',
    async ({ scratch }) => {
      const confirm = `EXECUTE RESET_DATABASE ON ${scratch.databases.production}`;
      const line = ['reset-database', '--env', 'production', '--confirm', confirm, '--reason', 'a feature test'];
      expectExit(await scratch.manageDb(line), 2, 'KILL_SWITCH');
      expectExit(await scratch.manageDb(line, { variables: OVERRIDE }), 0);
    },
    // what is reset is backed up before
    { needsClientTools: true },
  );
}
