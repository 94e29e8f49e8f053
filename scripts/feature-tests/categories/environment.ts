import {
  backupDatabase,
  currentEnv,
  discover,
  getDbSession,
  initDb,
  ManageDbError,
  normalizeEnv,
  setEnvironment,
  withEnvironment,
} from '../../../app/index.js';
import type { CommandResult } from '../command-line.js';
import { expectEqual, expectExit, expectRefusal, expectThat } from '../expectations.js';
import type { ScratchRunning, Suite } from '../feature-test.js';

const FILE = '.manage_db/environment';

/** Which environment is active, and that switching reaches everything at once, and nothing that has begun already. */
export function testSwitchEnv(suite: Suite): void {
  suite.installation('one environment is active, and it is known', 'nothing', async ({ installation, note }) => {
    const { environment, problem, root } = installation;
    if (problem?.code === 'UNKNOWN_ENVIRONMENT' || environment === null)
      throw problem ?? new ManageDbError('UNKNOWN_ENVIRONMENT', 'No environment is active.');
    note(`${environment}, from ${discover(root).source}.`);
  });

  suite.prepare(async ({ signal }) => {
    for (const env of ['development', 'testing']) await initDb({ env, signal, consent: { yes: true } });
  });

  suite.library('knows environments by their other names, and refuses impossible ones', async ({ scratch }) => {
    expectEqual('The environment "PROD"', normalizeEnv(' PROD '), 'production');
    await expectRefusal(
      'The name "prod;rm"',
      Promise.resolve().then(() => normalizeEnv('prod;rm')),
      'UNKNOWN_ENVIRONMENT',
    );
    const typo = Promise.resolve().then(() => setEnvironment('prodution', { workspace: scratch.root }));
    await expectRefusal('The environment "prodution"', typo, 'UNKNOWN_ENVIRONMENT');
    expectEqual('The active environment after that', scratch.read(FILE).trim(), 'development');
  });

  suite.library('switches for one operation, and back, also when that fails', async () => {
    const before = currentEnv();
    expectEqual('The environment inside', await withEnvironment('testing', async () => currentEnv()), 'testing');
    const failing = withEnvironment('testing', async () => {
      throw new ManageDbError('USAGE', 'On purpose.');
    });
    await expectRefusal('The failing work', failing, 'USAGE');
    expectEqual('The environment afterwards', currentEnv(), before);
  });

  suite.library(
    'a session keeps its database when the environment is switched under it',
    async ({ scratch, signal }) => {
      try {
        await withEnvironment('development', () =>
          getDbSession(
            async (session) => {
              setEnvironment('testing', { workspace: scratch.root });
              await session.query("insert into notes (title) values ('begun in development')");
              const { rows } = await session.query<{ name: string }>('select current_database()::text as name');
              expectEqual('The database of the session', rows[0]?.name, scratch.databases.development);
            },
            { signal },
          ),
        );
        expectEqual('Notes in development', await notes('development'), 1);
        expectEqual('Notes in testing', await notes('testing'), 0);
      } finally {
        setEnvironment('development', { workspace: scratch.root });
      }
    },
  );

  suite.library('a backup is of the environment that it was begun with', async ({ scratch, signal }) => {
    try {
      let isSwitched = false;
      const { manifest } = await withEnvironment('development', () =>
        backupDatabase({
          signal,
          onProgress: () => {
            if (!isSwitched) setEnvironment('testing', { workspace: scratch.root });
            isSwitched = true;
          },
        }),
      );
      expectThat(isSwitched, 'The backup has not told of its progress.');
      expectEqual('The environment of the backup', manifest.environment, 'development');
      expectEqual('The database of the backup', manifest.database, scratch.databases.development);
      expectEqual('The active environment after it', scratch.read(FILE).trim(), 'testing');
    } finally {
      setEnvironment('development', { workspace: scratch.root });
    }
  });

  suite.cli('switch-env switches, and --status says which it is and why', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['switch-env', 'testing']), 0);
    const status = await scratch.manageDb(['switch-env', '--status']);
    expectExit(status, 0);
    const { environment, source } = status.envelope().data ?? {};
    expectEqual('The active environment and its source', [environment, source], ['testing', FILE]);
    scratch.write({ [FILE]: 'development\n' });
  });

  suite.cli('switch-env refuses an environment that does not exist, and switches nothing', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['switch-env', 'prodution']), 2, 'UNKNOWN_ENVIRONMENT');
    expectEqual('The active environment', scratch.read(FILE).trim(), 'development');
  });

  suite.cli('a command keeps its environment when another process switches it', switchUnderCommand);
}

async function notes(env: string): Promise<number | undefined> {
  const count = "select count(*)::int as count from notes where title = 'begun in development'";
  const { rows } = await getDbSession((session) => session.query<{ count: number }>(count), { env, readOnly: true });
  return rows[0]?.count;
}

/** The target line is the command's word that it has chosen. */
async function switchUnderCommand({ scratch }: ScratchRunning): Promise<void> {
  let switching: Promise<CommandResult> | null = null;
  const backup = await scratch.manageDb(['create-backup'], {
    onStderr: (text) => {
      if (text.includes('▶')) switching ??= scratch.manageDb(['switch-env', 'testing']);
    },
  });
  expectThat(switching !== null, 'create-backup has not announced its target.');
  expectExit(await switching, 0);
  expectExit(backup, 0);
  const { manifest } = (backup.envelope().data ?? {}) as { readonly manifest?: { readonly database: string } };
  expectEqual('The database of the backup', manifest?.database, scratch.databases.development);
  expectEqual('The active environment after it', scratch.read(FILE).trim(), 'testing');
  scratch.write({ [FILE]: 'development\n' });
}
