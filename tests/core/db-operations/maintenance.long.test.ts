import { expect } from 'chai';
import type pg from 'pg';
import { type Check, checkDb, dropAllTables, resetDb } from '../../../app/core/db-operations/maintenance.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { closeEngines, getDbEngine } from '../../../app/services/database-service.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../../app/services/embedded-postgres.js';
import { connected, type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { dropDatabase } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { removeServerData } from '../../support/server-data.js';
import { stampAs } from '../../support/stamp.js';

const CONSENT = { env: 'testing', consent: { yes: true } } as const;

/** A workspace whose `testing` is the database at `url`, and which does not wait long for locks. */
function testingAt(url: string): Record<string, string> {
  return { '.env.testing': `TESTING_DATABASE_URL=${url}\nDATABASE_LOCK_TIMEOUT_MS=1500\n` };
}

/** Everything that can stand in a schema, in two schemas with circular foreign keys, beside extensions that must stay. */
const EVERYTHING = `
  create schema a; create schema "B b"; create schema extensions;
  create extension hstore; create extension pgcrypto schema extensions;
  create table a.t1 (id serial primary key, x bigint, h hstore);
  create table "B b"."T 2" (id bigint generated always as identity primary key, y int references a.t1);
  alter table a.t1 add foreign key (x) references "B b"."T 2";
  create view public.v as select * from a.t1; create view a.vv as select * from public.v;
  create materialized view public.mv as select * from a.vv;
  create type public.e as enum ('a'); create domain public.d as int; create type public.c as (a int, b public.e);
  create type public.r as range (subtype = float8);
  create table public.u (e public.e, d public.d, c public.c[]);
  create function public.f(a int, b public.e) returns int language sql as 'select 1';
  create procedure public.p(inout x int) language plpgsql as 'begin end';
  create function public.s0(int) returns int language sql as 'select 1';
  create aggregate public.cnt(*) (sfunc = public.s0, stype = int);
  create aggregate public.last_of(order by anyelement)
    (sfunc = ordered_set_transition, stype = internal, finalfunc = mode_final, finalfunc_extra);
  create function public.same(int, int) returns bool language sql as 'select true';
  create operator public.=== (leftarg = int, rightarg = int, function = public.same);
  create operator class public.opc for type int using btree as
    function 1 btint4cmp(int, int), operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >;
  create collation public.coll from "C";
  create text search configuration public.tsc (copy = english);
  create text search dictionary public.tsd (template = simple);
  create statistics public.st on d, e from public.u;
  create sequence public.sq;
  create conversion public.conv for 'UTF8' to 'LATIN1' from utf8_to_iso8859_1;
  create foreign data wrapper w; create server srv foreign data wrapper w; create foreign table public.ft (a int) server srv;
  create table public.pt (id int, primary key (id)) partition by range (id);
  create table a.pt1 partition of public.pt for values from (0) to (10);
  create function public.trg() returns trigger language plpgsql as 'begin return new; end';
  create trigger x before insert on a.t1 for each row execute function public.trg();
  create table public."We""ird.Näme" (id int);
  create table extensions.mine (id int);
`;

describe('drop-all-tables', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await openDatabase(EVERYTHING);
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace(testingAt(db.url));
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const dropAll = () => workspace.run(() => dropAllTables(CONSENT));
  const failure = (): Promise<ManageDbError> =>
    dropAll().then(
      () => expect.fail('it should have failed'),
      (error: ManageDbError) => error,
    );

  it('drops every kind of object across schemas, and says what', async () => {
    const { dropped } = await dropAll();
    expect(await userObjects(db.client)).to.deep.equal([]);
    expect(dropped).to.deep.include({ kind: 'table', schema: 'B b', name: 'T 2' });
    expect(dropped).to.deep.include({ kind: 'function', schema: 'public', name: 'f(integer, public.e)' });
    expect(dropped).to.deep.include({ kind: 'enum', schema: 'public', name: 'e' });
    expect(dropped).to.deep.include({ kind: 'schema', schema: 'B b', name: 'B b' });
  });

  it('leaves extensions, the schemas they live in and public alone', async () => {
    await dropAll();
    const { rows } = await db.client.query(`
      select (select array_agg(extname::text order by extname) from pg_extension) as extensions,
        (select array_agg(nspname::text order by nspname) from pg_namespace where nspname !~ '^pg_|^information_') as schemas`);
    expect(rows[0].extensions).to.deep.equal(['hstore', 'pgcrypto', 'plpgsql']);
    expect(rows[0].schemas).to.deep.equal(['extensions', 'manage_db', 'public']);
    await db.client.query(`select 'a=>1'::hstore, extensions.digest('x', 'sha256')`);
  });

  it('keeps the schema manage_db and forgets which migrations were applied', async () => {
    await db.client.query(`
      insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
      values ('1', 'core', repeat('0', 64), 1, 'test', 'test')`);
    await dropAll();
    expect((await db.client.query('select * from manage_db.migrations')).rows).to.deep.equal([]);
    const { rows } = await db.client.query('select environment from manage_db.identity');
    expect(rows).to.deep.equal([{ environment: 'testing' }]);
  });

  it('can be done twice', async () => {
    await dropAll();
    expect((await dropAll()).dropped).to.deep.equal([]);
  });

  it('names who is in the way, and drops nothing', async () => {
    const other = await connected(`${db.url}?application_name=report`);
    try {
      await other.query('begin; select * from public.u');
      const before = await userObjects(db.client);
      const error = await failure();
      expect(error).to.include({ code: 'LOCK_TIMEOUT', exitCode: 5 });
      expect(error.message)
        .to.contain('report')
        .and.to.contain('lock on public.u')
        .and.to.contain('Nothing was dropped');
      const { rows } = await other.query('select pg_backend_pid() as pid');
      expect(error.hint).to.contain(`pg_terminate_backend(${rows[0].pid})`);
      expect(await userObjects(db.client)).to.deep.equal(before);
    } finally {
      await other.end();
    }
  });

  it('lists the objects of other owners before anything happens', async () => {
    const login = `manage_db_owner_${process.pid}`;
    await db.client.query(
      `create role ${login} login password 'x'; alter database ${db.name} owner to ${login}; grant all on schema public to ${login}`,
    );
    await db.client.query(
      `create schema own authorization ${login}; alter table public.u owner to ${login}; select lo_create(4711)`,
    );
    const url = new URL(db.url);
    url.username = login;
    url.password = 'x';
    const theirs = scratchWorkspace(testingAt(url.href));
    try {
      const error = await theirs.run(() => dropAllTables(CONSENT)).catch((thrown: ManageDbError) => thrown);
      expect(error).to.include({ code: 'PERMISSION_DENIED' });
      const { message, details, hint } = error as ManageDbError;
      expect(hint).to.contain(`grant "postgres" to "${login}";`);
      expect(message).to.contain('Nothing was dropped');
      const identities = (details.objects as { identity: string }[]).map(({ identity }) => identity);
      expect(identities).to.include('"B b"."T 2"').and.to.include('"B b"').and.not.include('public.u');
      expect(details.objects).to.deep.include({ kind: 'large object', identity: '4711', owner: 'postgres' });
      expect((await db.client.query('select 1 from public.u')).rows).to.deep.equal([]);
    } finally {
      await theirs.remove();
      await closeEngines();
      await db.client.query(`alter database ${db.name} owner to postgres`);
      await db.client.query(`drop owned by ${login} cascade; drop role ${login}`);
    }
  });

  it('does not take an extension along that is built on a table', async () => {
    await db.client.query(
      'create table public.needed (id int); create view public.on_needed as select * from public.needed',
    );
    await db.client.query('alter extension hstore add view public.on_needed');
    const error = await failure();
    expect(error.message).to.contain('hstore').and.to.contain('Nothing was dropped');
    expect(await userObjects(db.client)).to.include('needed');
  });

  it('asks for consent on a server that is not its own', async () => {
    const error = await workspace.run(() => dropAllTables({ env: 'testing' })).catch((thrown: ManageDbError) => thrown);
    expect(error).to.include({ code: 'CONFIRMATION_REQUIRED' });
    expect(await userObjects(db.client)).to.include('u');
  });

  it('says which setting would do when there are more objects than one transaction can lock', async () => {
    const small = scratchWorkspace();
    const { dataDirectory } = await startEmbeddedServer(small.root);
    try {
      await small.run(async () => (await getDbEngine()).query('alter system set max_locks_per_transaction = 10'));
      await closeEngines();
      await stopEmbeddedServer(small.root);
      for (let n = 1; n <= 1000; n += 100) await small.run(async () => (await getDbEngine()).query(manyTables(n)));
      const error: ManageDbError = await small.run(() => dropAllTables()).catch((thrown) => thrown);
      expect(error).to.include({ code: 'SQL_FAILED' });
      expect(error.hint).to.match(/max_locks_per_transaction = \d+/);
      const { rows } = await small.run(async () =>
        (await getDbEngine()).query(`select count(*)::int as tables from pg_tables where tablename like 'many_%'`),
      );
      expect(rows).to.deep.equal([{ tables: 1000 }]);
    } finally {
      await stopEmbeddedServer(small.root);
      removeServerData(dataDirectory);
      await small.remove();
    }
  });
});

