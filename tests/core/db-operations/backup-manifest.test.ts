import { expect } from 'chai';
import { type BackupOptions, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { registerTriggerFunctions } from '../../../app/database/records/trigger-registry.js';
import { dropDatabase, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

describe('the manifest of a backup', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase('create table public.patients (id int primary key)');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(db.name);
  });

  const backup = (options: BackupOptions = {}) => workspace.run(() => backupDatabase({ env: 'testing', ...options }));
  const stamp = () => withClient(db.url, (client) => stampAs(client, 'testing'));

  it('says what the database said that it is, and where its write-ahead log was', async () => {
    await stamp();
    const before = (await db.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')).rows[0]?.lsn;
    const { manifest } = await backup();
    expect(manifest.stamp).to.deep.equal({ environment: 'testing', protected: false });
    const { rows } = await db.query('select $1::pg_lsn between $2::pg_lsn and pg_current_wal_lsn() as ok', [
      manifest.lsn,
      before,
    ]);
    expect(rows).to.deep.equal([{ ok: true }]);
    expect(manifest).to.deep.include({
      selection: { schemas: [], tables: [], excludedData: [] },
      encryption: null,
      triggersChecksum: null,
    });
    expect(manifest.compression).to.match(/^(gzip:2|zstd:1)$/);
    expect((await backup({ format: 'plain' })).manifest.compression).to.equal('none');
  });

  it('names the newest migration by its number', async () => {
    await stamp();
    expect((await backup()).manifest.migrationHead).to.equal(null);
    await db.query(
      `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
       select n::text, 'by hand', repeat('a', 64), 1, 'me', 'test' from generate_series(8, 10) n`,
    );
    expect((await backup()).manifest.migrationHead).to.equal('10');
  });

  it('has a checksum of the trigger registry that changes with what it says, and with nothing else', async () => {
    await stamp();
    const register = (body: string) =>
      withClient(db.url, async (client) => {
        await client.query(`create or replace function public.touch() returns trigger language plpgsql as '${body}'`);
        await client.query('set search_path = pg_catalog, pg_temp');
        await registerTriggerFunctions(client, [{ schema: 'public', name: 'touch', fileChecksum: null }], { by: 'me' });
      });
    const checksum = async () => (await backup()).manifest.triggersChecksum;

    await register('begin return new; end');
    const first = await checksum();
    expect(first).to.match(/^[0-9a-f]{64}$/);
    await db.query('update manage_db.trigger_functions set installed_by = $1, installed_at = now()', ['you']);
    expect(await checksum()).to.equal(first);
    await register('begin return old; end');
    expect(await checksum())
      .to.match(/^[0-9a-f]{64}$/)
      .and.not.equal(first);
  });

  describe('names every role that a restore needs', () => {
    let logins: ScratchLogin[];
    beforeEach(async () => {
      logins = await Promise.all(
        ['owner', 'reader', 'column', 'policy', 'default', 'setting', 'connect', 'stranger'].map((name) =>
          scratchLogin(name),
        ),
      );
    });
    afterEach(async () => {
      await dropDatabase(db.name);
      await dropLogins(...logins);
    });

    it('whatever it has to do with the database', async () => {
      const [owner, reader, column, policy, byDefault, setting, connect, stranger] = logins.map(({ user }) => user);
      await db.query(`
        create schema s authorization ${owner};
        grant select on public.patients to ${reader};
        grant update (id) on public.patients to ${column};
        create policy p on public.patients to ${policy} using (true);
        alter default privileges grant select on tables to ${byDefault};
        alter role ${setting} in database ${db.name} set work_mem = '7MB';
        grant connect on database ${db.name} to ${connect}`);
      const { roles } = (await backup()).manifest;
      expect(roles).to.include.members([owner, reader, column, policy, byDefault, setting, connect]);
      expect(roles).not.to.include(stranger).and.not.to.include('pg_database_owner');
      // the built-in superuser, of whose objects PostgreSQL keeps no list
      expect(roles).to.include(new URL(db.url).username);
      expect(roles).to.deep.equal([...roles].sort());
    });
  });
});
