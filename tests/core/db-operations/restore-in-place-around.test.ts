import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { closeEngines } from '../../../app/services/database-service.js';
import { generateKeyPair } from '../../../app/services/encryption.js';
import { openClient } from '../../database/open-client.js';
import { type RestoresInPlace, restoresInPlace } from '../../support/restores-in-place.js';
import type { ScratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';
import { until } from '../../support/until.js';

const SCHEMA = `
  create table wards (id int primary key, head int);
  create table nurses (id int primary key, ward int references wards);
  alter table wards add constraint head foreign key (head) references nurses;
  create table visits (id int, at date not null, ward int references wards, primary key (id, at)) partition by range (at);
  create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
  create materialized view counted as select count(*) as wards from wards;
  insert into wards values (1, null), (2, null); insert into nurses values (1, 1), (2, 2); update wards set head = id;
  insert into visits select i, date '2026-07-01' + i, 1 from generate_series(1, 20) i;`;

describe('what is around a restore of tables in place', () => {
  let inPlace: RestoresInPlace;
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    inPlace = await restoresInPlace(SCHEMA);
    ({ database, workspace, client } = inPlace);
  });
  afterEach(async () => {
    await client.end();
    await inPlace.remove();
  });

  const use = async (url: string, more = ''): Promise<void> => {
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url}\n${more}` });
    await workspace.run(() => closeEngines('testing'));
  };
  const rows: RestoresInPlace['rows'] = (sql) => inPlace.rows(sql);
  const count: RestoresInPlace['count'] = (table) => inPlace.count(table);
  const backup: RestoresInPlace['backup'] = (options) => inPlace.backup(options);
  const backups: RestoresInPlace['backups'] = () => inPlace.backups();
  const restore: RestoresInPlace['restore'] = (options) => inPlace.restore(options);
  const failing: RestoresInPlace['failing'] = (options) => inPlace.failing(options);
  const manifestOf = (path: string | undefined) => JSON.parse(readFileSync(join(path ?? '', 'manifest.json'), 'utf8'));
  const safetyOf = async (id: string | null) => (await backups()).find((one) => one.id === id);

  describe('foreign keys that somebody has switched off', () => {
    const modes = () =>
      rows(`select t.tgrelid::regclass::text as relation, p.proname, t.tgenabled, k.convalidated from pg_trigger t
        join pg_constraint k on k.oid = t.tgconstraint join pg_proc p on p.oid = t.tgfoid
        where t.tgisinternal and t.tgenabled <> 'O' order by 1, 2, k.conname`);

    it('stay off, of tables that were there and of tables that are made again', async () => {
      await client.query('alter table wards disable trigger all; alter table visits_2026 disable trigger all');
      const before = await modes();
      expect(before).to.have.length.greaterThan(4);
      await backup();
      await client.query('update wards set head = null; delete from nurses where id = 2; delete from visits');
      await restore({ tables: ['wards', 'nurses', 'visits'] });
      expect(await modes()).to.deep.equal(before);
      await client.query('drop table wards, visits cascade');
      await restore({ tables: ['wards', 'visits'] });
      expect(await modes()).to.deep.equal(before);
    });

    it('do not keep rows away that they have let others point at', async () => {
      await backup();
      await client.query('alter table nurses disable trigger all; insert into nurses values (3, 4711)');
      const before = await modes();
      const { warnings } = await restore({ tables: ['wards'] });
      expect(warnings.join('\n'))
        .to.contain('nurses_ward_fkey of public.nurses is switched off')
        .and.contain('not valid');
      expect(await count('nurses')).to.equal(3);
      expect((await modes()).map(({ relation, tgenabled }) => [relation, tgenabled])).to.deep.equal(
        before.map(({ relation, tgenabled }) => [relation, tgenabled]),
      );
    });

    it('are no business of a login that could not switch them off again: it is refused before anything', async () => {
      const login = await scratchLogin('clerk');
      await client.query(`alter table wards disable trigger all; alter table visits owner to ${login.user};
        alter table wards owner to ${login.user}; alter table nurses owner to ${login.user};
        alter database ${database.name} owner to ${login.user}; alter schema manage_db owner to ${login.user};
        grant all on all tables in schema manage_db to ${login.user}; grant all on schema public to ${login.user}`);
      await backup();
      await use(testUrl(database.name, login));
      const error = await failing({ tables: ['wards'] });
      expect(error.code, error.message).to.equal('PERMISSION_DENIED');
      expect(error.message).to.contain('nurses_ward_fkey of public.nurses').and.contain('was not changed');
      expect(await backups()).to.have.length(1);
      await workspace.run(() => closeEngines('testing'));
      await client.query(`reassign owned by ${login.user} to current_user; drop owned by ${login.user}`);
      await dropLogins(login);
    });
  });

  it('takes the search_path that functions rely on: in indexes, generated columns, and for the rows themselves', async () => {
    await client.query(`create function inner_one(text) returns text language sql immutable as $$ select lower($1) $$;
      create function outer_one(text) returns text language sql immutable as $$ select inner_one($1) $$;
      create function outer_two(text) returns text language plpgsql immutable as $$ begin return inner_one($1); end $$;
      create table rely (id int, name text check (outer_two(name) <> ''), low text generated always as (outer_one(name)) stored);
      create index on rely (outer_two(name)); insert into rely values (1, 'A'), (2, 'B');
      create table partly (id int, name text); create index on partly (outer_one(name)); insert into partly values (1, 'C')`);
    const { id } = await backup({ prove: true });
    const all = () => rows('select * from rely union all select p.*, null from partly p order by name');
    const before = await all();
    await client.query(`update rely set name = 'x'; delete from partly`);
    const steps: string[] = [];
    const result = await restore({ tables: ['rely', 'partly'], onProgress: ({ step }) => steps.push(step) });
    expect(await all()).to.deep.equal(before);
    expect(steps.join()).to.contain('again, under the search_path "$user", public');
    expect((await backups()).map((one) => one.id))
      .to.have.length(2)
      .and.include(result.safetyBackup);
    expect(result.warnings.join()).to.not.contain('analyze');
    await client.query('drop table rely, partly');
    await restore({ id, tables: ['rely', 'partly'] });
    expect(await all()).to.deep.equal(before);
    expect(await rows(`select from pg_indexes where tablename in ('rely', 'partly')`)).to.have.length(2);
  });

  it('takes a backup of a database in another encoding, as long as it is written in UTF8', async () => {
    const latin = `${database.name}_latin`;
    const create = (encoding: string) =>
      client.query(`create database ${latin} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`);
    const fill = async () => {
      const other = await openClient(testUrl(latin));
      await stampAs(other, 'testing');
      await other.query(`create table names (name text); insert into names values ('Müller'), ('Ångström')`);
      await use(testUrl(latin));
      await backup();
      await other.query('delete from names');
      return other;
    };
    await create('LATIN1');
    const other = await fill();
    await restore({ tables: ['names'] });
    expect((await other.query('select name from names order by 1')).rows).to.deep.equal([
      { name: 'Müller' },
      { name: 'Ångström' },
    ]);
    await other.end();
    await workspace.run(() => closeEngines('testing'));
    await client.query(`drop database ${latin} with (force)`);
    await create('SQL_ASCII');
    await fill().then((one) => one.end());
    const error = await failing({ tables: ['names'] });
    expect(error.code).to.equal('USAGE');
    expect(error.message).to.contain('SQL_ASCII').and.contain('was not changed');
    await workspace.run(() => closeEngines('testing'));
    await client.query(`drop database ${latin} with (force)`);
  });

  describe('when it fails', () => {
    it('says why, also where its safety backup cannot be removed', async () => {
      await backup();
      await client.query('insert into wards values (3, null); insert into nurses values (3, 3)');
      const folder = join(workspace.root, 'backups', 'testing');
      const error = await failing({
        tables: ['wards'],
        onProgress: ({ step }) => {
          if (step !== 'replacing rows') return;
          for (const name of readdirSync(folder)) mkdirSync(join(folder, `${name}.partial`, 'x'), { recursive: true });
        },
      });
      expect(error.code).to.equal('SQL_FAILED');
      const left = (await backups()).find(({ label }) => label === 'before a restore');
      expect(error.message)
        .to.contain('(ward)=(3)')
        .and.contain(`The safety backup ${left?.id} is left`)
        .and.contain('was not changed');
    });

    it('says why, also where its own session was ended', async () => {
      const slow = (seconds: number) => `create or replace function slow(text) returns text language plpgsql immutable
        as $$ begin perform pg_catalog.pg_sleep(${seconds}); return $1; end $$;`;
      await client.query(
        `${slow(0)} create table late (name text); create index on late (slow(name)); insert into late values ('x')`,
      );
      await backup();
      await client.query(`drop table late; ${slow(100)}`);
      const killer = await openClient(database.url);
      const isKilled = async () =>
        (await killer.query(`select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'`))
          .rowCount !== 0;
      let killed: Promise<void> | undefined;
      const error = await failing({
        tables: ['late'],
        onProgress: ({ step }) => {
          if (step === 'making indexes and keys') killed ??= until('its session sleeps', isKilled);
        },
      });
      await killed;
      await killer.end();
      expect(error.message).to.contain('terminating connection').and.contain('was not changed');
    });

    it('is done when it is committed, whatever fails then', async () => {
      await backup();
      await client.query('update wards set head = null');
      // the session that keeps other restores out
      const kill = `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = 'postgres' and pid in (select l.pid from pg_locks l where l.locktype = 'advisory')`;
      let last = '';
      const { safetyBackup, warnings } = await restore({
        tables: ['wards'],
        onProgress: ({ step }) => {
          last = step;
          if (step === 'committing') execFileSync('psql', [testUrl('postgres'), '--command', kill]);
          if (step === 'analyzing') throw new Error('the terminal is gone');
        },
      });
      expect(last).to.equal('analyzing');
      expect((await safetyOf(safetyBackup))?.label).to.equal('before a restore');
      expect(await count('wards where head is not null')).to.equal(2);
      expect(warnings.join('\n')).to.contain('the terminal is gone').and.contain('of another moment');
    });

    it('still warns of what is stale where a table cannot be analyzed', async () => {
      await client.query(`alter table wards add column name text;
        create function fails(text) returns text language plpgsql immutable as $$ begin
          if current_query() like 'analyze %' then raise 'not now'; end if; return $1; end $$;
        create index fails on wards (fails(name)); update wards set name = 'x'`);
      await backup();
      const { warnings } = await restore({ tables: ['wards'] });
      expect(warnings.join('\n'))
        .to.contain('refresh materialized view public.counted')
        .and.contain('not now')
        .and.contain('analyze');
    });
  });

  it('encrypts what it replaces where the backups are encrypted, and says so where it cannot', async () => {
    const keys = await generateKeyPair();
    await backup({ encrypt: { recipients: [keys.recipient] } });
    await client.query('update wards set head = null');
    const decrypt = { identities: [keys.identity] };
    const clear = await restore({ tables: ['wards'], decrypt });
    expect(clear.warnings.join()).to.contain(`${clear.safetyBackup} is not encrypted`).and.contain('BACKUP_RECIPIENTS');
    await use(database.url, `BACKUP_RECIPIENTS=${keys.recipient}\n`);
    const result = await restore({ tables: ['wards'], decrypt });
    expect(result.warnings.join()).to.not.contain('is not encrypted');
    const safety = await safetyOf(result.safetyBackup);
    expect(manifestOf(safety?.path)).to.include({ encryption: 'age', format: 'custom' });
    await client.query('insert into wards values (3, null)');
    await restore({ id: result.safetyBackup ?? '', tables: ['wards'], decrypt });
    expect(await count('wards')).to.equal(2);
  });
});
