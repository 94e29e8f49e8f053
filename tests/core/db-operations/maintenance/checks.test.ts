import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { cacheHitRatioBelow } from '../../../../app/core/db-operations/maintenance/checks/cache-hit-ratio.js';
import { judgeVersion } from '../../../../app/core/db-operations/maintenance/checks/server-version.js';
import { unusedIndexesAfter } from '../../../../app/core/db-operations/maintenance/checks/unused-indexes.js';
import { type Check, checkDb } from '../../../../app/core/db-operations/maintenance.js';
import { disableTrigger } from '../../../../app/core/db-operations/trigger-control.js';
import { applyTriggers } from '../../../../app/core/db-operations/triggers.js';
import { closeEngines } from '../../../../app/services/database-service.js';
import { connected, type OpenDatabase, openDatabase } from '../../../database/catalog/open-database.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';
import { testUrl } from '../../../support/test-server.js';

const CONTEXT = {
  environment: 'testing',
  isProtected: false,
  host: '',
  port: 0,
  user: 'postgres',
  settings: { server: 'external' },
} as const;

/** What nothing is wrong with, although much of it looks like something. */
const HEALTHY = `
  create schema clinic;
  create table clinic.patients (id int primary key, code text not null unique, email text, born date);
  create index on clinic.patients (email);
  create index on clinic.patients (email desc nulls last);
  create index on clinic.patients (email text_pattern_ops);
  create index on clinic.patients (email collate "C");
  create index on clinic.patients (email) where born is not null;
  create index on clinic.patients (lower(email));
  create index on clinic.patients (upper(email));
  create index on clinic.patients using hash (email);
  create index on clinic.patients (email, born);
  create unique index on clinic.patients (email) where born is null;
  create table clinic.visits (id int primary key, patient int references clinic.patients, doctor int, room int,
    unique (doctor, room));
  create index on clinic.visits (patient) where patient is not null;
  create table clinic.bills (id int primary key, room int, doctor int, note text,
    foreign key (doctor, room) references clinic.visits (doctor, room));
  create index on clinic.bills (room, doctor, note);
  create table clinic.log (id int, visit int references clinic.visits, at date, primary key (id, at)) partition by range (at);
  create index on clinic.log (visit);
  create table clinic.log_1 partition of clinic.log for values from ('2026-01-01') to ('2026-02-01');
  create table clinic.log_2 partition of clinic.log for values from ('2026-02-01') to ('2026-03-01');
  create table clinic.large (id int primary key, text text);
  insert into clinic.large select i, repeat('x', 300) from generate_series(1, 50000) i;
  analyze;`;

