import { expect } from 'chai';
import { readTap } from '../../../../app/core/db-operations/migration/test/tap.js';
import {
  type TestedMigrations,
  type TestMigrationsOptions,
  testMigrations,
} from '../../../../app/core/db-operations/test-migrations.js';
import { type DebianServer, debianServer, programsWith } from '../../../support/debian-server.js';
import { failureOf } from '../../../support/failure-of.js';
import { needOlderServer } from '../../../support/need-server.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';

const PATIENTS = {
  '1_patients':
    '-- migrate:up\ncreate table patients (id int primary key, name text);\n-- migrate:down\ndrop table patients;',
  '2_visits': `-- migrate:up
create table visits (id int primary key, patient int not null references patients);
-- migrate:down
drop table visits;`,
};

describe('a test of migrations', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const write = (files: Readonly<Record<string, string>>): void =>
    workspace.write(Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}.sql`, text])));
  const run = (options: TestMigrationsOptions = {}): Promise<TestedMigrations> =>
    workspace.run(() => testMigrations({ env: 'testing', ...options }));
  const applied = (...versions: string[]) =>
    database.query(
      `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
       select v, 'x', repeat('a', 64), 1, 'me', 'test' from unnest($1::text[]) v`,
      [versions],
    );

  it('goes up, down and up again, on a database of its own', async () => {
    write(PATIENTS);
    const { ok, tested, replayed, because } = await run();
    expect({ ok, replayed, because }).to.deep.equal({ ok: true, replayed: 0, because: 'All are pending.' });
    expect(
      tested.map(({ version, up, down, upAgain }) => [version, up.state, down.state, upAgain.state]),
    ).to.deep.equal([
      ['1', 'ok', 'ok', 'ok'],
      ['2', 'ok', 'ok', 'ok'],
    ]);
    const { rows } = await database.query(`select from pg_tables where schemaname = 'public'`);
    expect(rows).to.deep.equal([]);
    const left = await onServer((server) =>
      server.query(`select from pg_database where datname like 'manage\\_db\\_scratch%'`),
    );
    expect(left.rowCount).to.equal(0);
  });

  it('tests what is pending, or what is named, and all where nothing is pending', async () => {
    write(PATIENTS);
    const versions = async (options: TestMigrationsOptions = {}) => {
      const { tested, replayed } = await run(options);
      return [...tested.map(({ version }) => version), replayed];
    };
    await applied('1');
    expect(await versions()).to.deep.equal(['2', 1]);
    expect(await versions({ versions: ['patients'] })).to.deep.equal(['1', 0]);
    expect(await versions({ all: true })).to.deep.equal(['1', '2', 0]);
    await applied('2');
    expect(await versions()).to.deep.equal(['1', '2', 0]);
    expect(await failureOf(run({ versions: ['visit'] }))).to.include({
      code: 'NOT_FOUND',
      hint: 'Did you mean visits?',
    });
  });

  it('knows a version that was recorded with other zeros before it', async () => {
    write({ '001_patients': PATIENTS['1_patients'], '002_visits': PATIENTS['2_visits'] });
    await applied('1');
    expect((await run()).tested.map(({ version }) => version)).to.deep.equal(['002']);
  });

  it('finds what a way down forgets', async () => {
    write({
      ...PATIENTS,
      '3_forgetful': `-- migrate:up
create function helper() returns int language sql as 'select 1';
create index visits_patient on visits (patient);
grant select on visits to pg_monitor;
-- migrate:down
drop index visits_patient;`,
    });
    const { ok, tested } = await run({ versions: ['3'] });
    expect(ok).to.equal(false);
    const [{ differences = [], upAgain } = {}] = tested;
    expect(differences.map(({ after, kind, name, state }) => `${after}: ${kind} ${name} ${state}`)).to.deep.equal([
      'down: function public.helper() left_over',
      ...differences.filter(({ kind }) => kind === 'grants').map(({ name, state }) => `down: grants ${name} ${state}`),
    ]);
    expect(differences).to.have.length(2);
    expect(upAgain?.failure?.message).to.contain('function "helper" already exists');
  });

  it('finds a second way up that does not lead where the first one did', async () => {
    write({
      '1_kind': `-- migrate:up
do $$ begin
  if to_regtype('kind') is null then create type kind as enum ('a', 'b'); else alter type kind add value 'c'; end if;
end $$;
create table sorts (id int);
-- migrate:down
drop table sorts;`,
    });
    const { tested } = await run();
    const found = tested[0]?.differences.map(({ after, kind, name, state }) => `${after}: ${kind} ${name} ${state}`);
    expect(found?.[0]).to.match(/^down: .* public\.kind left_over$/);
    expect(found?.[1]).to.match(/^up_again: .* public\.kind changed$/);
  });

  it('fails where there is no way down only when it is strict', async () => {
    write({ '1_one_way': '-- migrate:up\ncreate table patients (id int);' });
    const { ok, tested } = await run();
    expect([ok, tested[0]?.down.state, tested[0]?.upAgain.state]).to.deep.equal([true, 'none', 'not_run']);
    expect((await run({ strict: true })).ok).to.equal(false);
  });

  it('runs the tests beside a migration, and nothing of them stays', async () => {
    write({
      ...PATIENTS,
      '1_patients.test': `insert into patients values (1, 'Ada');
do $$ begin assert (select count(*) = 1 from patients), 'Ada is there'; end $$;`,
      '2_visits.test': `do $$ begin assert (select count(*) = 0 from patients), 'nobody is there'; end $$;
insert into visits values (1, 99);`,
    });
    const { ok, tested } = await run();
    expect(ok).to.equal(false);
    expect(tested[0]?.tests).to.deep.equal([
      { file: '1_patients.test.sql', ok: true, passed: 1, failed: 0, detail: '' },
    ]);
    const [failed] = tested[1]?.tests ?? [];
    expect(failed).to.include({ ok: false, passed: 0, failed: 1 });
    expect(failed?.detail).to.match(/2_visits\.test\.sql:2:1: .*violates foreign key constraint/);
    write({ '1_patients.test': `select 1;\ncommit;` });
    const [ending] = (await run({ versions: ['1'] })).tested;
    expect(ending?.tests[0]?.detail).to.match(
      /1_patients\.test\.sql:2:1: The file begins or ends the transaction itself/,
    );
    write({ '1_patients.test': `do $$ begin\n  assert (select count(*) = 1 from patients), 'Ada is there';\nend $$;` });
    expect((await run({ versions: ['1'] })).tested[0]?.tests[0]?.detail).to.contain('Ada is there');
  });

  it('fails a test that tests nothing, or gives up', async () => {
    for (const [text, detail] of [
      ['', 'It tests nothing: no statement is in it.'],
      ['-- later\n', 'It tests nothing: no statement is in it.'],
      [`select 'Bail out! no such clinic';`, 'Bail out! no such clinic'],
    ]) {
      write({ '1_patients': PATIENTS['1_patients'], '1_patients.test': text ?? '' });
      const { ok, tested } = await run();
      expect([ok, tested[0]?.tests.map((test) => [test.ok, test.failed, test.detail])]).to.deep.equal([
        false,
        [[false, 1, detail]],
      ]);
    }
  });

  it('says what fails on the way, and what was not tested because of it', async () => {
    write({
      ...PATIENTS,
      '3_broken': '-- migrate:up\nselect 1;\ncreate tabel x ();',
      '4_later': '-- migrate:up\nselect 1;',
    });
    const { tested } = await run({ all: true });
    expect(tested.map(({ version, up }) => [version, up.state])).to.deep.equal([
      ['1', 'ok'],
      ['2', 'ok'],
      ['3', 'failed'],
      ['4', 'not_run'],
    ]);
    expect(tested[2]?.up.failure?.message).to.match(/3_broken\.sql:3:8: syntax error/);
    expect((await failureOf(run({ versions: ['4'] }))).message).to.match(/3_broken\.sql:3:8/);
  });

  it('works before the database is there', async () => {
    write(PATIENTS);
    await database.drop();
    expect((await run()).ok).to.equal(true);
  });

  it('executes nothing where a test would reach beyond the scratch database', async () => {
    for (const sql of [
      'select pg_terminate_backend(pid) from pg_stat_activity',
      `copy (select 1) to program 'true'`,
      'do $$ begin create role tested; end $$',
    ]) {
      write({ ...PATIENTS, '2_visits.test': `select 1;\n${sql};` });
      const error = await failureOf(run());
      expect(error.message, sql).to.match(/2_visits\.test\.sql:2:\d+: This reaches beyond the database/);
      expect(error.hint).to.contain('--allow-server-wide');
    }
  });

  it('executes nothing of what a server understands that is older than the parser, and nobody else', async function () {
    await needOlderServer(this, 16, 'a column system_user');
    for (const sql of ['create role tested', 'select 1'])
      for (const name of ['2_visits.test', '3_more']) {
        write({ ...PATIENTS, [name]: `-- migrate:up\ncreate table t (system_user text);\n${sql};` });
        expect((await failureOf(run())).message, name).to.contain('nobody can tell whether it reaches beyond');
      }
    expect(
      await onServer(async (server) => (await server.query(`select from pg_roles where rolname = 'tested'`)).rowCount),
    ).to.equal(0);
  });

  it('prints what was done, and fails with the whole of it', async () => {
    write({ ...PATIENTS, '2_visits.test': 'select 1/0;' });
    const failed = await workspace.cli(['test_db_migration', '2', '1', '--env', 'testing', '--json']);
    expect(failed.code, failed.stderr).to.equal(1);
    const { data, error } = failed.json();
    expect(data.tested.map(({ version }: { version: string }) => version)).to.deep.equal(['1', '2']);
    expect(error).to.include({ code: 'SQL_FAILED' });
    expect(error?.hint).to.equal('Correct it, then: manage_db test-db-migration 2 --env testing');
    const { stdout } = await workspace.cli(['test-db-migration', '--env', 'testing']);
    expect(stdout).to.match(/✓ 1_patients +up \d+ ms, down \d+ ms, up again \d+ ms/);
    expect(stdout).to.match(
      /✗ 2_visits\.test\.sql: 0 passed, 1 failed\n +.*2_visits\.test\.sql:1:\d+: division by zero/,
    );
  });

  it('reads the Test Anything Protocol', () => {
    const rows = [
      '1..4',
      'ok 1 - fine',
      '    not ok 1 - of a subtest',
      'not ok 2 - bad\n# Failed test 2: "bad"',
      'ok 3 # SKIP',
      'not ok 4 # TODO later',
    ];
    expect(readTap(rows)).to.deep.equal({
      planned: 4,
      passed: 3,
      failures: ['not ok 2 - bad\n# Failed test 2: "bad"'],
      isTap: true,
    });
    expect(readTap(['okay', 'nothing']).isTap).to.equal(false);
  });

  describe('with pgTAP', () => {
    const programs = programsWith('pgtap');
    let server: DebianServer;

    before(async function () {
      if (programs === null) {
        this.test?.parent?.tests.forEach((test) => {
          test.title += ' (skipped: pgTAP is not installed; Debian package postgresql-15-pgtap)';
        });
        return this.skip();
      }
      server = await debianServer(programs);
      await server.start({});
      await withClient(server.url('postgres'), (client) => client.query('create database clinic'));
    });
    after(() => server?.remove());

    const detailOf = async (test: string) => {
      write({ '1_patients': PATIENTS['1_patients'], '1_patients.test': test });
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${server.url('clinic')}\n` });
      return (await run()).tested[0]?.tests[0];
    };

    it('counts what passes and what fails, and leaves no extension behind', async () => {
      const fine = `select plan(2);
select has_table('patients');
select col_is_pk('patients', 'id');
select * from finish();`;
      expect(await detailOf(fine)).to.deep.include({ ok: true, passed: 2, failed: 0, detail: '' });
      const bad = await detailOf(fine.replace("col_is_pk('patients', 'id')", "col_is_pk('patients', 'name')"));
      expect(bad).to.include({ ok: false, passed: 1, failed: 1 });
      expect(bad?.detail).to.match(/^not ok 2 - .*\n# Failed test 2/);
      expect((await run()).tested[0]?.differences).to.deep.equal([]);
    });

    it('fails when fewer tests ran than were planned, or an error ends them', async () => {
      const few = await detailOf(`select plan(3);\nselect has_table('patients');\nselect * from finish();`);
      expect(few?.ok).to.equal(false);
      expect(few?.detail).to.contain('3 were planned, and 1 ran');
      const ended = await detailOf(`select plan(2);\nselect has_table('patients');\nselect 1/0;`);
      expect(ended).to.include({ ok: false, passed: 1, failed: 1 });
      expect(ended?.detail).to.match(/1_patients\.test\.sql:3:\d+: division by zero/);
    });
  });

  it('fails a test of pgTAP where the server does not have it', async () => {
    write({ '1_patients': PATIENTS['1_patients'], '1_patients.test': `select plan(1); select has_table('patients');` });
    const [test] = (await run()).tested[0]?.tests ?? [];
    expect(test).to.include({ ok: false });
    expect(test?.detail).to.contain('pgTAP, which is not installed on the server');
  });
});
