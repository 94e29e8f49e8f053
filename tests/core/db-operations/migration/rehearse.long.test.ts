import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { getWorkspace } from '../../../../app/config/workspace.js';
import { backupDatabase } from '../../../../app/core/db-operations/backup.js';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import {
  findRehearsal,
  requireRehearsal,
  type WantedRehearsal,
} from '../../../../app/core/db-operations/migration/rehearse/find-rehearsal.js';
import { readLiveHistory } from '../../../../app/core/db-operations/migration/rehearse/live-database.js';
import { runSteps } from '../../../../app/core/db-operations/migration/runner.js';
import {
  type Rehearsal,
  type RehearseOptions,
  rehearseMigrations,
} from '../../../../app/core/db-operations/rehearse-migrations.js';
import { withKillSwitchOverride } from '../../../../app/core/safety/override.js';
import { paintFor } from '../../../../scripts/presenters/paint.js';
import { rehearsalOutcome } from '../../../../scripts/presenters/rehearsal.js';
import { cleanEnvironment } from '../../../support/command-line.js';
import { failureOf } from '../../../support/failure-of.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { settingsOf } from '../../../support/settings-of.js';
import { stampAs } from '../../../support/stamp.js';
import { testUrl } from '../../../support/test-server.js';

const ROOT = join(import.meta.dirname, '..', '..', '..', '..');

const CLINIC = `
  create table patients (id int primary key, name text not null, number int not null);
  create index patients_number on patients (number);
  create table visits (id int primary key, patient int references patients);
  insert into patients select n, 'patient ' || n, n from generate_series(1, 1000) n;
  insert into visits select n, n from generate_series(1, 300) n;
  create function touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before update on patients for each row execute function touch();
  analyze`;

const WIDEN = `-- migrate:up
alter table patients alter column number type bigint;
update visits set patient = patient where id <= 10;
create index visits_patient on visits (patient);
create table notes (id int primary key);
-- migrate:down
drop table notes;
drop index visits_patient;
alter table patients alter column number type int;
`;

