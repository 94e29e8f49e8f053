import { expect } from 'chai';
import type pg from 'pg';
import { applyPacks } from '../../../app/core/triggers/apply.js';
import { basePack } from '../../../app/core/triggers/base-pack.js';
import { securityPack } from '../../../app/core/triggers/security-pack.js';
import { configureSecurityPack } from '../../../app/core/triggers/security-pack-settings.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { openClient } from '../../database/open-client.js';
import { refusalOf } from '../../support/refusal-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const TABLES = `
  create table users (id integer primary key, name text, failed_login_attempts integer default 0, locked_until timestamptz,
    last_login_at timestamptz, updated_at timestamptz);
  create table simple (id integer primary key, failed_login_attempts smallint, locked_until timestamptz);
  create table local_time (id integer primary key, failed_login_attempts integer, locked_until timestamp);
  create table half (id integer primary key, failed_login_attempts integer);
  create table jobs (id integer primary key, locked_until timestamptz);
  create table "Us""ers" (id integer primary key, "Fai'led" bigint, "Lo cked" timestamptz, "Lógin" timestamp);`;

describe('lock_account', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  const apply = async () => {
    const own = configureSecurityPack({
      passwords: false,
      lockout: { failedColumn: "Fai'led", untilColumn: 'Lo cked', loginColumn: 'Lógin', attempts: 2, minutes: 0.5 },
    });
    const packs = [
      securityPack(configureSecurityPack({ passwords: false }).settings),
      securityPack(own.settings),
      basePack(),
    ];
    await client.query('begin');
    await ensureSchema(client);
    const result = await applyPacks(client, packs, { environment: 'testing', dryRun: false, lockTimeoutMs: 1000 });
    await client.query('commit');
    await client.query('reset search_path');
    return result;
  };

  before(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await apply();
  });
  after(async () => {
    await client.end();
    await database.drop();
  });
  beforeEach(() =>
    client.query('truncate users, simple; insert into users (id) values (1); insert into simple values (1)'),
  );

  const sql = (text: string) => client.query(text);
  const fail = async (times = 1, table = 'users') => {
    for (let time = 0; time < times; time += 1)
      await sql(`update ${table} set failed_login_attempts = failed_login_attempts + 1 where id = 1`);
  };
  const logIn = () => sql('update users set last_login_at = clock_timestamp() where id = 1');
  /** `3 open`, or `5 locked 15` for the minutes that are left. */
  const state = async (table = 'users'): Promise<string> =>
    (
      await sql(`select concat_ws(' ', failed_login_attempts, case when locked_until is null then 'open'
        when locked_until < clock_timestamp() then 'expired'
        else 'locked ' || round(extract(epoch from locked_until - now()) / 60) end) as s from ${table} where id = 1`)
    ).rows[0].s;
  /** As if `minutes` had passed. */
  const wait = (minutes: number, table = 'users') =>
    sql(`set session_replication_role = replica;
      update ${table} set locked_until = locked_until - ${minutes} * interval '1 minute';
      reset session_replication_role`);

  it('locks for 15 minutes with the fifth failure, and not before', async () => {
    await fail(4);
    expect(await state()).to.equal('4 open');
    await fail();
    expect(await state()).to.equal('5 locked 15');
  });

  it('begins anew after a login', async () => {
    await fail(4);
    await logIn();
    expect(await state()).to.equal('0 open');
    await fail(4);
    expect(await state()).to.equal('4 open');
  });

  it('refuses logins while the account is locked, also those that reset the lock themselves', async () => {
    await fail(5);
    for (const attempt of [
      'update users set last_login_at = clock_timestamp()',
      'update users set last_login_at = now(), failed_login_attempts = 0, locked_until = null',
      'update users set failed_login_attempts = 0',
      'update users set failed_login_attempts = 4',
      'update users set failed_login_attempts = null',
    ]) {
      const error = await refusalOf(() => sql(attempt));
      expect(error).to.deep.include({ code: '28000', table: 'users', constraint: 'lock_account' });
      expect(error.message).to.match(
        /^The login was refused: the account in public\.users is locked until \d{4}-\d\d-\d\dT[\d:.]+\+\d\d:\d\d\. Nothing was written\.$/,
      );
      expect(error.hint).to.equal('Wait, or unlock it: update public.users set locked_until = null where …;');
    }
    expect(await state()).to.equal('5 locked 15');
  });

  it('lets failures neither count nor prolong the lock while there is one, and everything else be written', async () => {
    await fail(5);
    await wait(5);
    await fail(7);
    await sql(`update users set name = 'x'`);
    expect(await state()).to.equal('5 locked 10');
    expect((await sql('select name, updated_at is not null as u from users')).rows).to.deep.equal([
      { name: 'x', u: true },
    ]);
  });

  it('lets the lock expire by itself', async () => {
    await fail(5);
    await wait(16);
    expect(await state()).to.equal('5 expired');
    await logIn();
    expect(await state()).to.equal('0 open');
  });

  it('takes the first failure after the lock for the first, and locks again after five', async () => {
    await fail(5);
    await wait(16);
    await fail();
    expect(await state()).to.equal('1 open');
    await fail(4);
    expect(await state()).to.equal('5 locked 15');
  });

  it('is unlocked by hand, and locked by hand', async () => {
    await fail(5);
    await sql('update users set locked_until = null');
    expect(await state()).to.equal('0 open');
    await logIn();
    await sql(`update users set locked_until = 'infinity'`);
    expect((await refusalOf(logIn)).message).to.contain('locked until infinity');
    await fail(6);
    await sql(`update users set locked_until = now() - interval '1 minute'`);
    await logIn();
    expect(await state()).to.equal('0 open');
  });

  it('keeps the lock that an application sets itself', async () => {
    await fail(4);
    await sql(`update users set failed_login_attempts = 5, locked_until = now() + interval '1 hour'`);
    expect(await state()).to.equal('5 locked 60');
  });

  it('is not unlocked by a failure that writes back what was read before the lock', async () => {
    await fail(5);
    for (const until of ['null', `now() - interval '1 minute'`]) {
      await sql(`update users set failed_login_attempts = failed_login_attempts + 1, locked_until = ${until}`);
      expect(await state(), until).to.equal('5 locked 15');
    }
    await sql(`insert into users (id, failed_login_attempts) values (1, 9)
      on conflict (id) do update set failed_login_attempts = excluded.failed_login_attempts, locked_until = null`);
    expect(await state()).to.equal('5 locked 15');
  });

  it('counts from NULL, and without a column for the last login', async () => {
    await sql('truncate users; insert into users (id, failed_login_attempts) values (1, null)');
    await fail(5);
    expect(await state()).to.equal('5 locked 15');
    await sql(`alter table simple disable trigger lock_account; update simple set failed_login_attempts = null;
      alter table simple enable trigger lock_account`);
    await fail(6, 'simple');
    expect(await state('simple')).to.equal('5 locked 15');
    await wait(16, 'simple');
    await sql('update simple set failed_login_attempts = 0');
    expect(await state('simple')).to.equal('0 open');
  });

  it('counts failures of several sessions at once, and locks once', async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => openClient(database.url)));
    try {
      const failing = 'update users set failed_login_attempts = failed_login_attempts + 1 where id = 1';
      await Promise.all(sessions.slice(0, 4).map((session) => session.query(failing)));
      expect(await state()).to.equal('4 open');
      await Promise.all(sessions.map((session) => session.query(failing)));
      expect(await state()).to.equal('5 locked 15');
    } finally {
      await Promise.all(sessions.map((session) => session.end()));
    }
  });

  it('takes other columns, limits and times, and quoted names', async () => {
    await sql(`insert into "Us""ers" values (1, 0); update "Us""ers" set "Fai'led" = "Fai'led" + 1`);
    await sql(`update "Us""ers" set "Fai'led" = "Fai'led" + 1`);
    const { rows } = await sql(
      `select "Lo cked" between now() + interval '25 s' and now() + interval '31 s' as l from "Us""ers"`,
    );
    expect(rows).to.deep.equal([{ l: true }]);
    const login = `update "Us""ers" set "Lógin" = now()`;
    expect((await refusalOf(() => sql(login))).hint).to.equal(
      'Wait, or unlock it: update public."Us""ers" set "Lo cked" = null where …;',
    );
  });

  it('is not deceived by a hostile search_path', async () => {
    await fail(5);
    await sql(`create schema evil; create function evil.never(timestamptz, timestamptz) returns boolean language sql as $$ select false $$;
      create operator evil.> (leftarg = timestamptz, rightarg = timestamptz, function = evil.never);
      set search_path = evil, pg_catalog, public`);
    const error = await refusalOf(logIn);
    await sql('reset search_path; drop schema evil cascade');
    expect(error.constraint).to.equal('lock_account');
  });

  it('says what it left out and why, and changes nothing when it is applied again', async () => {
    const { created, replaced, statements, skipped } = await apply();
    expect({ created, replaced, statements }).to.deep.equal({ created: [], replaced: [], statements: [] });
    expect(skipped.map(({ table, name, reason }) => `${table} ${name}: ${reason}`)).to.deep.equal([
      'local_time lock_account: locked_until is of type timestamp without time zone; the trigger is for timestamp with time zone',
      'half lock_account: it has no column locked_until',
    ]);
  });
});
