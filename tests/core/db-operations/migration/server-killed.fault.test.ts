import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import { runSteps } from '../../../../app/core/db-operations/migration/runner.js';
import { failureOf } from '../../../support/failure-of.js';
import { type OwnServer, ownServer } from '../../../support/own-server.js';
import { settingsOf } from '../../../support/settings-of.js';

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
});
