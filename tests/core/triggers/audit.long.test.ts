import { expect } from 'chai';
import type pg from 'pg';
import { auditCoverage, verifyAuditLog } from '../../../app/core/db-operations/audit-log.js';
import { verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { entryHash } from '../../../app/core/triggers/audit/audit-log.js';
import { openClient } from '../../database/open-client.js';
import { needServer } from '../../support/need-server.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const TABLES = `
  create table users (id integer primary key, email text, password text, seen timestamptz, note json);
  create table visits (user_id integer references users on delete cascade on update cascade, day date, room text,
    primary key (user_id, day));
  create table days (id integer, day date, body text, primary key (id, day)) partition by range (day);
  create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
  create table days_2026 partition of days for values from ('2026-01-01') to ('2027-01-01') partition by range (day);
  create table days_2026_1 partition of days_2026 for values from ('2026-01-01') to ('2026-07-01');
  create table days_2026_2 partition of days_2026 for values from ('2026-07-01') to ('2027-01-01');
  create table loose (a integer, b text);
  create table animals (id integer primary key, name text);
  create table dogs (breed text) inherits (animals);
  create schema "Ünï";
  create table "Ünï"."T a""b$c" ("I d" uuid primary key default gen_random_uuid(), "V'al" text, generated text generated always as (upper("V'al")) stored);`;

const PACK = (settings: string) => `import { configureAuditPack } from 'manage_db';
  export default configureAuditPack(${settings});`;

describe('the audit pack', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;
  let last = 0;

  beforeEach(async () => {
    last = 0;
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await stampAs(client, 'testing');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    configure(`{ redact: { 'public.users': ['password'] }, ignore: { 'public.users': ['seen'] } }`);
    await apply();
    await client.query(`select set_config('app.current_user', 'anna', false)`);
  });
  afterEach(async () => {
    await client.end();
    await workspace.remove();
    await database.drop();
  });

  const configure = (settings: string) => workspace.write({ 'triggers/audit.trigger.ts': PACK(settings) });
  const apply = () => workspace.run(() => applyTriggers({ env: 'testing' }));
  const verify = (fix = false) => workspace.run(() => verifyTriggers({ env: 'testing', fix }));
  /** What was logged since the last time: `ACTION table id changed old new`. */
  const logged = async (): Promise<string[]> => {
    const { rows } = await client.query(
      `
      select concat_ws(' ', action, table_name, coalesce(record_id, '-'), changed_columns::text, coalesce(old_data::text, '-'),
        coalesce(new_data::text, '-')) as line from audit.audit_logs where id > $1 order by id`,
      [last],
    );
    const { rows: heads } = await client.query('select coalesce(max(id), 0)::integer as id from audit.audit_logs');
    last = heads[0].id;
    return rows.map(({ line }) => line);
  };
  const changes = async (sql: string): Promise<string[]> => {
    await client.query(sql);
    return logged();
  };

  it('logs who did what to which row, when, and in which transaction', async () => {
    await client.query(
      `begin; insert into users values (1, 'a@b', 'secret', now(), '{"x":1}'); update users set email = 'c@d'; commit`,
    );
    const { rows } = await client.query(
      'select *, transaction_id > 0 as t, now() - created_at as age from audit.audit_logs order by id',
    );
    expect(rows).to.have.length(2);
    expect(rows[0]).to.deep.include({
      action: 'INSERT',
      schema_name: 'public',
      table_name: 'users',
      record_id: '1',
      user_id: 'anna',
      auth_id: 'postgres',
      changed_columns: null,
      old_data: null,
      new_data: { id: 1, email: 'a@b', password: '***', note: { x: 1 } },
    });
    expect(rows[1]).to.deep.include({
      action: 'UPDATE',
      changed_columns: ['email'],
      old_data: { email: 'a@b' },
      new_data: { email: 'c@d' },
    });
    expect(rows[0].transaction_id).to.equal(rows[1].transaction_id);
    expect(rows[0].created_at.getTime()).to.be.within(Date.now() - 60_000, Date.now() + 1000);
  });

  it('redacts secrets and ignores what is to be ignored', async () => {
    await changes(`insert into users values (1, 'a', 'hush1', now(), null), (2, 'b', null, now(), null)`);
    expect(await changes(`update users set password = 'hush2' where id = 1`)).to.deep.equal([
      'UPDATE users 1 {password} {"password": "***"} {"password": "***"}',
    ]);
    expect(await changes(`update users set seen = now() + interval '1 day'`)).to.deep.equal([]);
    expect(await changes(`update users set email = email`)).to.deep.equal([]);
    expect(await changes(`delete from users where id = 2`)).to.deep.equal([
      'DELETE users 2 {"id": 2, "note": null, "email": "b", "password": null} -',
    ]);
    const { rows } = await client.query(
      `select count(*)::integer from audit.audit_logs where concat(old_data, new_data) ~ 'hush|seen'`,
    );
    expect(rows[0].count).to.equal(0);
  });

  it('logs each row once: through the parent, a leaf, COPY, ON CONFLICT, a cascade, a move, and as a replica', async () => {
    expect(await changes(`insert into days values (1, '2025-05-05', 'a'), (2, '2026-02-02', 'b')`)).to.have.length(2);
    expect(await changes(`insert into days_2026_1 values (3, '2026-03-03', 'c')`)).to.have.length(1);
    expect(await changes(`insert into days_2026 values (4, '2026-08-08', 'd')`)).to.have.length(1);
    expect(await changes(`update days set body = 'e' where id < 3`)).to.deep.equal([
      'UPDATE days [1, "2025-05-05"] {body} {"body": "a"} {"body": "e"}',
      'UPDATE days [2, "2026-02-02"] {body} {"body": "b"} {"body": "e"}',
    ]);
    expect(await changes(`update days_2026_1 set body = 'f' where id = 3`)).to.have.length(1);
    expect(await changes(`update days set day = '2026-09-09' where id = 1`)).to.deep.equal([
      'UPDATE days [1, "2025-05-05"] {day} {"day": "2025-05-05"} {"day": "2026-09-09"}',
    ]);
    expect(await changes(`delete from days where id = 1`)).to.have.length(1);
    expect(
      await changes(`insert into users (id, email) values (1, 'a') on conflict (id) do update set email = 'z2'`),
    ).to.have.length(1);
    expect(
      await changes(
        `insert into users (id, email) values (1, 'a'), (2, 'b') on conflict (id) do update set email = 'z'`,
      ),
    ).to.have.members([
      'INSERT users 2 - {"id": 2, "note": null, "email": "b", "password": null}',
      'UPDATE users 1 {email} {"email": "a"} {"email": "z"}',
    ]);
    await changes(`insert into visits values (1, '2026-01-01', 'x'), (1, '2026-01-02', 'y'), (2, '2026-01-01', 'z')`);
    expect(await changes(`delete from users where id = 1`)).to.have.length(3);
    expect(await changes(`update users set id = 20 where id = 2`)).to.deep.equal([
      'UPDATE users 2 {id} {"id": 2} {"id": 20}',
      'UPDATE visits [2, "2026-01-01"] {user_id} {"user_id": 2} {"user_id": 20}',
    ]);
    expect(
      await changes(
        `set session_replication_role = replica; insert into users (id) values (9); set session_replication_role = origin`,
      ),
    ).to.have.length(1);
    await client.query(`create temporary table source as select generate_series(100, 149) as id`);
    await client.query(`copy (select 1) to stdout`).catch(() => undefined);
    const copied = await changes(`create function pg_temp.fill() returns void language plpgsql as $$ begin
      execute 'copy users (id) from program ''seq 100 149'''; end $$; select pg_temp.fill()`);
    expect(copied).to.have.length(50);
    expect(await changes('truncate days')).to.deep.equal([
      'TRUNCATE days - - -',
      'TRUNCATE days - - {"partition": "public.days_2025"}',
      'TRUNCATE days - - {"partition": "public.days_2026"}',
      'TRUNCATE days - - {"partition": "public.days_2026_1"}',
      'TRUNCATE days - - {"partition": "public.days_2026_2"}',
    ]);
  });

  it('logs each row of a MERGE once', async function () {
    await needServer(this, 15, 'MERGE');
    await changes(`insert into users (id, email) values (2, 'a')`);
    expect(
      await changes(`merge into users u using (values (2, 'm'), (3, 'n')) as v (id, email) on u.id = v.id
        when matched then update set email = v.email when not matched then insert (id, email) values (v.id, v.email)`),
    ).to.have.members([
      'UPDATE users 2 {email} {"email": "a"} {"email": "m"}',
      'INSERT users 3 - {"id": 3, "note": null, "email": "n", "password": null}',
    ]);
  });

  it('pairs rows whose key changes, also when every key becomes that of another row', async () => {
    await client.query(
      'create table numbers (id integer primary key, body text); insert into numbers values (10, $$a$$), (20, $$b$$), (30, $$c$$)',
    );
    await apply();
    last = Number((await client.query('select max(id) from audit.audit_logs')).rows[0].max);
    expect((await changes('update numbers set id = id - 10')).sort()).to.deep.equal([
      'UPDATE numbers 10 {id} {"id": 10} {"id": 0}',
      'UPDATE numbers 20 {id} {"id": 20} {"id": 10}',
      'UPDATE numbers 30 {id} {"id": 30} {"id": 20}',
    ]);
    expect((await client.query('select from audit.moving_rows')).rowCount).to.equal(0);
    expect(await changes(`update numbers set body = 'x' where id = 0`)).to.deep.equal([
      'UPDATE numbers 0 {body} {"body": "a"} {"body": "x"}',
    ]);
  });

  it('logs rows of tables without a key unpaired, and those of heirs whole', async () => {
    await changes(`insert into loose values (1, 'x'), (1, 'x')`);
    expect(await changes(`update loose set b = 'y'`)).to.have.length(4);
    expect(await changes(`insert into dogs values (1, 'Rex', 'poodle')`)).to.deep.equal([
      'INSERT dogs - - {"id": 1, "name": "Rex", "breed": "poodle"}',
    ]);
    expect(await changes(`update animals set name = 'Max'`)).to.deep.equal([
      'UPDATE dogs - {name} {"name": "Rex"} {"name": "Max"}',
    ]);
  });

  it('works with every kind of name, and with generated columns', async () => {
    await client.query(`insert into "Ünï"."T a""b$c" ("V'al") values ('x')`);
    await client.query(`update "Ünï"."T a""b$c" set "V'al" = 'y'`);
    const { rows } = await client.query(
      'select table_name, changed_columns, new_data from audit.audit_logs order by id desc limit 1',
    );
    expect(rows).to.deep.equal([
      { table_name: 'T a"b$c', changed_columns: ["V'al", 'generated'], new_data: { "V'al": 'y', generated: 'Y' } },
    ]);
  });

  it('goes on when the table has changed, logs every row whole, keeps its secrets, and is stale until it is healed', async () => {
    await changes(`insert into users (id, email, password) values (1, 'a', 'hush1')`);
    await client.query(
      'alter table users add column phone text; alter table users rename column email to mail; alter table users drop column note; alter table users rename column password to pass',
    );
    expect(await changes(`update users set phone = '1', pass = 'hush2'`)).to.deep.equal([
      'UPDATE users 1 {pass,phone} {"pass": "***", "phone": null} {"pass": "***", "phone": "***"}',
    ]);
    expect(await changes(`insert into users (id, pass) values (2, 'hush3')`)).to.have.length(1);
    expect(await changes(`delete from users where id = 2`)).to.have.length(1);
    const { rows } = await client.query(
      `select count(*)::integer from audit.audit_logs where concat(old_data, new_data) ~ 'hush'`,
    );
    expect(rows[0].count).to.equal(0);
    const { counts, triggers } = await verify();
    expect(counts.stale).to.be.greaterThan(3);
    expect(triggers.filter(({ state }) => state === 'stale').every(({ table }) => table === 'users')).to.equal(true);
    configure(`{ redact: { 'public.users': ['pass'] } }`);
    expect((await verify(true)).ok).to.equal(true);
    expect(await changes(`update users set phone = '2'`)).to.deep.equal([
      'UPDATE users 1 {phone} {"phone": "1"} {"phone": "2"}',
    ]);
  });

  it('finds a new partition that is not audited', async () => {
    await client.query(`create table days_2027 partition of days for values from ('2027-01-01') to ('2028-01-01')`);
    const { triggers } = await verify();
    expect(
      triggers.filter(({ state }) => state === 'pending').map(({ table, name }) => `${table} ${name}`),
    ).to.deep.equal([
      'days_2027 audit_delete',
      'days_2027 audit_insert',
      'days_2027 audit_truncate',
      'days_2027 audit_update',
    ]);
    expect((await verify(true)).ok).to.equal(true);
  });

  it('lets nobody change what is written, not even in a partition, nor the application read or write it', async () => {
    await changes(`insert into users (id) values (1)`);
    const { rows } = await client.query(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit.audit_logs'::regclass order by 1`,
    );
    expect(rows.length).to.be.greaterThan(4);
    for (const table of ['audit.audit_logs', ...rows.map(({ name }) => name)]) {
      for (const sql of [`update ${table} set user_id = 'x'`, `delete from ${table}`, `truncate ${table}`]) {
        await client.query('set session_replication_role = replica');
        const error = await client.query(sql).catch((thrown) => thrown);
        await client.query('set session_replication_role = origin');
        expect(error.message, sql).to.contain('is append-only');
      }
    }
    const app = await scratchLogin('app');
    await client.query(`grant select, insert on users to ${app.user}`);
    const theirs = await openClient(testUrl(database.name, app));
    await theirs.query('insert into users (id) values (2)');
    for (const sql of ['select from audit.audit_logs', `insert into audit.audit_logs default values`])
      expect((await theirs.query(sql).catch((thrown) => thrown)).code, sql).to.equal('42501');
    await theirs.end();
    expect(
      (await client.query(`select auth_id from audit.audit_logs order by id desc limit 1`)).rows[0].auth_id,
    ).to.equal(app.user);
    expect(
      (
        await client.query(
          `select distinct pg_get_userbyid(proowner) as owner from pg_proc where pronamespace = 'audit'::regnamespace and prosecdef`,
        )
      ).rows,
    ).to.deep.equal([{ owner: 'manage_db_audit' }]);
    await client.query(`revoke all on users from ${app.user}`);
    await dropLogins(app);
  });

  it('keeps whole rows where that is configured', async () => {
    configure(`{ data: 'whole', only: ['public.loose', 'public.visits'] }`);
    await apply();
    await changes(`insert into users (id) values (1); insert into visits values (1, '2026-01-01', 'x')`);
    expect(await changes(`update visits set room = 'y'`)).to.deep.equal([
      'UPDATE visits [1, "2026-01-01"] {room} {"day": "2026-01-01", "room": "x", "user_id": 1} {"day": "2026-01-01", "room": "y", "user_id": 1}',
    ]);
  });

  it('does nothing when it is applied again, and leaves its own log out', async () => {
    expect(await apply()).to.deep.include({ created: [], replaced: [], statements: [] });
    const { ok, counts } = await verify();
    expect([ok, counts.unknown]).to.deep.equal([true, 0]);
    expect(
      (await client.query(`select tgname from pg_trigger where tgrelid = 'audit.audit_logs'::regclass`)).rows,
    ).to.deep.equal([{ tgname: 'refuse_change' }]);
  });

  it('never makes a write fail: whatever the columns are called, and of whatever type they are', async () => {
    await client.query(`
      create extension citext; create extension ltree;
      create type colour as enum ('red', 'blue');
      create table trees (id ltree, colour colour, note text, primary key (id, colour));
      create type pair as (a json, b integer);
      create domain positive as integer check (value > 0);
      create table odd (id integer primary key, moment text, xid text, client text, keys text, secret text, ignored text, o text, n text, old text,
        new text, c text, k text, v text, m text, app_user text, is_known text, r text, d text, tg_op text);
      create table types (id point, "a.b" json, x xml, p point, ci citext, pr pair, dom positive, j json[], b bit varying, r int4range, ts tsvector,
        mr int4multirange, i inet, m money, f float8, by bytea, iv interval, e text[], u uuid, o oid);
      create table wide (id integer primary key, ${Array.from({ length: 300 }, (_, n) => `c${n} integer default ${n}`).join(', ')});
      create table same (id citext primary key, note text);
      create table nested (id integer primary key, parent integer, depth integer);
      create function grow() returns trigger language plpgsql as $$ begin
        if new.depth < 3 then update nested set depth = new.depth + 1, id = id + 100 where id = new.id; end if; return null; end $$;
      create trigger aa_grow after update on nested for each row execute function grow()`);
    await apply();
    await client.query(
      `insert into odd (id, moment, xid, client, old, new, o, n) values (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g')`,
    );
    expect(await changes(`update odd set moment = 'x', xid = 'y', n = 'z'`)).to.have.length(2);
    await client.query(`insert into types ("a.b", x, p, ci, pr, dom, j, b, r, ts, f, by) values ('{"a": 1}', '<a/>', '(1,2)', 'A', row('{}', 1), 1,
      array['{}'::json], b'101', '[1,2)', 'a b', 'NaN', '\\x00')`);
    expect(
      await changes(
        `update types set x = '<b/>', p = '(2,1)', ci = 'a', pr = row('[]', 2), j = array['[]'::json]; delete from types`,
      ),
    ).to.have.length(4);
    await client.query('insert into wide (id) values (1)');
    await logged();
    expect(await changes('update wide set c7 = -1, c299 = null')).to.deep.equal([
      'UPDATE wide 1 {c7,c299} {"c7": 7, "c299": 299} {"c7": -1, "c299": null}',
    ]);
    await client.query(`insert into trees values ('a.b', 'red', 'x')`);
    await logged();
    expect(await changes(`update trees set note = 'y'; update trees set colour = 'blue'`)).to.deep.equal([
      `UPDATE trees ["a.b", "red"] {note} {"note": "x"} {"note": "y"}`,
      `UPDATE trees ["a.b", "red"] {colour} {"colour": "red"} {"colour": "blue"}`,
    ]);
    await client.query(`insert into same values ('A', 'x')`);
    expect((await changes(`update same set id = 'a'`)).at(-1)).to.equal('UPDATE same A {id} {"id": "A"} {"id": "a"}');
    await client.query('insert into nested values (1, null, 0), (2, null, 5)');
    await logged();
    expect((await changes('update nested set depth = 1 where id = 1')).sort()).to.deep.equal([
      'UPDATE nested 1 {depth} {"depth": 0} {"depth": 1}',
      'UPDATE nested 1 {id,depth} {"id": 1, "depth": 1} {"id": 101, "depth": 2}',
      'UPDATE nested 101 {id,depth} {"id": 101, "depth": 2} {"id": 201, "depth": 3}',
    ]);
    expect(
      await changes(
        'begin; update nested set id = 7 where id = 2; savepoint s; update nested set id = 8 where id = 7; rollback to s; update nested set depth = 9 where id = 7; commit',
      ),
    ).to.deep.equal(['UPDATE nested 2 {id} {"id": 2} {"id": 7}', 'UPDATE nested 7 {depth} {"depth": 5} {"depth": 9}']);
  });

  it('runs nothing that the owner of a table has made with the rights of the log', async () => {
    await client.query(`
      create type mood as enum ('calm', 'cross');
      create domain quiet as text;
      create table moods (id mood primary key, list mood[], pair text);
      create function steal() returns void language plpgsql as $$ begin
        if current_user = 'manage_db_audit' then raise exception 'I am the log'; end if; end $$;
      create function mood_json(mood) returns json language plpgsql as $$ begin perform steal(); return '1'; end $$;
      create function mood_text(mood) returns text language plpgsql as $$ begin perform steal(); return 'x'; end $$;
      create cast (mood as json) with function mood_json(mood);
      create cast (mood as text) with function mood_text(mood)`);
    await apply();
    expect(await changes(`insert into moods values ('calm', '{calm,cross}')`)).to.deep.equal([
      'INSERT moods calm - {"id": "calm", "list": "{calm,cross}", "pair": null}',
    ]);
    expect(await changes(`update moods set id = 'cross', list = null`)).to.deep.equal([
      'UPDATE moods calm {id,list} {"id": "calm", "list": "{calm,cross}"} {"id": "cross", "list": null}',
    ]);
    await client.query(`alter table moods rename column pair to "Pa%I$1r"`);
    expect(await changes(`update moods set list = '{}', "Pa%I$1r" = 'x'; delete from moods`)).to.deep.equal([
      'UPDATE moods cross {list,Pa%I$1r} {"list": null, "Pa%I$1r": null} {"list": "{}", "Pa%I$1r": "x"}',
      'DELETE moods cross {"id": "cross", "list": "{}", "Pa%I$1r": "x"} -',
    ]);
    const { rows } = await client.query(
      `select has_schema_privilege('manage_db_audit', 'audit', 'create') as may_create`,
    );
    expect(rows[0].may_create).to.equal(false);
  });

  it('takes values that JSON has no place for, and keys that no index has a place for', async () => {
    await client.query(`create table documents (id integer primary key, doc json, docs json[], note text);
      create table long (a text, b text, primary key (a, b))`);
    await apply();
    expect(
      await changes(String.raw`insert into documents values (1, '{"a": "\u0000"}', array['1e400000'::json])`),
    ).to.deep.equal([
      String.raw`INSERT documents 1 - {"id": 1, "doc": "{\"a\": \"\\u0000\"}", "docs": "{1e400000}", "note": null}`,
    ]);
    expect(await changes(`update documents set note = 'x'`)).to.deep.equal([
      'UPDATE documents 1 {note} {"note": null} {"note": "x"}',
    ]);
    expect(await changes(String.raw`update documents set doc = '["\u0000"]'`)).to.deep.equal([
      String.raw`UPDATE documents 1 {doc} {"doc": "{\"a\": \"\\u0000\"}"} {"doc": "[\"\\u0000\"]"}`,
    ]);
    expect(await changes(`update documents set doc = '{"a": 1}'`)).to.have.length(1);
    expect(await changes(`update documents set doc = '{"a":1}'; delete from documents`)).to.deep.equal([
      'UPDATE documents 1 {doc} {"doc": {"a": 1}} {"doc": {"a": 1}}',
      `DELETE documents 1 {"id": 1, "doc": {"a": 1}, "docs": "{1e400000}", "note": "x"} -`,
    ]);
    const long = `array_to_string(array(select md5(n::text) from generate_series(1, 41) n), '')`;
    await client.query(`insert into long values (${long}, ${long})`);
    await logged();
    await client.query(`update long set b = 'short'`);
    const { rows } = await client.query(
      `select length(record_id) as length, changed_columns from audit.audit_logs where table_name = 'long' order by id`,
    );
    expect(rows).to.deep.equal([
      { length: 272, changed_columns: null },
      { length: 272, changed_columns: ['b'] },
    ]);
  });

  it('logs every difference, in the same words in every session', async () => {
    await client.query(`create table fine (id interval primary key, price numeric, angle float8, span interval, at timestamptz, cash money);
      insert into fine values ('1 day', 1.0, 0, '1 day', '2026-01-01 00:00+00', 1)`);
    await apply();
    await logged();
    expect(await changes(`update fine set price = 1.00`)).to.have.length(1);
    expect(await changes(`update fine set span = '24:00'`)).to.have.length(1);
    await client.query(
      `set timezone = 'Asia/Tokyo'; set intervalstyle = 'iso_8601'; set datestyle = 'German'; set extra_float_digits = -15; set quote_all_identifiers = on`,
    );
    expect(
      await changes(`update fine set at = at + interval '1 hour', angle = 0.1::float8 + 0.2::float8`),
    ).to.deep.equal([
      'UPDATE fine 1 day {angle,at} {"at": "2026-01-01T00:00:00+00:00", "angle": 0} {"at": "2026-01-01T01:00:00+00:00", "angle": 0.30000000000000004}',
    ]);
    expect(await changes('update fine set price = price')).to.deep.equal([]);
  });

  it('logs the rows that MERGE moves to another partition once, as what they are', async function () {
    await needServer(this, 15, 'MERGE');
    await client.query(`create table n (id integer, day integer, o text, primary key (id, day)) partition by range (day);
      create table n1 partition of n for values from (0) to (10); create table n2 partition of n for values from (10) to (20)`);
    await apply();
    await changes(`insert into n values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')`);
    const merge = (source: string, rest = '') =>
      changes(`merge into n using (values ${source}) s (id, day) on n.id = s.id when matched and s.day < 0 then delete
        when matched then update set day = s.day ${rest}`);
    expect(await merge('(1, 11)')).to.deep.equal(['UPDATE n [1, 1] {day} {"day": 1} {"day": 11}']);
    expect(
      await merge('(1, 2), (2, 12), (3, 4), (4, 4)', `when not matched then insert values (s.id, s.day, 'new')`),
    ).to.have.members([
      'UPDATE n [1, 11] {day} {"day": 11} {"day": 2}',
      'UPDATE n [2, 2] {day} {"day": 2} {"day": 12}',
      'UPDATE n [3, 3] {day} {"day": 3} {"day": 4}',
      'INSERT n [4, 4] - {"o": "new", "id": 4, "day": 4}',
    ]);
    expect(
      await changes(`begin; merge into n using (values (1, 13)) s (id, day) on n.id = s.id when matched then update set day = s.day;
        delete from n where id = 1; insert into n values (1, 13, 'again'); commit`),
    ).to.deep.equal([
      'UPDATE n [1, 2] {day} {"day": 2} {"day": 13}',
      'DELETE n [1, 13] {"o": "a", "id": 1, "day": 13} -',
      'INSERT n [1, 13] - {"o": "again", "id": 1, "day": 13}',
    ]);
    expect(await changes('update n set day = 15 where id = 3; delete from n where id = 3')).to.have.length(2);
    expect(
      await changes(`begin; merge into n using (values (2, 3)) s (id, day) on n.id = s.id when matched then update set day = s.day;
        truncate n; insert into n values (2, 3, 'again'); commit`),
    ).to.include('INSERT n [2, 3] - {"o": "again", "id": 2, "day": 3}');
    expect((await client.query('select from audit.moving_rows')).rowCount).to.equal(0);
  });

  it('logs what MERGE deletes and moves in one statement, whatever others do meanwhile, and whoever sets what', async function () {
    await needServer(this, 15, 'MERGE');
    await client.query(`create table p (id integer primary key, v text) partition by range (id);
      create table p_low partition of p for values from (0) to (100); create table p_high partition of p for values from (100) to (1000);
      create function nest() returns trigger language plpgsql as $$ begin
        if new.v = 'nest' then update p set id = id + 1 where id = 50; end if; return new; end $$;
      create trigger nest before insert on p_high for each row execute function nest()`);
    await apply();
    await changes(
      `insert into p select n, 'x' from generate_series(1, 9) n; insert into p values (50, 'f'), (60, 'y'), (61, 'z')`,
    );
    expect(
      await changes(`merge into p using (values (4, 'm'), (5, 'd'), (6, 'k'), (7, 'd'), (8, 'm')) s (id, x) on p.id = s.id
        when matched and x = 'm' then update set id = p.id + 200 when matched and x = 'd' then delete when matched then update set v = 'kk'`),
    ).to.have.members([
      'UPDATE p 4 {id} {"id": 4} {"id": 204}',
      'DELETE p 5 {"v": "x", "id": 5} -',
      'UPDATE p 6 {v} {"v": "x"} {"v": "kk"}',
      'DELETE p 7 {"v": "x", "id": 7} -',
      'UPDATE p 8 {id} {"id": 8} {"id": 208}',
    ]);
    expect(
      await changes(`merge into p using (values (60, 'nest'), (61, 'nest')) s (id, x) on p.id = s.id
        when matched then update set id = p.id + 200, v = x`),
    ).to.have.members([
      'UPDATE p 50 {id} {"id": 50} {"id": 51}',
      'UPDATE p 60 {v,id} {"v": "y", "id": 60} {"v": "nest", "id": 260}',
      'UPDATE p 61 {v,id} {"v": "z", "id": 61} {"v": "nest", "id": 261}',
    ]);
    await client.query(`set manage_db.moving = '0'`);
    expect(await changes('delete from p where id < 3; insert into p values (1, $$again$$)')).to.have.length(3);
    await client.query('reset manage_db.moving');
    expect((await client.query('select from audit.moving_rows')).rowCount).to.equal(0);
  });

  it('logs what MERGE inserts and updates in one statement as what it is', async function () {
    await needServer(this, 15, 'MERGE');
    await client.query(`create table pt (id integer, region text, v text, primary key (id, region)) partition by list (region);
      create table pt_a partition of pt for values in ('a') partition by range (id); create table pt_a1 partition of pt_a for values from (0) to (1000);
      create table pt_b partition of pt for values in ('b')`);
    await apply();
    await changes(`insert into pt values (12, 'a', 'x'), (13, 'a', 'y'), (14, 'b', 'z')`);
    const merge = (
      target: string,
      id: number,
    ) => `merge into ${target} p using (values (${id}, 'a'), (12, 'a'), (13, 'a')) s (id, region)
      on p.id = s.id when matched then update set v = 'upd${id}' when not matched then insert values (s.id, s.region, 'ins')`;
    await client.query('set enable_hashjoin = off; set enable_mergejoin = off');
    for (const [target, id, before] of [
      ['pt', 11, ['x', 'y']],
      ['pt_a', 10, ['upd11', 'upd11']],
    ] as const) {
      expect(await changes(merge(target, id))).to.have.members([
        `UPDATE pt [12, "a"] {v} {"v": "${before[0]}"} {"v": "upd${id}"}`,
        `UPDATE pt [13, "a"] {v} {"v": "${before[1]}"} {"v": "upd${id}"}`,
        `INSERT pt [${id}, "a"] - {"v": "ins", "id": ${id}, "region": "a"}`,
      ]);
    }
    await client.query(
      `create function merging() returns void language plpgsql as $f$ begin ${merge('pt', 9)}; end $f$`,
    );
    expect(await changes('select merging()')).to.have.length(3);
    expect(
      await changes(
        `insert into pt values (12, 'a', 'q'), (8, 'a', 'n') on conflict (id, region) do update set v = excluded.v`,
      ),
    ).to.have.members([
      'UPDATE pt [12, "a"] {v} {"v": "upd9"} {"v": "q"}',
      'INSERT pt [8, "a"] - {"v": "n", "id": 8, "region": "a"}',
    ]);
    expect(await changes(`update pt set v = 'plain' where id = 12`)).to.have.length(1);
    expect((await client.query('select from audit.moving_rows')).rowCount).to.equal(0);
  });

  it('logs every change that foreign keys make, also of one row more than once', async () => {
    await client.query(`create table u2 (id integer primary key); create table c2 (id integer primary key, a integer references u2 on delete set null,
        b integer references u2 on delete set null on update cascade);
      create table node (id integer primary key, parent integer references node on update cascade)`);
    await apply();
    await changes(
      'insert into u2 values (1), (2); insert into c2 values (1, 1, 2); insert into node values (1, null), (2, 1), (3, 2)',
    );
    expect((await changes('delete from u2')).filter((line) => line.includes(' c2 '))).to.have.members([
      'UPDATE c2 1 {a} {"a": 1} {"a": null}',
      'UPDATE c2 1 {b} {"b": 2} {"b": null}',
    ]);
    expect(await changes('update node set id = id + 10')).to.have.members([
      'UPDATE node 1 {id} {"id": 1} {"id": 11}',
      'UPDATE node 2 {id} {"id": 2} {"id": 12}',
      'UPDATE node 3 {id} {"id": 3} {"id": 13}',
      'UPDATE node 12 {parent} {"parent": 1} {"parent": 11}',
      'UPDATE node 13 {parent} {"parent": 2} {"parent": 12}',
    ]);
  });

  it('pairs the rows of tables whose key comes, goes, changes its name, or may be late', async () => {
    await client.query(`create table late (id integer primary key deferrable initially deferred, body text);
      create table firm (id integer primary key, body text); insert into firm values (1, 'a'), (2, 'b')`);
    await apply();
    expect(
      await changes(
        `begin; insert into late values (1, 'a'), (1, 'b'); update late set body = body || '!'; update late set id = 2 where body = 'b!'; commit`,
      ),
    ).to.have.length(5);
    await client.query('alter table firm drop constraint firm_pkey');
    expect(await changes(`update firm set body = 'x' where id = 1`)).to.have.length(2);
    await client.query('alter table firm alter id drop not null; insert into firm values (1, $$c$$), (null, null)');
    await logged();
    expect(await changes(`update firm set body = 'y'`)).to.have.length(8);
    await client.query(
      'delete from firm where id is null or body = $$c$$; delete from firm; insert into firm values (1, $$a$$)',
    );
    await client.query('alter table firm add primary key (id)');
    await apply();
    await client.query('alter table firm rename column id to "Id"');
    await logged();
    expect(await changes(`update firm set "Id" = 5, body = 'z'`)).to.have.members([
      'UPDATE firm 1 {Id,body} {"Id": 1, "body": "a"} {"Id": 5, "body": "z"}',
    ]);
    expect(await changes(`update firm set body = 'w'`)).to.deep.equal([
      'UPDATE firm 5 {body} {"body": "z"} {"body": "w"}',
    ]);
  });

  it('loses nothing where keys are changed and nobody notes them', async () => {
    await client.query(`insert into days values (1, '2025-05-05', 'a'), (2, '2025-05-06', 'b')`);
    await client.query('alter table days detach partition days_2025');
    await logged();
    expect(await changes(`update days_2025 set id = 7 where id = 1`)).to.have.members([
      'UPDATE days_2025 [1, "2025-05-05"] {"id": 1, "day": "2025-05-05", "body": "a"} -',
      'UPDATE days_2025 [7, "2025-05-05"] - {"id": 7, "day": "2025-05-05", "body": "a"}',
    ]);
    expect(await changes(`update days_2025 set body = 'c' where id = 2`)).to.deep.equal([
      'UPDATE days_2025 [2, "2025-05-06"] {body} {"body": "b"} {"body": "c"}',
    ]);
    await apply();
    await client.query(`alter table days attach partition days_2025 for values from ('2025-01-01') to ('2026-01-01')`);
    expect(await changes(`update days set id = 8 where id = 7`)).to.have.length(1);
    expect((await verify(true)).ok).to.equal(true);
    expect(await changes(`update days set id = 9 where id = 8`)).to.deep.equal([
      'UPDATE days [8, "2025-05-05"] {id} {"id": 8} {"id": 9}',
    ]);
  });

  it('never writes a secret: not as a key, and not while it is unclear which column that is', async () => {
    await client.query(`create table cards (number text primary key, holder text, note text);
      create table holders (pin text primary key, code text not null unique, note text)`);
    configure(`{ redact: { 'public.cards': ['number'], 'public.hold*': ['pin'], 'public.users': ['password'] } }`);
    await apply();
    await changes(`insert into cards values ('hush1', 'a', 'n'); update cards set number = 'hush2', holder = 'b';
      insert into holders values ('hush3', 'c', 'n'); insert into users values (1, 'mail', 'hush4')`);
    expect(await changes(`update holders set pin = 'hush5'`)).to.deep.equal([
      'UPDATE holders c {pin} {"pin": "***"} {"pin": "***"}',
    ]);
    await client.query('alter table users rename password to old_password; alter table users add password text');
    expect(await changes(`update users set old_password = 'hush6', password = 'hush7', email = 'new'`)).to.deep.equal([
      'UPDATE users 1 {email,password,old_password} {"email": "***", "password": null, "old_password": "***"} {"email": "***", "password": "***", "old_password": "***"}',
    ]);
    await client.query('alter table users drop email; alter table users rename password to email');
    await changes(`update users set email = 'hush8'`);
    await client.query('alter table users drop old_password; alter table users add password text');
    await apply();
    await client.query(
      'alter table users rename password to tmp; alter table users rename email to password; alter table users rename tmp to email',
    );
    await changes(`update users set email = 'hush9', password = 'hush10'`);
    const { rows } = await client.query(`select * from audit.audit_logs l where l::text ~ 'hush'`);
    expect(rows).to.deep.equal([]);
  });

  it("refuses settings about tables and columns that there are not, and schemas that are somebody else's", async () => {
    const refused = async (settings: string) => {
      configure(settings);
      return apply().then(
        () => '',
        (error: { code: string; message: string }) => `${error.code} ${error.message}`,
      );
    };
    expect(await refused(`{ redact: { 'public.users': ['pasword'] } }`)).to.match(
      /^INVALID_CONFIGURATION .*rather password/,
    );
    expect(await refused(`{ ignore: { 'public.user': ['seen'] } }`)).to.match(
      /^INVALID_CONFIGURATION .*rather public\.users/,
    );
    expect(await refused(`{ schema: 'public' }`)).to.match(/^INVALID_CONFIGURATION .*schema/);
    await client.query('create schema taken create table things (id integer)');
    expect(await refused(`{ schema: 'taken' }`)).to.match(/^INVALID_CONFIGURATION .*things/);
  });

  it('notices what somebody has taken away from the log, and brings it back', async () => {
    for (const damage of [
      'drop table audit.moving_rows',
      'revoke insert on audit.audit_logs from manage_db_audit',
      'alter table audit.audit_logs_default disable trigger refuse_change',
      `create or replace function audit.refuse_change() returns trigger language plpgsql as 'begin return new; end'`,
      'drop trigger refuse_change on audit.audit_logs',
      'create rule nothing as on insert to audit.audit_logs do instead nothing',
      `create function audit.swallow() returns trigger language plpgsql as 'begin return null; end';
        create trigger swallow before insert on audit.moving_rows for each row execute function audit.swallow()`,
      'alter table audit.audit_logs enable row level security, force row level security',
    ]) {
      await client.query(damage);
      expect((await verify()).ok, damage).to.equal(false);
      await workspace.run(() => verifyTriggers({ env: 'testing', fix: true, overrideDrift: true }));
      const healed = await verify();
      expect(
        healed.triggers.filter(({ isDrift }) => isDrift),
        damage,
      ).to.deep.equal([]);
      expect(healed.ok, damage).to.equal(true);
      expect(await changes(`insert into loose values (1, 'x')`)).to.have.length(1);
    }
    const error = await client.query('truncate audit.audit_logs').catch((thrown) => thrown);
    expect(error.message).to.contain('is append-only');
  });

  it('has a trigger for what a table is now, and no other', async () => {
    await client.query('create table beasts (id integer primary key, name text); insert into beasts values (1, $$x$$)');
    await apply();
    await client.query(
      'create table cats (claws integer) inherits (beasts); alter trigger audit_update on loose rename to mine',
    );
    await logged();
    const result = await apply();
    expect(result.removed.map(({ table, name }) => `${table} ${name}`)).to.include.members([
      'beasts audit_update',
      'loose mine',
    ]);
    expect(
      await changes(`update beasts set name = 'y'; insert into loose values (1, 'a'); update loose set b = 'c'`),
    ).to.have.length(4);
    expect((await verify()).ok).to.equal(true);
  });

  it('is no drift for who may only look, after a dump, nor because somebody has no right to make the role', async () => {
    await client.query(
      'create table two (a integer not null, b integer not null, constraint z unique (a), constraint y unique (b))',
    );
    await apply();
    await client.query(
      'alter table two drop constraint y, drop constraint z; alter table two add constraint y unique (b), add constraint z unique (a)',
    );
    expect((await verify()).triggers.filter(({ isDrift }) => isDrift)).to.deep.equal([]);
    const month = (await client.query(`select 'audit_logs_' || to_char(now() at time zone 'UTC', 'YYYY_MM') as name`))
      .rows[0].name;
    await client.query('insert into loose values (1, $$x$$)');
    await client.query(`begin; alter table audit.audit_logs detach partition audit.${month}; drop table audit.${month};
      commit; insert into loose values (2, 'y')`);
    const reader = await scratchLogin('reader');
    await client.query(
      `grant usage on schema manage_db to ${reader.user}; grant select on all tables in schema manage_db to ${reader.user}`,
    );
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, reader)}\n` });
    const { ok, problems } = await verify();
    expect([ok, problems]).to.deep.equal([true, []]);
    await client.query(`drop owned by ${reader.user}`);
    await dropLogins(reader);
  });

  it('heals the key of a table that has another name now, and a part of the log that was detached', async () => {
    await client.query(
      'alter table users rename id to number; alter table audit.audit_logs detach partition audit.audit_logs_default',
    );
    const drifted = (await verify()).triggers.filter(({ isDrift }) => isDrift);
    expect(new Set(drifted.map(({ state }) => state))).to.deep.equal(new Set(['stale']));
    const { ok, triggers } = await verify(true);
    expect([ok, triggers.filter(({ isDrift }) => isDrift)]).to.deep.equal([true, []]);
    await changes('insert into users (number) values (1)');
    expect(await changes('update users set number = 2')).to.deep.equal([
      'UPDATE users 1 {number} {"number": 1} {"number": 2}',
    ]);
  });

  it('asks what has become of a secret column that a pattern means, before it is written in the clear', async () => {
    await client.query('create table more (id integer primary key, password text)');
    configure(`{ redact: { 'public.*': ['password'] } }`);
    await apply();
    await client.query('alter table more rename password to pass');
    const { problems } = await verify();
    expect(problems.join()).to.contain('public.more had the secret column password');
    const error = await apply().catch((thrown) => thrown);
    expect(error.code).to.equal('INVALID_CONFIGURATION');
    configure(`{ redact: { 'public.*': ['password'], 'public.more': ['pass'] } }`);
    await apply();
    expect((await verify()).problems).to.deep.equal([]);
    expect(await changes(`insert into more values (1, 'hush')`)).to.deep.equal([
      'INSERT more 1 - {"id": 1, "pass": "***"}',
    ]);
  });

  it('lets writers write while it is repaired, and while somebody looks what would be done', async () => {
    const month = (await client.query(`select 'audit_logs_' || to_char(now() at time zone 'UTC', 'YYYY_MM') as name`))
      .rows[0].name;
    await client.query(
      `alter table audit.audit_logs detach partition audit.${month}; drop table audit.${month}; create table fresh (id integer)`,
    );
    const writer = await openClient(database.url);
    await writer.query('begin; insert into fresh values (1); insert into users (id) values (77)');
    const dry = await workspace.run(() => applyTriggers({ env: 'testing', dryRun: true }));
    expect(dry.statements.join()).to.contain(`create table "audit"."${month}"`);
    const applying = workspace.run(() => applyTriggers({ env: 'testing', lockTimeoutMs: 1500, lockBudgetMs: 9000 }));
    await new Promise((resolve) => setTimeout(resolve, 700));
    await writer.query('update users set email = $$late$$ where id = 77');
    await writer.query('commit');
    await writer.end();
    await applying;
    expect((await verify()).ok).to.equal(true);
  });

  it('says which tables are audited, wholly, partly or not at all', async () => {
    await client.query('create table fresh (id integer); alter table loose disable trigger audit_delete');
    await client.query(`create table days_2027 partition of days for values from ('2027-01-01') to ('2028-01-01')`);
    const { tables, counts } = await workspace.run(() => auditCoverage({ env: 'testing' }));
    expect(counts).to.deep.equal({ audited: 5, partly: 2, not_audited: 1 });
    expect(tables.filter(({ state }) => state !== 'audited')).to.deep.equal([
      {
        schema: 'public',
        table: 'days',
        state: 'partly',
        missing: ['INSERT, UPDATE, DELETE, TRUNCATE on public.days_2027'],
      },
      { schema: 'public', table: 'fresh', state: 'not_audited', missing: ['INSERT, UPDATE, DELETE, TRUNCATE'] },
      { schema: 'public', table: 'loose', state: 'partly', missing: ['DELETE'] },
    ]);
    const shown = await workspace.cli(['show-audit-coverage', '--env', 'testing']);
    expect(shown.stdout).to.contain('5 audited, 2 partly, 1 not');
  });

  describe('with a hash chain', () => {
    beforeEach(async () => {
      configure('{ hashChain: true }');
      await apply();
      await changes(
        `insert into users (id) select generate_series(1, 300); update users set email = 'x' where id < 20; delete from users where id = 300`,
      );
    });
    const check = () => workspace.run(() => verifyAuditLog({ env: 'testing' }));
    const kinds = async () => (await check()).findings.map(({ kind }) => kind);
    /** As a superuser who knows what they do. */
    const tamper = (sql: string) =>
      client.query(`set session_replication_role = origin; do $$ declare t text; begin
        for t in select c.oid::regclass::text from pg_class c join pg_trigger g on g.tgrelid = c.oid where g.tgname = 'refuse_change' loop
          execute format('alter table %s disable trigger refuse_change', t); end loop; end $$;
        ${sql};
        do $$ declare t text; begin
        for t in select c.oid::regclass::text from pg_class c join pg_trigger g on g.tgrelid = c.oid where g.tgname = 'refuse_change' loop
          execute format('alter table %s enable always trigger refuse_change', t); end loop; end $$`);

    it('is whole, also when many write at once, and in every isolation', async () => {
      const others = await Promise.all([1, 2, 3].map(() => openClient(database.url)));
      await Promise.all(
        others.map(async (other, index) => {
          for (let n = 0; n < 20; n += 1) await other.query(`insert into loose values (${index}, 'x')`);
          await other.end();
        }),
      );
      const late = await openClient(database.url);
      await late.query('begin isolation level repeatable read; select from loose');
      await client.query(`insert into loose values (9, 'y')`);
      const error = await late.query(`insert into loose values (9, 'z')`).catch((thrown) => thrown);
      expect(error.code).to.equal('40001');
      await late.end();
      expect(await check()).to.deep.equal({ ok: true, entries: 381, chained: 381, isChained: true, findings: [] });
      expect((await workspace.cli(['verify-audit-log', '--env', 'testing'])).code).to.equal(0);
      expect(await apply()).to.deep.include({ statements: [] });
    });

    it('shows what a superuser has changed, removed or cut off, and a table that is not protected', async () => {
      await tamper(`update audit.audit_logs set user_id = 'nobody' where position = 7`);
      expect(await kinds()).to.deep.equal(['changed']);
      await tamper(`update audit.audit_logs set user_id = 'anna' where position = 7`);
      expect(await kinds()).to.deep.equal([]);
      await tamper('delete from audit.audit_logs where position between 10 and 12');
      expect(await kinds()).to.deep.equal(['missing']);
      await tamper('delete from audit.audit_logs where position > 300');
      expect(await kinds()).to.deep.equal(['missing', 'end']);
      const { code, json } = await workspace.cli(['verify-audit-log', '--env', 'testing', '--json']);
      expect([code, json().error?.code]).to.deep.equal([1, 'AUDIT_LOG_BROKEN']);
      await client.query('alter table audit.audit_logs_default disable trigger refuse_change');
      expect(await kinds()).to.deep.equal(['unprotected', 'missing', 'end']);
    });

    it('shows what was written beside it, who may write, and a trigger that lets everything pass', async () => {
      await client.query('alter table audit.audit_logs disable trigger chain_entry');
      await client.query('insert into loose values (1, $$x$$)');
      await client.query('alter table audit.audit_logs enable always trigger chain_entry');
      await client.query('insert into loose values (1, $$x$$)');
      expect(await kinds()).to.deep.equal(['unchained']);
      await client.query(
        'grant insert on audit.audit_logs to public; grant delete on audit.audit_logs_default to manage_db_audit',
      );
      expect((await check()).findings.map(({ detail }) => detail)).to.include.members([
        'everybody has been given INSERT on audit.audit_logs.',
        'manage_db_audit has been given DELETE on audit.audit_logs_default.',
      ]);
      await client.query(
        'revoke insert on audit.audit_logs from public; revoke delete on audit.audit_logs_default from manage_db_audit',
      );
      await client.query(
        `create or replace function audit.refuse_change() returns trigger language plpgsql as 'begin return null; end'`,
      );
      expect(new Set(await kinds())).to.deep.equal(new Set(['unprotected', 'unchained']));
    });

    it('is whole after months that have gone, and after entries of no month', async () => {
      await client.query(
        `create table audit.audit_logs_2020_01 partition of audit.audit_logs for values from ('2020-01-01') to ('2020-02-01')`,
      );
      await client.query('alter table audit.audit_logs disable trigger chain_entry');
      await tamper(`update audit.audit_logs set created_at = '2020-01-05' where position <= 30;
        update audit.audit_logs set created_at = '2020-02-05' where position between 31 and 40`);
      await tamper(`do $$ declare r record; begin
        for r in select ctid, tableoid, position from audit.audit_logs order by position loop
          update audit.audit_logs l set previous_hash = (select p.hash from audit.audit_logs p where p.position = r.position - 1) where l.position = r.position;
          update audit.audit_logs l set hash = ${entryHash('l')} where l.position = r.position;
        end loop;
        update audit.audit_chain set hash = (select hash from audit.audit_logs order by position desc limit 1); end $$`);
      await client.query('alter table audit.audit_logs enable always trigger chain_entry');
      expect(await kinds()).to.deep.equal(['unprotected']);
      configure('{ hashChain: true, retentionMonths: 24 }');
      await apply();
      expect(await check()).to.deep.include({ ok: true, entries: 280 });
      expect(await apply()).to.deep.include({ statements: [] });
      await client.query('insert into loose values (1, $$x$$)');
      expect(await check()).to.deep.include({ ok: true, entries: 281 });
    });

    it('is not broken by its retention', async () => {
      await tamper(`create table audit.old as select * from audit.audit_logs where position <= 50;
        delete from audit.audit_logs where position <= 50; drop table audit.old`);
      expect(await kinds()).to.deep.equal(['missing']);
      await client.query('update audit.audit_chain set first_position = 51');
      expect(await kinds()).to.deep.equal([]);
    });

    it('can be switched off again', async () => {
      configure('{ retentionMonths: 24 }');
      await apply();
      await changes('insert into users (id) values (1000)');
      expect(await check()).to.include({ ok: true, entries: 321, chained: 320, isChained: false });
      expect((await workspace.cli(['verify-audit-log', '--env', 'testing'])).stderr).to.contain(
        'New entries are not chained',
      );
      await tamper(`update audit.audit_logs set created_at = '2020-01-05' where position <= 30`);
      await apply();
      expect((await check()).entries).to.equal(291);
      expect(await kinds()).to.not.include('missing');
    });
  });

  it('drops the months that need not be kept, and only these', async () => {
    await client.query(
      `create table audit.audit_logs_2020_01 partition of audit.audit_logs for values from ('2020-01-01') to ('2020-02-01')`,
    );
    configure('{ retentionMonths: 24 }');
    expect((await apply()).statements.join()).to.contain('drop table "audit"."audit_logs_2020_01"');
    const { rows } = await client.query(
      `select to_regclass('audit.audit_logs_2020_01') as old, to_regclass('audit.audit_logs_default') is not null as rest`,
    );
    expect(rows).to.deep.equal([{ old: null, rest: true }]);
    expect(await apply()).to.deep.include({ statements: [] });
  });
});
