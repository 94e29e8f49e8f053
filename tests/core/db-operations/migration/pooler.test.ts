import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import { runSteps } from '../../../../app/core/db-operations/migration/runner.js';
import { failureOf } from '../../../support/failure-of.js';
import { freePort } from '../../../support/free-port.js';
import { type MigrationDatabase, migrationDatabase } from '../../../support/migration-database.js';
import { withClient } from '../../../support/scratch-database.js';
import { settingsOf } from '../../../support/settings-of.js';
import { testServer } from '../../../support/test-server.js';

/** Debian's is where only root looks for it. */
const PGBOUNCER = ['/usr/sbin/pgbouncer', 'pgbouncer'].find(
  (program) => spawnSync(program, ['--version']).status === 0,
);
const NOBODY = 65_534;

describe('migrations through PgBouncer in transaction mode', () => {
  if (PGBOUNCER === undefined) {
    it.skip('wants the package pgbouncer');
    return;
  }
  let database: MigrationDatabase;
  let folder: string;
  let pooled: string;
  let stop: () => Promise<void>;

  before(async () => {
    database = await migrationDatabase();
    folder = mkdtempSync(join(tmpdir(), 'manage-db-pooler-'));
    chmodSync(folder, 0o755);
    const { host, port, user, password } = testServer();
    const own = await freePort();
    const settings = [
      '[databases]',
      `${database.name} = host=${host} port=${port} user=${user} password='${password}'`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1\nlisten_port = ${own}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3`,
      'unix_socket_dir =\nignore_startup_parameters = extra_float_digits,options',
    ];
    writeFileSync(join(folder, 'pgbouncer.ini'), settings.join('\n'), { mode: 0o644 });
    const child = spawn(PGBOUNCER, [join(folder, 'pgbouncer.ini')], {
      stdio: 'ignore',
      ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    stop = async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    pooled = `postgresql://${user}:anything@127.0.0.1:${own}/${database.name}`;
    for (let tries = 0; tries < 100; tries += 1) {
      const isUp = await withClient(pooled, async () => true).catch(() => false);
      if (isUp) break;
      await sleep(50);
    }
  });
  after(async () => {
    await stop();
    rmSync(folder, { recursive: true });
    await database.remove();
  });

  const run = async (direction: 'up' | 'down') => {
    const migrations = (await readMigrations(database.folder)) ?? [];
    const ordered = direction === 'up' ? migrations : migrations.reverse();
    return runSteps(
      await settingsOf(pooled),
      ordered.map((migration) => ({ migration, direction })),
    );
  };

  const file = (n: number) =>
    `-- migrate:up\ncreate table t${n} (id integer); set search_path = ''; set statement_timeout = '1s'; select pg_advisory_lock(${n});\n-- migrate:down\ndrop table t${n};\n`;

  it('leave nothing in the sessions that others get after them', async () => {
    await database.write({ '1_t.sql': file(1) });
    expect(await run('up')).to.have.length(1);
    expect(await run('down')).to.have.length(1);
    const { rows } = await withClient(pooled, (client) =>
      client.query(`select current_setting('search_path') as path, current_setting('statement_timeout') as timeout`),
    );
    expect(rows).to.deep.equal([{ path: '"$user", public', timeout: '0' }]);
  });

  it('are each applied once by five runners, where they belong, and are taken back', async () => {
    await database.write(Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`${n}_t.sql`, file(n)])));
    const runs = await Promise.all([1, 2, 3, 4, 5].map(() => run('up')));
    const applied = runs.flat().map(({ version }) => version);
    expect(applied.sort()).to.deep.equal(['1', '2', '3', '4', '5', '6']);
    const { rows } = await database.query(
      `select (select count(*)::int from pg_tables where schemaname = 'public') as tables, (select count(*)::int from pg_locks
         where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())) as locks`,
    );
    expect(rows).to.deep.equal([{ tables: 6, locks: 0 }]);
    expect(await run('down')).to.have.length(6);
    expect(await database.applied()).to.deep.equal([]);
  });

  it('are refused where they go statement by statement, which takes a session of its own', async () => {
    await database.write({ '1_a.sql': '-- migrate:up transaction:false\nvacuum;\n' });
    expect((await failureOf(run('up'))).message).to.contain('leads through a pooler');
  });
});
