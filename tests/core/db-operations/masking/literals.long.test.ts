import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { requireDecided } from '../../../../app/core/db-operations/copy/masking/plan.js';
import type { ManageDbError } from '../../../../app/core/errors.js';
import { packageRoot } from '../../../../app/services/package-root.js';
import { CLINIC } from '../../../database/catalog/clinic-fixture.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { planFor } from './masked-copy.js';

/** One literal in every place that a definition has one in; of all of them, the name that it has to be acknowledged by. */
const CANARIES: readonly (readonly [name: string, sql: string])[] = [
  ['default c.t.a', `create table c.t (id int, a text default 'canary', n int, k text)`],
  ['generated c.g.b', `create table c.g (a text, b text generated always as (a || 'canary') stored)`],
  ['check c.t.named', `alter table c.t add constraint named check (k <> 'canary')`],
  ['check c.d.first', `create domain c.d as text constraint first check (value <> 'canary')`],
  ['domain c.e', `create domain c.e as text default 'canary'`],
  ['enum c.f', `create type c.f as enum ('a', 'canary')`],
  ['index c.i', `create index i on c.t ((k || 'canary'))`],
  ['index c.j', `create index j on c.t (k) where k <> 'canary'`],
  ['index c.excluded', `alter table c.t add constraint excluded exclude using gist (int4range(n, 1234567) with &&)`],
  ['view c.v', `create view c.v as select 'canary'::text as v, id from c.t`],
  ['default c.v.id', `alter view c.v alter id set default 8123456`],
  ['materialized view c.m', `create materialized view c.m as select id from c.t where k = 'canary'`],
  ['rule c.t.r', `create rule r as on delete to c.t where old.k = 'canary' do instead nothing`],
  ['policy c.t.p', `create policy p on c.t using (k <> 'canary')`],
  ['policy c.t.q', `create policy q on c.t for insert with check (k <> 'canary')`],
  [
    'function c.touch()',
    `create function c.touch() returns trigger language plpgsql as $$ begin /* canary */ return new; end $$`,
  ],
  [
    'trigger c.t.w',
    `create trigger w before insert on c.t for each row when (new.k = 'canary') execute function c.touch()`,
  ],
  ['trigger c.t.x', `create trigger x before insert on c.t for each row execute function c.touch('canary')`],
  ['function c.f1(text)', `create function c.f1(a text default 'canary') returns int language sql as 'select 1'`],
  ['function c.f2()', `create function c.f2() returns int language sql begin atomic select length('canary'); end`],
  ['function c.f3()', `create function c.f3() returns void language plpgsql as $$ begin perform $q$canary$q$; end $$`],
  ['function c.f4()', `create function c.f4() returns int language sql as 'select 1 -- canary'`],
  ['function c.f5()', `create function c.f5() returns int language sql set application_name = 'canary' as 'select 1'`],
  ['function c.f6()', `create function c.f6() returns int language sql set search_path = canary as 'select 1'`],
  [
    'function c.f7()',
    `create function c.f7() returns text language sql set standard_conforming_strings = off as $$ select '\\'' || canary || '\\'' from (values (1)) x (canary) $$`,
  ],
  ['procedure c.f8()', `create procedure c.f8() language sql as $$ select 'canary'::regclass $$`],
  [
    'aggregate c.g1(text)',
    `create aggregate c.g1(text) (sfunc = pg_catalog.textcat, stype = text, initcond = 'canary')`,
  ],
  [
    'partition c.h1',
    `create table c.h (k text) partition by list (k); create table c.h1 partition of c.h for values in ('canary')`,
  ],
  ['partition key c.l', `create table c.l (k text) partition by list ((k || 'canary'))`],
  ['foreign data wrapper w1', `create foreign data wrapper w1 options (host 'canary')`],
  ['server s1', `create server s1 foreign data wrapper w1 options (host 'canary')`],
  ['server s2', `create server s2 type 'canary' foreign data wrapper w1`],
  ['foreign table c.ft', `create foreign table c.ft (a text) server s1 options (name 'canary')`],
  ['column c.fu.a', `create foreign table c.fu (a text options (name 'canary')) server s1`],
  ['statistics c.st', `create statistics c.st on (k || 'canary'), id from c.t`],
  ['publication pub for c.t', `create publication pub for table c.t where (k = 'canary')`],
  ['table c.o', `create table c.o (a text) with (autovacuum_freeze_max_age = 1234567)`],
  ['column c.o.a', `alter table c.o alter a set (n_distinct = 1234567)`],
  ['sequence c.s', `create sequence c.s start 1234567`],
  ['text search dictionary c.ts', `create text search dictionary c.ts (template = simple, stopwords = 'english')`],
  ['comment on schema c', `comment on schema c is 'canary'`],
  ['comment on schema public', `comment on schema public is 'canary'`],
  ['comment on table c.t', `comment on table c.t is 'canary'`],
  ['comment on column c.t.a', `comment on column c.t.a is 'canary'`],
  ['comment on column c.v.v', `comment on column c.v.v is 'canary'`],
  ['comment on constraint named on c.t', `comment on constraint named on c.t is 'canary'`],
  ['comment on constraint first on c.d', `comment on constraint first on domain c.d is 'canary'`],
  ['comment on index c.i', `comment on index c.i is 'canary'`],
  ['comment on trigger w on c.t', `comment on trigger w on c.t is 'canary'`],
  ['comment on policy p on c.t', `comment on policy p on c.t is 'canary'`],
  ['comment on rule r on c.t', `comment on rule r on c.t is 'canary'`],
  ['comment on function c.f1(text)', `comment on function c.f1(text) is 'canary'`],
  ['comment on type c.f', `comment on type c.f is 'canary'`],
  ['comment on sequence c.s', `comment on sequence c.s is 'canary'`],
  ['comment on view c.v', `comment on view c.v is 'canary'`],
  ['comment on materialized view c.m', `comment on materialized view c.m is 'canary'`],
  ['comment on foreign table c.ft', `comment on foreign table c.ft is 'canary'`],
  ['comment on server s1', `comment on server s1 is 'canary'`],
  ['comment on publication pub', `comment on publication pub is 'canary'`],
  ['comment on statistics object c.st', `comment on statistics c.st is 'canary'`],
  ['comment on extension btree_gist', `comment on extension btree_gist is 'canary'`],
  [
    'comment on event trigger ev',
    `create function c.ev() returns event_trigger language plpgsql as 'begin end'; create event trigger ev on sql_drop execute function c.ev();
     alter event trigger ev disable; comment on event trigger ev is 'canary'`,
  ],
  [
    'security label labels on column c.t.a',
    `set allow_system_table_mods = on; insert into pg_seclabel values ('c.t'::regclass, 'pg_class'::regclass, 2, 'labels', 'canary'); reset allow_system_table_mods`,
  ],
];

