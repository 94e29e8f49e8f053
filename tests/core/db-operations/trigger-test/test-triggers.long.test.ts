import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { initDb } from '../../../../app/core/db-operations/initialize.js';
import {
  type TestedEvent,
  type TestTriggersOptions,
  type TestTriggersResult,
  testTriggers,
} from '../../../../app/core/db-operations/trigger-test.js';
import { ManageDbError } from '../../../../app/core/errors.js';
import { packageRoot } from '../../../../app/services/package-root.js';
import { openClient } from '../../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';
import { testUrl } from '../../../support/test-server.js';
import { HOSTILE } from './hostile-fixture.js';

describe('test-db-triggers', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  const make = async (sql: string) => {
    database = await scratchDatabase(sql);
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  };
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const run = (options: TestTriggersOptions = {}) => workspace.run(() => testTriggers({ env: 'testing', ...options }));
  /** `name event` → state, where nothing is wrong; otherwise with the reason. */
  const states = ({ triggers }: TestTriggersResult) =>
    Object.fromEntries(
      triggers.flatMap(({ name, events }) =>
        events.map((each) => [
          `${name} ${each.event}`,
          each.detail === null ? each.state : `${each.state}: ${each.detail}`,
        ]),
      ),
    );
  /** Of every row of every table that is not ours. */
  const checksums = async () => {
    const { rows } = await database.query<{ tables: string }>(`
      select string_agg(format('%s %s', c.oid::regclass, query_to_xml(
        format('select md5(string_agg(md5(t::text || ctid::text || xmin::text), '''' order by ctid)) from only %s t', c.oid::regclass), true, false, '')), E'\\n' order by c.oid) as tables
      from pg_class c where relkind = 'r' and relnamespace::regnamespace::text !~ '^(pg_|information_schema|manage_db)'`);
    return rows[0]?.tables;
  };

  it('fires every kind of trigger, and leaves nothing behind', async () => {
    await make(`
      create table log (at timestamptz default clock_timestamp(), what text);
      create table visits (id integer generated always as identity primary key, note text not null, paid numeric(6,2));
      insert into visits (note) values ('one'), ('two');
      create function note_it() returns trigger language plpgsql as $$
      begin
        insert into log (what) values (tg_name || tg_op);
        if tg_level = 'STATEMENT' then return null; end if;
        if tg_op = 'DELETE' then return old; end if;
        return new;
      end $$;
      create trigger row_before before insert or update or delete on visits for each row execute function note_it();
      create trigger row_after after insert or update or delete on visits for each row execute function note_it();
      create trigger whole before insert or update or delete or truncate on visits execute function note_it();
      create trigger emptied after truncate on visits execute function note_it();
      create trigger paid after update of paid on visits for each row execute function note_it();
      create constraint trigger late after insert on visits deferrable initially deferred for each row execute function note_it();
      create trigger counted after insert on visits referencing new table as rows for each statement execute function note_it();
      create view open_visits as select * from visits;
      create trigger instead instead of insert or update or delete on open_visits for each row execute function note_it();`);
    const before = await checksums();
    const result = await run();
    const expected = [
      ['row_before', 'INSERT', 'UPDATE', 'DELETE'],
      ['row_after', 'INSERT', 'UPDATE', 'DELETE'],
      ['whole', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'],
      ['emptied', 'TRUNCATE'],
      ['paid', 'UPDATE'],
      ['late', 'INSERT'],
      ['counted', 'INSERT'],
      ['instead', 'INSERT', 'UPDATE', 'DELETE'],
    ].flatMap(([name, ...events]) => events.map((event) => [`${name} ${event}`, 'fired']));
    expect(states(result)).to.deep.equal(Object.fromEntries(expected));
    expect(result.counts).to.deep.equal({ fired: expected.length, did_not_fire: 0, failed: 0, not_tested: 0 });
    expect(result.functionCheck).to.include({ state: 'skipped' });
    const timed = result.triggers.flatMap(({ events }) => events).filter(({ event }) => event !== 'TRUNCATE');
    expect(timed.every(({ milliseconds }: TestedEvent) => milliseconds !== null && milliseconds >= 0)).to.equal(true);
    expect(await checksums()).to.equal(before);
  });

  for (const seed of [false, true]) {
    it(`exercises the triggers of a whole application, ${seed ? 'with' : 'without'} data in it`, async () => {
      await make('');
      cpSync(join(packageRoot(), 'migrations'), join(workspace.root, 'migrations'), { recursive: true });
      await workspace.run(() => initDb({ env: 'testing', seed }));
      const before = await checksums();
      const result = await run();
      const events = result.triggers.flatMap((trigger) => trigger.events.map((event) => ({ ...trigger, ...event })));
      expect(events).to.have.length.of.at.least(30);
      expect(events.filter(({ state }) => state !== 'fired')).to.deep.equal([]);
      expect(await checksums()).to.equal(before);
    });
  }

  it('makes rows for whatever a catalog can hold, and says why where there can be none', async () => {
    await make(HOSTILE);
    const before = await checksums();
    const result = await run();
    const unusual = result.triggers.flatMap(({ table, name, events }) =>
      events
        .filter(({ state, detail }) => state !== 'fired' || detail !== null)
        .map(({ event, state, detail }) => `${table} ${name} ${event} ${state}: ${detail}`),
    );
    expect(unusual).to.have.deep.members([
      ...['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'].map(
        (event) => `closed refuses ${event} fired: It refused the statement: Not today.`,
      ),
      'emptied emptied UPDATE not_tested: No column of it can be set.',
      'gone after_gone INSERT did_not_fire: A BEFORE trigger kept the row from being written, or another one kept it from being called.',
      'impossible impossible INSERT not_tested: No value was found for public.impossible.x (integer) that satisfies ((x > 5) AND (x < 3)).',
      `left_one hopeless INSERT not_tested: No row could be made for public.right_one: ${NO_PARENT}`,
      `left_one hopeless DELETE not_tested: No row could be made for public.left_one: No row could be made for public.right_one: ${NO_PARENT}`,
      'nowhere nowhere INSERT not_tested: The statement failed: no partition of relation "nowhere" found for row (SQLSTATE 23514).',
      'off off INSERT not_tested: It is disabled.',
      'off replica INSERT not_tested: It fires only where changes are replicated.',
      'orders when_never INSERT did_not_fire: Its condition was never met: (new.amount < 0).',
      `orders when_super INSERT did_not_fire: Its condition was never met: (CURRENT_USER = 'nobody'::name).`,
      'remote remote INSERT not_tested: It is on a foreign table: whether its server rolls back what is written there is not known.',
      'sick a_broken INSERT failed: record "new" has no field "gone" (SQLSTATE 42703).',
      ...['UPDATE', 'DELETE'].map(
        (event) =>
          `sick b_fine ${event} not_tested: No row could be made for public.sick: record "new" has no field "gone" (SQLSTATE 42703).`,
      ),
      'sick z_after INSERT not_tested: The statement was stopped before, by the trigger a_broken: record "new" has no field "gone" (SQLSTATE 42703).',
    ]);
    expect(result.counts.fired).to.be.greaterThan(75);
    expect(await checksums()).to.equal(before);
  });

  it('gives up a long chain of tables at once when nothing can be at its end', async () => {
    const tables = Array.from(
      { length: 14 },
      (_, index) => `create table t${index + 1} (id int primary key references t${index});`,
    );
    await make(`
      create table t0 (id int primary key check (id > 5 and id < 3));
      ${tables.join('\n')}
      create function pass() returns trigger language plpgsql as 'begin return new; end';
      create trigger last before insert or update on t14 for each row execute function pass();`);
    const result = states(await run());
    expect(result['last INSERT']).to.match(
      /^not_tested: No row could be made for public\.t13: .*public\.t0\.id \(integer\)/,
    );
  });

  it('believes the condition of a policy, and does without counting calls, for an ordinary login', async () => {
    await make('');
    const owner = await scratchLogin('owner');
    await database.query(
      `alter database ${database.name} owner to ${owner.user}; grant create on schema public to ${owner.user}`,
    );
    await database.query(`
      set role ${owner.user};
      create table secret (tenant text not null, x int);
      alter table secret enable row level security;
      alter table secret force row level security;
      create policy own on secret using (tenant = 'mine');
      create function pass() returns trigger language plpgsql as 'begin return new; end';
      create trigger row_one before insert or update on secret for each row execute function pass();
      create trigger whole before truncate on secret for each statement execute function pass();`);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, owner)}\n` });
    const result = await run();
    expect(states(result)).to.deep.equal({
      'row_one INSERT': 'fired',
      'row_one UPDATE': 'fired',
      'whole TRUNCATE': 'fired',
    });
    await database.drop();
    await dropLogins(owner);
  });

  it('knows which triggers a TRUNCATE calls, also where two share a function', async () => {
    await make(`
      create table visits (id int primary key);
      create table notes (visit int references visits);
      create function pass() returns trigger language plpgsql as 'begin return null; end';
      create function other() returns trigger language plpgsql as 'begin return null; end';
      create trigger one after truncate on visits execute function pass();
      create trigger two before truncate on visits execute function other();
      create trigger never after truncate on visits for each statement when (current_user = 'nobody') execute function pass();`);
    expect(states(await run())).to.deep.equal({
      'one TRUNCATE': 'fired',
      'two TRUNCATE': 'fired',
      'never TRUNCATE': `did_not_fire: Its condition was never met: (CURRENT_USER = 'nobody'::name).`,
    });
  });

  it('goes on in another session when a function ends its own, and says which one', async () => {
    await make(`${TWO_TABLES}
      insert into visits values (1);
      create table later (id int);
      create function die() returns trigger language plpgsql as 'begin perform pg_terminate_backend(pg_backend_pid()); return new; end';
      create function finish() returns trigger language plpgsql as 'begin commit; return new; end';
      create trigger dying before insert on visits for each row execute function die();
      create trigger changed before update or delete on visits for each row execute function pass();
      create trigger followed after insert on notes for each row execute function die();
      create trigger finishing before insert on later for each row execute function finish();`);
    const before = await checksums();
    const ended =
      'Its function ended the session: terminating connection due to administrator command (SQLSTATE 57P01).';
    expect(states(await run())).to.deep.equal({
      'finishing INSERT': 'failed: invalid transaction termination (SQLSTATE 2D000).',
      'followed INSERT': `failed: ${ended}`,
      'kept INSERT': `not_tested: The statement was stopped before, by the trigger followed: ${ended}`,
      'changed UPDATE': 'fired',
      'changed DELETE': 'fired',
      'dying INSERT': `failed: ${ended}`,
      'marked INSERT': `not_tested: The statement was stopped before, by the trigger dying: ${ended}`,
    });
    expect(await checksums()).to.equal(before);
    await database.query('truncate visits, notes');
    expect(states(await run({ table: 'visits' }))['changed UPDATE']).to.equal(
      `not_tested: No row could be made for public.visits: ${ended}`,
    );
    expect(states(await run({ table: 'notes' }))['followed INSERT']).to.match(
      /^(failed|not_tested): .*ended the session/,
    );
  });

  it('gives up a function that runs for ever, once an event', async () => {
    await make(`${TWO_TABLES}
      create function loop() returns trigger language plpgsql as 'begin loop end loop; end';
      create trigger looping before insert or update on visits for each row execute function loop();`);
    const since = Date.now();
    const result = await workspace.cli(['test-db-triggers', '--env', 'testing', '--timeout', '0.5s', '--json']);
    expect(result.code).to.equal(1);
    expect(states(result.json().data)).to.include({
      'looping INSERT': 'failed: It took longer than 0.5 s.',
      'marked INSERT':
        'not_tested: The statement was stopped before, by the trigger looping: It took longer than 0.5 s.',
    });
    expect(Date.now() - since).to.be.lessThan(40_000);
    expect(await failure({ timeoutMs: 0 })).to.include({ code: 'USAGE' });
  });

  it('goes on with the other tables when one is locked, and says so', async () => {
    await make(`${TWO_TABLES} create trigger b after delete on visits for each row execute function pass();`);
    const client = await openClient(database.url);
    await client.query('begin; lock table notes in share mode');
    const result = await run();
    await client.end();
    expect(result.counts).to.deep.equal({ fired: 2, did_not_fire: 0, failed: 0, not_tested: 1 });
    expect(states(result)['kept INSERT']).to.match(/^not_tested: Another session has locked .* longer than 5 s/);
  });

  it('leaves nothing behind when it is killed in the middle', async () => {
    await make(`${TWO_TABLES}
      insert into visits values (1); insert into notes values (1);
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(5); return null; end';
      create trigger slow after truncate on visits execute function slow();`);
    const before = await checksums();
    let kill: () => void = () => undefined;
    const killed = workspace.cli(['test-db-triggers', '--env', 'testing'], {
      onStart: (child) => {
        kill = () => child.kill('SIGKILL');
      },
    });
    await untilSleeping();
    kill();
    expect((await killed).signal).to.equal('SIGKILL');
    await untilNobodyWorks();
    expect(await checksums()).to.equal(before);
  });

  it('stops at once when it is interrupted, and leaves nothing behind', async () => {
    await make(`${TWO_TABLES}
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(3); return null; end';
      create trigger slow after insert on visits for each row execute function slow();`);
    const controller = new AbortController();
    const running = failure({ signal: controller.signal });
    await untilSleeping();
    controller.abort();
    const error = await running;
    expect(error.code).to.equal('INTERRUPTED');
    expect(error.message).to.contain('Everything was rolled back');
    await untilNobodyWorks();
  });

  it('is refused on a protected database, whatever anybody consents to', async () => {
    await make(TWO_TABLES);
    await withClient(database.url, (client) => stampAs(client, 'production'));
    workspace.write({ '.env.production': `PRODUCTION_DATABASE_URL=${database.url}\n` });
    const consent = { confirm: `EXECUTE TEST_DB_TRIGGERS ON ${database.name}`, reason: 'why' };
    const error = await failure({ env: 'production', consent });
    expect(error.code).to.equal('PROTECTED_ENVIRONMENT');
    expect(error.hint).to.contain('manage_db test-db-triggers --env testing');
  });

  it('tests only what is named, and suggests the nearest name', async () => {
    await make(`${TWO_TABLES} create schema other; create table other.visits (id int);
      create trigger elsewhere before insert on other.visits for each row execute function pass();`);
    expect(Object.keys(states(await run({ schema: 'other' })))).to.deep.equal(['elsewhere INSERT']);
    expect(Object.keys(states(await run({ table: 'notes' })))).to.deep.equal(['kept INSERT']);
    expect(Object.keys(states(await run({ name: 'marked' })))).to.deep.equal(['marked INSERT']);
    expect(await failure({ name: 'market' })).to.include({ code: 'NOT_FOUND', hint: 'Did you mean marked?' });
    expect(await failure({ table: 'visits' })).to.include({ code: 'USAGE' });
    expect(await failure({ schema: 'othre' })).to.include({ code: 'NOT_FOUND' });
  });

  it('has plpgsql_check read the functions where that is installed', async () => {
    await make(`${TWO_TABLES} ${PRETENDED_CHECK}`);
    const { functionCheck, triggers } = await run();
    expect(functionCheck).to.deep.equal({ state: 'done', detail: null });
    const errors = triggers.map(({ name, functionErrors }) => [name, ...functionErrors]);
    expect(errors).to.deep.equal([['kept'], ['marked', 'line 3: pass() on visits', 'nothing in particular']]);
    const { code, stdout } = await workspace.cli(['test-db-triggers', '--env', 'testing']);
    expect(code).to.equal(1);
    expect(stdout).to.contain('- public.visits  marked  plpgsql_check: line 3: pass() on visits');
    await database.query('drop function plpgsql_check_function_tb');
    expect((await run()).functionCheck.state).to.equal('skipped');
  });

  it('prints a table, and fails when a trigger does', async () => {
    await make(
      `${TWO_TABLES} create function broken() returns trigger language plpgsql as 'begin perform new.gone; end';`,
    );
    const passed = await workspace.cli(['test_triggers', '--env', 'testing']);
    expect(passed.code).to.equal(0);
    expect(passed.stdout).to.match(/^table +trigger +insert +update +delete +truncate\npublic\.notes +kept +fired\n/);
    expect(passed.stdout).to.contain('\n2 fired\n');
    await database.query('create trigger sick after update on visits for each row execute function broken()');
    const failed = await workspace.cli(['test-db-triggers', '--env', 'testing', '--json']);
    expect(failed.code).to.equal(1);
    const { data, error, ok } = failed.json();
    expect(ok).to.equal(false);
    expect(data.counts).to.deep.equal({ fired: 2, did_not_fire: 0, failed: 1, not_tested: 0 });
    expect(error).to.deep.include({ code: 'SQL_FAILED', message: '1 trigger failed; everything was rolled back.' });
    expect(error?.hint).to.contain(`--table 'public.visits' --name 'sick'`);
  });

  const failure = async (options: TestTriggersOptions = {}): Promise<ManageDbError> => {
    const error: unknown = await run(options).then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };
  const working = async (condition: string) => {
    const { rowCount } = await database.query(
      `select from pg_stat_activity where datname = $1 and pid <> pg_backend_pid() and ${condition}`,
      [database.name],
    );
    return rowCount !== 0;
  };
  const untilSleeping = async () => {
    while (!(await working(`wait_event = 'PgSleep'`))) await sleep(20);
  };
  const untilNobodyWorks = async () => {
    while (await working(`state <> 'idle'`)) await sleep(20);
  };
});

const NO_PARENT =
  'insert or update on table "right_one" violates foreign key constraint "right_one_id_fkey" (SQLSTATE 23503).';

const TWO_TABLES = `
  create table visits (id int primary key);
  create table notes (visit int references visits);
  create function pass() returns trigger language plpgsql as 'begin return new; end';
  create trigger marked before insert on visits for each row execute function pass();
  create trigger kept before insert on notes for each row execute function pass();`;

/** A function with the interface of plpgsql_check, which is not in every installation, and its entry in the catalog. */
const PRETENDED_CHECK = `
  set allow_system_table_mods = on;
  insert into pg_extension select 1, 'plpgsql_check', 10, 'public'::regnamespace, true, '2.7', null, null;
  create function plpgsql_check_function_tb(
    funcoid regprocedure, relid regclass default 0, fatal_errors boolean default true, oldtable name default null,
    newtable name default null
  ) returns table (functionid regproc, lineno int, statement text, sqlstate text, message text, detail text, hint text,
    level text, "position" int, query text, context text)
  language sql as $$
    select funcoid::regproc, line, '', '', coalesce(funcoid::text || ' on ' || relid::text, ''), '', '', kind, 0, '', ''
    from (values (3, 'error'), (4, 'warning')) as found (line, kind) where relid = 'visits'::regclass
    union all
    select funcoid::regproc, null, '', '', 'nothing in particular', '', '', 'error', 0, '', '' where relid = 'visits'::regclass
  $$;`;