describe('a rehearsal of migrations', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(() => prepare('testing'));
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const prepare = async (environment: 'testing' | 'production'): Promise<void> => {
    database = await scratchDatabase(CLINIC);
    await withClient(database.url, (client) => stampAs(client, environment));
    workspace = scratchWorkspace({
      [`.env.${environment}`]: `${environment.toUpperCase()}_DATABASE_URL=${database.url}\n`,
    });
  };
  const write = (files: Readonly<Record<string, string>>): void =>
    workspace.write(Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}.sql`, text])));
  const run = (options: RehearseOptions = {}): Promise<Rehearsal | null> =>
    workspace.run(() => rehearseMigrations({ env: 'testing', ...options }));
  const rehearse = async (options: RehearseOptions = {}): Promise<Rehearsal> => {
    const rehearsal = await run(options);
    if (rehearsal === null) throw new Error('nothing was pending');
    return rehearsal;
  };
  const scratchDatabases = async (): Promise<string[]> =>
    (
      await onServer((server) =>
        server.query<{ name: string }>(
          `select datname::text as name from pg_database where datname like 'manage\\_db\\_scratch\\_%'`,
        ),
      )
    ).rows.map(({ name }) => name);

  it('says what a migration locks, rewrites, changes and builds, and that it can be undone', async () => {
    write({ '1_widen': WIDEN });
    const { outcome, migrations, origin, newDrift, warnings } = await rehearse();
    const [widen] = migrations;
    expect({ outcome, warnings, newDrift, from: origin.from }).to.deep.equal({
      outcome: 'clean',
      warnings: [],
      newDrift: [],
      from: 'template',
    });
    expect(migrations).to.have.length(1);
    expect(widen?.durationMs).to.be.a('number');
    expect(widen?.locks.map(({ name, lock }) => [name, lock])).to.deep.equal([
      ['patients', 'AccessExclusiveLock'],
      ['visits', 'ShareLock'],
    ]);
    expect(widen?.locks[0]?.blocks).to.contain('everybody');
    expect(widen?.rewritten.map(({ schema, name, rows }) => [schema, name, rows])).to.deep.equal([
      ['public', 'patients', 1000],
    ]);
    expect(widen?.rewritten[0]?.bytes).to.be.greaterThan(40_000);
    expect(widen?.indexes.map(({ name, table, isAgain }) => [name, table, isAgain])).to.deep.equal([
      ['patients_number', 'patients', true],
      ['patients_pkey', 'patients', true],
      ['visits_patient', 'visits', false],
    ]);
    expect(widen?.changedRows).to.deep.equal([
      { schema: 'public', name: 'visits', inserted: 0, updated: 10, deleted: 0 },
    ]);
    expect(widen?.rollback).to.deep.include({ state: 'clean', afterDown: [], afterUpAgain: [], failure: null });
    const { rows } = await database.query(
      `select format_type(atttypid, null) as type from pg_attribute where attrelid = 'patients'::regclass and attname = 'number'`,
    );
    expect(rows).to.deep.equal([{ type: 'integer' }]);
    expect(await scratchDatabases()).to.deep.equal([]);
  });

  it('names what a way down forgets, of the migration that forgets it', async () => {
    write({
      '1_function': `-- migrate:up
create function helper() returns int language sql as 'select 1';
create table helped (id int);
-- migrate:down
drop table helped;`,
      '2_index': '-- migrate:up\ncreate index visits_patient on visits (patient);\n-- migrate:down\nselect 1;',
      '3_grant': '-- migrate:up\ngrant select on patients to pg_monitor;\n-- migrate:down\nselect 1;',
      '4_mode': '-- migrate:up\nalter table patients disable trigger touch;\n-- migrate:down\nselect 1;',
      '5_fine': '-- migrate:up\nalter table visits add note text;\n-- migrate:down\nalter table visits drop note;',
    });
    const { outcome, migrations } = await rehearse();
    expect(outcome).to.equal('unclean');
    const found = migrations.map(({ version, rollback }) => [
      version,
      rollback.state,
      rollback.afterDown.map(({ kind, name, state }) => `${kind} ${name} ${state}`),
    ]);
    expect(found[4]).to.deep.equal(['5', 'clean', []]);
    expect(found[3]?.[1]).to.equal('unclean');
    expect(String(found[3]?.[2])).to.match(/^trigger touch on public\.patients changed$/);
    expect(String(found[2]?.[2])).to.match(/^grants .*patients.* (left_over|changed)$/);
    expect(String(found[1]?.[2])).to.match(/^index public\.visits_patient left_over$/);
    expect(String(found[0]?.[2])).to.match(/^function public\.helper\(\) left_over$/);
    const again = migrations.map(({ rollback }) => rollback.failure?.message ?? '');
    expect(again[0]).to.contain('function "helper" already exists');
  });

  it('names the rows and values that are lost on the way down, though everything is defined as it was', async () => {
    await database.query(`alter table patients add column phone text; update patients set phone = '555' where id < 10`);
    write({
      '1_phone': `-- migrate:up
alter table patients drop column phone;
update visits set patient = 1 where id = 2;
delete from visits where id = 3;
create table numbers as select number from patients;
-- migrate:down
drop table numbers;
alter table patients add column phone text;
`,
      '2_double': `-- migrate:up
update patients set number = number * 2;
-- migrate:down
update patients set number = number / 2;
`,
    });
    const { outcome, migrations, warnings } = await rehearse();
    expect({ outcome, warnings }).to.deep.equal({ outcome: 'unclean', warnings: [] });
    expect(
      migrations.map(({ rollback }) => [rollback.state, rollback.afterDown.map(({ kind, name }) => `${kind} ${name}`)]),
    ).to.deep.equal([
      ['unclean', ['values public.patients.phone', 'rows public.visits']],
      ['clean', []],
    ]);
    expect(migrations[0]?.rollback.afterDown.map(({ changes }) => changes)).to.deep.equal([
      [{ property: 'number of values', from: 9, to: 0 }],
      [{ property: 'number of rows', from: 300, to: 299 }],
    ]);
  });

  it('claims nothing about rows that it could not compare', async () => {
    await database.query(`
      create type odd as (a int);
      create function said(odd) returns text language plpgsql as 'begin raise exception ''no''; end';
      create cast (odd as text) with function said(odd);
      create table odds (one odd); insert into odds values (row(1))`);
    write({ '1_nothing': '-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;' });
    const { outcome, warnings } = await rehearse();
    expect(outcome).to.equal('clean');
    expect(warnings.join()).to.match(/is not known of what could not be read, or not in time: public\.odds\./);
  });

  it('does not read what a migration leaves without its rows', async () => {
    await database.query('create materialized view counted as select count(*) from patients');
    write({
      '1_empty': `-- migrate:up
refresh materialized view counted with no data;
-- migrate:down
refresh materialized view counted;
`,
    });
    const { outcome, migrations } = await rehearse();
    expect(outcome).to.equal('clean');
    expect(migrations[0]?.rewritten).to.deep.include({ schema: 'public', name: 'counted', rows: 0, bytes: 0 });
  });

  it('shows what fails, with its place, and leaves the rest', async () => {
    write({
      '1_broken':
        '-- migrate:up\nalter table patients add constraint few check (id < 500);\n-- migrate:down\nselect 1;',
      '2_later': '-- migrate:up\nselect 1;',
    });
    const { outcome, migrations, path } = await rehearse();
    expect(outcome).to.equal('failed');
    expect(migrations.map(({ state }) => state)).to.deep.equal(['failed', 'not_run']);
    expect(migrations[0]?.failure?.message).to.match(/1_broken\.sql:2:\d+: .*is violated by some row/);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
  });

  it('has no way down to try where the file has none, and says so', async () => {
    write({
      '1_one_way': '-- migrate:up\nalter table patients drop column number;',
      '2_fine': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;',
    });
    const { outcome, migrations } = await rehearse();
    expect(outcome).to.equal('clean');
    expect(migrations.map(({ rollback }) => rollback.state)).to.deep.equal(['irreversible', 'clean']);
  });

  it('watches a migration that is not one transaction', async () => {
    write({
      '1_concurrently': `-- migrate:up transaction:false
create index concurrently visits_patient on visits (patient);
-- migrate:down transaction:false
drop index concurrently visits_patient;`,
    });
    const { outcome, migrations } = await rehearse({ rehearseFrom: 'stream' });
    expect(outcome).to.equal('clean');
    expect(migrations[0]).to.deep.include({ areLocksSampled: true, changedRows: null, rewritten: [] });
    expect(migrations[0]?.indexes.map(({ name }) => name)).to.deep.equal(['visits_patient']);
  });

  it('goes on without the locks where the session that looks at them is ended, and says so', async () => {
    write({ '1_slow': '-- migrate:up transaction:false\nselect pg_sleep(2);\nalter table visits add note text;' });
    const running = rehearse();
    await until(async () => {
      const { rowCount } = await onServer((server) =>
        server.query(`select pg_terminate_backend(pid) from pg_stat_activity
          where datname like 'manage\\_db\\_scratch%' and query like '%pg_locks%'`),
      );
      return rowCount === 1;
    });
    const { outcome, warnings, migrations } = await running;
    expect([outcome, migrations[0]?.locks]).to.deep.equal(['clean', []]);
    expect(warnings.join()).to.match(
      /^The locks of 1_slow could not be looked at until its end, so some may be missing: /,
    );
    expect(await scratchDatabases()).to.deep.equal([]);
  });

  it('executes nothing that a migration has put into its search_path, nor as its role', async () => {
    write({
      '1_path': `-- migrate:up
create schema evil; grant usage on schema evil to public;
create function evil.eq(name, name) returns boolean language plpgsql as $$ begin raise 'evil'; end $$;
create function evil.eq(text, text) returns boolean language plpgsql as $$ begin raise 'evil'; end $$;
create operator evil.= (leftarg = name, rightarg = name, function = evil.eq);
create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
alter table visits add note text;
update patients set number = 2 where id = 1;
set local role pg_monitor;
set local search_path = evil, pg_catalog;`,
    });
    const { outcome, migrations } = await rehearse();
    expect(migrations[0]?.failure ?? null).to.equal(null);
    expect(outcome).to.equal('clean');
    expect(migrations[0]?.locks.map(({ name, lock }) => [name, lock])).to.deep.equal([
      ['visits', 'AccessExclusiveLock'],
      ['patients', 'RowExclusiveLock'],
    ]);
    expect(migrations[0]?.changedRows).to.deep.equal([
      { schema: 'public', name: 'patients', inserted: 0, updated: 1, deleted: 0 },
    ]);
  });

  it('says which triggers would not be as they are', async () => {
    write({ '1_trigger': '-- migrate:up\ndrop trigger touch on patients;' });
    const { newDrift } = await rehearse();
    expect(newDrift?.map(({ table, name, state, before }) => [table, name, state, before])).to.deep.equal([
      ['patients', 'touch', 'dropped', 'unknown'],
    ]);
  });

  it('is printed with what matters, and is a failure where it shows one', async () => {
    const printed = async () => {
      const outcome = rehearsalOutcome(await run());
      return { text: outcome.text(paintFor(process.stdout, false)), error: outcome.error };
    };
    expect(rehearsalOutcome(null).text(paintFor(process.stdout, false))).to.match(/^No migration is pending/);
    write({ '1_widen': WIDEN });
    const fine = await printed();
    expect(fine.error).to.equal(undefined);
    expect(fine.text).to.match(/locks public\.patients ACCESS EXCLUSIVE: blocks everybody, also those who only read\n/);
    expect(fine.text).to.match(/rewrites public\.patients: 1,000 rows, \d+/);
    expect(fine.text).to.match(/rollback is clean \(down/);
    expect(fine.text).to.match(/\n +checksum {2}[0-9a-f]{64}$/);
    write({ '1_widen': WIDEN.replace('drop table notes;', '') });
    const unclean = await printed();
    expect(unclean.text).to.contain('after down, table public.notes is left over');
    expect(unclean.error?.message).to.contain('Rolling back is not clean: 1_widen.');
    write({ '1_widen': '-- migrate:up\nselect 1/0;' });
    const failed = await printed();
    expect(failed.text).to.match(/✗ 1_widen failed\n +.*1_widen\.sql:2:\d+: division by zero/);
    expect(failed.error).to.include({ code: 'SQL_FAILED' });
  });

  it('has nothing to do where nothing is pending', async () => {
    expect(await failureOf(run())).to.include({ code: 'NOT_FOUND' });
    write({ '1_widen': WIDEN });
    expect(await run({ to: '1', env: 'testing' })).to.not.equal(null);
    await database.query(
      `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
       select '1', 'widen', $1, 1, 'me', 'test'`,
      ['a'.repeat(64)],
    );
    expect(await run()).to.equal(null);
    expect(await failureOf(run({ to: '9' }))).to.include({ code: 'NOT_FOUND' });
  });

  describe('makes its copy', () => {
    it('from the latest backup while somebody is connected, and says why', async () => {
      write({ '1_widen': WIDEN });
      const { id } = await workspace.run(() => backupDatabase({ env: 'testing' }));
      await withClient(database.url, async (client) => {
        await client.query('select 1');
        const { origin, outcome, migrations } = await rehearse();
        expect(outcome).to.equal('clean');
        expect(origin).to.deep.include({ from: 'backup', backup: id });
        expect(origin.because).to.match(/^A template is not possible: the database is in use by .*\(pid /);
        expect(migrations[0]?.rewritten[0]?.rows).to.equal(1000);
        expect(await failureOf(rehearse({ rehearseFrom: 'template' }))).to.include({ code: 'USAGE' });
      });
    });

    it('as a stream where there is no backup, or one of another history', async () => {
      write({ '1_widen': WIDEN });
      await withClient(database.url, async (client) => {
        await client.query('select 1');
        const first = await rehearse();
        expect(first.origin).to.deep.include({ from: 'stream', backup: null });
        expect(first.origin.because).to.match(/No backup/i);
        expect(first.migrations[0]?.rewritten[0]?.rows).to.equal(1000);
      });
      await workspace.run(() => backupDatabase({ env: 'testing' }));
      await database.query(
        `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
         values ('0', 'before', repeat('a', 64), 1, 'me', 'test')`,
      );
      const error = await failureOf(rehearse({ rehearseFrom: 'backup' }));
      expect(error.message).to.contain('no migration was the newest one applied, and now it is 0');
    });

    it('as a stream where a migration that somebody has numbered 10 came after the backup at 9', async () => {
      write({ '11_widen': WIDEN });
      const record = (version: string) =>
        database.query(
          `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
           values ($1, 'by hand', repeat('a', 64), 1, 'me', 'test')`,
          [version],
        );
      await record('9');
      await workspace.run(() => backupDatabase({ env: 'testing' }));
      await record('10');
      await withClient(database.url, async (client) => {
        await client.query('select 1');
        const { origin } = await rehearse();
        expect(origin.from).to.equal('stream');
        expect(origin.because).to.contain('was made when 9 was the newest one applied, and now it is 10');
      });
    });

    it('under the settings of the database', async () => {
      await database.query(`create schema clinic; alter database ${database.name} set search_path = clinic, public`);
      write({ '1_where': '-- migrate:up\ncreate table here (id int);\n-- migrate:down\ndrop table clinic.here;' });
      for (const rehearseFrom of ['template', 'stream'])
        expect((await rehearse({ rehearseFrom })).outcome, rehearseFrom).to.equal('clean');
    });

    it('and refuses what would reach beyond it', async () => {
      write({ '1_role': '-- migrate:up\nselect 1;\ncreate role rehearsed_role;\n-- migrate:down\nselect 1;' });
      const error = await failureOf(rehearse());
      expect(error.code).to.equal('SQL_FAILED');
      expect(error.message).to.match(/1_role\.sql:3:1: This reaches beyond the database, to a role/);
      write({
        '1_role': `-- migrate:up\nselect 1;\ncomment on database ${database.name} is 'x';\n-- migrate:down\nselect 1;`,
      });
      expect((await failureOf(rehearse())).message).to.contain('to a database');
      for (const [sql, what] of [
        [`update pg_database set datconnlimit = 5 where datname = '${database.name}'`, 'pg_database, which all'],
        [
          'with d as (delete from pg_catalog.pg_db_role_setting where false returning 1) select 1',
          'pg_db_role_setting',
        ],
        [`copy patients to program 'true'`, 'a program on the machine'],
        [`do $$ begin perform pg_catalog.pg_reload_conf(); end $$`, 'the server (pg_reload_conf)'],
        [`do $$ declare r record; begin for r in select pg_terminate_backend(0) loop end loop; end $$`, 'of others'],
        [`explain analyze select lo_export(1, '/tmp/nothing')`, 'the files of the server'],
        [`select pg_create_physical_replication_slot('x')`, 'replication slots'],
        [`select * from dblink('', 'select 1') as d (a int)`, 'another database'],
      ]) {
        write({ '1_role': `-- migrate:up\n${sql};` });
        expect((await failureOf(rehearse())).message, sql)
          .to.contain('beyond the database')
          .and.to.contain(what);
      }
      // more than the parser takes, and the server would
      const padding = `select '${'x'.repeat(1000)}';\n`.repeat(2200);
      write({ '1_role': `-- migrate:up\n${padding}create role rehearsed_role;` });
      expect((await failureOf(rehearse())).message).to.contain('nobody can tell whether it reaches beyond');
      const role = `hidden_${database.name}`;
      write({ '1_role': `-- migrate:up\ndo $$ begin execute 'create ' || 'role ${role}'; end $$;` });
      const { warnings } = await rehearse();
      await onServer((server) => server.query(`drop role ${role}`));
      expect(warnings.join()).to.contain(`the role ${role} is there now`);
    });

    it('and says what has changed on the server meanwhile', async () => {
      write({
        '1_hidden': `-- migrate:up
do $$ begin execute 'alter ' || 'database ${database.name} connection limit 7'; end $$;`,
      });
      expect((await rehearse()).warnings.join()).to.contain(`the database ${database.name} is another one`);
    });
  });

  it('of a protected database is never by template, and nobody else can look into the copy', async () => {
    await workspace.remove();
    await database.drop();
    await prepare('production');
    const reader = await scratchLogin('reader');
    await database.query(`grant select on patients to ${reader.user}`);
    write({ '1_slow': '-- migrate:up\nselect pg_sleep(1.5);\n-- migrate:down\nselect 1;' });
    try {
      const running = rehearse({ env: 'production' });
      let scratch: string | undefined;
      while (scratch === undefined) {
        await sleep(20);
        [scratch] = await scratchDatabases();
      }
      const refusals: string[] = [];
      const over = running.then(
        () => true,
        () => true,
      );
      for (;;) {
        const attempt = await withClient(testUrl(scratch, reader), (client) =>
          client.query('select count(*) from patients'),
        ).then(
          () => 'it could be read',
          (error: Error) => error.message,
        );
        refusals.push(attempt);
        if (await Promise.race([over, sleep(50, false)])) break;
      }
      const { origin, outcome } = await running;
      expect(outcome).to.equal('clean');
      expect(origin.from).to.equal('stream');
      expect(origin.because).to.contain('the database is protected');
      expect(refusals).to.include(`permission denied for database "${scratch}"`);
      expect(refusals).to.not.include('it could be read');
    } finally {
      await database.drop();
      await dropLogins(reader);
    }
  });

  it('asks for as much as applying does, where it may change the server of a protected database', async () => {
    await workspace.remove();
    await database.drop();
    await prepare('production');
    const role = `server_wide_${database.name}`;
    write({ '1_role': `-- migrate:up\ncreate role ${role};\n-- migrate:down\ndrop role ${role};` });
    const wanted = { env: 'production', allowServerWide: true } as const;
    const ours = async () =>
      (await onServer((server) => server.query('select from pg_roles where rolname = $1', [role]))).rowCount;
    try {
      expect((await failureOf(rehearse(wanted))).code).to.equal('KILL_SWITCH');
      const override = { confirmation: '', reason: 'a role is new' };
      const refused = () => withKillSwitchOverride(override, () => rehearse(wanted));
      expect((await failureOf(refused())).code).to.equal('CONFIRMATION_MISMATCH');
      expect(await ours()).to.equal(0);
      const confirmation = `EXECUTE REHEARSE_DB_MIGRATION_SERVER_WIDE ON ${database.name}`;
      await withKillSwitchOverride({ ...override, confirmation }, () => rehearse(wanted));
      expect(await ours()).to.equal(1);
    } finally {
      await onServer((server) => server.query(`drop role if exists ${role}`));
    }
  });

  for (const rehearseFrom of ['template', 'stream'] as const) {
    it(`that is killed leaves nothing after the next one (${rehearseFrom})`, async () => {
      write({ '1_slow': '-- migrate:up\nselect pg_sleep(20);' });
      const code = `
        import { rehearseMigrations } from ${JSON.stringify(join(ROOT, 'app', 'index.ts'))};
        await rehearseMigrations({ env: 'testing', rehearseFrom: '${rehearseFrom}' });`;
      const child = spawn(
        process.execPath,
        ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', code],
        {
          cwd: workspace.root,
          env: cleanEnvironment(),
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      );
      while ((await sleeping()) === 0 && child.exitCode === null) await sleep(50);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(await scratchDatabases()).to.have.length(1);
      write({ '1_slow': '-- migrate:up\nselect 1;' });
      // the sessions of the killed one end a little after it
      await until(async () => {
        expect((await rehearse()).outcome).to.equal('clean');
        return (await scratchDatabases()).length === 0;
      });
    });
  }

  const sleeping = async (): Promise<number> => {
    const { rowCount } = await onServer((server) =>
      server.query(
        `select from pg_stat_activity where wait_event = 'PgSleep' and datname like 'manage\\_db\\_scratch%'`,
      ),
    );
    return rowCount ?? 0;
  };
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    for (let attempt = 0; !(await isSo()); attempt += 1) {
      if (attempt > 20) throw new Error('it never is');
      await sleep(250);
    }
  };

  describe('that is demanded', () => {
    let wanted: WantedRehearsal;
    let report: Rehearsal;

    beforeEach(async () => {
      write({ '1_widen': WIDEN });
      report = await rehearse();
      wanted = { environment: 'testing', live: await live(), steps: await steps() };
    });

    const live = () => withClient(database.url, readLiveHistory);
    const steps = async () =>
      ((await readMigrations(join(workspace.root, 'migrations'))) ?? []).map((migration) => ({
        migration,
        direction: 'up' as const,
      }));
    const find = (more: Partial<WantedRehearsal> = {}) =>
      workspace.run(async () => findRehearsal(await getWorkspace(), { ...wanted, ...more })?.id ?? null);
    const refusal = (more: Partial<WantedRehearsal> = {}) =>
      failureOf(workspace.run(async () => requireRehearsal(await getWorkspace(), { ...wanted, ...more })));

    it('is found by what was rehearsed, or by its checksum', async () => {
      expect(await find()).to.equal(report.id);
      expect(await find({ checksum: report.checksum })).to.equal(report.id);
      expect(await find({ checksum: 'f'.repeat(64) })).to.equal(null);
      expect((await refusal({ checksum: 'f'.repeat(64) })).message).to.contain('none has the checksum fff');
    });

    it('counts only for this environment, this database with this history, and these files', async () => {
      expect(await find({ environment: 'staging' })).to.equal(null);
      expect(await find({ live: { ...wanted.live, databaseOid: 1 } })).to.equal(null);
      write({ '1_widen': `${WIDEN}-- a remark\n` });
      expect(await find({ steps: await steps() })).to.equal(null);
      const error = await refusal({ steps: await steps() });
      expect(error).to.include({ code: 'REHEARSAL_REQUIRED', exitCode: 2 });
      expect(error.message).to.contain('or their files have changed');
      write({ '1_widen': WIDEN, '2_more': '-- migrate:up\nselect 1;' });
      expect(await find({ steps: await steps() })).to.equal(null);
      await database.query(
        `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
         values ('0', 'before', repeat('a', 64), 1, 'me', 'test')`,
      );
      expect((await rehearse()).fingerprint).to.not.equal(report.fingerprint);
    });

    it('counts for the rest of a run that has broken off', async () => {
      write({
        '2_two': '-- migrate:up\ncreate table two (id int);\n-- migrate:down\ndrop table two;',
        '3_three': '-- migrate:up\ncreate table three (id int);\n-- migrate:down\ndrop table three;',
      });
      const { id } = await rehearse();
      const [first, second, third] = await steps();
      if (!first || !second || !third) throw new Error('there are three');
      await runSteps(await settingsOf(database.url), [first]);
      const rest = { live: await live(), steps: [second, third] };
      expect(await find(rest)).to.equal(id);
      expect(await find({ ...rest, steps: [third] })).to.equal(null);
      const less = await refusal({ ...rest, steps: [second] });
      expect([less.code, less.hint]).to.deep.equal([
        'REHEARSAL_REQUIRED',
        'Rehearse first: manage_db apply-db-migration --env testing --rehearse --to 2',
      ]);
      await database.query(`update manage_db.migrations set checksum = repeat('a', 64)`);
      expect(await find({ ...rest, live: await live() })).to.equal(null);
    });

    it('does not count when it is too old', async () => {
      await sleep(20);
      expect(await find({ maxAgeMs: 10 })).to.equal(null);
      expect((await refusal({ maxAgeMs: 10 })).message).to.contain('is too long ago');
    });

    it('does not count when somebody has changed it, or when it was not clean', async () => {
      const text = readFileSync(report.path, 'utf8');
      writeFileSync(report.path, text.replace('"rows": 1000', '"rows": 1'));
      expect(await find()).to.equal(null);
      expect((await refusal()).message).to.contain('the file was changed after it was written');
      writeFileSync(report.path, text);
      expect(await find()).to.equal(report.id);
      write({ '1_widen': WIDEN.replace('drop table notes;', '') });
      const unclean = await rehearse();
      expect(unclean.outcome).to.equal('unclean');
      expect(await find({ steps: await steps() })).to.equal(null);
      expect((await refusal({ steps: await steps() })).message).to.contain('the outcome is unclean');
      expect(readdirSync(join(workspace.root, '.manage_db', 'rehearsals'))).to.have.length(2);
    });
  });
});
