import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import {
  type LintFinding,
  type LintOptions,
  lintMigrations,
} from '../../../../app/core/db-operations/lint-migrations.js';
import { applyBaseTriggers } from '../../../../app/core/db-operations/triggers.js';
import { failureOf } from '../../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';
import { testUrl } from '../../../support/test-server.js';

/** Nobody listens there. */
const DOWN = 'TESTING_DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing\n';

describe('lint-db-migration', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace({ '.env.testing': DOWN });
  });
  afterEach(() => workspace.remove());

  const lint = (options: LintOptions = {}) => workspace.run(() => lintMigrations({ env: 'testing', ...options }));
  const migration = (up: string, down = '') =>
    workspace.write({ 'migrations/1_one.sql': `-- migrate:up\n${up}\n-- migrate:down\n${down}\n` });
  const lintUp = async (up: string): Promise<readonly LintFinding[]> => {
    migration(up);
    return (await lint()).findings;
  };

  /** Rule, SQL that it hits, SQL that it does not. */
  const RULES: readonly (readonly [rule: string, hits: string, spares: string])[] = [
    ['drop-cascade', 'drop view named cascade;', 'drop view named;'],
    ['drop-cascade', 'alter table patients drop column name cascade;', 'alter table patients drop column name;'],
    ['drop-owned', 'drop owned by clerk;', 'reassign owned by clerk to nurse;'],
    ['delete-without-where', 'delete from patients;', 'delete from patients where id = 1;'],
    [
      'delete-without-where',
      'with d as (delete from patients returning 1) select 1 from d;',
      'with d as (select 1) select 1;',
    ],
    ['delete-without-where', 'explain (analyze) delete from patients;', 'explain delete from patients;'],
    ['delete-without-where', 'prepare p as delete from patients;', 'prepare p as delete from patients where id = 1;'],
    [
      'delete-without-where',
      'do $$ begin with d as (delete from patients returning 1) insert into x select 1 from d; end $$;',
      'create view x as select 1;',
    ],
    ['update-without-where', 'update patients set ward = 1;', 'update patients set ward = 1 where id = 1;'],
    ['truncate', 'truncate patients;', 'create table t (id bigint); truncate t;'],
    ['truncate', 'truncate visits, patients cascade;', 'delete from patients where id = 1;'],
    ['lock-table', 'lock table patients;', 'create table t (id bigint); lock table t;'],
    ['cluster', 'cluster patients using patients_pkey;', 'alter table patients cluster on patients_pkey;'],
    ['vacuum-full', 'vacuum (full, analyze) patients;', 'vacuum (full off) patients;'],
    ['vacuum-full', 'vacuum full;', 'vacuum;'],
    [
      'refresh-without-concurrently',
      'refresh materialized view counted;',
      'refresh materialized view concurrently counted;',
    ],
    ['rename-enum-value', `alter type mood rename value 'a' to 'b';`, `alter type mood add value 'b';`],
    ['disable-triggers', 'alter table patients disable trigger all;', 'alter table patients disable trigger mine;'],
    ['disable-triggers', 'alter table patients disable trigger user;', 'alter table patients enable trigger user;'],
    [
      'disable-triggers',
      `select pg_catalog.set_config('session_replication_role', 'replica', true);`,
      `select set_config('session_replication_role', 'origin', true);`,
    ],
    ['disable-triggers', `set session_replication_role = 'replica';`, `set session_replication_role = 'origin';`],
    [
      'disable-row-security',
      'alter table patients disable row level security;',
      'alter table patients enable row level security;',
    ],
    ['grant-to-public', 'grant select on patients to public;', 'grant select on patients to clerk;'],
    [
      'grant-to-public',
      'alter default privileges grant select on tables to public;',
      'alter default privileges revoke select on tables from public;',
    ],
    [
      'security-definer-search-path',
      `create function f() returns int language sql security definer as 'select 1';`,
      `create function f() returns int language sql security definer set search_path = pg_catalog as 'select 1';`,
    ],
    ['set-logged', 'alter table patients set unlogged;', 'create table t (id bigint); alter table t set unlogged;'],
    ['set-tablespace', 'alter table patients set tablespace fast;', 'alter table patients set (fillfactor = 90);'],
    [
      'set-access-method',
      'alter table patients set access method heap;',
      'alter table patients replica identity full;',
    ],
    [
      'create-trigger',
      'create trigger t before insert on patients for each row execute function f();',
      'create table p (id bigint); create trigger t before insert on p for each row execute function f();',
    ],
    [
      'create-partition',
      'create table logs_2 partition of logs for values from (1) to (2);',
      'create table logs_2 (like logs);',
    ],
    [
      'attach-partition',
      'alter table logs attach partition logs_2 for values from (1) to (2);',
      'create table logs_2 (id bigint); alter table logs attach partition logs_2 for values from (1) to (2);',
    ],
    [
      'add-exclusion-constraint',
      'alter table visits add constraint once exclude using gist (at with &&);',
      'alter table visits add constraint past check (id > 0) not valid;',
    ],
    ['not-in-transaction', 'create index concurrently on patients (name);', 'create index on patients (name);'],
    [
      'validate-in-same-transaction',
      'alter table visits add constraint c check (id > 0) not valid; alter table visits validate constraint c;',
      'alter table visits validate constraint c;',
    ],
    [
      'work-under-lock',
      'alter table patients add column ward bigint; update patients set ward = 1 where id < 10;',
      'update patients set ward = 1 where id < 10; alter table patients add column other bigint;',
    ],
    [
      'many-tables-locked',
      'alter table patients add column a bigint; alter table visits add column a bigint;',
      'alter table patients add column a bigint; alter table public.patients add column b bigint;',
    ],
    [
      'work-under-lock',
      'lock table patients in share mode; merge into visits using wards on true when matched then do nothing;',
      'alter table patients add column a bigint; insert into visits values (1);',
    ],
    ['session-setting', `set search_path = '';`, `set local search_path = '';`],
    [
      'session-setting',
      `select pg_catalog.set_config('search_path', '', false);`,
      `select pg_catalog.set_config('search_path', '', true);`,
    ],
    ['lasting-setting', `alter role clerk set search_path = '';`, 'alter role clerk nologin;'],
    ['lasting-setting', 'alter system set work_mem = 1;', 'show work_mem;'],
    [
      'squawk/require-concurrent-index-creation',
      'create index on patients (name);',
      'create table t (id bigint); create index on t (id);',
    ],
    [
      'squawk/require-concurrent-index-deletion',
      'drop index patients_name;',
      '-- squawk-ignore require-concurrent-index-deletion\ndrop index patients_name;',
    ],
    [
      'squawk/adding-foreign-key-constraint',
      'alter table visits add constraint f foreign key (patient) references patients (id);',
      'alter table visits add constraint f foreign key (patient) references patients (id) not valid;',
    ],
    [
      'squawk/constraint-missing-not-valid',
      'alter table visits add constraint c check (id > 0);',
      'alter table visits validate constraint c;',
    ],
    [
      'squawk/changing-column-type',
      'alter table patients alter column id type bigint;',
      'alter table patients alter column id set statistics 10;',
    ],
    [
      'squawk/adding-field-with-default',
      'alter table patients add column at timestamptz default clock_timestamp();',
      'alter table patients add column at timestamptz default now();',
    ],
    ['syntax-error', 'create tabel t (id bigint);', 'create table t (id bigint);'],
  ];

  for (const [rule, hits, spares] of RULES) {
    it(`says ${rule} of: ${hits}`, async () => {
      expect((await lintUp(hits)).map((one) => one.rule)).to.include(rule);
    });
    it(`does not say ${rule} of: ${spares.replaceAll('\n', ' ')}`, async () => {
      expect((await lintUp(spares)).map((one) => one.rule)).to.not.include(rule);
    });
  }

  it('names the lock, whom it blocks, for how long, and the safe rewrite', async () => {
    const [finding] = (await lintUp('create index patients_name on patients (name);')).filter(
      ({ rule }) => rule === 'squawk/require-concurrent-index-creation',
    );
    expect(finding).to.include({ lock: 'SHARE', blocks: 'writes', table: 'patients', severity: 'error' });
    expect(finding?.estimate).to.match(/reads the whole table/);
    expect(finding?.rewrite).to.equal(
      '-- transaction: false, in a file of its own\ncreate index concurrently patients_name on patients (name);',
    );
  });

  it('names both tables of a foreign key', async () => {
    const found = await lintUp('alter table visits add constraint f foreign key (p) references patients (id);');
    const finding = found.find(({ rule }) => rule === 'squawk/adding-foreign-key-constraint');
    expect(finding).to.include({ lock: 'SHARE ROW EXCLUSIVE', table: 'visits' });
    expect(finding?.message).to.include('It also takes SHARE ROW EXCLUSIVE on patients.');
  });

  it('looks into DO blocks, also at what they execute as text', async () => {
    const found = await lintUp(
      [
        'do $$',
        'declare r record;',
        'begin',
        '  for r in select 1 loop',
        '    drop table wards cascade;',
        '  end loop;',
        `  execute 'truncate visits';`,
        'end $$;',
      ].join('\n'),
    );
    const places = found.map(({ rule, line, column }) => [rule, line, column]);
    expect(places).to.deep.include(['drop-cascade', 6, 5]);
    expect(places).to.deep.include(['truncate', 8, 12]);
  });

  it('knows a table that an earlier migration of the run has created', async () => {
    workspace.write({
      'migrations/1_one.sql': '-- migrate:up\ncreate table fresh (id bigint);\n',
      'migrations/2_two.sql': '-- migrate:up\ncreate index on public.fresh (id);\n',
    });
    expect((await lint()).findings).to.deep.equal([]);
    // what is in use by now was created long ago
    expect((await lint({ all: true })).findings).to.have.length(1);
  });

  it('does not take CREATE TABLE IF NOT EXISTS for a new table', async () => {
    const found = await lintUp('create table if not exists t (id bigint); truncate t;');
    expect(found.map(({ rule }) => rule)).to.include('truncate');
  });

  it('shows the place in the file, whatever its line ends, its byte order mark and its letters', async () => {
    workspace.write({
      'migrations/1_one.sql': `\ufeff-- migrate:up\r\n\r\nselect 'ü€😀'; drop index a;\r\n  select '😀'; truncate b;\r\n`,
    });
    const { findings } = await lint();
    const place = (rule: string) =>
      findings.filter((one) => one.rule === rule).map(({ line, column }) => [line, column]);
    expect(place('squawk/require-concurrent-index-deletion')).to.deep.equal([[3, 15]]);
    expect(place('truncate')).to.deep.equal([[4, 15]]);
  });

  it('lints the down part too when asked to', async () => {
    migration('select 1;', 'truncate patients;');
    expect((await lint()).findings).to.deep.equal([]);
    const { findings } = await lint({ down: true });
    expect(findings.map(({ rule, direction, line }) => [rule, direction, line])).to.deep.equal([
      ['truncate', 'down', 4],
    ]);
  });

  it('knows a part that runs outside of a transaction, and what is meant for that', async () => {
    workspace.write({
      'migrations/1_one.sql': '-- transaction: false\n-- migrate:up\ncreate index concurrently on patients (name);\n',
      'migrations/2_two.sql':
        '-- migrate:up transaction:false\nalter table a add column x text;\nalter table b add column x text;\n',
    });
    expect((await lint()).findings).to.deep.equal([]);
  });

  it('says that it cannot lint what a function does', async () => {
    workspace.write({
      'migrations/1_one.ts': 'export async function up(db) { await db.query("truncate patients"); }\n',
    });
    const { findings, warnings } = await lint();
    expect(findings).to.deep.equal([]);
    expect(warnings.join('\n')).to.include('1_one.ts was not linted');
  });

  it('lints files that are no migrations', async () => {
    workspace.write({ 'fix.sql': 'truncate patients;\n' });
    const { findings, files } = await lint({ files: [join(workspace.root, 'fix.sql')] });
    expect(files).to.equal(1);
    expect(findings.map(({ rule }) => rule)).to.deep.equal(['truncate']);
  });

  it('says once what is dangerous within a statement', async () => {
    const found = await lintUp('explain analyze with d as (delete from notes returning 1) select 1 from d;');
    expect(found.map(({ rule, table, line }) => [rule, table, line])).to.deep.equal([
      ['delete-without-where', 'notes', 2],
    ]);
  });

  it('reads each file once, and nothing that is no file', async () => {
    workspace.write({ 'fix.sql': 'delete from patients;' });
    const fix = join(workspace.root, 'fix.sql');
    const { findings, files } = await lint({ files: [fix, join(workspace.root, '.', 'fix.sql')] });
    expect([findings.map(({ rule }) => rule), files]).to.deep.equal([['delete-without-where'], 1]);
    expect(await failureOf(lint({ files: ['/dev/zero'] })))
      .to.have.property('message')
      .that.contains('/dev/zero is no regular file');
    expect(await failureOf(lint({ files: ['.'] })))
      .to.have.property('message')
      .that.matches(/^\. is a folder/);
  });

  it('says what every statement locks', async () => {
    migration('create table t (id bigint references patients (id));\nalter table visits drop column x;');
    expect((await lint()).statements.map(({ line, kind, locks }) => ({ line, kind, locks }))).to.deep.equal([
      {
        line: 2,
        kind: 'create table',
        locks: [{ table: 'patients', kind: 'table', mode: 'SHARE ROW EXCLUSIVE' }],
      },
      { line: 3, kind: 'alter table', locks: [{ table: 'visits', kind: 'table', mode: 'ACCESS EXCLUSIVE' }] },
    ]);
  });

  it('refuses to drop, disable or replace a trigger that the workspace declares', async () => {
    workspace.write({
      'triggers/tidy.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('tidy', { table: 'notes', timing: 'before', on: ['insert'], function: 'tidy' });`,
    });
    const isManaged = async (up: string) => (await lintUp(up)).some(({ rule }) => rule === 'managed-trigger');
    expect(await isManaged('drop trigger tidy on notes;')).to.equal(true);
    expect(await isManaged('drop trigger if exists tidy on public.notes;')).to.equal(true);
    expect(await isManaged('alter table notes disable trigger tidy;')).to.equal(true);
    expect(await isManaged('alter trigger tidy on notes rename to untidy;')).to.equal(true);
    expect(
      await isManaged('create or replace trigger tidy before update on notes for each row execute function f();'),
    ).to.equal(true);
    expect(await isManaged('drop function public.tidy() cascade;')).to.equal(true);
    expect(await isManaged('drop function tidy();')).to.equal(false);
    expect(await isManaged('drop function other() cascade;')).to.equal(false);
    expect(await isManaged('drop trigger other on notes;')).to.equal(false);
    expect(await isManaged('drop trigger tidy on visits;')).to.equal(false);
  });

  it('proposes commands for the environment that was linted, as a shell takes them', async () => {
    workspace.write({
      'triggers/tidy.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('tidy up', { table: 'Notes', timing: 'before', on: ['insert'], function: 'tidy' });`,
    });
    const rewriteOf = async (up: string, wanted = 'managed-trigger') =>
      (await lintUp(up)).find(({ rule }) => rule === wanted)?.rewrite;
    expect(await rewriteOf('drop trigger "tidy up" on "Notes";')).to.equal(
      `-- manage_db drop-db-trigger "tidy up" --table '"Notes"' --env testing`,
    );
    expect(await rewriteOf('alter table "Notes" disable trigger "tidy up";')).to.equal(
      `-- manage_db disable-db-trigger "tidy up" --table '"Notes"' --env testing`,
    );
    const apply = 'manage_db apply-db-triggers --env testing';
    expect(await rewriteOf('drop function tidy() cascade;')).to.equal(`-- after the declaration: ${apply}`);
    expect(
      await rewriteOf('create trigger x before update on y for each row execute function f();', 'create-trigger'),
    ).to.equal(`-- declare x in triggers/: ${apply}`);
  });

  describe('ignore comments', () => {
    it('ignore the rules they name for the statement below', async () => {
      migration('-- manage_db:ignore truncate, drop-cascade nobody needs them\ntruncate a;\ntruncate b;\n');
      const { findings, warnings } = await lint();
      expect(findings.filter(({ rule }) => rule === 'truncate').map(({ line }) => line)).to.deep.equal([4]);
      expect(warnings.join('\n')).to.match(/1_one\.sql:2: manage_db:ignore drop-cascade ignores nothing\./);
      expect(warnings.join('\n')).to.not.match(/ignore truncate/);
    });

    it('ignore rules of squawk, by either name', async () => {
      for (const name of ['squawk/require-concurrent-index-deletion', 'require-concurrent-index-deletion']) {
        expect(await lintUp(`-- manage_db:ignore ${name}\ndrop index a;`)).to.deep.equal([]);
      }
    });

    it('ignore a rule in the whole file', async () => {
      const found = await lintUp('truncate a;\ntruncate b;\n-- manage_db:ignore-file truncate\n');
      expect(found.map(({ rule }) => rule)).to.not.include('truncate');
    });

    it('are none in a string', async () => {
      const found = await lintUp(`select '\n-- manage_db:ignore-file truncate\n'; truncate a;`);
      expect(found.map(({ rule }) => rule)).to.include('truncate');
    });

    it('ignore what a DO block executes, above the block', async () => {
      const found = await lintUp('-- manage_db:ignore truncate\ndo $$ begin truncate a; end $$;');
      expect(found).to.deep.equal([]);
    });
  });

  describe('with a database', () => {
    let db: ScratchDatabase;
    beforeEach(async () => {
      db = await scratchDatabase(`
        create schema clinic;
        create table clinic.patients (id bigint primary key, name text);
        insert into clinic.patients select n, repeat('x', 1000) from generate_series(1, 15000) n;
        create table clinic.wards (id bigint primary key); create index wards_id on clinic.wards (id);
        create table logs (at bigint) partition by range (at);
        create table logs_1 partition of logs for values from (0) to (100);
        insert into logs select n % 100 from generate_series(1, 1000) n;
        analyze;`);
      await db.query(`alter database ${db.name} set search_path = clinic, public`);
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    });
    afterEach(() => db.drop());

    it('knows how large the table is, and what that means', async () => {
      const [finding] = await lintUp('create index on patients (name);');
      expect(finding).to.include({ table: 'clinic.patients', tableRows: 15_000, severity: 'error' });
      expect(finding?.tableBytes).to.be.greaterThan(15_000_000);
      expect(finding?.estimate).to.match(/in the order of/);
      expect(finding?.estimateMs).to.be.within(100, 2000);
    });

    it('makes no error of a scan that is over before anybody notices', async () => {
      const [finding] = await lintUp('create index on wards (id);');
      expect(finding).to.include({ table: 'clinic.wards', severity: 'warning' });
    });

    it('finds the table of an index, and counts the rows of partitions', async () => {
      const found = await lintUp('drop index clinic.wards_id; truncate logs;');
      const tables = found.map(({ rule, table, tableRows }) => [rule, table, tableRows]);
      expect(tables).to.deep.include(['squawk/require-concurrent-index-deletion', 'clinic.wards', 0]);
      expect(tables).to.deep.include(['truncate', 'public.logs', 1000]);
    });

    it('lints only what is pending, unless asked for all', async () => {
      await db.query(`create schema manage_db; create table manage_db.migrations (version text, name text,
        checksum text, duration_ms int, actor text, tool text, applied_at timestamptz default now());
        insert into manage_db.migrations (version, name) values ('1', 'one')`);
      workspace.write({
        'migrations/1_one.sql': '-- migrate:up\ntruncate patients;\n',
        'migrations/2_two.sql': '-- migrate:up\ntruncate wards;\n',
      });
      expect((await lint()).findings.map(({ table }) => table)).to.deep.equal(['clinic.wards']);
      expect((await lint({ all: true })).findings.map(({ table }) => table)).to.deep.equal([
        'clinic.patients',
        'clinic.wards',
      ]);
    });

    it('looks up whatever is named: views, sequences, indexes of partitions', async () => {
      await db.query('create view v as select 1 as a; create sequence s; create index logs_at on logs (at)');
      const found = await lintUp(
        'drop view v cascade; drop sequence s cascade; drop index logs_at; drop view gone cascade;',
      );
      const own = found.filter(({ rule }) => rule === 'drop-cascade' || rule.endsWith('index-deletion'));
      expect(own.map(({ table }) => table)).to.deep.equal(['clinic.v', 'clinic.s', 'public.logs', 'gone']);
    });

    it('lints all migrations for a login that may not read which were applied', async () => {
      await withClient(db.url, (client) => stampAs(client, 'testing'));
      const login = await scratchLogin('lint_reader');
      try {
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(db.name, login)}\n` });
        migration('truncate patients;');
        const { findings, warnings } = await lint();
        expect(findings.map(({ rule }) => rule)).to.deep.equal(['truncate']);
        expect(warnings.join('\n')).to.include('may not read which migrations were applied');
      } finally {
        await dropLogins(login);
      }
    });

    it('refuses to drop a trigger that manage_db has installed', async () => {
      await db.query('create table clinic.notes (id bigint primary key, body text, updated_at timestamptz)');
      await withClient(db.url, (client) => stampAs(client, 'testing'));
      await workspace.run(() => applyBaseTriggers({ env: 'testing', consent: { yes: true } }));
      const { rows } = await db.query<{ name: string }>('select trigger_name as name from manage_db.trigger_registry');
      expect(rows).to.not.deep.equal([]);
      const found = await lintUp(`drop trigger ${rows[0]?.name} on notes; drop trigger other on notes;`);
      expect(found.filter(({ rule }) => rule === 'managed-trigger')).to.have.length(1);
    });

    it('changes nothing, and does not wait for who has the table', async () => {
      await withClient(db.url, async (other) => {
        await other.query('begin; lock table clinic.patients');
        migration('truncate patients;');
        const { findings, warnings } = await lint();
        expect(findings.map(({ rule, tableBytes }) => [rule, tableBytes])).to.deep.equal([['truncate', null]]);
        expect(warnings.join('\n')).to.match(/sizes of the tables could not be read/);
      });
      const { rows } = await db.query<{ count: number }>('select count(*)::int from clinic.patients');
      expect(rows[0]?.count).to.equal(15_000);
    });
  });

  it('executes no operator that the search_path puts before those of PostgreSQL', async () => {
    const db = await scratchDatabase(`create table patients (id bigint);
      create schema evil;
      create function evil.eq(name, name) returns boolean language plpgsql as $$ begin raise 'name'; end $$;
      create function evil.eq(text, text) returns boolean language plpgsql as $$ begin raise 'text'; end $$;
      create function evil.eq(oid, oid) returns boolean language plpgsql as $$ begin raise 'oid'; end $$;
      create operator evil.= (leftarg = name, rightarg = name, function = evil.eq);
      create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
      create operator evil.= (leftarg = oid, rightarg = oid, function = evil.eq);`);
    try {
      await withClient(db.url, (client) => stampAs(client, 'testing'));
      await db.query(`alter database ${db.name} set search_path = evil, pg_catalog, public`);
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
      migration('truncate patients;');
      const { findings, warnings } = await lint();
      expect(warnings).to.deep.equal([]);
      expect(findings.find(({ rule }) => rule === 'truncate')?.table).to.equal('public.patients');
    } finally {
      await db.drop();
    }
  });

  describe('on the command line', () => {
    it('prints one object, and ends with 1 only at or above --fail-on', async () => {
      migration('drop table visits;');
      const run = async (...args: string[]) => workspace.cli(['lint-db-migration', '--env', 'testing', ...args]);
      const result = await run('--json');
      const { data, warnings } = result.json();
      expect(data).to.have.all.keys('findings', 'counts', 'statements', 'files', 'database');
      expect(data.database).to.equal(null);
      expect(data.counts).to.deep.equal({ notice: 0, warning: 1, error: 0 });
      expect(data.findings[0]).to.include({
        rule: 'squawk/ban-drop-table',
        lock: 'ACCESS EXCLUSIVE',
        line: 2,
        column: 1,
      });
      expect(warnings.join('\n')).to.match(/could not be asked/);
      expect(result.code).to.equal(0);
      const failed = await run('--fail-on', 'warning', '--json');
      const { ok, error, data: same } = failed.json();
      expect([failed.code, ok, same]).to.deep.equal([1, false, data]);
      expect(error?.code).to.equal('CHECK_FAILED');
      expect(error?.message).to.match(/^migrations\/1_one\.sql:2:1 {2}squawk\/ban-drop-table: /);
      expect(error?.hint).to.equal(data.findings[0].rewrite);
      const file = join(workspace.root, 'migrations', '1_one.sql');
      const failing = { file, line: 2, rule: 'squawk/ban-drop-table', severity: 'warning' };
      expect(error?.details).to.deep.equal({ failOn: 'warning', failed: [failing] });
      migration('drop table visits;\ntruncate visits;');
      const worst = await run('--fail-on', 'warning');
      expect(worst.code).to.equal(1);
      expect(worst.stderr)
        .to.contain('CHECK_FAILED  migrations/1_one.sql:3:1  truncate: ')
        .and.contain('(and 1 more)\n→ delete from visits where …;');
      migration('nonsense;');
      expect((await run()).stderr).to.contain(
        '→ Change it, and look again: manage_db lint-db-migration "migrations/1_one.sql" --env testing',
      );
      expect((await run('--fail-on', 'never')).code).to.equal(0);
      expect((await run('--fail-on', 'nonsense')).code).to.equal(2);
      expect((await run('not-there.sql')).code).to.equal(2);
    });

    it('shows the locks of every statement with --verbose', async () => {
      migration('drop table visits;');
      const { stdout } = await workspace.cli(['lint-db-migration', '--env', 'testing', '--verbose']);
      expect(stdout).to.match(/1_one\.sql:2 {2}drop table: ACCESS EXCLUSIVE on visits/);
    });

    it('goes on without squawk, and says so', async () => {
      const home = installedWithoutSquawk();
      try {
        migration('truncate visits; drop index a;');
        const { stdout } = await execa(
          process.execPath,
          [join(home, 'dist/scripts/manage_db.js'), 'lint-db-migration', '--env', 'testing', '--json'],
          { cwd: workspace.root, reject: false },
        );
        const { data, warnings } = JSON.parse(stdout);
        expect(data.findings.map(({ rule }: LintFinding) => rule)).to.include('truncate');
        expect(JSON.stringify(data.findings)).to.not.include('squawk/');
        expect(warnings.join('\n')).to.match(/squawk is not installed/);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });
  });
});

/** The package as npm installs it with --omit=optional. */
function installedWithoutSquawk(): string {
  const root = join(import.meta.dirname, '../../../..');
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-no-squawk-')));
  for (const part of ['dist', 'app/database', 'package.json'])
    cpSync(join(root, part), join(home, part), { recursive: true });
  const modules = realpathSync(join(root, 'node_modules'));
  mkdirSync(join(home, 'node_modules'));
  for (const name of readdirSync(modules)) {
    if (!name.includes('squawk')) symlinkSync(join(modules, name), join(home, 'node_modules', name));
  }
  writeFileSync(join(home, '.npmrc'), 'omit=optional\n');
  return home;
}