/** A hundred at a time: creating them needs locks, too. */
const manyTables = (from: number) => `
  do $$ begin for n in ${from}..${from + 99} loop
    execute format('create table public.many_%s (id int primary key, name text)', n);
  end loop; end $$`;

describe('reset-database', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await openDatabase('create table public.leftover (id int)');
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace(testingAt(db.url));
    migration('1_core.sql', '-- migrate:up\ncreate table public.fresh (id int primary key);');
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const migration = (name: string, sql: string) => workspace.write({ [`migrations/${name}`]: sql });
  const reset = () => workspace.run(() => resetDb(CONSENT));
  const failure = (): Promise<ManageDbError> =>
    reset().then(
      () => expect.fail('it should have failed'),
      (error: ManageDbError) => error,
    );
  const tables = async () => {
    const { rows } = await db.client.query(`select tablename::text as name from pg_tables where schemaname = 'public'`);
    return rows.map(({ name }) => name);
  };

  it('leaves what the migrations make and nothing else, also the second time', async () => {
    for (const dropped of ['leftover', 'fresh']) {
      const result = await reset();
      expect(result.dropped).to.deep.include({ kind: 'table', schema: 'public', name: dropped });
      expect(result.initialized.migrations).to.have.length(1);
      expect(await tables()).to.deep.equal(['fresh']);
    }
  });

  it('drops nothing when a migration cannot be read', async () => {
    migration('2_wrong.sql', 'create table public.other (id int);');
    expect(await failure()).to.include({ code: 'INVALID_CONFIGURATION' });
    expect(await tables()).to.deep.equal(['leftover']);
  });

  it('says that the database is empty when a migration fails', async () => {
    migration('1_core.sql', '-- migrate:up\nselect nonsense;');
    const error = await failure();
    expect(error).to.include({ code: 'SQL_FAILED' });
    expect(error.message).to.contain('emptied');
    expect(await tables()).to.deep.equal([]);
  });

  it('does not speak of emptying where there was nothing to empty', async () => {
    await db.client.query('drop table public.leftover');
    migration('1_core.sql', '-- migrate:up\nselect nonsense;');
    expect((await failure()).message).to.not.contain('emptied');
  });

  it('creates the database when it is missing', async () => {
    await db.drop();
    const result = await reset();
    expect(result).to.deep.include({ dropped: [] });
    expect(result.initialized.databaseCreated).to.equal(true);
    db = { ...db, drop: () => dropDatabase(db.name) };
  });
});

