import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { applyTriggers } from '../../app/core/db-operations/triggers.js';
import { withActor } from '../../app/services/actor.js';
import { getDbEngine, getDbSession } from '../../app/services/database-service.js';
import { freePort } from '../support/free-port.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { testServer } from '../support/test-server.js';

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find(
  (path) => spawnSync(path, ['--version']).status === 0,
);
const ORDINARY_USER = 65534;

/** One server connection, which every transaction of every client has in turn. */
describe('behind PgBouncer in transaction mode', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let folder: string;
  let bouncer: ChildProcess;
  let url: string;

  before(async function () {
    if (PROGRAM === undefined) {
      this.test?.parent?.tests.forEach((test) => {
        test.title += ' (skipped: pgbouncer is not installed; Debian package pgbouncer)';
      });
      this.skip();
    }
    database = await scratchDatabase(
      `create table notes (id integer primary key, body text, updated_at timestamptz, updated_by text);
       insert into notes values (1, 'a', now(), 'x')`,
    );
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    const port = await freePort();
    const { host, port: serverPort, user, password } = testServer();
    folder = mkdtempSync(join(tmpdir(), 'manage-db-pgbouncer-'));
    chmodSync(folder, 0o755);
    const file = join(folder, 'pgbouncer.ini');
    writeFileSync(
      file,
      `[databases]
* = host=${host} port=${serverPort} user=${user} password='${password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
`,
    );
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(file, ORDINARY_USER, ORDINARY_USER);
    bouncer = spawn(PROGRAM, ['-q', file], {
      stdio: 'ignore',
      ...(isRoot ? { uid: ORDINARY_USER, gid: ORDINARY_USER } : {}),
    });
    url = `postgresql://${user}@127.0.0.1:${port}/${database.name}`;
    for (let attempt = 0; ; attempt += 1) {
      const isReady = await withClient(url, (client) => client.query('select 1')).catch(() => null);
      if (isReady !== null) break;
      if (attempt > 100) throw new Error('pgbouncer does not answer');
      await sleep(50);
    }
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${url}\n` });
    await workspace.run(() => applyTriggers({ env: 'testing' }));
  });
  after(async () => {
    if (bouncer === undefined) return;
    await workspace.remove();
    bouncer.kill('SIGINT');
    await new Promise((resolve) => bouncer.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
    await database.drop();
  });

  const by = async () => (await database.query<{ by: string }>('select updated_by as by from notes')).rows[0]?.by;

  it('never shows the user of one transaction to the next', async () => {
    await workspace.run(async () => {
      const write = () => getDbSession((session) => session.query(`update notes set body = 'b'`), { env: 'testing' });
      await withActor('anna', write);
      expect(await by()).to.equal('anna');
      await write();
      expect(await by()).to.equal('system');
      await withActor('berta', write);
      await (await getDbEngine('testing')).query(`update notes set body = 'c'`);
      expect(await by()).to.equal('system');
      await Promise.all([withActor('carl', write), write(), withActor('dora', write), write()]);
      await (await getDbEngine('testing')).query(`update notes set body = 'd'`);
      expect(await by()).to.equal('system');
    });
  });

  it('leaves no setting of an operation to others', async () => {
    await workspace.run(() => applyTriggers({ env: 'testing' }));
    const { rows } = await withClient(url, (client) =>
      client.query(`select current_setting('search_path') as path, current_setting('lock_timeout') as lock,
        current_setting('app.current_user', true) as actor`),
    );
    expect(rows).to.deep.equal([{ path: '"$user", public', lock: '0', actor: '' }]);
    const { rows: log } = await database.query('select count(*)::integer as n from manage_db.operation_log');
    expect(log).to.deep.equal([{ n: 4 }]);
  });
});
