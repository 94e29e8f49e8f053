import { expect } from 'chai';
import type pg from 'pg';
import { type Loss, readLosses } from '../../../../app/core/db-operations/migration/losses/read-losses.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';

const PATH = '/nowhere/1_clinic.sql';

const CLINIC = `
  create schema clinic;
  create table patients (id int primary key, phone varchar(20), email text, score int);
  insert into patients select n, case when n % 3 > 0 then '0' || n end, null, n from generate_series(1, 1500) n;
  create table visits (id int primary key, patient_id int references patients on delete cascade, note text);
  insert into visits select n, n, 'note' from generate_series(1, 30) n;
  create table bills (id int primary key, visit_id int references visits on delete set null);
  insert into bills select n, n from generate_series(1, 7) n;
  create table empty (id int, phone text);
  create table clinic."Häuser & Co" (id int, "straße" text);
  insert into clinic."Häuser & Co" values (1, 'Ä'), (2, null);`;

describe('what migrations will lose', () => {
  let clinic: ScratchDatabase;
  let db: ScratchDatabase | null = null;
  before(async () => {
    clinic = await scratchDatabase(CLINIC);
  });
  after(() => clinic.drop());
  afterEach(async () => {
    await db?.drop();
    db = null;
    // roles belong to the server, which all tests share
    await onServer((server) => server.query('drop role if exists loss_owner, loss_reader'));
  });

  const losses = async (
    present: string,
    sql: string | readonly string[],
    limits: Parameters<typeof readLosses>[2] = {},
    before = '',
  ): Promise<readonly Loss[]> => {
    // they only read
    if (present !== CLINIC) db ??= await scratchDatabase(present);
    const parts = [sql].flat().map((one) => ({ path: PATH, sql: one, firstLine: 1 }));
    return withClient((db ?? clinic).url, async (client) => {
      if (before !== '') await client.query(before);
      await client.query('begin read only');
      return readLosses(client, parts, limits);
    });
  };

  const cases: readonly (readonly [what: string, sql: string | readonly string[], sentences: readonly string[]])[] = [
    ['a column', 'alter table patients drop column phone', ['drops 1,000 non-null values of patients.phone']],
    [
      'not a column that the run itself has added',
      'alter table patients add fax text; alter table patients drop column fax',
      [],
    ],
    ['a column without values', 'alter table patients drop column email', []],
    ['a column of an empty table', 'alter table empty drop column phone', []],
    ['a column that is not there', 'alter table patients drop column if exists fax', []],
    ['a table', 'drop table bills', ['drops table bills with 7 rows']],
    ['a table without rows', 'drop table empty', []],
    ['a table that is not there', 'drop table if exists nowhere; drop table clinic.nowhere', []],
    ['names in quotes', 'drop table clinic."Häuser & Co"', ['drops table clinic."Häuser & Co" with 2 rows']],
    [
      'a name found by the search_path of the file, and not in the next file',
      ['set local search_path = clinic; alter table "Häuser & Co" drop column "straße"', 'drop table "Häuser & Co"'],
      ['drops 1 non-null value of clinic."Häuser & Co"."straße"'],
    ],
    [
      'a table under its new name',
      'alter table bills rename to invoices; drop table invoices',
      ['drops table bills with 7 rows'],
    ],
    ['not the table that has the name no more', 'alter table bills rename to invoices; drop table if exists bills', []],
    [
      'a column under its new name',
      'alter table patients rename column phone to tel; alter table patients drop column tel',
      ['drops 1,000 non-null values of patients.phone'],
    ],
    [
      'a table in its new schema',
      'alter table bills set schema clinic; drop table clinic.bills',
      ['drops table bills with 7 rows'],
    ],
    [
      'a table in a renamed schema',
      'alter schema clinic rename to praxis; drop table praxis."Häuser & Co"',
      ['drops table clinic."Häuser & Co" with 2 rows'],
    ],
    ['nothing of what the run itself has made', 'create table fresh (id int); drop table fresh; delete from fresh', []],
    ['a table once', ['drop table bills', 'drop table if exists bills'], ['drops table bills with 7 rows']],
    [
      'not a table that is made again after it was dropped',
      'drop table bills; create table bills (id int); drop table bills',
      ['drops table bills with 7 rows'],
    ],
    ['rows by their condition', `delete from bills where id > 5`, ['deletes 2 rows of bills']],
    [
      'rows that go or change by foreign keys',
      'delete from patients where id <= 10',
      [
        'deletes 10 rows of patients',
        'deletes 10 rows of visits, by ON DELETE CASCADE of patients',
        'overwrites visit_id in 7 rows of bills, by ON DELETE SET NULL of visits',
      ],
    ],
    [
      'each row once, with USING, an alias and comments',
      `delete from only bills -- 'a'
       b using visits v, patients as "P" /* where */ where v.id < 4 and b.id = 1 -- é
       returning b.id`,
      ['deletes 1 row of bills'],
    ],
    [
      'rows with a common table expression',
      'with few as (select 2 as id) delete from bills using few where bills.id = few.id',
      ['deletes 1 row of bills'],
    ],
    [
      'rows that are moved',
      'with moved as (delete from bills where id < 3 returning *) insert into empty select id from moved',
      ['deletes 2 rows of bills'],
    ],
    ['all rows', 'delete from bills', ['deletes 7 rows of bills']],
    [
      'no row where none is chosen',
      'delete from bills where id > 100; update bills set visit_id = 1 where id > 100',
      [],
    ],
    [
      'values that are overwritten',
      `update patients p set phone = 'é', "email" = v.note from visits v where v.patient_id = p.id and p.phone is distinct from 'x'`,
      ['overwrites phone, email in 30 rows of patients'],
    ],
    [
      'values that are set to a comparison',
      `update patients set email = (phone is distinct from 'a')::text, score = (select max(id) from visits) where id < 3`,
      ['overwrites email, score in 2 rows of patients'],
    ],
    [
      'rows that cannot be counted',
      'delete from bills where id = (select setseed(0) is null)::int; delete from bills where nowhere = 1',
      [
        'deletes rows of bills: how many cannot be counted (it calls setseed, which may do something); it has 7 rows',
        'executes the function setseed: what is lost by it cannot be foreseen',
        'deletes rows of bills: how many cannot be counted (column "nowhere" does not exist); it has 7 rows',
      ],
    ],
    ['a table that is emptied', 'truncate bills, empty', ['empties table bills with 7 rows']],
    [
      'tables that are emptied by CASCADE',
      'truncate patients cascade',
      [
        'empties table patients with 1,500 rows',
        'empties table visits with 30 rows, by CASCADE of patients',
        'empties table bills with 7 rows, by CASCADE of visits',
      ],
    ],
    [
      'a schema',
      'drop schema clinic cascade',
      ['drops table clinic."Häuser & Co" with 2 rows, by CASCADE of schema clinic'],
    ],
    ['nothing of a schema that must be empty', 'drop schema clinic', []],
    [
      'values that get too long',
      `alter table patients alter column phone type varchar(3) using left(phone, 3)`,
      ['changes 934 values of patients.phone by making it character varying(3) instead of character varying(20)'],
    ],
    ['no value of a wider type', 'alter table patients alter phone type text, alter score type bigint', []],
    ['no value that stays what it is', `alter table patients alter score type text using score::text`, []],
    [
      'values that become another type',
      `alter table patients alter phone type int using (case when phone < '05' then phone end)::int, drop column email`,
      ['changes 1,000 values of patients.phone by making it integer instead of character varying(20)'],
    ],
    [
      'values that cannot be converted',
      `update patients set email = 'x'; alter table visits alter note type int using note::int`,
      [
        'overwrites email in 1,500 rows of patients',
        'may change values of visits.note by making it integer instead of text: how many cannot be counted (invalid input syntax for type integer: "note"); it has 30 values',
      ],
    ],
    [
      'values whose conversion calls what may do something, which is not called to count them',
      'alter table bills alter visit_id type text using pg_try_advisory_lock(visit_id)::text',
      [
        'may change values of bills.visit_id by making it text instead of integer: how many cannot be counted (it calls pg_try_advisory_lock, which may do something); it has 7 values',
      ],
    ],
    [
      'what nobody can foresee',
      `do $$ begin delete from bills; end $$; call nothing()`,
      [
        'executes a DO block: what is lost by it cannot be foreseen',
        'executes the procedure nothing: what is lost by it cannot be foreseen',
      ],
    ],
    [
      'a MERGE',
      'merge into bills b using visits v on v.id = b.id when matched then delete',
      ['may change rows of bills: how many cannot be counted (of MERGE they are not counted); it has 7 rows'],
    ],
    [
      'nothing of what only adds',
      `insert into bills values (100); select count(*) from bills; create view v as select 1; create function f() returns void language sql begin atomic delete from bills; end`,
      [],
    ],
    ['nothing of SQL that only explains', 'explain delete from bills', []],
    [
      'what the server alone can read',
      'select 1as; drop tabel x',
      ['executes SQL that cannot be read beforehand: what is lost by it cannot be foreseen'],
    ],
  ];
  for (const [what, sql, sentences] of cases) {
    it(`says of ${what}`, async () => {
      expect((await losses(CLINIC, sql)).map(({ sentence }) => sentence)).to.deep.equal(sentences);
    });
  }

  const dependencies: readonly (readonly [what: string, present: string, sql: string, sentences: readonly string[]])[] =
    [
      [
        'a type, with the columns of it',
        `create type mood as enum ('good'); create domain d as mood; create table a (id int, m mood, n d[]);
       insert into a values (1, 'good', null), (2, 'good', array['good'::d])`,
        'drop type mood cascade',
        [
          'drops 2 non-null values of a.m, by CASCADE of type mood',
          'drops 1 non-null value of a.n, by CASCADE of type mood',
        ],
      ],
      [
        'nothing of a type without CASCADE',
        `create type mood as enum ('good'); create table a (m mood); insert into a values ('good')`,
        'drop type mood',
        [],
      ],
      [
        'a partitioned table, once',
        `create table p (id int) partition by list (id); create table p1 partition of p for values in (1);
       create table p2 partition of p default; insert into p values (1), (2), (3)`,
        'drop table p',
        ['drops table p with 3 rows'],
      ],
      [
        'a partition',
        `create table p (id int) partition by list (id); create table p1 partition of p for values in (1);
       create table p2 partition of p default; insert into p values (1), (2), (3)`,
        'drop table p2',
        ['drops table p2 with 2 rows'],
      ],
      [
        'a column of a partitioned table, once',
        `create table p (id int, v text) partition by list (id); create table p1 partition of p default; insert into p values (1, 'a')`,
        'alter table p drop v',
        ['drops 1 non-null value of p.v'],
      ],
      [
        'tables that inherit',
        'create table p (id int); create table c () inherits (p); insert into p values (1); insert into c values (2), (3)',
        'drop table p cascade',
        ['drops table c with 2 rows, by CASCADE of table p', 'drops table p with 1 row'],
      ],
      [
        'a materialized view behind a view, and rows of the table as values elsewhere',
        `create table t (id int); insert into t values (1); create table holder (r t); insert into holder select t from t;
       create view v as select * from t; create materialized view m as select * from v`,
        'drop table t cascade',
        [
          'drops 1 non-null value of holder.r, by CASCADE of table t',
          'drops materialized view m, whose rows its query would have to make again, by CASCADE of table t',
          'drops table t with 1 row',
        ],
      ],
      [
        'a view, with the materialized view on it',
        'create view v as select 1 as a; create materialized view m as select * from v',
        'drop view v cascade',
        ['drops materialized view m, whose rows its query would have to make again, by CASCADE of view v'],
      ],
      [
        'nothing of a view',
        'create table t (id int); insert into t values (1); create view v as select * from t',
        'drop view v',
        [],
      ],
      [
        'a sequence',
        `create sequence s; select nextval('s'), nextval('s')`,
        'drop sequence s',
        ['drops sequence s, which stands at 2'],
      ],
      [
        'an extension, with the columns of its types',
        'create extension hstore; create table t (id int, h hstore); insert into t values (1, $$a=>1$$), (2, null)',
        'drop extension hstore cascade',
        ['drops 1 non-null value of t.h, by CASCADE of extension hstore'],
      ],
      [
        'a function, with the materialized view that calls it',
        'create function one() returns int immutable language sql as $$ select 1 $$; create materialized view m as select one()',
        'drop function one() cascade',
        ['drops materialized view m, whose rows its query would have to make again, by CASCADE of function one'],
      ],
      [
        'what a role owns',
        `create role loss_owner; create table t (id int); insert into t values (1); alter table t owner to loss_owner`,
        'drop owned by loss_owner',
        ['drops table t with 1 row'],
      ],
      [
        'an attribute, as values of its type lose it',
        `create type c as (a int, b text); create table t (v c); insert into t values (row(1, 'x')), (null)`,
        'alter type c drop attribute b',
        ['drops c.b in 1 non-null value of t.v'],
      ],
    ];
  for (const [what, present, sql, sentences] of dependencies) {
    it(`says of ${what}`, async () => {
      expect((await losses(present, sql)).map(({ sentence }) => sentence)).to.deep.equal(sentences);
    });
  }

  it('names the file, the line, the object and the number for programs', async () => {
    const [loss] = await losses(CLINIC, '-- é\nselect 1;\n\n  drop table clinic."Häuser & Co"');
    expect(loss).to.deep.equal({
      kind: 'dropped_table',
      object: 'clinic."Häuser & Co"',
      rows: 2,
      isEstimate: false,
      sentence: 'drops table clinic."Häuser & Co" with 2 rows',
      file: PATH,
      line: 4,
    });
  });

  it('asks the statistics when counting takes too long', async () => {
    db = await scratchDatabase(CLINIC);
    await db.query('analyze patients');
    const found = await losses('', 'alter table patients drop column phone; drop table patients cascade', {
      totalMs: -1,
    });
    expect(found.map(({ sentence }) => sentence)).to.deep.equal([
      'drops about 1,000 non-null values of patients.phone',
      'drops table patients with about 1,500 rows',
    ]);
    expect(found.every(({ isEstimate }) => isEstimate)).to.equal(true);
  });

  it('does not say 0 of a table that nobody has analyzed', async () => {
    const [found] = await losses(CLINIC, 'drop table bills', { totalMs: -1 });
    expect(found?.sentence).to.equal(
      'drops table bills with rows that were not counted (the time for counting was over)',
    );
    expect(found?.rows).to.equal(null);
  });

  it('does not wait for a table that is locked', async () => {
    db = await scratchDatabase(`${CLINIC} analyze visits;`);
    await withClient(db.url, async (holder: pg.Client) => {
      await holder.query('begin; lock table visits in access exclusive mode');
      const started = Date.now();
      const found = await losses('', `drop table visits cascade; drop table bills; delete from visits where id = 1`, {
        lockTimeoutMs: 100,
      });
      expect(Date.now() - started).to.be.below(15_000);
      expect(found.map(({ sentence }) => sentence)).to.deep.equal([
        'drops table visits with about 30 rows',
        'drops table bills with 7 rows',
      ]);
    });
  });

  it('writes nothing, whatever the condition of a statement would do', async () => {
    db =
      await scratchDatabase(`${CLINIC} create function hidden() returns int language sql volatile as $$ delete from bills returning 1 $$;
      create view sly as select b.*, hidden() as h from bills b;`);
    await losses('', 'delete from bills where id = hidden(); delete from bills where id in (select h from sly)');
    expect((await db.query('select count(*)::int as n from bills')).rows).to.deep.equal([{ n: 7 }]);
  });

  it('counts what policies hide from others, or says that it may not', async () => {
    db = await scratchDatabase(`${CLINIC} analyze bills;
      create role loss_reader;
      grant select on bills to loss_reader; alter table bills enable row level security;
      create policy few on bills using (id = 1);`);
    const [found] = await losses('', 'drop table bills', {}, 'set role loss_reader');
    expect(found?.sentence).to.equal('drops table bills with about 7 rows');
  });
});