const HAS_FILTERS = `select current_setting('server_version_num')::int >= 150000 as is`;

/** What could be anybody's, or nobody's. */
const SAYS_NOTHING = `
  create schema quiet;
  create schema manage_db;
  create table manage_db.own (a text default 'ours');
  comment on table manage_db.own is 'ours';
  create extension hstore;
  comment on function akeys(hstore) is 'of an extension';
  create function quiet.touch() returns trigger language plpgsql set search_path = pg_catalog, quiet, pg_temp as 'begin return new; end';
  create table quiet.t (id serial, b bool default true, i int default -999, n numeric default 0.5, j jsonb default '{}', a text[] default '{}',
    s text default '', c "char" default 'x', at timestamptz default now(), r regclass default 'quiet.t_id_seq'::regclass, u uuid default gen_random_uuid(),
    v varchar(50) default ' - ', check (n between 0 and 100), check (v <> '@'));
  create trigger touch before update on quiet.t for each row execute function quiet.touch();
  create view quiet.v with (security_barrier, check_option = local) as select id, n + 1 as m from quiet.t where id > 10;
  create materialized view quiet.m with (fillfactor = 70) as select true as yes;
  create index on quiet.t (upper(s)) where id > 100;
  create table quiet.p (id int, at date) partition by hash (id);
  create table quiet.p0 partition of quiet.p for values with (modulus 1, remainder 0);
  create type quiet.grade as enum ('A', 'B', '1');
  create aggregate quiet.total(int) (sfunc = int4pl, stype = int, initcond = '0');
  create temporary table passing (a text default 'for now');
  comment on table passing is 'for now';
  select lo_create(4711);
  comment on large object 4711 is 'left out with it';
  create subscription away connection 'host=elsewhere password=canary' publication p with (connect = false, slot_name = none);
  comment on subscription away is 'left out with it';`;

