import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type pg from 'pg';
import { showOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { openClient } from '../../database/open-client.js';
import { hasSaid, SAYING_STEPS, type Stop, startProgram, untilUnlocked } from '../../support/child-program.js';
import { endKeeper } from '../../support/end-keeper.js';
import { type RestoresInPlace, restoresInPlace } from '../../support/restores-in-place.js';
import type { ScratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { testUrl } from '../../support/test-server.js';

const SCHEMA = `
  create schema "Billing & co";
  create type mood as enum ('well', 'ill');
  create function touch() returns trigger language plpgsql as $$ begin
    insert into touched values (tg_table_name, tg_op); return coalesce(new, old); end $$;
  create table touched (relation text, operation text);
  create table patients (id bigint generated always as identity primary key, name text not null, mood mood default 'well',
    initial text generated always as (left(name, 1)) stored, doctor bigint references patients);
  create table "Billing & co"."Rechnung ""Ü""" (id serial primary key,
    patient_id bigint references patients on delete cascade deferrable initially deferred, amount numeric check (amount > 0));
  create table visits (id int, at date not null, patient_id bigint references patients, primary key (id, at)) partition by range (at);
  create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
  create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
  create index on visits (patient_id);
  create table wards (id int primary key, head int);
  create table nurses (id int primary key, ward int references wards);
  alter table wards add constraint head foreign key (head) references nurses;
  create table notes (id int, patient_id bigint);
  insert into notes values (1, 4711);
  alter table notes add constraint loose foreign key (patient_id) references patients not valid;
  comment on constraint loose on notes is 'older than the patients';
  create index names on patients (lower(name));
  create statistics known (dependencies) on name, mood from patients;
  create view well as select id, name from patients where mood = 'well';
  create materialized view counted as select count(*) as patients from well;
  comment on table patients is 'those who come'; comment on column patients.name is 'as it is written';
  grant select on patients to public; grant update (name) on patients to public;
  create policy own on patients using (name <> ''); alter table patients enable row level security;
  create trigger a_touch before insert or update or delete on patients for each row execute function touch();
  create trigger b_touch after truncate on patients for each statement execute function touch();
  create trigger c_touch before insert on patients for each row execute function touch();
  create trigger d_touch before insert on patients for each row execute function touch();
  alter table patients enable always trigger a_touch; alter table patients disable trigger c_touch;
  alter table patients enable replica trigger d_touch;
  create trigger v_touch before insert on visits for each row execute function touch();
  create publication changes for table patients;
  alter table patients disable trigger user;
  insert into patients (name, doctor) select 'patient ' || i, 1 from generate_series(1, 1000) i;
  alter table patients enable always trigger a_touch; alter table patients enable trigger b_touch; alter table patients enable replica trigger d_touch;
  insert into "Billing & co"."Rechnung ""Ü""" (patient_id, amount) select i, i * 1.5 from generate_series(1, 300) i;
  insert into visits select i, date '2025-07-01' + i, i from generate_series(1, 400) i;
  insert into wards values (1, null), (2, null); insert into nurses values (1, 1), (2, 2); update wards set head = id;
  truncate touched;
  refresh materialized view counted;`;

/** Rows, and all that a table is. */
const FINGERPRINT = `
  select string_agg(line, e'\\n' order by line) as fingerprint from (
    select 'p' || p::text from patients p union all select 'r' || r::text from "Billing & co"."Rechnung ""Ü""" r
    union all select 'v' || v::text || v.tableoid::regclass from visits v
    union all select 'w' || w::text from wards w union all select 'n' || n::text from nurses n union all select 'x' || n::text from notes n
    union all select 't' || pg_get_triggerdef(t.oid) || t.tgenabled::text from pg_trigger t where not t.tgisinternal and t.tgfoid = 'touch'::regproc
    union all select 'c' || c.conrelid::regclass || c.conname || pg_get_constraintdef(c.oid) || coalesce(obj_description(c.oid, 'pg_constraint'), '')
      from pg_constraint c where c.connamespace::regnamespace::text not in ('pg_catalog', 'manage_db', 'information_schema')
    union all select 'i' || indexdef from pg_indexes where schemaname in ('public', 'Billing & co')
    union all select 'y' || schemaname || tablename || policyname || qual from pg_policies
    union all select 'a' || c.oid::regclass || c.relrowsecurity || c.relforcerowsecurity || coalesce(c.relacl::text, '') || coalesce(obj_description(c.oid, 'pg_class'), '')
      || coalesce(col_description(c.oid, 2), '') || coalesce((select string_agg(attname || attacl::text, ',') from pg_attribute where attrelid = c.oid and attacl is not null), '')
      from pg_class c where c.relnamespace::regnamespace::text in ('public', '"Billing & co"') and c.relkind in ('r', 'p')
    union all select 's' || stxname || stxrelid::regclass from pg_statistic_ext
    union all select 'u' || pubname || tablename from pg_publication_tables
    union all select 'd' || adrelid::regclass || pg_get_expr(adbin, adrelid) from pg_attrdef join pg_class c on c.oid = adrelid where c.relnamespace::regnamespace::text in ('public', '"Billing & co"')
  ) all_lines (line)`;

const file = new URL('../../../app/core/db-operations/restore.ts', import.meta.url).href;
const PROGRAM = `
  import { restoreDatabase } from '${file}';
  await restoreDatabase({ env: 'testing', id: 'latest', inPlace: true, tables: ['patients'], consent: { yes: true },
    onProgress: ${SAYING_STEPS} });
  process.stdout.write('the end\\n');`;

describe('a restore of tables in place', () => {
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

  const rows: RestoresInPlace['rows'] = (sql) => inPlace.rows(sql);
  const count: RestoresInPlace['count'] = (table) => inPlace.count(table);
  const backup: RestoresInPlace['backup'] = (options) => inPlace.backup(options);
  const backups: RestoresInPlace['backups'] = () => inPlace.backups();
  const restore: RestoresInPlace['restore'] = (options) => inPlace.restore(options);
  const failing: RestoresInPlace['failing'] = (options) => inPlace.failing(options);
  const fingerprint = async (): Promise<string> => (await rows(FINGERPRINT))[0].fingerprint;

  for (const format of ['directory', 'custom'] as const) {
    it(`replaces the rows of one table from the ${format} format, and leaves all else as it is`, async () => {
      await backup({ format });
      const before = await fingerprint();
      await client.query(`alter table patients disable trigger user; update patients set name = 'nobody';
        insert into patients (name) values ('later'); alter table patients enable trigger b_touch;
        alter table patients enable always trigger a_touch; alter table patients enable replica trigger d_touch;
        insert into wards values (3, null)`);
      const result = await restore({ tables: ['public.patients'] });
      expect(await rows('select from wards where id = 3')).to.have.length(1);
      await client.query('delete from wards where id = 3');
      expect(await fingerprint()).to.equal(before);
      expect(await count('touched')).to.equal(0);
      expect(result).to.deep.include({ strategy: 'in-place', previousDatabase: null });
      expect(result.inPlace).to.deep.include({ replaced: ['public.patients'], made: [] });
      expect(result.warnings.join('\n'))
        .to.contain('of another moment')
        .and.contain('refresh materialized view public.counted')
        .and.contain('public.patients_id_seq was ahead of the backup');
      await client.query(`insert into patients (name) values ('again')`);
      // what was replaced is a backup, and leads back
      expect((await backups())[0]).to.include({ id: result.safetyBackup, label: 'before a restore' });
      expect(result.inPlace?.undo).to.equal(
        `manage_db restore-backup ${result.safetyBackup} --env testing --in-place --table public.patients`,
      );
      await restore({ id: result.safetyBackup ?? '', tables: ['patients'] });
      expect(await rows(`select from patients where name = 'later'`)).to.have.length(1);
    });
  }

  it('brings back a table whose names have line breaks, and one that has no rows', async () => {
    const name = '"We""ird.Ünï"."t\'a""b\nx; --"';
    await client.query(`create schema "We""ird.Ünï"`);
    await client.query(`create table ${name} ("a\n(b" int primary key, t text)`);
    await client.query(`create table "We""ird.Ünï".empty (id int)`);
    await client.query(`insert into ${name} values (1, E'COPY x FROM stdin;'), (2, E'\\\\.\\nline')`);
    const contents = () => rows(`select * from ${name} order by 1`);
    const before = await contents();
    await backup();
    await client.query(`delete from ${name}; insert into "We""ird.Ünï".empty values (1)`);
    await restore({ schemas: ['We"ird.Ünï'] });
    expect(await contents()).to.deep.equal(before);
    await client.query(`drop table ${name}`);
    await restore({ schemas: ['We"ird.Ünï'] });
    expect(await contents()).to.deep.equal(before);
    expect(await rows('select * from "We""ird.Ünï".empty')).to.deep.equal([]);
  });

  it('makes a partition again that has partitions of its own, with the indexes of all of them', async () => {
    await client.query(`
      create schema q;
      create table q.m (id int, d int, note text, primary key (id, d)) partition by range (d);
      create table q.m1 partition of q.m for values from (0) to (10) partition by list (id);
      create table q.m11 partition of q.m1 for values in (1);
      create table q.m2 partition of q.m for values from (10) to (20);
      create index on q.m (note);
      insert into q.m values (1, 1, 'first'), (7, 12, 'second')`);
    const state = `select string_agg(line, e'\\n' order by line) from (
      select m.tableoid::regclass || m::text from q.m union all
      select indexrelid::regclass || pg_get_indexdef(indexrelid) || indisvalid || coalesce(inhparent::regclass::text, '-')
      from pg_index left join pg_inherits on inhrelid = indexrelid where indrelid::regclass::text like 'q.%') t (line)`;
    const before = await rows(state);
    await backup();
    for (const tables of [['q.m'], ['q.m1']]) {
      await client.query('drop table q.m1');
      await restore({ tables });
      expect(await rows(state)).to.deep.equal(before);
    }
  });

  it('makes a dropped table again with all that belongs to it', async () => {
    await backup();
    const before = await fingerprint();
    await client.query('drop table patients cascade');
    const result = await restore({ tables: ['patients'] });
    expect(await fingerprint()).to.equal(before);
    expect(result.inPlace).to.deep.include({ replaced: [], made: ['public.patients'], undo: null });
    expect(result.safetyBackup).to.equal(null);
    expect(result.warnings.join('\n')).to.contain('A view of the backup is not there: public.well');
    await client.query(`insert into patients (name) values ('next')`);
    expect(await rows(`select id, initial from patients where name = 'next'`)).to.deep.equal([
      { id: '1001', initial: 'n' },
    ]);
  });

  it('makes dropped tables with quoted names, sequences and partitions again', async () => {
    await backup();
    const before = await fingerprint();
    await client.query(`drop table "Billing & co"."Rechnung ""Ü""", visits`);
    const { inPlace } = await restore({ tables: ['"Billing & co"."Rechnung ""Ü"""', 'visits'] });
    expect(inPlace?.made).to.have.length(4);
    expect(await fingerprint()).to.equal(before);
    await client.query('drop table visits_2025');
    expect((await restore({ tables: ['visits_2025'] })).inPlace?.made).to.deep.equal(['public.visits_2025']);
    expect(await fingerprint()).to.equal(before);
  });

  it('changes nothing when the session that keeps others out has ended', async () => {
    await backup();
    await client.query('delete from visits');
    const ending: Promise<unknown>[] = [];
    const error = await failing({
      tables: ['visits'],
      onProgress: ({ step }) => {
        if (step === 'backing up what is there') ending.push(endKeeper(database.name));
      },
    });
    await Promise.all(ending);
    expect(error.code).to.equal('CONNECTION_LOST');
    expect(error.message).to.match(/keeps others out of .* has ended\. .* was not changed\.$/);
    expect(await count('visits')).to.equal(0);
    expect(await backups()).to.have.length(1);
  });

  it('goes on with the numbers of a column of a domain, and of numeric', async () => {
    await client.query(`create domain number as bigint; create domain positive as number check (value > 0);
      create table tickets (id positive primary key, part numeric, what text);
      create sequence ticket_numbers owned by tickets.id; alter table tickets alter id set default nextval('ticket_numbers');
      create sequence part_numbers maxvalue 1000 owned by tickets.part; alter table tickets alter part set default nextval('part_numbers');
      insert into tickets (what) select 'ticket ' || n from generate_series(1, 10) n;
      insert into tickets values (50, 1e30, 'by hand')`);
    await backup();
    await client.query('drop table tickets');
    const { inPlace, warnings } = await restore({ tables: ['tickets'] });
    expect(inPlace?.sequences).to.deep.equal([
      { sequence: 'public.part_numbers', next: '11', from: 'backup' },
      { sequence: 'public.ticket_numbers', next: '51', from: 'rows' },
    ]);
    expect(warnings.join('\n')).to.contain('public.ticket_numbers');
    expect(await rows(`insert into tickets (what) values ('new') returning id, part`)).to.deep.equal([
      { id: '51', part: '11' },
    ]);
  });

  it('goes on with the numbers of a key that is no number', async () => {
    await client.query(`create sequence ups; create sequence downs increment -5 minvalue -1000 maxvalue 100 start 100;
      create table tags (id text primary key default 'k' || nextval('ups'), other text default 'd' || nextval('downs'), what text);
      alter sequence ups owned by tags.id; alter sequence downs owned by tags.other;
      insert into tags (what) select 'a' from generate_series(1, 5)`);
    await backup();
    await client.query('truncate tags restart identity');
    const { inPlace } = await restore({ tables: ['tags'] });
    expect(inPlace?.sequences).to.deep.equal([
      { sequence: 'public.downs', next: '75', from: 'backup' },
      { sequence: 'public.ups', next: '6', from: 'backup' },
    ]);
    expect(await rows(`insert into tags (what) values ('new') returning id, other`)).to.deep.equal([
      { id: 'k6', other: 'd75' },
    ]);
  });

  it('replaces all partitions of a partitioned table, or a single one', async () => {
    await backup();
    const before = await fingerprint();
    await client.query('delete from visits');
    await restore({ tables: ['visits_2026'] });
    expect(await count('visits')).to.equal(217);
    await client.query(`create table visits_2027 partition of visits for values from ('2027-01-01') to ('2028-01-01');
      insert into visits values (1, '2027-03-01', 1)`);
    const result = await restore({ tables: ['visits'] });
    expect(result.inPlace?.emptied).to.deep.equal(['public.visits_2027']);
    await client.query('drop table visits_2027');
    expect(await fingerprint()).to.equal(before);
    const undone = await restore({ id: result.safetyBackup ?? '', tables: ['visits'] });
    expect(undone.inPlace).to.deep.include({ made: ['public.visits_2027'], emptied: [] });
    expect(await count('visits')).to.equal(218);
  });

  it('refuses rows that would lose what they point at, names them, and changes nothing', async () => {
    await backup();
    await client.query(`insert into patients (name) values ('later');
      insert into "Billing & co"."Rechnung ""Ü""" (patient_id, amount) values (1001, 5)`);
    const before = await fingerprint();
    const error = await failing({ tables: ['patients'] });
    expect(error.code).to.equal('SQL_FAILED');
    expect(error.message)
      .to.contain('Rechnung "Ü"_patient_id_fkey')
      .and.contain('(patient_id)=(1001)')
      .and.contain('was not changed');
    expect(await fingerprint()).to.equal(before);
    expect(await backups()).to.have.length(1);
    await client.query(`delete from "Billing & co"."Rechnung ""Ü"""`);
    const other = await failing({ tables: ['patients', 'touched', 'nothing_like_it'] });
    expect(other.code).to.equal('NOT_FOUND');
  });

  it('refuses rows that point at what is gone', async () => {
    await backup();
    await client.query('delete from visits; delete from patients where id = 7');
    const error = await failing({ tables: ['visits'] });
    expect(error.message).to.contain('(patient_id)=(7)').and.contain('was not changed');
    expect(await count('visits')).to.equal(0);
    await restore({ tables: ['visits', 'patients'] });
    expect(await count('visits')).to.equal(400);
  });

  it('restores tables that point at each other', async () => {
    await backup();
    const before = await fingerprint();
    await client.query('update wards set head = null; delete from nurses');
    await restore({ tables: ['wards', 'nurses'] });
    expect(await fingerprint()).to.equal(before);
    await client.query('drop table wards, nurses cascade');
    await restore({ tables: ['nurses', 'wards'] });
    expect(await fingerprint()).to.equal(before);
  });

  it('brings back whole schemas: replaced where they are, made where they are gone', async () => {
    await backup();
    const before = await fingerprint();
    await client.query(`drop schema "Billing & co" cascade`);
    await restore({ schemas: ['Billing & co'] });
    expect(await fingerprint()).to.equal(before);
    await client.query(`create table "Billing & co".later (id int); delete from "Billing & co"."Rechnung ""Ü"""`);
    const result = await restore({ schemas: ['"Billing & co"'] });
    expect(result.warnings.join()).to.contain('"Billing & co".later is not in the backup, and stays');
    await client.query('drop table "Billing & co".later');
    expect(await fingerprint()).to.equal(before);
  });

  it('makes a schema again with its types, functions, views and triggers', async () => {
    await client.query(`create schema gone; create type gone.kind as enum ('a', 'b'); create domain gone.amount as int check (value > 0);
      create function gone.noted() returns trigger language plpgsql as $$ begin return new; end $$;
      create table gone.things (id int primary key, kind gone.kind default 'a', amount gone.amount);
      create view gone.grouped as select t.id, t.kind, count(*) as n from gone.things t group by t.id;
      create materialized view gone.summed as select count(*) as n from gone.grouped; create sequence gone.free start 7;
      create trigger noted before insert on gone.things for each row execute function gone.noted();
      create rule none as on delete to gone.things where old.id = 1 do instead nothing;
      insert into gone.things select n, 'b', n from generate_series(1, 20) n; refresh materialized view gone.summed`);
    await backup();
    await client.query('drop schema gone cascade');
    await restore({ schemas: ['gone'] });
    expect(
      await rows(
        'select (select count(*) from gone.grouped)::int as a, (select n from gone.summed)::int as b, nextval($$gone.free$$)::int as c',
      ),
    ).to.deep.equal([{ a: 20, b: 20, c: 7 }]);
    expect(await rows(`select tgname from pg_trigger where tgrelid = 'gone.things'::regclass`)).to.deep.equal([
      { tgname: 'noted' },
    ]);
    expect(await rows(`select rulename from pg_rules where schemaname = 'gone'`)).to.have.length(1);
  });

  it('tells apart what looks alike, and takes tables of every kind', async () => {
    await client.query(`create schema a; create schema "a b"; create table a."b c" (id int); create table "a b".c (id int);
      insert into a."b c" values (1); insert into "a b".c values (2), (3);
      create table "order" ("user" int generated by default as identity (increment by -1 minvalue -100 start -1) primary key, "Ä.""b" text);
      insert into "order" ("Ä.""b") values ('x'), (e'\\\\.'), ('');
      create table parents (id int check (id > 0)); create table children (more text) inherits (parents);
      insert into parents values (1); insert into children values (2, 'two');
      create table without_columns (); insert into without_columns default values; insert into without_columns default values;
      create table empty (id int unique deferrable initially deferred);
      create unlogged table quick (id int); insert into quick values (5)`);
    await backup({ prove: true });
    const all = () =>
      rows(`select (select string_agg(t::text, ',') from (table a."b c" union all table "a b".c) t) as alike,
        (select string_agg(t::text, ',' order by "user") from "order" t) as "order", (select string_agg(t::text, ',') from only parents t) as parents,
        (select string_agg(t::text, ',') from children t) as children, (select count(*) from without_columns) as without_columns,
        (select count(*) from empty) as empty, (select count(*) from quick) as quick`);
    const before = await all();
    const tables = ['a.b c', 'order', 'parents', 'without_columns', 'empty', 'quick'];
    await client.query(`delete from a."b c"; insert into "order" default values; delete from without_columns; update only parents set id = 7;
      insert into empty values (1); truncate quick`);
    await restore({ tables });
    expect(await all()).to.deep.equal(before);
    await client.query('insert into "order" default values');
    expect((await rows('select min("user") as least from "order"'))[0].least).to.equal(-5);
    await client.query(
      'delete from "order" where "user" < -3; drop table a."b c", "order", without_columns, empty, quick, children',
    );
    await restore({ tables: [...tables, 'children'] });
    expect(await all()).to.deep.equal(before);
    await client.query('drop schema a cascade');
    await restore({ schemas: ['a'] });
    expect(await all()).to.deep.equal(before);
    await client.query('insert into "order" default values');
    expect((await rows('select min("user") as least from "order"'))[0].least).to.equal(-4);
  });

  it('refuses another definition, and lists what differs, before anything happens', async () => {
    await backup();
    await client.query(`alter table patients drop column initial; alter table patients rename name to called;
      alter table patients add column must int; update patients set must = 1; alter table patients alter must set not null`);
    const error = await failing({ tables: ['patients'] });
    expect(error.code).to.equal('USAGE');
    expect(error.details.differences).to.deep.equal([
      'public.patients.name (text) is not there any more',
      'public.patients.called (text) is new, and needs a value',
      'public.patients.initial (text generated as "left"(name, 1)) is not there any more',
      'public.patients.must (integer) is new, and needs a value',
    ]);
    expect(await backups()).to.have.length(1);
  });

  it('accepts new columns that need no value, and says so', async () => {
    await backup({ prove: true });
    await client.query(`alter table wards add column floor int default 3, add column note text`);
    const { warnings } = await restore({ tables: ['wards'] });
    expect(warnings.join()).to.contain('does not know floor, note of public.wards');
    expect(await rows('select * from wards order by id')).to.deep.equal([
      { id: 1, head: 1, floor: 3, note: null },
      { id: 2, head: 2, floor: 3, note: null },
    ]);
  });

  it('refuses what makes no sense, and says what --in-place gives up', async () => {
    await backup();
    const without = await failing({ inPlace: false, tables: ['patients'] });
    expect(without).to.include({ code: 'USAGE' });
    expect(without.hint).to.contain('--in-place').and.contain('triggers do not fire');
    for (const wrong of [
      {},
      { tables: ['patients'], method: 'swap' as const },
      { tables: ['patients'], keepPrevious: true },
      { tables: ['patients'], disconnectUsers: true },
      { tables: ['manage_db.identity'] },
      { schemas: ['manage_db'] },
    ]) {
      expect(await failing(wrong), JSON.stringify(wrong)).to.include({ code: 'USAGE' });
    }
    const near = await failing({ tables: ['patient'] });
    expect(near).to.include({ code: 'NOT_FOUND', hint: 'Did you mean public.patients?' });
    await backup({ format: 'plain' });
    expect(await failing({ tables: ['patients'] })).to.include({ code: 'USAGE' });
    await backup({ excludeTableData: ['visits'] });
    expect((await failing({ tables: ['visits'] })).message).to.contain('has no rows of public.visits_2025');
    await backup({ tables: ['wards'] });
    await client.query('update wards set head = null');
    await restore({ tables: ['wards'] });
    expect(await count('wards where head is not null')).to.equal(2);
  });

  it('is refused to a login that owns only some of the tables, before anything', async () => {
    await backup();
    const login = await scratchLogin('clerk');
    await client.query(`grant usage on schema "Billing & co" to ${login.user};
      alter table nurses owner to ${login.user}; alter table wards owner to ${login.user}`);
    await client.query(`alter database ${database.name} owner to ${login.user}; alter schema manage_db owner to ${login.user};
      grant all on all tables in schema manage_db to ${login.user}; grant all on schema public to ${login.user}`);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, login)}\n` });
    await workspace.run(() => closeEngines('testing'));
    const error = await failing({ tables: ['patients', 'wards'] });
    expect(error.code, error.message).to.equal('PERMISSION_DENIED');
    expect(error.message).to.contain('public.patients').and.contain('was not changed').and.not.contain('public.wards');
    // nor to an owner from whom policies hide rows: what is replaced could not be backed up
    await client.query('alter table wards enable row level security; alter table wards force row level security');
    const hidden = await failing({ tables: ['wards', 'nurses'] });
    expect(hidden.code, hidden.message).to.equal('PERMISSION_DENIED');
    expect(hidden.message).to.contain('Policies hide rows of public.wards');
    await client.query('alter table wards disable row level security');
    await client.query('update wards set head = null');
    await restore({ tables: ['wards', 'nurses'] });
    expect(await count('wards where head is not null')).to.equal(2);
    await workspace.run(() => closeEngines('testing'));
    await client.query(`reassign owned by ${login.user} to current_user; drop owned by ${login.user}`);
    await dropLogins(login);
  });

  it('restores a table of which policies are forced, for who may read it all', async () => {
    await client.query('alter table patients force row level security');
    await backup();
    const before = await fingerprint();
    await client.query(`delete from visits; delete from "Billing & co"."Rechnung ""Ü"""; alter table patients disable trigger user;
      delete from patients where id > 1; alter table patients enable always trigger a_touch; alter table patients enable trigger b_touch; alter table patients enable replica trigger d_touch`);
    await restore({ tables: ['patients', 'visits', 'Billing & co.Rechnung "Ü"'] });
    expect(await fingerprint()).to.equal(before);
  });

  it('waits for nobody for ever, and says whose table it could not have', async () => {
    await backup();
    const blocker = await openClient(database.url);
    await blocker.query('begin; select from patients limit 1');
    const error = await failing({ tables: ['patients'] });
    await blocker.end();
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain('In the way: pid').and.contain('was not changed');
    expect(await backups()).to.have.length(1);
  });

  it('lets others work with other tables meanwhile, and loses nothing that they write', async () => {
    await backup();
    await client.query('update wards set head = null');
    let written = 0;
    const other = await openClient(database.url);
    await restore({
      tables: ['wards'],
      onProgress: ({ step }) => {
        if (step === 'replacing rows') void other.query(`insert into touched values ('x', 'y')`).then(() => written++);
      },
    });
    expect(written).to.equal(1);
    await other.end();
    const [entry] = await workspace.run(() =>
      showOperationLog({ env: 'testing', operation: 'restore-backup' }).then(({ entries }) => entries),
    );
    expect(JSON.stringify(entry)).to.contain('public.wards');
  });

  it('is not committed when the rows are not those of the manifest, or the archive is damaged', async () => {
    const { path } = await backup();
    await client.query('update wards set head = null');
    const before = await fingerprint();
    const manifest = join(path, 'manifest.json');
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, text.replace('"name": "wards",\n      "rows": 2', '"name": "wards",\n      "rows": 3'));
    const error = await failing({ tables: ['wards'] });
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message).to.contain('public.wards has 2 rows instead of 3').and.contain('was not changed');
    writeFileSync(manifest, text);
    const toc = join(path, 'dump', 'toc.dat');
    const bytes = readFileSync(toc);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    writeFileSync(toc, bytes);
    expect((await failing({ tables: ['wards'] })).code).to.equal('BACKUP_INVALID');
    expect(await fingerprint()).to.equal(before);
    expect(await backups()).to.have.length(1);
  });

  const start = (stop?: Stop): ChildProcess => startProgram(PROGRAM, workspace.root, stop);

  for (const step of ['locking the tables', 'backing up', 'restoring public.patients', 'checking foreign keys']) {
    it(`changes nothing when it is killed (${step}), and keeps no lock`, async () => {
      await client.query(`alter table patients disable trigger user;
        insert into patients (name) select 'many ' || i from generate_series(1, 50000) i`);
      await backup();
      await client.query(`update patients set name = 'changed' where id = 1`);
      const before = await fingerprint();
      const child = start({ at: step });
      const exited = once(child, 'exit');
      await hasSaid(child, 'stopped');
      child.kill('SIGKILL');
      await exited;
      await client.query(`set lock_timeout = '30s'`);
      await client.query(`begin; lock table patients in access exclusive mode; rollback`);
      expect(await fingerprint()).to.equal(before);
      await untilUnlocked(database.name);
      await restore({ tables: ['patients'] });
      expect(await rows(`select name from patients where id = 1`)).to.deep.equal([{ name: 'patient 1' }]);
    });
  }

  it('blocks nobody any more when it is killed while it waits', async () => {
    await backup();
    const blocker = await openClient(database.url);
    await blocker.query('begin; select from patients limit 1');
    const child = start();
    const exited = once(child, 'exit');
    await hasSaid(child, 'locking the tables');
    await sleep(500);
    child.kill('SIGKILL');
    await exited;
    await client.query(`set lock_timeout = '4s'`);
    expect(await count('patients')).to.equal(1000);
    await blocker.end();
  });

  it('loses no row that was written before it: each is in the backup of what was replaced', async () => {
    await client.query('create table written (id serial primary key)');
    await backup();
    let acknowledged = 0;
    let atTheBackup = 0;
    let isOver = false;
    const writer = openClient(database.url).then(async (other) => {
      while (!isOver) acknowledged = (await other.query('insert into written default values returning id')).rows[0].id;
      await other.end();
    });
    await sleep(200);
    const result = await restore({
      tables: ['written'],
      onProgress: ({ step }) => {
        if (step === 'replacing rows') atTheBackup = acknowledged;
      },
    });
    isOver = true;
    await writer;
    expect(atTheBackup).to.be.greaterThan(0);
    await restore({ id: result.safetyBackup ?? '', tables: ['written'] });
    expect(await count('written')).to.be.at.least(atTheBackup);
  });

  it('stops at Ctrl-C with nothing changed and nothing left', async () => {
    await backup();
    await client.query('update wards set head = null');
    const before = await fingerprint();
    for (const at of ['backing up what is there', 'replacing rows', 'comparing row counts', 'checking foreign keys']) {
      const controller = new AbortController();
      const error = await failing({
        tables: ['wards'],
        signal: controller.signal,
        onProgress: ({ step }) => {
          if (step === at) controller.abort();
        },
      });
      expect(error.code, at).to.equal('INTERRUPTED');
      expect(error.message).to.contain('was not changed');
      expect(await fingerprint()).to.equal(before);
      expect(await backups()).to.have.length(1);
    }
  });

  it('brings a large table back through the command line, and says what it did', async () => {
    await client.query(`create table readings (id bigserial primary key, at timestamptz default now(), value text);
      insert into readings (value) select repeat(md5(i::text), 4) || e'\\n\\t\\\\.\\n' from generate_series(1, 300000) i`);
    await backup();
    const sum = `select md5(string_agg(r::text, '' order by id)) as sum from readings r`;
    const [before] = await rows(sum);
    await client.query('delete from readings where id % 3 = 0');
    const refused = await workspace.cli([
      'restore-backup',
      'latest',
      '--env',
      'testing',
      '--yes',
      '--table',
      'readings',
    ]);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('--in-place');
    const shown = await workspace.cli([
      'restore-backup',
      'latest',
      '--env',
      'testing',
      '--yes',
      '--table',
      'readings',
      '--in-place',
    ]);
    expect(shown.code, shown.stderr).to.equal(0);
    expect(shown.stdout).to.contain('Rows replaced: public.readings').and.contain('--in-place --table public.readings');
    expect(shown.stderr).to.contain('of another moment');
    expect((await rows(sum))[0]).to.deep.equal(before);
    const json = await workspace.cli([
      'restore-backup',
      'latest',
      '--env',
      'testing',
      '--yes',
      '--json',
      '--schema',
      'Billing & co',
      '--in-place',
    ]);
    expect(json.json().data).to.deep.include({ strategy: 'in-place' });
    expect(json.json().warnings.join()).to.contain('of another moment');
  });
});
