import { getDbSession, initDb, runDoctor, withActor } from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectSqlState, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';
import { NOWHERE } from '../scratch-workspace.js';

/** The way to the database, and what a session promises. */
export function testConnection(suite: Suite): void {
  suite.installation('the database answers, and its server is not too old', 'configuration', async (running) => {
    const { database, config } = running.installation;
    // of a server that is too old this is the error, too
    if (database.state === 'missing' || database.state === 'unreachable') throw database.error;
    if (database.state !== 'there') return;
    const { serverVersion } = database;
    running.note(`${config?.connection?.database}, PostgreSQL ${serverVersion}.`);
  });

  suite.installation('node and the client tools are there, and new enough', 'nothing', async (running) => {
    const { toolsProblem } = running.installation;
    if (toolsProblem !== null) throw toolsProblem;
    const { checks } = await runDoctor({ signal: running.signal });
    for (const { name, status, detail, fix } of checks.filter((check) =>
      ['node', 'client tools'].includes(check.name),
    )) {
      if (status === 'critical') throw new Unexpected(`${name}: ${detail}`, fix);
      running.note(`${name}: ${detail}.`);
    }
  });

  suite.prepare(async ({ signal }) => {
    await initDb({ env: 'development', signal, consent: { yes: true } });
  });

  suite.library('a session commits on return, and says who it was', async () => {
    const insert = "insert into notes (title) values ('kept') returning created_by";
    const session = () => getDbSession((db) => db.query<{ created_by: string }>(insert), { env: 'development' });
    const { rows } = await withActor('feature tester', session);
    expectEqual('The author of the note', rows[0]?.created_by, 'feature tester');
    expectEqual('The number of notes', await notes(), 1);
  });

  suite.library('a session rolls back when it fails', async () => {
    const failing = getDbSession(
      async (db) => {
        await db.query("insert into notes (title) values ('lost')");
        await db.query('select 1 / 0');
      },
      { env: 'development' },
    );
    await expectSqlState('The division by zero', failing, '22012');
    expectEqual('The number of notes', await notes(), 1);
  });

  suite.library('a session that only reads cannot write', async () => {
    const writing = getDbSession((db) => db.query("insert into notes (title) values ('no')"), {
      env: 'development',
      readOnly: true,
    });
    await expectSqlState('Writing', writing, '25006');
  });

  suite.library('a database that does not exist is said to be missing', async () => {
    await expectRefusal(
      'A session with a missing database',
      getDbSession((db) => db.query('select 1'), { env: 'testing' }),
      'DATABASE_MISSING',
    );
  });

  suite.cli('inspect-db reaches the database', async ({ scratch }) => {
    const result = await scratch.manageDb(['inspect-db', '--tables']);
    expectExit(result, 0);
    expectEqual('The environment', result.envelope().environment, 'development');
  });

  suite.cli('a server that does not answer is an error that says so', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['inspect-db', '--env', NOWHERE.environment]), 1, 'CONNECTION_REFUSED');
  });
}

async function notes(): Promise<number | undefined> {
  const { rows } = await getDbSession((db) => db.query<{ count: number }>('select count(*)::int as count from notes'), {
    env: 'development',
    readOnly: true,
  });
  return rows[0]?.count;
}