const unacknowledged = async (db: ScratchDatabase, rules = '') => {
  const { literals } = await planFor(db.url, `  {}\n${rules}`);
  return literals;
};
const namesIn = async (db: ScratchDatabase) => (await unacknowledged(db)).unacknowledged.map(({ name }) => name);

describe('literals in definitions', () => {
  let db: ScratchDatabase;
  beforeEach(async () => {
    db = await scratchDatabase();
  });
  afterEach(() => db.drop());

  it('are not those of the functions that come with manage_db, until somebody changes one', async () => {
    const folder = join(packageRoot(), 'app', 'database', 'triggers');
    for (const pack of ['base', 'security'])
      for (const file of readdirSync(join(folder, pack)))
        await db.query(readFileSync(join(folder, pack, file), 'utf8'));
    expect(
      (
        await db.query(
          `select from pg_proc where prorettype = 'trigger'::regtype and pronamespace = 'public'::regnamespace`,
        )
      ).rowCount,
    ).to.equal(7);
    expect(await namesIn(db)).to.deep.equal([]);
    await db.query(`
      do $$ begin execute replace(pg_get_functiondef('update_timestamp'::regproc), 'begin', 'begin -- as Anna said on the phone'); end $$;
      comment on function lock_account() is 'ask Anna'`);
    expect(await namesIn(db)).to.have.members([
      'function public.update_timestamp()',
      'comment on function public.lock_account()',
    ]);
  });

  it('are not the names of columns that a trigger is told', async () => {
    await db.query(`
      create table public.t (id int, updated_at timestamptz, "it's" int);
      create function public.nothing() returns trigger language plpgsql as 'begin return new; end';
      create trigger told before update on public.t for each row execute function public.nothing('updated_at', 'it''s', '');
      create trigger tells before update on public.t for each row execute function public.nothing('updated_at', 'canary', 'x');
      create trigger says before update on public.t for each row when (new.id <> 123456) execute function public.nothing('id')`);
    expect(
      (await unacknowledged(db)).unacknowledged.map(({ name, literals }) => [name, literals]),
    ).to.have.deep.members([
      ['trigger public.t.tells', [{ kind: 'text', value: 'canary' }]],
      ['trigger public.t.says', [{ kind: 'number', value: '123456' }]],
    ]);
  });

  it('are found by name, wherever a definition has one', async () => {
    await db.query('create schema c; create extension btree_gist; set check_function_bodies = off');
    const hasFilters = (await db.query<{ is: boolean }>(HAS_FILTERS)).rows[0]?.is;
    let before = new Set<string>();
    for (const [name, sql] of CANARIES) {
      const isFilter = name.startsWith('publication ') && hasFilters === false;
      await db.query(`set check_function_bodies = off; ${isFilter ? sql.replace(/ where .*/, '') : sql}`);
      const names = await namesIn(db);
      expect(
        names.filter((one) => !before.has(one)),
        sql,
      ).to.deep.equal(isFilter ? [] : [name]);
      before = new Set(names);
    }
    // what an event trigger is for cannot be anything else
    const refused = await db
      .query(`create event trigger other on ddl_command_end when tag in ('canary') execute function c.ev()`)
      .catch(({ message }: Error) => message);
    expect(refused).to.contain('not recognized');
  });

  it('are not asked about where they can carry nothing', async () => {
    await db.query(SAYS_NOTHING);
    const names = await namesIn(db);
    // it would keep the database from being dropped
    await db.query('drop subscription away');
    expect(names).to.deep.equal([]);
    await db.query('drop schema quiet cascade; drop schema manage_db cascade; drop extension hstore');
    await db.query(CLINIC);
    expect(await namesIn(db)).to.deep.equal([
      'comment on column shop.clinics.name',
      'comment on schema shop',
      'comment on table shop.clinics',
      'default shop.clinics.mood',
      'enum shop.mood',
      'function shop.secret()',
      'partition shop.events_2025',
      'policy shop.clinics.own_mood',
      'procedure shop.close_day(date, text)',
    ]);
  });

  it('are acknowledged by a digest, and asked about again when they change', async () => {
    await db.query(`create table public.t (a text default 'open', b text default 'shut')`);
    const [a, b] = (await unacknowledged(db)).unacknowledged;
    expect([a?.name, b?.name]).to.deep.equal(['default public.t.a', 'default public.t.b']);
    expect(a).to.deep.include({ literals: [{ kind: 'text', value: 'open' }], isChanged: false });
    const rules = `literals:\n  default public.t.a: ${a?.digest}\n  default public.t.b: ${b?.digest}\n`;
    expect(await unacknowledged(db, rules)).to.deep.equal({ unacknowledged: [], warnings: [] });
    await db.query(`alter table t alter a set default 'closed', alter b set default 7`);
    const later = await unacknowledged(db, rules);
    expect(later.unacknowledged).to.have.length(1);
    expect(later.unacknowledged[0]).to.deep.include({
      name: 'default public.t.a',
      isChanged: true,
      place: 'masking.yaml:4:3',
    });
    expect(later.warnings).to.deep.equal([
      'masking.yaml:5:3: default public.t.b: there is nothing to acknowledge; take the line out.',
    ]);
  });

  it('are the parent’s where partitions only have them from there, and their own where they do not', async () => {
    await db.query(`create table p (id int, a text default 'open' check (a <> 'never'), b text) partition by list (id);
      create index on p ((a || 'index'));
      create function touch() returns trigger language plpgsql as 'begin return new; end';
      create trigger touch before insert on p for each row when (new.a = 'when') execute function touch();
      create table p1 partition of p for values in (1);
      create table p2 partition of p for values in (2);
      alter table p2 alter a set default 'other'`);
    expect(await namesIn(db)).to.deep.equal([
      'check public.p.p_a_check',
      'default public.p.a',
      'default public.p2.a',
      'index public.p_expr_idx',
      'trigger public.p.touch',
    ]);
  });

  it('need no acknowledgement in comments that are left out', async () => {
    await db.query(`create table t (a text default 'open'); comment on table t is 'for Anna'`);
    const { literals, commentsLeftOut } = await planFor(
      db.url,
      '  {}\nliterals:\n  comments: none\n  comment on table public.t: 01234567\n',
    );
    expect(commentsLeftOut).to.equal(true);
    expect(literals.unacknowledged.map(({ name }) => name)).to.deep.equal(['default public.t.a']);
    expect(literals.warnings).to.deep.equal([
      'masking.yaml:5:3: comment on table public.t: comments are left out; take the line out.',
    ]);
  });

  it('refuse the copy by name; what they say is in the hint, and in no message', async () => {
    await db.query(`create table t (a text default 'Anna Canary', b text check (b = 'Bert Canary'))`);
    await db.query(`insert into t values ('x', 'Bert Canary')`);
    const plan = await planFor(db.url, '  public.t: { keep: [a], b: name }\n');
    const refused = await requireDecided(plan).then(
      () => null,
      (error: ManageDbError) => error,
    );
    expect(refused?.code).to.equal('DRIFT');
    expect(refused?.message).to.contain('default public.t.a').and.contain('t_b_check');
    expect(refused?.message).not.to.contain('Canary');
    expect(refused?.hint)
      .to.match(/^ {2}default public\.t\.a: [0-9a-f]{8} # 'Anna Canary'$/m)
      .and.contain(`CHECK (b = 'Bert Canary'`);
  });

  it('are read in seconds, however many there are', async () => {
    await withClient(db.url, async (client) => {
      await client.query(`do $do$ begin
        for n in 1..600 loop
          execute format('create table t%s (id int primary key, a text default %L check (a <> %L))', n, 'a' || n, 'b' || n);
          execute format('create function f%s() returns text language plpgsql as %L', n, 'begin ' || repeat('perform ''x'' || ''something'', 12345; -- why
', 40) || ' return null; end');
          execute format('comment on table t%s is %L', n, 'about ' || n);
          if n % 100 = 0 then commit; end if;
        end loop;
      end $do$`);
    });
    const start = performance.now();
    const { unacknowledged: found } = await unacknowledged(db);
    const seconds = (performance.now() - start) / 1000;
    expect(found).to.have.length(2400);
    expect(seconds).to.be.below(200);
  });
});
