import { expect } from 'chai';
import { readDefinitionVersions } from '../../../app/database/catalog/definition-versions.js';
import { connected, type OpenDatabase, openDatabase } from './open-database.js';

const DEFINITIONS = `
  create extension hstore; create schema manage_db; create table manage_db.jobs (id int);
  create table public.kept (id int primary key, note text); insert into public.kept values (1, 'one');
  create index by_note on public.kept (note);
  create sequence public.numbers;
  create view public.one as select 1 as one;
  create function public.say() returns text language sql as $$ select 'old' $$;
  create function public.instead() returns trigger language plpgsql as $$ begin return null; end $$;
  create function public.otherwise() returns trigger language plpgsql as $$ begin return null; end $$;
  create trigger instead instead of insert on public.one for each row execute function public.instead();
  create rule nothing as on delete to public.kept do instead nothing;
  create policy own on public.kept using (id > 0);
  create type public.mood as enum ('well');
  create domain public.small as int check (value < 100);
  create text search configuration public.plain (copy = simple);
  create statistics public.both_of on id, note from public.kept;
  create foreign data wrapper nothing; create server elsewhere foreign data wrapper nothing;
  create user mapping for public server elsewhere options (password 'old');
  create publication some_of_it for table public.kept;
  create function public.noted() returns event_trigger language plpgsql as $$ begin end $$;
  create event trigger noted on sql_drop execute function public.noted();
  select lo_from_bytea(4711, 'old')`;

describe('the versions of definitions', () => {
  let db: OpenDatabase;
  before(async () => {
    db = await openDatabase(DEFINITIONS);
  });
  after(() => db.drop());

  const isChangedBy = async (work: () => Promise<unknown>): Promise<boolean> => {
    const then = await readDefinitionVersions(db.client);
    await work();
    return JSON.stringify(await readDefinitionVersions(db.client)) !== JSON.stringify(then);
  };

  for (const sql of [
    `create or replace function public.say() returns text language sql as $$ select 'new' $$`,
    `alter function public.say() set search_path = ''`,
    'create or replace view public.one as select 2 as one',
    'create or replace trigger instead instead of insert on public.one for each row execute function public.otherwise()',
    'drop trigger instead on public.one',
    'create or replace rule nothing as on delete to public.kept do instead select 1',
    'alter policy own on public.kept using (id > 1)',
    'alter table public.kept alter note set default 1',
    'alter table public.kept rename note to remark',
    'alter index public.by_note rename to by_remark',
    `alter type public.mood add value 'ill'`,
    'alter domain public.small drop constraint small_check',
    'alter sequence public.numbers increment 5',
    'alter text search configuration public.plain drop mapping for word',
    'alter statistics public.both_of set statistics 500',
    `alter user mapping for public server elsewhere options (set password 'new')`,
    `alter server elsewhere options (host 'new')`,
    `alter publication some_of_it set (publish = 'insert')`,
    'alter event trigger noted disable',
    'grant select on public.one to public',
    'grant usage on schema public to pg_monitor',
    'alter default privileges in schema public grant select on tables to public',
    'grant select on large object 4711 to public',
    `comment on function public.say() is 'new'`,
    `comment on table public.kept is 'new'`,
    'create table public.another (id int)',
    'create cast (int4 as macaddr8) with inout',
  ]) {
    it(`are others after: ${sql}`, async () => {
      expect(await isChangedBy(() => db.client.query(sql))).to.equal(true);
    });
  }

  it('are others after a function was replaced by itself', async () => {
    const sql = `create or replace function public.say() returns text language sql as $$ select 'new' $$`;
    expect(await isChangedBy(() => db.client.query(sql))).to.equal(true);
  });

  it('are the same whatever is written into tables, and into what belongs to one session or to manage_db', async () => {
    const other = await connected(db.url);
    const work = async (): Promise<void> => {
      await other.query(`create temporary table mine (id serial primary key, note text check (note <> ''));
        comment on table mine is 'mine'; create index on mine (note); insert into mine (note) values ('one');
        create temporary view also_mine as select * from mine;
        alter table manage_db.jobs add column note text default 'x'; comment on table manage_db.jobs is 'ours';
        insert into public.kept values (2, 'two'); select nextval('public.numbers'); select lo_put(4711, 0, 'new')`);
      await other.query('vacuum freeze analyze');
    };
    expect(await isChangedBy(work)).to.equal(false);
    await other.end();
  });
});
