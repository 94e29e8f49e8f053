import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { generateKeyPair } from '../../../app/services/encryption.js';
import { openClient } from '../../database/open-client.js';
import { endKeeper } from '../../support/end-keeper.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const SCHEMA = `
  create extension citext;
  create schema "Billing & co";
  create schema lives;
  create extension hstore schema lives;
  create type mood as enum ('well', 'ill');
  create table patients (id bigint generated always as identity primary key, name citext not null, mood mood default 'well',
    initial text generated always as (left(name::text, 1)) stored, doctor bigint);
  create table "Billing & co"."Rechnung ""Ü""" (id int primary key, patient_id bigint references patients, amount numeric);
  alter table patients add foreign key (doctor) references patients;
  create table visits (id int, at date not null) partition by range (at);
  create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
  create view names as select name from patients;
  create materialized view patient_count as select count(*) as patients from names;
  create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger touch before insert or update on patients for each row execute function touch();
  alter table patients enable replica trigger touch;
  create procedure finish() language plpgsql as $$
begin
COMMIT;
end $$;
  create function noted() returns event_trigger language plpgsql as $$ begin end $$;
  create event trigger noted on ddl_command_end execute function noted();
  create publication changes for table patients;
  create cast (mood as integer) with inout;
  create server elsewhere foreign data wrapper postgres_fdw;
  alter default privileges grant select on tables to public;
  insert into patients (name) select 'patient ' || i from generate_series(1, 1000) i;
  insert into "Billing & co"."Rechnung ""Ü""" select i, i, i * 1.5 from generate_series(1, 300) i;
  insert into visits select i, date '2025-07-01' + i from generate_series(1, 100) i;
  select lo_from_bytea(4711, 'a large object');
  refresh materialized view patient_count;`;

const FINGERPRINT = `
  select md5(string_agg(line, e'\\n' order by line)) as fingerprint from (
    select 'p' || p::text from patients p
    union all select 'r' || r::text from "Billing & co"."Rechnung ""Ü""" r
    union all select 'v' || v::text || v.tableoid::regclass from visits v
    union all select 'm' || m::text from patient_count m
    union all select 't' || pg_get_triggerdef(t.oid) || t.tgenabled::text from pg_trigger t where not t.tgisinternal and t.tgfoid::regproc::text !~ '^manage_db'
    union all select 'c' || pg_get_constraintdef(c.oid) from pg_constraint c where c.connamespace::regnamespace::text not in ('pg_catalog', 'manage_db')
    union all select 's' || schemaname || sequencename || last_value from pg_sequences where schemaname <> 'manage_db'
    union all select 'e' || evtname from pg_event_trigger union all select 'u' || pubname || tablename from pg_publication_tables
    union all select 'x' || extname from pg_extension union all select 'f' || srvname from pg_foreign_server
    union all select 'l' || lo.oid || encode(lo_get(lo.oid), 'escape') from pg_largeobject_metadata lo
    union all select 'n' || nspname from pg_namespace where nspname !~ '^pg_'
    union all select 'd' || defaclacl::text from pg_default_acl
    union all select 'k' || count(*) from pg_cast where oid >= 16384 and castcontext = 'e'
    union all select 'o' || p.prosrc from pg_proc p where p.proname = 'finish') all_lines (line)`;

const DROPPERS_WAITING = `
  select from pg_locks l join pg_database d on d.oid = l.database
  where d.datname = current_database() and not l.granted and l.mode = 'AccessExclusiveLock'`;

describe('a restore in one transaction', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase(`create extension postgres_fdw; ${SCHEMA}`);
    client = await openClient(database.url);
    await stampAs(client, 'testing');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await client.end();
    await workspace.remove();
    await database.drop();
  });

  const fingerprint = async (): Promise<string> => (await client.query(FINGERPRINT)).rows[0].fingerprint;
  const backup = (options: object = {}) => workspace.run(() => backupDatabase({ env: 'testing', ...options }));
  const restore = (options: Partial<RestoreOptions> = {}) =>
    workspace.run(() =>
      restoreDatabase({
        env: 'testing',
        id: 'latest',
        method: 'transaction',
        disconnectUsers: false,
        consent: { yes: true },
        ...options,
      }),
    );
  const failing = (options: Partial<RestoreOptions> = {}): Promise<ManageDbError> =>
    restore(options).then(
      () => expect.fail('it succeeded'),
      (error: ManageDbError) => error,
    );

  for (const format of ['directory', 'custom'] as const) {
    it(`brings everything back from the ${format} format, in the same database`, async () => {
      const before = await fingerprint();
      const { rows: oid } = await client.query('select oid from pg_database where datname = current_database()');
      await backup({ format });
      await client.query(`
        drop table "Billing & co"."Rechnung ""Ü"""; delete from visits; insert into patients (name) values ('new');
        create table later (id int); create view of_later as select * from patients; create schema later; create publication later for all tables;
        alter table patients disable trigger touch; drop event trigger noted; select lo_unlink(4711); select lo_from_bytea(4712, 'x')`);
      await client.end();
      const result = await restore();
      expect(result).to.include({ strategy: 'transaction', previousDatabase: null });
      client = await openClient(database.url);
      expect(await fingerprint()).to.equal(before);
      expect((await client.query('select oid from pg_database where datname = current_database()')).rows).to.deep.equal(
        oid,
      );
      const { rows } = await client.query(`select count(*)::integer as entries from manage_db.operation_log`);
      expect(rows[0].entries).to.be.greaterThan(1);
    });
  }

  it('ends when what it replaces cannot be backed up, however much of the archive has been read by then', async () => {
    for (const rows of [300, 1000, 12_000]) {
      await client.query(`create table much_${rows} as select i, repeat('x', 100) from generate_series(1, ${rows}) i`);
      await backup();
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\nBACKUP_RECIPIENTS=age1nonsense\n` });
      const failure = await failing({ disconnectUsers: true });
      client = await openClient(database.url);
      expect(failure.code, failure.message).to.equal('USAGE');
      expect(failure.message)
        .to.match(/Recipient 1/)
        .and.match(/was not changed/);
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    }
  });

  it('is what is done for a target that a swap would cut off, and says so', async () => {
    const before = await fingerprint();
    await backup();
    await client.query(`create subscription feed connection 'dbname=nowhere' publication p with (connect = false)`);
    await client.query('delete from visits');
    await client.end();
    const result = await restore({ method: undefined });
    expect(result).to.include({ strategy: 'transaction', because: 'A swap would lose the subscription feed.' });
    expect(result.warnings.join()).to.contain('alter subscription feed refresh publication');
    expect(result.warnings.join()).to.not.contain('No previous database');
    client = await openClient(database.url);
    expect(await fingerprint()).to.equal(before);
    expect(
      (
        await client.query(
          'select from pg_subscription where subdbid = (select oid from pg_database where datname = current_database())',
        )
      ).rowCount,
    ).to.equal(1);
    await client.query(
      'alter subscription feed disable; alter subscription feed set (slot_name = none); drop subscription feed',
    );
    const [safety] = await workspace.run(() => listBackups({ env: 'testing' }));
    expect([safety?.id, safety?.label]).to.deep.equal([result.safetyBackup, 'before a restore']);
    await client.end();
    await restore({ id: result.safetyBackup ?? '' });
    client = await openClient(database.url);
    expect((await client.query('select from visits')).rowCount).to.equal(0);
  });

  it('is what is done for a login that may not create databases', async () => {
    const owner = await scratchLogin('owner');
    await client.query(`create database ${owner.user}_own owner ${owner.user}`);
    const theirs = await openClient(testUrl(`${owner.user}_own`, owner));
    await theirs.query(
      `create schema own; create table own.things (id integer primary key, body text); insert into own.things select n, 'x' from generate_series(1, 50) n`,
    );
    await stampAs(theirs, 'testing');
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(`${owner.user}_own`, owner)}\n` });
    await backup();
    await theirs.query('drop table own.things; create table own.other (id integer)');
    await theirs.end();
    await workspace.run(() => closeEngines('testing'));
    const shown = await workspace.cli(['restore-backup', 'latest', '--env', 'testing', '--yes']);
    expect(shown.code, shown.stderr).to.equal(0);
    expect(shown.stdout).to.contain('restored by transaction').and.contain('may not create databases');
    const again = await openClient(testUrl(`${owner.user}_own`, owner));
    expect((await again.query('select from own.things')).rowCount).to.equal(50);
    expect((await again.query(`select to_regclass('own.other') as other`)).rows).to.deep.equal([{ other: null }]);
    await again.end();
    await workspace.run(() => closeEngines('testing'));
    await client.query(`drop database ${owner.user}_own with (force)`);
    await dropLogins(owner);
  });

  it('does not have the migrations and triggers of another time registered', async () => {
    await workspace.run(() => applyTriggers({ env: 'testing' }));
    await client.query(`create table stamped (id integer, updated_at timestamptz)`);
    await backup();
    await workspace.run(() => applyTriggers({ env: 'testing' }));
    expect((await client.query('select from manage_db.trigger_registry')).rowCount).to.equal(1);
    await client.end();
    expect((await restore()).warnings).to.deep.equal([]);
    client = await openClient(database.url);
    expect((await client.query('select from manage_db.trigger_registry')).rowCount).to.equal(0);
  });

  it('leaves nothing of the time after the backup: privileges, grants, comments, rows of extensions', async () => {
    const role = await scratchLogin('reader');
    await client.query(`
      create schema "APP"; create view "APP".manage_db as select 1 as one; create sequence "APP"."S manage_db" start 7;
      create table config (id integer, own boolean); alter extension citext add table config;
      update pg_extension set extconfig = array['config'::regclass::oid], extcondition = array['where own'] where extname = 'citext';
      insert into config values (1, true), (2, false);
      create function of_number(integer) returns mood language sql as $f$ select 'well'::mood $f$;
      create cast (integer as mood) with function of_number(integer);
      create transform for integer language sql (from sql with function pg_catalog.prsd_lextype(internal));
      create access method heap2 type table handler heap_tableam_handler; create table other_heap (id integer) using heap2;
      alter default privileges in schema public grant select on tables to ${role.user}; alter default privileges grant usage on schemas to ${role.user}`);
    const describe = async () =>
      (
        await client.query(`
      select string_agg(line, e'\\n' order by line) as all_of_it from (
        select n.nspname || c.relname || coalesce(array(select unnest(c.relacl)::text order by 1)::text, '-') from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname !~ '^pg_|information_schema|manage_db'
        union all select nspname || array(select unnest(coalesce(nspacl, acldefault('n', nspowner)))::text order by 1)::text || nspowner || coalesce(obj_description(oid, 'pg_namespace'), '') from pg_namespace where nspname !~ '^pg_'
        union all select 'd' || array(select unnest(defaclacl)::text order by 1)::text || coalesce(defaclnamespace::regnamespace::text, '') from pg_default_acl
        union all select 'c' || id || own from config union all select 't' || trftype from pg_transform
        union all select 'a' || amname from pg_am union all select 's' || last_value from "APP"."S manage_db") x (line)`)
      ).rows[0].all_of_it;
    const before = await describe();
    await backup();
    await client.query(`alter default privileges grant all on tables to ${role.user}; alter default privileges revoke execute on functions from public;
      grant all on schema public, lives to ${role.user}; alter schema lives owner to ${role.user}; comment on schema lives is 'later'; comment on schema public is 'later';
      insert into config values (3, true); drop view "APP".manage_db`);
    await client.end();
    await restore();
    client = await openClient(database.url);
    expect(await describe()).to.equal(before);
    await client.query(`drop owned by ${role.user}`);
    await dropLogins(role);
  });

  it('brings back what is called like the words of a table of contents', async () => {
    const names = `
      select string_agg(line, ', ' order by line) as names from (
        select c.oid::regclass::text from pg_class c where c.relnamespace in ('"DATA"'::regnamespace, '"SCHEMA"'::regnamespace)
        union all select rows::text from "DATA".manage_db as rows
        union all select 'publication ' || pubname from pg_publication) as found (line)`;
    await database.query(`
      create schema "DATA"; create table "DATA".manage_db (id int); insert into "DATA".manage_db values (7);
      create schema "SCHEMA"; create table "SCHEMA"."manage_db " (id int);
      create publication "EXTENSION"; create publication "SCHEMA manage_db";
      create publication "SUBSCRIPTION"`);
    const before = (await database.query<{ names: string }>(names)).rows;
    await backup();
    await database.query('update "DATA".manage_db set id = 8; drop publication "EXTENSION"');
    await client.end();
    await restore();
    client = await openClient(database.url);
    expect((await database.query<{ names: string }>(names)).rows).to.deep.equal(before);
  });

  it('is refused where an extension is somewhere else now', async () => {
    await backup();
    await client.query('alter extension hstore set schema public');
    await client.end();
    const error = await failing();
    client = await openClient(database.url);
    expect(error.code).to.equal('USAGE');
    expect(error.message).to.contain('hstore (lives, now public)').and.contain('was not changed');
  });

  it('loses nothing that was written before it, and is not what "latest" means', async () => {
    await client.query('create table written (id serial primary key)');
    await backup();
    const [made] = await workspace.run(() => listBackups({ env: 'testing' }));
    await client.end();
    let acknowledged = 0;
    let isOver = false;
    const writer = (async () => {
      let other: pg.Client | null = null;
      while (!isOver) {
        try {
          if (other === null) {
            other = new pg.Client(database.url);
            other.on('error', () => undefined);
            await other.connect();
          }
          acknowledged = (await other.query('insert into written default values returning id')).rows[0].id;
        } catch {
          await other?.end().catch(() => undefined);
          other = null;
        }
      }
      await other?.end().catch(() => undefined);
    })();
    await new Promise((resolve) => setTimeout(resolve, 200));
    let last = 0;
    const result = await restore({
      disconnectUsers: true,
      onProgress: ({ step }) => {
        if (step.startsWith('dumping')) last = acknowledged;
      },
    });
    isOver = true;
    await writer;
    expect(last).to.be.greaterThan(0);
    await restore({ id: result.safetyBackup ?? '', disconnectUsers: true });
    client = await openClient(database.url);
    const { rows } = await client.query('select coalesce(max(id), 0) as id from written');
    expect(rows[0].id).to.be.at.least(last);
    await client.end();
    const { tables } = await restore();
    expect(tables.find(({ name }) => name === 'written')?.rows).to.equal(0);
    client = await openClient(database.url);
    expect(made?.label).to.equal(null);
  });

  for (const [what, sql, when] of [
    ['makes a table in one of its schemas', 'create table "Billing & co".late (id int)', 'dumping'],
    ['drops a table', 'drop table visits', 'restoring in one transaction'],
  ] as const) {
    it(`changes nothing when somebody ${what} before everything is dropped`, async () => {
      await backup();
      await client.end();
      let done: Promise<unknown> | null = null;
      const onProgress = ({ step }: { step: string }): void => {
        if (step.startsWith(when))
          done ??= openClient(database.url).then((other) => other.query(sql).finally(() => other.end()));
      };
      const error = await failing({ onProgress });
      await done;
      client = await openClient(database.url);
      expect(error.code).to.equal('DATABASE_IN_USE');
      expect(error.message).to.contain('Somebody made, changed or dropped objects').and.to.contain('was not changed');
      expect((await client.query('select from patients')).rowCount).to.equal(1000);
      expect(await workspace.run(() => listBackups({ env: 'testing' }))).to.have.length(1);
    });
  }

  const ENGAGE = `select manage_db.engage_kill_switch('anna', 'now', null)`;
  for (const [when, beginning, engage] of [
    [
      'what is there is backed up',
      'dumping',
      async (other: pg.Client) => {
        await other.query(ENGAGE);
      },
    ],
    [
      'it restores',
      'restoring in one transaction',
      async (other: pg.Client) => {
        await other.query('begin; lock table names in access share mode');
        // from here on it drops what is there
        while ((await other.query(DROPPERS_WAITING)).rowCount === 0) await sleep(50);
        await other.query(`${ENGAGE}; commit`);
      },
    ],
  ] as const) {
    it(`is stopped by a kill switch that is engaged while ${when}`, async () => {
      await backup();
      const before = await fingerprint();
      await client.end();
      let engaged: Promise<unknown> | null = null;
      const onProgress = ({ step }: { step: string }): void => {
        if (!step.startsWith(beginning)) return;
        engaged ??= openClient(database.url).then((other) => engage(other).finally(() => other.end()));
      };
      const error = await failing({ onProgress });
      await engaged;
      client = await openClient(database.url);
      expect(error.code).to.equal('KILL_SWITCH');
      expect(error.message).to.contain('anna has engaged it: now').and.to.contain('was not changed');
      expect(await fingerprint()).to.equal(before);
      expect(await workspace.run(() => listBackups({ env: 'testing' }))).to.have.length(1);
    });
  }

  it('says what is so when something fails after the commit, and keeps what leads back', async () => {
    await backup();
    await client.query('delete from visits');
    await client.end();
    const error = await failing({
      onProgress: ({ step }) => {
        if (step === 'analyzing') throw new Error('the terminal is gone');
      },
    });
    client = await openClient(database.url);
    expect((await client.query('select from visits')).rowCount).to.equal(100);
    const [safety] = await workspace.run(() => listBackups({ env: 'testing' }));
    expect(error.message)
      .to.contain(`is restored; what it was is backup ${safety?.id}`)
      .and.not.contain('was not changed');
  });

  it('keeps no previous database: refused where that was asked for, said where it turned out so', async () => {
    await backup();
    expect(await failing({ keepPrevious: true })).to.include({ code: 'USAGE' });
    await client.query(`create subscription feed connection 'dbname=nowhere' publication p with (connect = false)`);
    await client.end();
    const result = await restore({ method: undefined, keepPrevious: 3_600_000 });
    client = await openClient(database.url);
    expect(result.strategy).to.equal('transaction');
    expect(result.warnings.join())
      .to.contain('No previous database is kept')
      .and.contain(`manage_db restore-backup ${result.safetyBackup} --env testing`);
    await client.query(
      'alter subscription feed disable; alter subscription feed set (slot_name = none); drop subscription feed',
    );
  });

  it('says why it has failed, also where its safety backup cannot be removed', async () => {
    const { path } = await backup();
    const manifest = join(path, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"rows": 300', '"rows": 301'));
    await client.end();
    const folder = join(workspace.root, 'backups', 'testing');
    const block = () => {
      const done = readdirSync(folder).filter((name) => !name.endsWith('.partial') && !path.endsWith(name));
      for (const name of done) mkdirSync(join(folder, `${name}.partial`, 'x'), { recursive: true });
    };
    const blocking = setInterval(block, 5);
    const error = await failing().finally(() => clearInterval(blocking));
    client = await openClient(database.url);
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message)
      .to.contain('300 rows instead of 301')
      .and.match(/The safety backup \S+ is left/)
      .and.contain('was not changed');
  });

  it('encrypts what it replaces where the backups of the environment are encrypted', async () => {
    const keys = await generateKeyPair();
    workspace.write({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\nBACKUP_RECIPIENTS=${keys.recipient}\n`,
    });
    await backup();
    await client.query('delete from visits');
    await client.end();
    const result = await restore();
    const [safety] = await workspace.run(() => listBackups({ env: 'testing' }));
    expect(safety?.id).to.equal(result.safetyBackup);
    expect(readFileSync(join(safety?.path ?? '', 'manifest.json'), 'utf8')).to.contain('"encryption": "age"');
    await restore({ id: result.safetyBackup ?? '', decrypt: { identities: [keys.identity] } });
    client = await openClient(database.url);
    expect((await client.query('select from visits')).rowCount).to.equal(0);
  });

  it('changes nothing when the session that keeps others out has ended', async () => {
    await backup();
    await client.query('delete from visits');
    await client.end();
    const ending: Promise<unknown>[] = [];
    const error = await failureOf(
      restore({
        onProgress: () => ending.push(endKeeper(database.name)),
      }),
    );
    await Promise.all(ending);
    client = await openClient(database.url);
    expect(error.code, error.message).to.equal('CONNECTION_LOST');
    expect(error.message).to.match(/keeps others out of .* has ended\. .* was not changed\.$/);
    expect((await client.query('select from visits')).rowCount).to.equal(0);
  });

  it('leaves no safety backup where nothing was replaced', async () => {
    await backup();
    const [latest] = await workspace.run(() => listBackups({ env: 'testing' }));
    const path = join(latest?.path ?? '', 'manifest.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"rows": 300', '"rows": 301'));
    await client.end();
    await failing();
    client = await openClient(database.url);
    expect(await workspace.run(() => listBackups({ env: 'testing' }))).to.have.length(1);
  });

  it('changes nothing when somebody uses the database, or the rows are not those of the manifest', async () => {
    await backup();
    await client.query('delete from visits');
    const before = await fingerprint();
    const used = await failing();
    expect([used.code, used.message]).to.satisfy(
      ([code, message]: string[]) => code === 'DATABASE_IN_USE' && message?.includes('was not changed'),
    );
    const [latest] = await workspace.run(() => listBackups({ env: 'testing' }));
    const path = join(latest?.path ?? '', 'manifest.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"rows": 300', '"rows": 301'));
    await client.end();
    const wrong = await failing({ id: latest?.id ?? '' });
    client = await openClient(database.url);
    expect(wrong.code).to.equal('BACKUP_INVALID');
    expect(wrong.message).to.contain('300 rows instead of 301').and.contain('was not changed');
    expect(await fingerprint()).to.equal(before);
  });

  it('waits for nobody for ever, and says whose table it could not have', async () => {
    await backup();
    const before = await fingerprint();
    await client.end();
    let blocker: pg.Client | undefined;
    const error = await failing({
      onProgress: ({ step }) => {
        // somebody who comes after the look at who uses it
        if (step !== 'restoring in one transaction' || blocker !== undefined) return;
        blocker = new pg.Client(database.url);
        void blocker.connect().then(() => blocker?.query('begin; select from patients limit 1'));
      },
    });
    await blocker?.end();
    client = await openClient(database.url);
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain('was not changed');
    expect(await fingerprint()).to.equal(before);
  });
});
