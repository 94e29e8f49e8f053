import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import { runSteps } from '../../../../app/core/db-operations/migration/runner.js';
import { failureOf } from '../../../support/failure-of.js';
import { type OwnServer, ownServer } from '../../../support/own-server.js';
import { settingsOf } from '../../../support/settings-of.js';

/** Until `work` has ended, nothing that is committed without waiting for it comes to the disk. */
async function withoutWalWriter<T>(server: OwnServer, work: () => Promise<T>): Promise<T> {
  const [writer] = await server.query<{ pid: number }>(
    'postgres',
    `select pid from pg_stat_activity where backend_type = 'walwriter'`,
  );
  if (writer === undefined) throw new Error('a server without a WAL writer');
  process.kill(writer.pid, 'SIGSTOP');
  try {
    return await work();
  } finally {
    process.kill(writer.pid, 'SIGCONT');
  }
}

describe('migrations on a server that is killed', () => {
  let server: OwnServer;
  let folder: string;

  before(async () => {
    server = await ownServer();
    await server.query('postgres', 'create database clinic');
    folder = mkdtempSync(join(tmpdir(), 'manage-db-migrations-'));
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await server.remove();
  });

  const steps = async (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return ((await readMigrations(folder)) ?? []).map((migration) => ({ migration, direction: 'up' as const }));
  };
  const create = (n: number) => `-- migrate:up\ncreate table t${n} (id integer);\n`;
  const recorded = async () =>
    (await server.query<{ version: string }>('clinic', 'select version from manage_db.migrations order by 1')).map(
      ({ version }) => version,
    );

  it('are there when it was said that they are, also those before one that has failed', async () => {
    const settings = await settingsOf(server.url('clinic'));
    const files = { '1_a.sql': create(1), '2_b.sql': create(2), '3_c.sql': '-- migrate:up\nselect nope;\n' };
    const error = await failureOf(runSteps(settings, await steps(files)));
    expect(error.message).to.contain('Applied before and staying so: 1_a, 2_b.');
    server.kill();
    await server.start();
    expect(await recorded()).to.deep.equal(['1', '2']);
    await server.query('clinic', 'select from t1, t2');
  });

  it('are told as they are after its recovery, and go on', async () => {
    const settings = await settingsOf(server.url('clinic'));
    const files = { '3_c.sql': create(3), '4_d.sql': '-- migrate:up\nselect pg_sleep(20);\n' };
    const running = failureOf(
      runSteps(settings, await steps(files), {
        onProgress: ({ step }) => {
          if (!step.includes('4_d')) return;
          setTimeout(() => {
            server.kill();
            void server.start();
          }, 100);
        },
      }),
    );
    const error = await running;
    expect(error.code).to.equal('CONNECTION_LOST');
    const isThere = (await recorded()).includes('3');
    expect(error.message.includes('Applied before and staying so: 3_c')).to.equal(isThere);
    expect(error.message).to.contain('Nothing of 4_d remains');
    await steps({ '4_d.sql': create(4) });
    await runSteps(settings, await steps({}));
    expect(await recorded()).to.deep.equal(['1', '2', '3', '4']);
  });

  it('are not called safe where the server does not write them down, after one that has failed', async () => {
    const settings = await settingsOf(server.url('clinic'));
    const given = await steps({ '5_e.sql': create(5), '6_f.sql': '-- migrate:up\nselect nope;\n' });
    const error = await withoutWalWriter(server, () => failureOf(runSteps(settings, given)));
    expect(error.message).to.match(/staying so: 5_e\. The server has not written all of that to its disk/);
  });

  it('nor before one that another runner has done meanwhile, statement by statement', async () => {
    const settings = await settingsOf(server.url('clinic'));
    const given = await steps({
      '6_f.sql': create(6),
      '7_g.sql': '-- transaction: false\n-- migrate:up\ncreate table t7 (id integer);\n',
    });
    const warnings: string[] = [];
    const ran = await withoutWalWriter(server, () =>
      runSteps(settings, given, {
        onWarning: (warning) => warnings.push(warning),
        onRan: async () => {
          await server.query(
            'clinic',
            `set synchronous_commit = off;
             insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
             values ('7', 'g', '${given.at(-1)?.migration.checksum}', 1, 'another', 'test')`,
          );
        },
      }),
    );
    expect(ran.map(({ version }) => version)).to.deep.equal(['6']);
    expect(warnings).to.have.length(1);
    expect(warnings[0]).to.contain('has not written all of that to its disk');
  });
});