describe('check-database', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(`
      create table public.healthy (id int primary key);
      create table public."No Key" (id int);
      create table public.broken (id int primary key, parent int references public.healthy);
      insert into public.broken values (1, null), (2, null);
      alter table public.broken add constraint "Positive" check (id > 1) not valid;
      create function public.trg() returns trigger language plpgsql as 'begin return new; end';
      create trigger "Off" before insert on public.broken for each row execute function public.trg();
      alter table public.broken disable trigger "Off";
      create table public.short (id serial primary key, small smallint generated always as identity);
      select setval('public.short_id_seq', 2147483000);
      select setval('public.short_small_seq', 26000);
    `);
    await db.client.query('create unique index concurrently "Twice" on public.broken ((1))').catch(() => undefined);
    workspace = scratchWorkspace(testingAt(db.url));
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const check = async (): Promise<Record<string, Check>> => {
    const { checks } = await workspace.run(() => checkDb({ env: 'testing' }));
    return Object.fromEntries(checks.map((found) => [found.name, found]));
  };

  it('reports every check with name, status, value, detail and fix', async () => {
    const checks = await check();
    expect(Object.keys(checks)).to.have.length.of.at.least(25);
    for (const found of Object.values(checks)) {
      expect(found).to.have.all.keys('name', 'status', 'value', 'detail', 'fix');
      expect(found.detail).to.not.match(/Could not be read/);
      if (found.status === 'warning' || found.status === 'critical') expect(found.fix).to.be.a('string');
    }
    expect(checks.connection?.status).to.equal('ok');
  });

  it('finds what is wrong with the schema, and its fixes work when typed', async () => {
    const before = await check();
    expect(before['invalid-indexes']).to.include({ status: 'warning', value: 1 });
    expect(before['invalid-indexes']?.fix).to.equal('reindex index concurrently public."Twice";');
    expect(before['unvalidated-constraints']?.fix).to.equal(
      'alter table public.broken validate constraint "Positive";',
    );
    expect(before['disabled-triggers']?.detail).to.contain('"Off" on public.broken');
    expect(before['tables-without-primary-key']?.detail).to.contain('public."No Key"');
    expect(before.sequences).to.include({ status: 'critical', value: 2 });
    expect(before.sequences?.detail).to.contain('short_small_seq (79 %)');

    await db.client.query('delete from public.broken where id = 1');
    for (const name of ['invalid-indexes', 'unvalidated-constraints', 'disabled-triggers', 'sequences']) {
      for (const statement of before[name]?.fix?.split(';') ?? []) await db.client.query(statement);
    }
    const after = await check();
    for (const name of ['invalid-indexes', 'unvalidated-constraints', 'disabled-triggers', 'sequences']) {
      expect(after[name], name).to.include({ status: 'ok', fix: null });
    }
  });

  it('tells when foreign keys are not enforced', async () => {
    await db.client.query('alter table public.broken disable trigger all');
    const found = (await check())['disabled-triggers'];
    expect(found?.detail).to.contain('Foreign keys are not enforced');
    expect(found?.detail).to.contain('the foreign keys of public.broken');
    expect(found?.fix).to.match(/alter table public\.broken enable trigger "RI_\w+", enable trigger "RI_\w+";/);
    for (const statement of found?.fix?.split(';') ?? []) await db.client.query(statement);
    expect((await check())['disabled-triggers']).to.include({ status: 'ok', fix: null });
  });

  it('names who blocks whom', async () => {
    const blocker = await connected(db.url);
    const blocked = await connected(db.url);
    try {
      const { rows } = await blocker.query('select pg_backend_pid() as pid');
      await blocker.query('begin; lock table public.healthy');
      const waiting = blocked.query('select * from public.healthy').catch(() => undefined);
      await untilWaiting(db.client);
      const found = (await check())['blocked-queries'];
      expect(found).to.include({ status: 'warning', value: 1, fix: `select pg_terminate_backend(${rows[0].pid});` });
      await blocker.query('rollback');
      await waiting;
    } finally {
      await blocker.end();
      await blocked.end();
    }
  });

  it('compares the migrations of the workspace with those that were applied', async () => {
    await stampAs(db.client, 'testing');
    for (const name of ['20250101000000_core.sql', '20250102000000_more.sql'])
      workspace.write({ [`migrations/${name}`]: '-- migrate:up\nselect 1;\n' });
    expect((await check())['pending-migrations']).to.include({ status: 'warning', value: 2 });
    await db.client.query(`
      insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
      values ('20250101000000', 'core', repeat('0', 64), 1, 'test', 'test')`);
    const found = (await check())['pending-migrations'];
    expect(found).to.include({ status: 'warning', value: 1 });
    expect(found?.detail).to.contain('20250102000000_more.sql');
  });

  it('warns of a missing backup', async () => {
    expect((await check())['last-backup']).to.include({
      status: 'warning',
      fix: 'manage_db create-backup --env testing',
    });
  });

  it('goes on when one thing may not be read', async () => {
    const login = `manage_db_reader_${process.pid}`;
    await db.client.query(`create role ${login} login password 'x'`);
    const url = new URL(db.url);
    url.username = login;
    url.password = 'x';
    const theirs = scratchWorkspace(testingAt(url.href));
    try {
      theirs.write({ 'migrations/1_core.sql': '-- migrate:up\nselect 1;\n' });
      const { checks } = await theirs.run(() => checkDb({ env: 'testing' }));
      const unread = checks.filter(({ detail }) => detail.startsWith('Could not be read'));
      expect(unread.map(({ name }) => name)).to.deep.equal(['pending-migrations']);
      expect(checks.at(-1)?.name).to.equal('last-backup');
    } finally {
      await theirs.remove();
      await db.client.query(`drop owned by ${login}; drop role ${login}`);
    }
  });
});