describe('the checks of check-database', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(HEALTHY);
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const check = async (at = workspace): Promise<Record<string, Check>> => {
    const { checks } = await at.run(() => checkDb({ env: 'testing' }));
    return Object.fromEntries(checks.map((found) => [found.name, found]));
  };
  const one = async (name: string): Promise<Check> => {
    const found = (await check())[name];
    if (found === undefined) throw new Error(`there is no check ${name}`);
    return found;
  };
  /** Runs the statements that a check proposes, as they would be typed. */
  const mend = async ({ fix }: Check): Promise<void> => {
    for (const statement of fix?.split(';').filter((text) => text.trim() !== '') ?? [])
      await db.client.query(statement);
  };

  it('finds nothing in a database that is in order', async () => {
    const found = Object.values(await check()).filter(
      ({ name, status }) => status !== 'ok' && !['server-version', 'last-backup', 'tables'].includes(name),
    );
    expect(found).to.deep.equal([]);
  });

  it('proposes to drop the younger of two indexes that are the same, and never what a constraint holds', async () => {
    await db.client.query(`
      create index older on clinic.patients (born) include (email);
      create index younger on clinic.patients (born);
      create index code_again on clinic.patients (code);
      create unique index code_twice on clinic.patients (code);
      create unique index pointed_at on clinic.visits (doctor, room);
      create index on clinic.patients ((born + 1)) where id > 5;
      create index same_expression on clinic.patients ((born + 1)) where id > 5;
      create index of_all on clinic.log (visit);`);
    const found = await one('duplicate-indexes');
    expect(found).to.include({ status: 'warning', value: 6 });
    expect(found.detail).to.contain('clinic.younger').and.to.contain('clinic.patients_code_key does the same');
    const { rows: before } = await db.client.query(`select conname from pg_constraint order by 1`);
    await mend(found);
    await mend(await one('duplicate-indexes'));
    const { rows } = await db.client.query(
      `select indexrelid::regclass::text as name from pg_index
       where indexrelid = any (array[to_regclass('clinic.older'), to_regclass('clinic.younger'), to_regclass('clinic.code_again'),
         to_regclass('clinic.code_twice'), to_regclass('clinic.pointed_at'), to_regclass('clinic.same_expression'), to_regclass('clinic.of_all')])`,
    );
    expect(rows).to.deep.equal([{ name: 'clinic.older' }]);
    expect((await one('duplicate-indexes')).status).to.equal('ok');
    expect((await db.client.query(`select conname from pg_constraint order by 1`)).rows).to.deep.equal(before);
    await db.client.query('drop index clinic.older');
  });

  it('takes no unique index for a double of one that is not, and keeps the replica identity', async () => {
    await db.client.query(`
      create table clinic.twins (a int not null, b int not null);
      create unique index identity on clinic.twins (a);
      alter table clinic.twins replica identity using index identity;
      create unique index strict on clinic.twins (b);
      create index loose on clinic.twins (b);
      create unique index identical on clinic.twins (a);
      alter table clinic.twins add unique (a) deferrable;`);
    const found = await one('duplicate-indexes');
    expect(found.fix?.match(/clinic\.\w+/g)?.sort()).to.deep.equal(['clinic.identical', 'clinic.loose']);
    await db.client.query('drop table clinic.twins');
  });

  it('misses the indexes of foreign keys, of a partitioned table once', async () => {
    await db.client.query(`
      create table clinic."Order lines" (id int primary key, "Visit" int references clinic.visits, patient int references clinic.patients,
        a int, b int, foreign key (a, b) references clinic.visits (doctor, room));
      create index on clinic."Order lines" (a);
      create index on clinic."Order lines" ("Visit") where id > 5;
      create index on clinic."Order lines" (id, patient);
      alter table clinic.log add patient int references clinic.patients;`);
    const found = await one('foreign-keys-without-index');
    expect(found).to.include({ status: 'info', value: 4 });
    expect(found.fix).to.contain('create index on clinic.log (patient);');
    expect(found.fix).to.contain('create index concurrently on clinic."Order lines" ("Visit");');
    expect(found.fix).to.contain('create index concurrently on clinic."Order lines" (a, b);');
    await mend(found);
    expect((await one('foreign-keys-without-index')).status).to.equal('ok');
    await db.client.query('drop table clinic."Order lines"; alter table clinic.log drop patient');
  });

  it('warns of a foreign key without an index where the table is large', async () => {
    await db.client.query(`
      create table clinic.many (patient int references clinic.patients);
      insert into clinic.many select null from generate_series(1, 100000); analyze clinic.many;`);
    expect(await one('foreign-keys-without-index')).to.include({ status: 'warning', value: 1 });
    await db.client.query('drop table clinic.many');
  });

  it('finds larger indexes that nothing uses, once the server has counted for long enough', async () => {
    await db.client.query(`
      create table clinic.wide (id int primary key, used int, unused int, patient int references clinic.patients, once int unique);
      insert into clinic.wide select i, i, i, null, i from generate_series(1, 60000) i;
      create index on clinic.wide (used); create index on clinic.wide (unused); create index on clinic.wide (patient);
      create index on clinic.wide ((unused + 1));
      create table clinic.parts (id int, n int) partition by range (id);
      create table clinic.parts_1 partition of clinic.parts for values from (0) to (100000);
      create table clinic.parts_2 partition of clinic.parts for values from (100000) to (200000);
      insert into clinic.parts select i, i from generate_series(1, 199999) i;
      create index on clinic.parts (id); create index on clinic.parts (n);
      analyze clinic.wide, clinic.parts; set enable_seqscan = off;
      select from clinic.wide where used = 5; select from clinic.parts where id = 150000;`);
    await db.client.query('select pg_stat_force_next_flush(); select pg_sleep(0.1)').catch(() => undefined);
    expect((await one('unused-indexes')).detail).to.contain('too few to say anything');
    const other = await connected(db.url);
    try {
      await other.query(`set search_path = pg_catalog`);
      const found = await unusedIndexesAfter(0)(other, CONTEXT);
      expect(found).to.include({ status: 'info', value: 2 });
      expect(found.fix?.split('; ')).to.have.members([
        'drop index clinic.parts_n_idx',
        'drop index concurrently clinic.wide_unused_idx;',
      ]);
      await db.client.query(`select pg_create_physical_replication_slot('a_standby')`);
      const withStandby = await unusedIndexesAfter(0)(other, CONTEXT);
      expect(withStandby.detail).to.contain('standbys');
      expect(withStandby.fix).to.not.contain('drop index');
    } finally {
      await db.client.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots`);
      await other.end();
      await db.client.query('drop table clinic.wide, clinic.parts');
    }
  });

  it('estimates tables and indexes that are mostly empty', async () => {
    await db.client.query(`
      create table clinic.bloated (id int primary key, text text, flag boolean) with (autovacuum_enabled = off);
      insert into clinic.bloated select i, repeat('x', 100), null from generate_series(1, 200000) i;
      create index on clinic.bloated (text, id); analyze clinic.bloated;`);
    expect([await one('table-bloat'), await one('index-bloat')].map(({ status }) => status)).to.deep.equal([
      'ok',
      'ok',
    ]);
    await db.client.query('delete from clinic.bloated where id % 10 <> 0');
    await db.client.query('vacuum (analyze, index_cleanup on) clinic.bloated');
    const [table, index] = [await one('table-bloat'), await one('index-bloat')];
    expect(table).to.include({ status: 'info', fix: 'vacuum (full, analyze) clinic.bloated;' });
    expect(table.value).to.be.within(22e6, 30e6);
    expect(index).to.include({ status: 'info', fix: 'reindex index concurrently clinic.bloated_text_id_idx;' });
    await mend(index);
    await mend(table);
    expect([await one('table-bloat'), await one('index-bloat')].map(({ status }) => status)).to.deep.equal([
      'ok',
      'ok',
    ]);
    await db.client.query('drop table clinic.bloated');
  });

  it('counts a partitioned table once, in the number, in the sentence and among those never analyzed', async () => {
    const own = await openDatabase(`
      create table public.log (id int, at date) partition by range (at);
      create table public.log_1 partition of public.log for values from ('2026-01-01') to ('2026-02-01');
      create table public.log_2 partition of public.log for values from ('2026-02-01') to ('2026-03-01');
      create table public.log_3 partition of public.log for values from ('2026-03-01') to ('2026-04-01');`);
    await stampAs(own.client, 'testing');
    const theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${own.url}\n` });
    const tables = async () => (await check(theirs)).tables;
    try {
      expect(await tables()).to.include({
        status: 'info',
        value: 1,
        detail: '1 table with about 0 rows. It was never analyzed, so the planner guesses.',
      });
      await own.client.query('create table public.notes (id int); analyze public.log_1; analyze public.notes');
      expect(await tables()).to.include({
        value: 2,
        detail: '2 tables with about 0 rows. 1 of them was never analyzed, so the planner guesses.',
      });
      await own.client.query(
        "analyze public.log_2; analyze public.log_3; insert into log select 1, d::date from generate_series(date '2026-01-01', '2026-03-31', '1 day') d; analyze",
      );
      expect(await tables()).to.include({ status: 'ok', value: 2, detail: '2 tables with about 90 rows.' });
    } finally {
      await theirs.remove();
      await closeEngines();
      await own.drop();
    }
  });

  it('finds slots that nobody uses', async () => {
    await db.client.query(`select pg_create_physical_replication_slot('forgotten', true)`);
    try {
      const found = await one('replication-slots');
      expect(found).to.include({
        status: 'warning',
        value: 1,
        fix: `select pg_drop_replication_slot('forgotten');`,
      });
      await mend(found);
      expect((await one('replication-slots')).status).to.equal('ok');
    } finally {
      await db.client.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots`);
    }
  });

  it('finds extensions that are older than their files', async () => {
    await db.client.query(`create extension hstore version '1.4'`);
    const found = await one('extensions');
    expect(found).to.include({ status: 'warning', value: 1, fix: 'alter extension hstore update;' });
    await mend(found);
    expect((await one('extensions')).status).to.equal('ok');
    await db.client.query('drop extension hstore');
  });

  it('proposes no statement for an extension whose files are gone, and says what brings them back', async () => {
    await db.client.query(`create extension hstore; update pg_extension set extname = 'lost' where extname = 'hstore'`);
    try {
      const found = await one('extensions');
      expect(found).to.include({ status: 'warning', value: 1, fix: null });
      expect(found.detail).to.match(/without their files .*: lost 1\.\d+\. Install .* again/);
    } finally {
      await db.client.query(`update pg_extension set extname = 'hstore' where extname = 'lost'; drop extension hstore`);
    }
  });

  it('names the tables that are read from disk most, where memory serves too few reads', async () => {
    await db.client.query(
      "create table clinic.cold as select i, repeat('x', 300) as text from generate_series(1, 3000) i",
    );
    try {
      // it writes past shared_buffers, so that what is read next comes from the disk
      await db.client.query('vacuum full clinic.cold');
      const { rows } = await db.client.query<{ count: number }>(`select count(*)::int from clinic.cold`);
      expect(rows).to.deep.equal([{ count: 3000 }]);
      await db.client.query('select pg_stat_force_next_flush()').catch(() => sleep(1500));
      await db.client.query('select');
      const found = await cacheHitRatioBelow(1.1, 1)(db.client, CONTEXT);
      expect(found).to.include({ status: 'warning', fix: null });
      expect(found.value).to.be.within(0, 1);
      expect(found.detail).to.match(/Read from disk most: .*clinic\.cold \(\d+ kB\)/);
    } finally {
      await db.client.query('drop table clinic.cold');
    }
  });

  it('tells the age of transactions from that of multixacts', async () => {
    const { rows } = await db.client.query(
      'select datfrozenxid::text as xid, datminmxid::text as mxid from pg_database where datname = current_database()',
    );
    const age = (column: string, value: string) =>
      db.client.query(`set allow_system_table_mods = on;
        update pg_database set ${column} = '${value}' where datname = current_database()`);
    const ago = (id: string, count: number) => String((Number(id) + 2 ** 32 - count) % 2 ** 32);
    try {
      await age('datfrozenxid', ago(rows[0].xid, 600_000_000));
      const found = await one('wraparound');
      expect(found).to.include({ status: 'warning', fix: 'vacuum (freeze);' });
      expect(found.detail).to.match(/600 million transactions old/);
      await age('datminmxid', ago(rows[0].mxid, 1_300_000_000));
      const worse = await one('wraparound');
      expect(worse.status).to.equal('critical');
      expect(worse.detail).to.match(/1300 million multixacts old; .* is 600 million transactions old/);
    } finally {
      await age('datfrozenxid', rows[0].xid);
      await age('datminmxid', rows[0].mxid);
    }
  });

  it('finds what verify-db-triggers finds', async () => {
    await db.client.query('create table clinic.notes (id int primary key, updated_at timestamptz)');
    expect(await one('trigger-drift')).to.include({
      status: 'warning',
      value: 1,
      fix: 'manage_db verify-db-triggers --fix --env testing',
    });
    await db.client.query('drop table clinic.notes');
    expect(await one('trigger-drift')).to.include({ status: 'ok', detail: 'There are no triggers.' });
  });

  it('counts no trigger of somebody else among those that are as declared', async () => {
    const own = await openDatabase(`create table public.notes (id int primary key, updated_at timestamptz)`);
    await stampAs(own.client, 'testing');
    const theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${own.url}\n` });
    const said = async () => {
      const found = (await check(theirs))['trigger-drift'];
      return [found?.status, found?.detail];
    };
    const stranger = (name: string) =>
      own.client.query(
        `create trigger ${name} before insert on public.notes for each row execute function public.nothing()`,
      );
    try {
      await own.client.query(
        `create function public.nothing() returns trigger language plpgsql as 'begin return new; end'; alter table notes rename updated_at to at`,
      );
      await stranger('stranger');
      expect(await said()).to.deep.equal(['ok', "No trigger is declared. One is somebody else's."]);
      await own.client.query('alter table notes rename at to updated_at');
      await theirs.run(() => applyTriggers({ env: 'testing', consent: { yes: true, reason: 'a test' } }));
      expect(await said()).to.deep.equal([
        'ok',
        "The one declared trigger is as declared and installed. One more is somebody else's.",
      ]);
      await stranger('another');
      await own.client.query('create table public.more (id int primary key, updated_at timestamptz)');
      await theirs.run(() => applyTriggers({ env: 'testing', consent: { yes: true, reason: 'a test' } }));
      expect(await said()).to.deep.equal([
        'ok',
        "All 2 declared triggers are as declared and installed. 2 more are somebody else's.",
      ]);
    } finally {
      await theirs.remove();
      await closeEngines();
      await own.drop();
    }
  });

  it('proposes the mode that a disabled trigger had, and never calls a key of another kind a foreign key', async () => {
    await db.client.query(`
      create table clinic.modes (id int primary key, n int unique deferrable, at date);
      create table clinic.sliced (id int, at date) partition by range (at);
      create table clinic.slice partition of clinic.sliced for values from ('2026-01-01') to ('2026-02-01');
      create function clinic.nothing() returns trigger language plpgsql as 'begin return new; end';
      create trigger loud before insert on clinic.modes for each row execute function clinic.nothing();
      create trigger sliced after insert on clinic.sliced for each row execute function clinic.nothing();
      alter table clinic.sliced enable always trigger sliced;
      alter table clinic.slice disable trigger sliced;
      alter table clinic.modes disable trigger all;
      alter table clinic.modes enable always trigger loud;`);
    const found = await one('disabled-triggers');
    expect(found).to.include({ status: 'warning', value: 2 });
    expect(found.detail).to.contain('the deferrable keys of clinic.modes').and.not.contain('not enforced');
    expect(found.fix).to.contain('alter table clinic.slice enable always trigger sliced;');
    await mend(found);
    expect((await one('disabled-triggers')).status).to.equal('ok');
    const { rows } = await db.client.query(
      `select distinct tgenabled as mode from pg_trigger where tgname in ('loud', 'sliced')`,
    );
    expect(rows).to.deep.equal([{ mode: 'A' }]);
    await db.client.query('drop table clinic.modes, clinic.sliced; drop function clinic.nothing()');
  });

  it('warns of no trigger that was disabled on purpose', async () => {
    const own = await openDatabase('create table public.notes (id int primary key, updated_at timestamptz)');
    await stampAs(own.client, 'testing');
    const theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${own.url}\n` });
    const consent = { env: 'testing', consent: { yes: true, reason: 'a test' } };
    try {
      const { created } = await theirs.run(() => applyTriggers(consent));
      const [trigger] = created;
      if (trigger === undefined) throw new Error('no trigger was made');
      const table = 'public.notes';
      await theirs.run(() => disableTrigger({ ...consent, table, name: trigger.name }));
      const found = (await check(theirs))['disabled-triggers'];
      expect(found).to.include({
        status: 'info',
        value: 1,
        fix: `manage_db enable-db-trigger ${trigger.name} --table public.notes --env testing;`,
      });
      expect(found?.detail).to.contain('on purpose');
    } finally {
      await theirs.remove();
      await closeEngines();
      await own.drop();
    }
  });

  it('takes no partial index without nulls for bloated, although its table is full of them', async () => {
    await db.client.query(`
      create table clinic.sparse (id int primary key, text text);
      insert into clinic.sparse select i, case when i % 10 = 0 then repeat('x', 400) || i end from generate_series(1, 600000) i;
      create index on clinic.sparse (text) where text is not null; analyze clinic.sparse;`);
    expect((await one('index-bloat')).status).to.equal('ok');
    await db.client.query('drop table clinic.sparse');
  });

  it('counts no rows of a table that was never analyzed', async () => {
    await db.client.query('create table clinic.uncounted (patient int references clinic.patients)');
    expect((await one('foreign-keys-without-index')).detail).to.contain('(never analyzed)');
    await db.client.query('drop table clinic.uncounted');
  });

  it('lets a sequence that counts down go on', async () => {
    await db.client.query(`create sequence clinic.down as integer increment -1 minvalue -1000 maxvalue -1;
      select setval('clinic.down', -990)`);
    const found = await one('sequences');
    expect(found).to.include({ status: 'critical', fix: 'alter sequence clinic.down as bigint no minvalue;' });
    await mend(found);
    expect((await one('sequences')).status).to.equal('ok');
    await db.client.query('drop sequence clinic.down');
  });

  describe('for a login that sees only its own', () => {
    let login: ScratchLogin;
    let theirs: ScratchWorkspace;
    before(async () => {
      login = await scratchLogin('onlooker');
      theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(db.name, login)}\n` });
      await db.client.query(`
        create table clinic.hidden (id int, text text) with (autovacuum_enabled = off);
        insert into clinic.hidden select i, repeat('x', 100) from generate_series(1, 150000) i;
        delete from clinic.hidden where id > 10`);
      await db.client.query('vacuum (analyze, truncate off) clinic.hidden');
    });
    after(async () => {
      await theirs.remove();
      await closeEngines();
      await db.client.query('drop table clinic.hidden');
      await db.client.query(`drop owned by ${login.user}`);
      await dropLogins(login);
    });

    it('says what cannot be seen, instead of that nothing is there', async () => {
      const checks = await check(theirs);
      expect(checks['idle-in-transaction']).to.include({
        status: 'info',
        fix: `grant pg_read_all_stats to "${login.user}";`,
      });
      expect(checks['table-bloat']).to.include({ status: 'info', value: 0 });
      expect(checks['table-bloat']?.detail).to.contain('2 larger tables could not be estimated');
    });

    it('estimates what it may read', async () => {
      await db.client.query(
        `grant usage on schema clinic to ${login.user}; grant select on clinic.hidden to ${login.user}`,
      );
      const found = (await check(theirs))['table-bloat'];
      expect(found?.detail).to.contain('clinic.hidden').and.to.contain('1 larger tables could not be estimated');
    });
  });

  describe('of the version', () => {
    const at = (version: string, day: string, server: 'embedded' | 'external' = 'external') =>
      judgeVersion(version, { now: new Date(day), server, environment: 'testing' });

    it('know which ones get fixes', () => {
      const status = (version: string, day: string) => at(version, day).status;
      expect(status('15.19', '2026-06-01')).to.equal('ok');
      expect(status('15.18', '2026-06-01')).to.equal('info');
      expect(status('15.15', '2026-06-01')).to.equal('warning');
      expect(status('15.19', '2027-09-01')).to.equal('info');
      expect(status('15.19', '2027-11-12')).to.equal('warning');
      expect(status('19devel', '2026-06-01')).to.equal('ok');
    });

    it('know minor versions of one day', () => {
      // released together on 2025-11-13; 18.5 was never released
      const together = ['14.20', '15.15', '16.11', '17.7', '18.1'];
      const said = together.map((version) => /At least (\d+) minor/.exec(at(version, '2026-06-01').detail)?.[1]);
      expect(new Set(said)).to.deep.equal(new Set(['4']));
      expect(at('18.4', '2026-06-01').detail).to.contain('At least 1 minor release with fixes behind 18.6.');
    });

    it('propose no command for a server that comes with manage_db', () => {
      const found = at('15.18', '2026-06-01', 'embedded');
      expect(found).to.include({ status: 'info', fix: null });
      expect(found.detail).to.contain('next version of manage_db');
    });

    it('tell what takes the data of a server that comes with manage_db to a newer one', () => {
      const found = at('15.19', '2027-11-12', 'embedded');
      expect(found).to.include({ status: 'warning', fix: 'manage_db create-backup --env testing' });
      expect(found.detail).to.contain('restore');
      expect(JSON.stringify([found, at('15.19', '2027-09-01', 'embedded')])).to.not.contain('pg_upgrade');
      expect(at('15.19', '2027-11-12').fix).to.contain('pg_upgrade');
    });
  });
});
