import { expect } from 'chai';
import { checkDb } from '../../../../app/core/db-operations/maintenance.js';
import { applyMigration } from '../../../../app/core/db-operations/migrations.js';
import { showMigrations } from '../../../../app/core/db-operations/show-migrations.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';

const up = (sql: string) => `-- migrate:up\n${sql}\n`;

describe('migrations that are in place without a record', () => {
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

  const write = (...files: readonly string[]): void =>
    workspace.write(Object.fromEntries(files.map((sql, index) => [`migrations/${index + 1}_step.sql`, up(sql)])));
  const apply = () =>
    workspace.run(() => applyMigration({ env: 'testing', consent: { yes: true }, schemaFile: false }));
  const forget = (version: string) => database.query('delete from manage_db.migrations where version = $1', [version]);
  const show = () => workspace.run(() => showMigrations({ env: 'testing' }));
  const inPlace = async () =>
    (await show()).migrations.flatMap(({ version, inPlace }) => (inPlace === null ? [] : [{ version, ...inPlace }]));
  const check = async () => {
    const { checks } = await workspace.run(() => checkDb({ env: 'testing' }));
    return checks.find(({ name }) => name === 'pending-migrations');
  };

  it('are found when the newest record is gone, with the command that writes it again', async () => {
    write('create table one (id int);', 'create table two (id int); create index two_id on two (id);');
    await apply();
    await forget('2');
    expect(await inPlace()).to.deep.equal([{ version: '2', objects: ['table two', 'index two_id'], isWhole: true }]);
    expect((await show()).recordableUpTo).to.equal('2');
    expect(await check()).to.deep.include({
      status: 'warning',
      detail: 'Not recorded as applied, although what they make is there: 2_step.sql (table two, index two_id).',
      fix: 'manage_db baseline-db-migration --to 2 --env testing',
    });
  });

  it('are not proposed for a baseline where something cannot be looked for', async () => {
    await database.query('create table one (id int)');
    write('create table one (id int); do $$ begin perform 1; end $$; create table two (id int);');
    expect(await inPlace()).to.deep.equal([{ version: '1', objects: ['table one'], isWhole: false }]);
    expect((await show()).recordableUpTo).to.equal(null);
  });

  it('are not what a file makes in a schema of its own, under a name that a column or a function has given up', async () => {
    await database.query(`create table notes (id bigint generated always as identity); create table old (id int);
      create function swap() returns void language sql as 'alter table old rename to new'`);
    write(
      'create schema app; set local search_path = app, public; create table notes (id int);',
      `alter table notes alter column id drop identity; create sequence notes_id_seq owned by notes.id;
        alter table notes alter column id set default nextval('notes_id_seq');`,
      'select swap(); create table old (id int);',
    );
    expect(await inPlace()).to.deep.equal([]);
    await apply();
    expect((await show()).pending).to.equal(0);
  });

  it('are found when a record in the middle is gone, also where a later one has changed what it made', async () => {
    write(
      'create table one (id int);',
      'create table two (id int, note text); create view both_of_them as select id from two;',
      'alter table two rename column note to remark; drop view both_of_them;',
    );
    await apply();
    await forget('2');
    expect(await inPlace()).to.deep.equal([{ version: '2', objects: ['table two'], isWhole: true }]);
    expect((await show()).migrations[1]?.state).to.equal('out_of_order');
    expect((await check())?.fix).to.equal('manage_db baseline-db-migration --to 2 --env testing');
  });

  it('are not those that really are pending', async () => {
    write('create table one (id int);');
    await apply();
    write(
      'create table one (id int);',
      'create table two (id int); alter table one add column two int; create index on one (id);',
      'create table if not exists one (id int); create or replace view three as select 1;',
    );
    expect(await inPlace()).to.deep.equal([]);
    expect((await show()).recordableUpTo).to.equal(null);
    expect((await check())?.fix).to.equal('manage_db apply-db-migration --env testing');
    await apply();
    expect(await check()).to.include({ status: 'ok' });
  });

  it('are not those that drop or rename what they make anew, and these can be applied', async () => {
    const first = `create table one (id int, old int); create type mood as enum ('well'); create function f(int) returns int
        language sql as 'select 1'; create view w as select 1 as a; create index one_old on one (old); create schema s; create table s.t ();`;
    write(first);
    await apply();
    write(
      first,
      'drop table one; create table one (id int); create index one_old on one (id);',
      "drop view w; create view w as select 2 as b; drop function f(int); create function f(int) returns text language sql as 'select 2::text';",
      "alter type mood rename to feeling; create type mood as enum ('ill');",
      'drop schema s cascade; create schema s; create table s.t (id int);',
    );
    expect(await inPlace()).to.deep.equal([]);
    await apply();
    expect(await check()).to.include({ status: 'ok' });
  });

  it('know every kind of object that a migration makes by name', async () => {
    const sql = [
      'create schema clinic;',
      "create type clinic.mood as enum ('well'); create domain positive as int check (value > 0);",
      'create table clinic.visit (id int primary key, "When" date);',
      "alter table clinic.visit add column note text, add constraint no_blank check (note <> '');",
      'create sequence counter; create view seen as select 1 as a; create materialized view kept as select 1 as a;',
      "create function clinic.touch(int, text[]) returns int language sql as 'select 1';",
      "create function stamp() returns trigger language plpgsql as 'begin return new; end';",
      "create procedure tidy() language sql as 'select 1';",
      'create trigger stamped before insert on clinic.visit for each row execute function stamp();',
      'create policy mine on clinic.visit; create rule quiet as on delete to clinic.visit do instead nothing;',
    ].join('\n');
    write(sql);
    await apply();
    await forget('1');
    expect(await inPlace()).to.deep.equal([
      {
        version: '1',
        isWhole: true,
        objects: [
          'schema clinic',
          'type clinic.mood',
          'type positive',
          'table clinic.visit',
          'column clinic.visit.note',
          'constraint no_blank on clinic.visit',
          'view seen',
          'materialized view kept',
          'function clinic.touch',
          'function stamp',
          'procedure tidy',
          'trigger stamped on clinic.visit',
          'policy mine on clinic.visit',
          'rule quiet on clinic.visit',
        ],
      },
    ]);
  });

  it('are told apart by arguments and by schema, as the search_path of the database and of the file has it', async () => {
    await database.query(`create schema a; create schema b; create table b.t (); create table public.t ();
      create function public.f(int) returns int language sql as 'select 1'; alter database ${database.name} set search_path = a`);
    write(
      'create table t ();',
      "create function public.f(text) returns int language sql as 'select 1';",
      'set search_path = b; create table t ();',
      "select set_config('search_path', 'b', false); create table t ();",
    );
    expect(await inPlace()).to.deep.equal([{ version: '3', objects: ['table t'], isWhole: true }]);
    // up to 3 there are two that are not there
    expect((await show()).recordableUpTo).to.equal(null);
  });

  it('say so where only a part is there, and offer no baseline', async () => {
    await database.query('create table one (id int)');
    write('create table one (id int, name text); create table two (id int);');
    expect(await inPlace()).to.deep.equal([{ version: '1', objects: ['table one'], isWhole: false }]);
    expect(await check()).to.deep.include({
      detail: 'Not recorded as applied, although part of what they make is there: 1_step.sql (table one).',
      fix: 'manage_db show-all-migrations --env testing',
    });
  });
});