async function userObjects(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    with user_schema as (
      select oid from pg_namespace where nspname !~ '^pg_' and nspname not in ('information_schema', 'manage_db')
    ), object as (
      select 'pg_class'::regclass as classid, oid, relname as name from pg_class where relnamespace in (table user_schema)
      union all select 'pg_type'::regclass, oid, typname from pg_type where typnamespace in (table user_schema) and typelem = 0
      union all select 'pg_proc'::regclass, oid, proname from pg_proc where pronamespace in (table user_schema)
      union all select 'pg_operator'::regclass, oid, oprname from pg_operator where oprnamespace in (table user_schema)
      union all select 'pg_opclass'::regclass, oid, opcname from pg_opclass where opcnamespace in (table user_schema)
      union all select 'pg_collation'::regclass, oid, collname from pg_collation where collnamespace in (table user_schema)
      union all select 'pg_ts_config'::regclass, oid, cfgname from pg_ts_config where cfgnamespace in (table user_schema)
      union all select 'pg_ts_dict'::regclass, oid, dictname from pg_ts_dict where dictnamespace in (table user_schema)
      union all select 'pg_conversion'::regclass, oid, conname from pg_conversion where connamespace in (table user_schema)
    )
    select name::text from object
    where not exists (select from pg_depend d where d.classid = object.classid and d.objid = object.oid and d.deptype = 'e')
    order by 1`);
  return rows.map(({ name }) => name);
}

async function untilWaiting(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query('select from pg_locks where not granted');
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
