import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../../app/services/embedded-postgres.js';
import { dropDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { removeServerData } from '../../support/server-data.js';
import { stampAs } from '../../support/stamp.js';

/** In several transactions: one has room for so many locks only. */
const objects = (count: number) => `
  do $$ begin
    for i in 1..${count} loop
      perform lo_from_bytea(0, convert_to('scan ' || i, 'UTF8'));
      if i % 200 = 0 then commit; end if;
    end loop;
  end $$`;
const CONTENT = `select count(*)::int as count, md5(string_agg(lo_get(oid), '' order by oid)) as md5 from pg_largeobject_metadata`;

describe('many large objects', () => {
  let workspace: ScratchWorkspace;
  const open = async (url: string, count: number): Promise<() => Promise<unknown>> => {
    await withClient(url, async (client) => {
      await stampAs(client, 'testing');
      await client.query('create table patients (id int)');
      await client.query(objects(count));
    });
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${url}\n` });
    return () => withClient(url, async (client) => (await client.query(CONTENT)).rows[0]);
  };
  const backup = (options: object = {}) => workspace.run(() => backupDatabase({ env: 'testing', ...options }));
  const restore = (method: 'swap' | 'transaction') =>
    workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', method, consent: { yes: true } }));
  afterEach(() => workspace.remove());

  it('are one file and not thousands, and come back by both methods', async () => {
    const db = await scratchDatabase();
    try {
      const content = await open(db.url, 1200);
      const before = await content();
      expect((await backup({ format: 'directory' })).manifest.files).to.have.length.greaterThan(1200);
      const { manifest } = await backup();
      expect(manifest.format).to.equal('custom');
      expect(manifest.files).to.have.length.lessThan(5);
      for (const method of ['swap', 'transaction'] as const) {
        await db.query('select lo_unlink(oid) from (select oid from pg_largeobject_metadata limit 3) gone');
        await restore(method);
        expect(await content()).to.deep.equal(before);
      }
      const { rows } = await db.query(
        'select setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = current_database()',
      );
      expect(rows, 'what a scratch database was set to').to.deep.equal([]);
    } finally {
      await dropDatabase(db.name);
    }
  });

  it('are more than one transaction can lock, which is said with the setting that is enough', async () => {
    const home = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-locks-')));
    chmodSync(home, 0o755);
    const { dataDirectory } = await startEmbeddedServer(home);
    try {
      const start = async () => {
        const { host, port, user, password } = await startEmbeddedServer(home);
        return (database: string) => `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
      };
      let url = await start();
      await withClient(url('postgres'), async (client) => {
        await client.query('create database clinic');
        await client.query('alter system set max_locks_per_transaction = 10');
      });
      await stopEmbeddedServer(home);
      url = await start();
      const content = await open(url('clinic'), 9000);
      await backup();
      const before = await content();
      const error: ManageDbError = await restore('transaction').then(
        () => expect.fail('there was room'),
        (thrown: ManageDbError) => thrown,
      );
      expect(error.code, error.message).to.equal('SQL_FAILED');
      expect(error.message).to.match(/takes about \d+ locks; the server has room for about 1\d\d\d/);
      expect(error.hint).to.match(/--method swap.*max_locks_per_transaction = \d+; \(now 10\)/);
      expect(await content()).to.deep.equal(before);
      await restore('swap');
      expect(await content()).to.deep.equal(before);
    } finally {
      await stopEmbeddedServer(home);
      removeServerData(dataDirectory);
      rmSync(home, { recursive: true, force: true });
    }
  });
});
