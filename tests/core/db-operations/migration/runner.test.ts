import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { runSteps } from '../../../../app/core/db-operations/migration/runner.js';
import { ADVISORY_LOCKS } from '../../../../app/database/advisory-locks.js';
import { failureOf } from '../../../support/failure-of.js';
import { type MigrationDatabase, migrationDatabase } from '../../../support/migration-database.js';
import { withClient } from '../../../support/scratch-database.js';
import { until } from '../../../support/until.js';

const create = (table: string) =>
  `-- migrate:up\ncreate table ${table} (id integer);\n-- migrate:down\ndrop table ${table};\n`;

describe('running migrations', () => {
  let database: MigrationDatabase;

  beforeEach(async () => {
    database = await migrationDatabase();
  });
  afterEach(() => database.remove());

  const exists = async (relation: string) =>
    (await database.query<{ oid: string | null }>('select to_regclass($1) as oid', [relation])).rows[0]?.oid !== null;
  const indexes = async (table: string) =>
    (
      await database.query<{ index: string }>(
        `select c.relname || case when i.indisvalid then '' else ' invalid' end as index
         from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass order by 1`,
        [table],
      )
    ).rows.map(({ index }) => index);

  describe('in a transaction', () => {
    it('applies what is pending in the order of the versions, and takes it back in reverse', async () => {
      await database.write({ '9_a.sql': create('a'), '10_b.sql': create('b') });
      expect((await database.run('up')).map(({ version }) => version)).to.deep.equal(['9', '10']);
      expect(await database.run('up')).to.deep.equal([]);
      expect((await database.run('down')).map(({ version }) => version)).to.deep.equal(['10', '9']);
      expect(await database.applied()).to.deep.equal([]);
      expect(await exists('a')).to.equal(false);
    });

    const LIES: Readonly<Record<string, string>> = {
      'sets the search_path for the session': `select set_config('search_path', '', false)`,
      'changes its role':
        'create role nobody_here; set role pg_monitor; reset role; drop role nobody_here; set role pg_monitor',
      'changes the user of its session': 'set session authorization default; set role pg_read_all_data',
      'lets no transaction be idle': `set idle_in_transaction_session_timeout = '50ms'; select pg_sleep(0.2)`,
      'keeps what others would trip over':
        'prepare mine as select 1; listen here; create temporary table kept (id integer); select pg_advisory_lock(1)',
      'gives its locks back': 'select pg_advisory_unlock_all()',
      'hides the table of the records': 'create temporary table migrations (version text); set search_path = pg_temp',
    };
    for (const [what, sql] of Object.entries(LIES)) {
      it(`records rightly when a file ${what}, and begins the next one as new`, async () => {
        await database.write({
          '1_a.sql': `-- migrate:up\ncreate table public.a (id integer);\n${sql};\n`,
          '2_b.sql': `-- migrate:up\nprepare mine as select 1; create temporary table kept (id integer);
            create table b as select current_user::text as who, current_setting('search_path') as path,
              (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks;\n`,
        });
        await database.run('up');
        expect(await database.applied()).to.deep.equal(['1', '2']);
        const { rows } = await database.query('select who = current_user as who, path, locks from b');
        expect(rows).to.deep.equal([{ who: true, path: '"$user", public', locks: '1' }]);
      });
    }

    it('rolls everything back when its transaction was made read only, and says so', async () => {
      await database.write({ '1_a.sql': '-- migrate:up\ncreate table a (id integer); set transaction read only;\n' });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(/1_a\.sql was executed, but could not be completed: .*read-only transaction/);
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
    });

    it('is not taken for that when a deferred trigger of the file divides by zero', async () => {
      await database.write({
        '1_a.sql': `-- migrate:up
          create table a (id integer);
          create function halve() returns trigger language plpgsql as 'begin perform 1 / (new.id - 1); return null; end';
          create constraint trigger halve after insert on a deferrable initially deferred for each row execute function halve();
          insert into a values (1);\n`,
      });
      expect((await failureOf(database.run('up'))).message).to.match(/could not be completed: division by zero/);
    });

    it('fails where something on the table of the records keeps the record out', async () => {
      await database.write({ '1_a.sql': create('a') });
      await database.run('up');
      await database.query(`create function keep() returns trigger language plpgsql as 'begin return null; end';
        create trigger keep before insert or delete on manage_db.migrations for each row execute function keep()`);
      expect((await failureOf(database.run('down'))).message).to.contain('a trigger or a rule on manage_db.migrations');
      await database.write({ '1_a.sql': create('a'), '2_b.sql': create('b') });
      expect((await failureOf(database.run('up'))).message).to.contain('a trigger or a rule on manage_db.migrations');
      expect([await exists('a'), await exists('b'), await database.applied()]).to.deep.equal([true, false, ['1']]);
    });

    it('tells a deferred constraint that fails at the end', async () => {
      await database.write({
        '1_a.sql': `-- migrate:up
          create table a (id integer primary key, of integer references a deferrable initially deferred);
          insert into a values (1, 2);\n`,
      });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(
        /violates foreign key constraint.*Key \(of\)=\(2\) is not present.*Nothing of 1_a remains/s,
      );
      expect(await database.applied()).to.deep.equal([]);
    });

    it('executes nothing at all when a later file ends its transaction, and nothing of one with a syntax error', async () => {
      await database.write({ '1_a.sql': create('a'), '2_b.sql': '-- migrate:up\nselect 1;\ncommit;\n' });
      expect((await failureOf(database.run('up'))).message).to.match(/2_b\.sql:3:1: .*\(COMMIT\)/);
      expect(await exists('a')).to.equal(false);
      await database.write({ '1_a.sql': create('a'), '2_b.sql': '-- migrate:up\nselect 1;\nselect 2;\nselec 3;\n' });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(/2_b\.sql:4:1: syntax error at or near "selec"\nselec 3;\n\^/);
      expect(error.details).to.deep.include({ line: 4, column: 1, sqlState: '42601' });
    });

    it('names place, SQLSTATE, and what was and was not applied', async () => {
      await database.write({
        '1_a.sql': create('a'),
        '2_b.sql': '-- migrate:up\ncreate table b (id integer);\ninsert into b values (1);\nselect nope from b;\n',
        '3_c.sql': create('c'),
      });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(
        /2_b\.sql:4:8: column "nope" does not exist\nselect nope from b;\n {7}\^\nApplied before and staying so: 1_a\. Nothing of 2_b remains\. 1 more was not begun\./,
      );
      expect(error.details).to.deep.include({ sqlState: '42703', applied: ['1'], failed: '2' });
      expect([await database.applied(), await exists('b')]).to.deep.equal([['1'], false]);
    });

    for (const header of ['', '-- transaction: false\n']) {
      const how = header === '' ? 'in a transaction' : 'statement by statement';
      it(`names what is applied again and what is not where the last up of a redo fails ${how}`, async () => {
        await database.query('create table divisor as select 1 as n');
        const [a, b] = await database.write({
          '1_a.sql': create('a'),
          '2_b.sql': `${header}-- migrate:up\ncreate table b as select 1 / n as id from divisor;\n-- migrate:down\ndrop table b;\n`,
        });
        if (a === undefined || b === undefined) throw new Error('no migrations');
        await database.run('up');
        await database.query('update divisor set n = 0');
        const steps = [
          ...[b, a].map((migration) => ({ migration, direction: 'down' as const })),
          ...[a, b].map((migration) => ({ migration, direction: 'up' as const })),
        ];
        const error = await failureOf(runSteps(database.settings, steps));
        expect(error.message).to.match(
          /Rolled back before and staying so: 2_b\. Applied before and staying so: 1_a\. Nothing of 2_b remains\. Pending now: 2_b\./,
        );
        // the same again would redo 1_a
        expect(error.hint).to.match(/2_b\.sql can be applied\. .*: manage_db apply-db-migration --env \S+$/);
        expect(error.details).to.deep.include({ applied: ['1'], rolledBack: ['2'], failed: '2' });
        expect(await database.applied()).to.deep.equal(['1']);
      });
    }

    it('lets the application get on while it waits for a lock, and applies when it gets it', async () => {
      await database.query('create table busy (id integer)');
      await database.write({
        '1_a.sql': '-- lock-timeout: 300ms\n-- migrate:up\nalter table busy add column more integer;\n',
      });
      await withClient(database.url, async (blocker) => {
        await blocker.query('begin; select from busy');
        const steps: string[] = [];
        const running = database.run('up', { onProgress: ({ step }) => steps.push(step) });
        const waits: number[] = [];
        for (let round = 0; round < 12; round += 1) {
          const asked = performance.now();
          await database.query('select from busy');
          waits.push(performance.now() - asked);
          await sleep(100);
        }
        await until('one attempt is over', () => steps.some((step) => step.includes('attempt 1')));
        await blocker.query('commit');
        const [ran] = await running;
        // a query waits behind one attempt at most, and for the connection that it opens
        expect(Math.max(...waits)).to.be.lessThan(5_000);
        expect(ran?.attempts).to.be.greaterThan(1);
        expect(steps.join('\n')).to.match(/waiting for locks of 1_a, attempt 1/);
      });
    });

    it('gives up in time, names who is in the way, and exits with 5', async () => {
      await database.query('create table busy (id integer)');
      await database.write({ '1_a.sql': '-- migrate:up\nalter table busy add column more integer;\n' });
      await withClient(database.url, async (blocker) => {
        await blocker.query(`set application_name = 'billing'; begin; select from busy`);
        const error = await failureOf(database.run('up', { lockTimeoutMs: 1_000, lockBudgetMs: 1_000 }));
        expect([error.code, error.exitCode]).to.deep.equal(['LOCK_TIMEOUT', 5]);
        expect(error.message).to.match(
          /1_a needs within .* In the way: pid \d+ \(.*billing.*\) with a lock on public\.busy/s,
        );
        expect(error.hint).to.match(/pg_terminate_backend/);
      });
      expect(await database.applied()).to.deep.equal([]);
    });

    it('notices when somebody changes the records while it waits', async () => {
      await database.write({ '1_a.sql': create('a') });
      await database.run('up');
      await database.write({ '1_a.sql': create('a'), '3_c.sql': create('c') });
      const told: number[] = [];
      await withClient(database.url, async (other) => {
        await other.query('begin; select pg_advisory_xact_lock(470003704931)');
        const running = database.run('up', {
          onHistory: ({ applied }) => {
            told.push(applied.length);
            if (applied.some(({ version }) => version === '9')) throw new Error('out of order');
          },
        });
        await until('it has told of the first records', () => told.length > 0);
        // as many as before
        await other.query(`update manage_db.migrations set version = '9', applied_at = clock_timestamp(); commit`);
        const error = await failureOf(running);
        expect(error.message).to.contain('out of order');
      });
      expect(told).to.deep.equal([1, 1]);
      expect(await exists('c')).to.equal(false);
    });

    it('tries again in a database that ends idle sessions', async () => {
      await database.query(
        `create table busy (id integer); alter database ${database.name} set idle_session_timeout = '150ms'`,
      );
      await database.write({
        '1_a.sql': '-- lock-timeout: 200ms\n-- migrate:up\nalter table busy add column more integer;\n',
      });
      await withClient(database.url, async (blocker) => {
        await blocker.query('set idle_session_timeout = 0; begin; select from busy');
        const running = database.run('up');
        await sleep(900);
        await blocker.query('commit');
        expect(await running).to.have.length(1);
      });
    });

    it('takes nothing back that was applied from another file', async () => {
      await database.write({ '1_a.sql': create('a') });
      await database.run('up');
      await database.write({ '1_a.sql': create('a').replace('drop table a', 'drop table if exists b') });
      expect((await failureOf(database.run('down'))).code).to.equal('MIGRATION_EDITED');
    });

    it('knows 007 for 7', async () => {
      await database.write({ '7_a.sql': create('a') });
      await database.run('up');
      await database.write({ '007_a.sql': create('a') });
      expect(await database.run('up')).to.deep.equal([]);
      expect(await database.run('down')).to.have.length(1);
      expect(await database.applied()).to.deep.equal([]);
    });

    it('takes nothing back beside another runner, however its version is written', async () => {
      await database.write({ '7_a.sql': create('a') });
      await database.run('up');
      await database.write({ '007_a.sql': create('a') });
      await withClient(database.url, async (other) => {
        await other.query(`begin; select pg_advisory_xact_lock(${ADVISORY_LOCKS.migrations})`);
        let running: Promise<unknown> = Promise.resolve();
        const waits = new Promise<void>((resolve) => {
          const onProgress = ({ step }: { readonly step: string }) =>
            step === 'waiting for another runner' && resolve();
          running = database.run('down', { onProgress });
        });
        await Promise.race([waits, running]);
        expect(await exists('a')).to.equal(true);
        await other.query('commit');
        await running;
      });
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
    });

    it('applies each of fifty once when twenty runners do it at once', async () => {
      const numbered = Array.from({ length: 50 }, (_, index) => index + 1);
      await database.write({
        '0_log.sql': '-- migrate:up\ncreate table log (version integer);\n',
        ...Object.fromEntries(
          numbered.map((version) => [
            `${version}_m.sql`,
            `-- migrate:up\ncreate table t${version} (id integer); insert into log values (${version});\n`,
          ]),
        ),
      });
      const runs = await Promise.all(Array.from({ length: 20 }, () => database.run('up')));
      const versions = runs.flat().map(({ version }) => Number(version));
      expect(versions.sort((one, other) => one - other)).to.deep.equal([0, ...numbered]);
      const { rows } = await database.query<{ versions: number[] }>(
        'select array_agg(version order by ctid) as versions from log',
      );
      expect(rows[0]?.versions).to.deep.equal(numbered);
    });
  });

  describe('written in TypeScript', () => {
    it('runs up and down in a transaction, with values', async () => {
      await database.write({
        '1_a.ts': `import type { MigrationDb } from 'manage_db';
          export async function up(db: MigrationDb) {
            await db.query('create table a (id integer)');
            for (const id of [1, 2]) await db.query('insert into a values ($1)', [id]);
          }
          export const down = (db: MigrationDb) => db.query('drop table a');`,
      });
      await database.run('up');
      expect((await database.query('select id from a order by id')).rows).to.deep.equal([{ id: 1 }, { id: 2 }]);
      await database.run('down');
      expect(await exists('a')).to.equal(false);
    });

    it('may not end its transaction', async () => {
      await database.write({
        '1_a.mjs': `export async function up(db) { await db.query('create table a (id integer)'); await db.query('commit'); }`,
      });
      expect((await failureOf(database.run('up'))).message).to.match(/1_a\.mjs.*\(COMMIT\)/);
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
    });

    it('names the file and the statement that failed', async () => {
      await database.write({
        '1_a.mjs': `export async function up(db) { await db.query('select 1,\\n  nope'); }`,
      });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(/1_a\.mjs:2:3: column "nope" does not exist\n {2}nope\n {2}\^/);
    });

    it('fails when a query was not awaited, and lets none of its queries into the next migration', async () => {
      await database.write({ '1_a.mjs': `export async function up(db) { db.query('create table a (id integer)'); }` });
      expect((await failureOf(database.run('up'))).message).to.match(
        /1_a\.mjs has returned while a query was still running/,
      );
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
      await database.write({
        '1_a.mjs': `export async function up(db) { setTimeout(() => db.query('create table late (id integer)').catch(() => 0), 100); }`,
        '2_b.mjs': `export async function up(db) { await db.query('select pg_sleep(0.4)'); }`,
      });
      await database.run('up');
      expect([await exists('late'), await database.applied()]).to.deep.equal([false, ['1', '2']]);
    });

    it('that never returns ends when it is interrupted', async () => {
      await database.write({
        '1_a.mjs': `export async function up(db) { await db.query('create table a (id integer)'); await new Promise(() => {}); }`,
      });
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 500);
      expect((await failureOf(database.run('up', { signal: stop.signal }))).code).to.equal('INTERRUPTED');
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
    });

    it('is refused when it exports no up', async () => {
      const error = await failureOf(database.write({ '1_a.mjs': 'export const down = 1;' }));
      expect([error.code, error.message]).to.satisfy(
        ([code, message]: [string, string]) =>
          code === 'INVALID_CONFIGURATION' && /1_a\.mjs is no migration: up: /.test(message),
      );
    });
  });

  describe('statement by statement', () => {
    const UP = '-- migrate:up transaction:false\n';

    it('builds an index while the application writes, and records it', async () => {
      await database.write({
        '1_a.sql': `${UP}create table a (id integer);\ninsert into a select generate_series(1, 100);
create index concurrently a_id on a (id);\nalter table a add column more integer;
-- migrate:down transaction:false\ndrop index concurrently a_id;\ndrop table a;\n`,
      });
      await database.run('up');
      expect([await indexes('a'), await database.applied(), await database.journal()]).to.deep.equal([
        ['a_id'],
        ['1'],
        [],
      ]);
      await database.run('down');
      expect([await exists('a'), await database.applied()]).to.deep.equal([false, []]);
    });

    it('does not deadlock with runners that wait, and each of them sees it done', async () => {
      await database.query('create table a (id integer); insert into a select generate_series(1, 20000)');
      await database.write({ '1_a.sql': `${UP}create index concurrently a_id on a (id);\n` });
      const runs = await Promise.all(Array.from({ length: 5 }, () => database.run('up')));
      expect(runs.flat()).to.have.length(1);
      expect(await indexes('a')).to.deep.equal(['a_id']);
    });

    it('says which statement failed and what is done, heals what it has left, and goes on from there', async () => {
      await database.query('create table a (id integer); insert into a values (1), (1)');
      const text = `${UP}create table b (id integer);\ncreate unique index concurrently a_id on a (id);\ncreate table c (id integer);\n`;
      await database.write({ '1_a.sql': text });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(
        /1_a\.sql:3:1: could not create unique index "a_id".*Of 1_a, 1 statement is done: the next run goes on from there/s,
      );
      expect([await indexes('a'), await database.journal()]).to.deep.equal([[], ['1 up 1 done']]);
      await database.query('delete from a');
      await database.run('up');
      expect([await indexes('a'), await exists('c'), await database.journal()]).to.deep.equal([['a_id'], true, []]);
    });

    it('heals an index that an attempt of somebody else has left invalid, also behind IF NOT EXISTS', async () => {
      await database.query('create table a (id integer); insert into a values (1), (1)');
      await database.query('create unique index concurrently a_id on a (id)').catch(() => undefined);
      expect(await indexes('a')).to.deep.equal(['a_id invalid']);
      await database.query('delete from a');
      await database.write({ '1_a.sql': `${UP}create unique index concurrently if not exists a_id on a (id);\n` });
      await database.run('up');
      expect(await indexes('a')).to.deep.equal(['a_id']);
    });

    it('refuses to go on when a statement that was executed has changed, and lets those below it change', async () => {
      const text = (first: string, second: string) => `${UP}${first};\n${second};\n`;
      await database.write({ '1_a.sql': text('create table a (id integer)', 'select nope') });
      await failureOf(database.run('up'));
      await database.write({ '1_a.sql': text('create table a (id bigint)', 'select 1') });
      expect((await failureOf(database.run('up'))).code).to.equal('MIGRATION_EDITED');
      await database.write({ '1_a.sql': text('create table a (id integer)', 'select 1') });
      await database.run('up');
      expect(await database.applied()).to.deep.equal(['1']);
    });

    it('begins nothing else before what was begun is finished', async () => {
      await database.write({ '2_a.sql': `${UP}create table a (id integer);\nselect nope;\n` });
      await failureOf(database.run('up'));
      await database.write({ '1_b.sql': create('b'), '2_a.sql': `${UP}create table a (id integer);\nselect nope;\n` });
      const error = await failureOf(database.run('up'));
      expect([error.code, await exists('b')]).to.deep.equal(['MIGRATION_UNFINISHED', false]);
    });

    it('keeps what stands between BEGIN and COMMIT together', async () => {
      await database.write({ '1_a.sql': `${UP}begin;\ncreate table a (id integer);\nselect nope;\ncommit;\n` });
      await failureOf(database.run('up'));
      expect([await exists('a'), await database.journal()]).to.deep.equal([false, []]);
      await database.write({ '1_a.sql': `${UP}begin;\ncreate table a (id integer);\ncommit;\nvacuum a;\n` });
      await database.run('up');
      expect(await database.applied()).to.deep.equal(['1']);
    });

    for (const [what, sql] of [
      ['a transaction that is never committed', 'begin;\nselect 1;'],
      ['ROLLBACK', 'begin;\nselect 1;\nrollback;'],
      ['a COMMIT of nothing', 'select 1;\ncommit;'],
      ['VACUUM between BEGIN and COMMIT', 'begin;\nvacuum;\ncommit;'],
    ] as const) {
      it(`refuses ${what}, with its place, before anything is executed`, async () => {
        await database.write({ '1_a.sql': `${UP}create table a (id integer);\n${sql}\n` });
        const error = await failureOf(database.run('up'));
        expect(error.message).to.match(/1_a\.sql:\d:\d: .*Nothing of the file was executed/s);
        expect(await exists('a')).to.equal(false);
      });
    }

    it('executes a procedure that commits by itself, once', async () => {
      await database.query(`create table log (id integer);
        create procedure fill() language plpgsql as $$ begin for i in 1..3 loop insert into log values (i); commit; end loop; end $$`);
      await database.write({ '1_a.sql': `${UP}call fill();\n` });
      await database.run('up');
      expect((await database.query('select count(*)::int as rows from log')).rows).to.deep.equal([{ rows: 3 }]);
    });

    it('asks what became of a statement that nobody can look up, and takes the answer', async () => {
      await database.query(`create table log (id integer);
        create procedure fill() language plpgsql as $$ begin insert into log values (1); commit; end $$`);
      await database.write({ '1_a.sql': `${UP}call fill();\ncreate table a (id integer);\n` });
      const journal = async () => {
        await database.run('up', { onProgress: () => undefined });
      };
      await journal();
      // as a killed run leaves it
      await database.query(`delete from manage_db.migrations; drop table a`);
      const [migration] = await database.write({ '1_a.sql': `${UP}call fill();\ncreate table a (id integer);\n` });
      const { createHash } = await import('node:crypto');
      const checksum = createHash('sha256')
        .update(JSON.stringify(['call fill()']))
        .digest('hex');
      await database.query(
        `insert into manage_db.migration_journal values ($1, 'up', 1, $2, 'begun', '{"kind": "nothing"}', 'me')`,
        [migration?.version, checksum],
      );
      const error = await failureOf(database.run('up'));
      expect([error.code, error.hint]).to.satisfy(
        ([code, hint]: [string, string]) => code === 'MIGRATION_UNFINISHED' && hint.includes('--unknown-statement'),
      );
      await database.run('up', { unknownStatement: 'done' });
      expect((await database.query('select count(*)::int as rows from log')).rows).to.deep.equal([{ rows: 1 }]);
      expect(await database.applied()).to.deep.equal(['1']);
    });

    it('keeps what a file sets for its session until its end, also when it goes on after a failure, and not longer', async () => {
      await database.query('create schema s');
      const text = (last: string) =>
        `${UP}set search_path = s;\ncreate table a (id integer);\n${last};\ncreate table b (id integer);\n`;
      await database.write({ '1_a.sql': text('select nope'), '2_c.sql': create('c') });
      await failureOf(database.run('up'));
      await database.write({ '1_a.sql': text('select 1'), '2_c.sql': create('c') });
      await database.run('up');
      expect([await exists('s.a'), await exists('s.b'), await exists('public.c')]).to.deep.equal([true, true, true]);
    });

    for (const [what, sql] of [
      ['all of its session', 'discard all'],
      ['its settings', 'reset all'],
      ['its locks', 'select pg_advisory_unlock_all()'],
    ]) {
      it(`keeps the limits and the lock of a file that gives ${what} back`, async () => {
        await database.write({
          '1_a.sql': `${UP}select 1;\n${sql};\ncreate table seen as select current_setting('lock_timeout') as patience,
            exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
              and (classid::bigint << 32) + objid::bigint = ${ADVISORY_LOCKS['migration statements']}) as is_ours;\n`,
        });
        await database.run('up');
        const { rows } = await database.query('select * from seen');
        expect(rows).to.deep.equal([{ patience: '2s', is_ours: true }]);
      });
    }

    it('executes what only looks like a setting once, also when it goes on after a failure', async () => {
      await database.query(`create table tenants (id serial);
        create function more() returns text language sql as 'insert into tenants default values returning id::text'`);
      const text = (last: string) =>
        `${UP}select set_config('app.tenant', more(), false);
with n as (insert into tenants default values returning id) select set_config('app.tenant', (select id::text from n), false);
${last};\n`;
      await database.write({ '1_a.sql': text('select nope') });
      await failureOf(database.run('up'));
      await database.write({ '1_a.sql': text('select 1') });
      await database.run('up');
      expect((await database.query('select count(*)::int as rows from tenants')).rows).to.deep.equal([{ rows: 2 }]);
    });

    it('says what stays of a function that failed outside of a transaction, and asks before it is called again', async () => {
      await database.write({
        '1_a.mjs': `export const transaction = false;
          export async function up(db) { await db.query('create table a (id integer)'); throw new Error('enough'); }`,
      });
      const error = await failureOf(database.run('up'));
      expect(error.message).to.match(/enough.*Statement 1 of 1_a was begun: what it has done until then stays\./s);
      expect(error.message).not.to.contain('Nothing of');
      expect((await failureOf(database.run('up'))).code).to.equal('MIGRATION_UNFINISHED');
    });

    it('does not try again what nobody can look up, and names who was in the way', async () => {
      await database.query('create table busy (id integer)');
      await database.write({
        '1_a.mjs': `export const transaction = false; export const lockTimeoutMs = 900;
          export const up = (db) => db.query('alter table busy add column more integer');`,
      });
      await withClient(database.url, async (blocker) => {
        await blocker.query('begin; select from busy');
        const error = await failureOf(database.run('up'));
        expect([error.code, error.exitCode]).to.deep.equal(['LOCK_TIMEOUT', 5]);
      });
    });

    it('rebuilds what a partitioned table has, which no transaction may', async () => {
      await database.query(`create table p (id integer primary key) partition by range (id);
        create table p1 partition of p for values from (0) to (10)`);
      await database.write({ '1_a.sql': `${UP}reindex table p;\n` });
      await database.run('up');
      expect(await database.applied()).to.deep.equal(['1']);
    });

    it('knows after a failure the search_path that pg_dump has written', async () => {
      await database.query('create schema s');
      const text = (last: string) =>
        `${UP}select pg_catalog.set_config('search_path', 's', false);\ncreate table a (id integer);\n${last};\ncreate table b (id integer);\n`;
      await database.write({ '1_a.sql': text('select nope') });
      await failureOf(database.run('up'));
      await database.write({ '1_a.sql': text('select 1') });
      await database.run('up');
      expect([await exists('s.a'), await exists('s.b')]).to.deep.equal([true, true]);
    });

    it('is not led astray by operators that the owner of the database has put before those of PostgreSQL', async () => {
      await database.query(`create schema evil; create table evil.calls (id integer);
        create function evil.eq(text, text) returns boolean language plpgsql as $$ begin insert into evil.calls values (1); return $1 operator(pg_catalog.=) $2; end $$;
        create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
        alter database ${database.name} set search_path = evil, pg_catalog`);
      await database.write({
        '1_a.sql': '-- migrate:up\ncreate table evil.a (id integer);\n',
        '2_b.sql': `${UP}create table evil.b (id integer);\ncreate index concurrently on evil.b (id);\n`,
      });
      await database.run('up');
      expect((await database.query('select count(*)::int as calls from evil.calls')).rows).to.deep.equal([
        { calls: 0 },
      ]);
    });

    it('finishes a partition that is detached for new queries only', async () => {
      await database.query(`create table p (id integer) partition by range (id);
        create table p1 partition of p for values from (0) to (10)`);
      await database.write({
        '1_a.sql': `-- lock-timeout: 200ms\n${UP}alter table p detach partition p1 concurrently;\n`,
      });
      const pending = async () =>
        (await database.query<{ pending: boolean }>('select inhdetachpending as pending from pg_inherits')).rows;
      await withClient(database.url, async (reader) => {
        await reader.query('begin; select from p');
        const controller = new AbortController();
        const running = failureOf(database.run('up', { signal: controller.signal }));
        await until('it is detached for new queries', async () => (await pending())[0]?.pending === true);
        controller.abort();
        expect((await running).code).to.equal('INTERRUPTED');
        await reader.query('commit');
      });
      expect(await pending()).to.deep.equal([{ pending: true }]);
      await database.run('up');
      expect([await pending(), await database.applied()]).to.deep.equal([[], ['1']]);
    });
  });
});
