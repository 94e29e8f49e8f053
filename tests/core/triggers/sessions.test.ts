import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type pg from 'pg';
import { applyPacks } from '../../../app/core/triggers/apply.js';
import { basePack } from '../../../app/core/triggers/base-pack.js';
import { securityPack } from '../../../app/core/triggers/security-pack.js';
import { configureSecurityPack } from '../../../app/core/triggers/security-pack-settings.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const COLUMNS = 'user_id integer, expires_at timestamptz, revoked_at timestamptz, last_seen_at timestamptz';
const TABLES = `
  create table sessions (id integer primary key, ${COLUMNS}, created_at timestamptz, updated_at timestamptz);
  create table bare_sessions (id integer primary key, ${COLUMNS});
  create table split_sessions (id integer, ${COLUMNS}, created_at timestamptz) partition by list (id);
  create table split_odd partition of split_sessions for values in (1, 3, 5, 7);
  create table split_even partition of split_sessions default;
  create table api_keys (id integer primary key, ${COLUMNS});
  create table therapy_sessions (id integer primary key, user_id integer, expires_at timestamptz);
  create table local_sessions (id integer primary key, user_id integer, expires_at timestamp, revoked_at timestamp);
  create table "Lo gins" (id integer primary key, "Us""er" uuid, "Ends" timestamptz, "Énded" timestamptz, "Began" timestamptz);`;

const UUID = '11111111-1111-1111-1111-111111111111';

describe('sessions', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  const apply = async () => {
    const usual = configureSecurityPack({ passwords: false, lockout: false, sessions: { limit: 3 } });
    const own = configureSecurityPack({
      passwords: false,
      lockout: false,
      sessions: {
        only: ['public.Lo gins'],
        userColumn: 'Us"er',
        expiresColumn: 'Ends',
        revokedColumn: 'Énded',
        createdColumn: 'Began',
        minutes: 30,
        maximumMinutes: 60,
        limit: 1,
      },
    });
    await client.query('begin');
    await ensureSchema(client);
    const result = await applyPacks(client, [securityPack(usual.settings), securityPack(own.settings), basePack()], {
      environment: 'testing',
      dryRun: false,
      lockTimeoutMs: 1000,
    });
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
  beforeEach(() => client.query('truncate sessions, bare_sessions, split_sessions, "Lo gins"'));

  const sql = (text: string) => client.query(text);
  const open = (
    id: number,
    { on = client, user = 1, table = 'sessions' }: { on?: pg.Client; user?: number; table?: string } = {},
  ) => on.query(`insert into ${table} (id, user_id) values (${id}, ${user})`);
  /** What no application could do: as if it had happened in the past. */
  const pretend = (set: string, table = 'sessions') =>
    sql(`set session_replication_role = replica; update ${table} set ${set}; reset session_replication_role`);
  /** Hours from now, rounded. */
  const expiresIn = async (table = 'sessions') =>
    (await sql(`select round(extract(epoch from expires_at - now()) / 3600)::integer as h from ${table} limit 1`))
      .rows[0].h;
  const active = async (table = 'sessions', on = client): Promise<number[]> =>
    (await on.query(`select id from ${table} where revoked_at is null and expires_at > now() order by id`)).rows.map(
      ({ id }) => id,
    );
  const holds = async (condition: string, table = 'sessions'): Promise<boolean> =>
    (await sql(`select bool_and(${condition}) as c from ${table}`)).rows[0].c;

  describe('expire', () => {
    it('after 12 hours, when nothing is said', async () => {
      await open(1);
      await open(1, { table: 'bare_sessions' });
      expect([await expiresIn(), await expiresIn('bare_sessions')]).to.deep.equal([12, 12]);
      await sql('update sessions set expires_at = null');
      expect(await expiresIn()).to.equal(12);
    });

    it('when it is said, but never after 30 days', async () => {
      for (const [given, hours] of [
        [`now() + interval '1 hour'`, 1],
        [`now() + interval '29 days'`, 696],
        [`now() + interval '31 days'`, 720],
        [`'infinity'`, 720],
        [`now() - interval '1 hour'`, -1],
      ] as const) {
        await sql(`truncate sessions; insert into sessions (id, user_id, expires_at) values (1, 1, ${given})`);
        expect(await expiresIn(), given).to.equal(hours);
      }
    });

    it('30 days after their beginning, however often they are prolonged', async () => {
      await open(1);
      await pretend(`created_at = now() - interval '29 days'`);
      await sql(`update sessions set expires_at = now() + interval '12 hours'`);
      expect(await expiresIn()).to.equal(12);
      await sql(`update sessions set expires_at = now() + interval '7 days', created_at = now()`);
      expect(await expiresIn()).to.equal(24);
      await sql(`update sessions set expires_at = now() + interval '1 hour'`);
      expect(await expiresIn()).to.equal(1);
    });

    it('30 days after now, when they are said to begin later', async () => {
      await sql(
        `insert into sessions (id, user_id, created_at, expires_at) values (1, 1, now() + interval '1 year', 'infinity')`,
      );
      expect(await expiresIn()).to.equal(720);
      await sql(`update sessions set expires_at = 'infinity'`);
      expect(await expiresIn()).to.equal(720);
    });

    it('for good', async () => {
      await open(1);
      await pretend(`expires_at = now() - interval '1 minute'`);
      await sql(`update sessions set expires_at = now() + interval '1 hour', last_seen_at = now()`);
      expect(await holds('expires_at < now() and last_seen_at is not null')).to.equal(true);
      await sql('update sessions set expires_at = null');
      expect(await holds('expires_at < now()')).to.equal(true);
    });

    it('without being prolonged where nobody knows when they began', async () => {
      await open(1, { table: 'bare_sessions' });
      await sql(`update bare_sessions set expires_at = now() + interval '13 hours'`);
      expect(await expiresIn('bare_sessions')).to.equal(12);
      await sql(`update bare_sessions set expires_at = now() + interval '2 hours'`);
      expect(await expiresIn('bare_sessions')).to.equal(2);
    });

    it('also where they had no end before there was a trigger', async () => {
      await open(1);
      await pretend(`expires_at = null, created_at = now() - interval '10 days'`);
      await sql('update sessions set last_seen_at = now()');
      expect(await expiresIn()).to.equal(12);
    });
  });

  describe('are revoked', () => {
    it('once and for all: not taken back, not moved, not prolonged', async () => {
      await open(1);
      await sql(`update sessions set revoked_at = now() - interval '1 hour'`);
      for (const change of [
        'revoked_at = null',
        'revoked_at = now()',
        `revoked_at = '2020-01-01Z'`,
        `revoked_at = null, expires_at = now() + interval '20 hours', last_seen_at = now()`,
      ]) {
        await sql(`update sessions set ${change}`);
        expect(
          await holds(`revoked_at between now() - interval '61 minutes' and now() - interval '59 minutes'`),
          change,
        ).to.equal(true);
        expect(await expiresIn(), change).to.equal(12);
      }
      expect(await holds('last_seen_at is not null')).to.equal(true);
    });

    it('at once, also when it is said to be later', async () => {
      await open(1);
      await sql(`update sessions set revoked_at = now() + interval '1 year'`);
      expect(await holds(`revoked_at <= clock_timestamp()`)).to.equal(true);
      expect(await active()).to.deep.equal([]);
    });
  });

  describe('of one user are limited', () => {
    it('to three: a new one revokes the oldest', async () => {
      for (const id of [1, 2, 3, 4, 5]) await open(id);
      await open(6, { user: 2 });
      expect(await active()).to.deep.equal([3, 4, 5, 6]);
      expect(await holds('revoked_at is null or revoked_at <= clock_timestamp()')).to.equal(true);
    });

    it('and keep the new one, though others began at the same moment and last longer', async () => {
      await sql(`begin; insert into sessions (id, user_id) values (1, 1), (2, 1), (3, 1);
        insert into sessions (id, user_id, expires_at) values (4, 1, now() + interval '1 hour'); commit`);
      expect(await active())
        .to.have.length(3)
        .and.include(4);
    });

    it('without counting revoked and expired ones, and without limiting nobody', async () => {
      for (const id of [1, 2, 3]) await open(id);
      await sql('update sessions set revoked_at = now() where id = 2');
      await open(4);
      expect(await active()).to.deep.equal([1, 3, 4]);
      await pretend(`expires_at = case id when 1 then now() else expires_at end`);
      await open(5);
      expect(await active()).to.deep.equal([3, 4, 5]);
      await sql('insert into sessions (id) select generate_series(10, 20)');
      expect(await active()).to.have.length(14);
    });

    it('also when many come in one statement, without a beginning, or over partitions', async () => {
      await sql('insert into sessions (id, user_id) select n, n % 2 from generate_series(1, 40) n');
      expect(await active()).to.have.length(6);
      for (const id of [1, 2, 3, 4]) await open(id, { table: 'bare_sessions' });
      expect(await active('bare_sessions'))
        .to.have.length(3)
        .and.include(4);
      for (const id of [1, 2, 3, 4, 5]) await open(id, { table: 'split_sessions' });
      expect(await active('split_sessions')).to.deep.equal([3, 4, 5]);
      await open(7, { table: 'split_odd' });
      expect(await active('split_sessions')).to.deep.equal([4, 5, 7]);
    });

    it('also when they are handed to the user later', async () => {
      for (const id of [1, 2, 3]) await open(id);
      await sql('insert into sessions (id) values (4)');
      await sql('update sessions set user_id = 1 where id = 4');
      expect(await active()).to.deep.equal([2, 3, 4]);
      await sql('update sessions set user_id = user_id, last_seen_at = now()');
      expect(await active()).to.deep.equal([2, 3, 4]);
    });

    it('when many log in at once, and others are being used meanwhile', async () => {
      for (const id of [1, 2, 3]) await open(id);
      const others = await Promise.all(Array.from({ length: 6 }, () => openClient(database.url)));
      try {
        await Promise.all(others.map((on) => on.query('begin')));
        await Promise.all(
          others.map(async (on, index) => {
            if (index === 0) await on.query('update sessions set last_seen_at = now() where id <= 3');
            else await open(10 + index, { on });
            await sleep(20);
            await on.query('commit');
          }),
        );
        expect(await active()).to.have.length(3);
        expect((await active()).every((id) => id > 10)).to.equal(true);
      } finally {
        await Promise.all(others.map((on) => on.end()));
      }
    });

    it('when the second waits for the first to commit', async () => {
      for (const id of [1, 2]) await open(id);
      const other = await openClient(database.url);
      try {
        await other.query('begin');
        await open(3, { on: other });
        const waiting = open(4);
        await sleep(100);
        await other.query('commit');
        await waiting;
        expect(await active()).to.deep.equal([2, 3, 4]);
      } finally {
        await other.end();
      }
    });

    it('with one that is being used at that very moment', async () => {
      for (const id of [1, 2, 3]) await open(id);
      const other = await openClient(database.url);
      try {
        await other.query('begin; update sessions set last_seen_at = now() where id = 1');
        const waiting = open(4);
        await sleep(100);
        await other.query('commit');
        await waiting;
        expect(await active()).to.deep.equal([2, 3, 4]);
      } finally {
        await other.end();
      }
    });
  });

  describe('of one user, when two come at once under a stricter isolation,', () => {
    const bothOpen = async (isolation: string): Promise<(string | undefined)[]> => {
      const [first, second] = [await openClient(database.url), await openClient(database.url)];
      try {
        for (const on of [first, second])
          await on.query(`begin isolation level ${isolation}; select count(*) from sessions`);
        const failing = (action: Promise<unknown>) =>
          action.then(
            () => undefined,
            ({ code }: pg.DatabaseError) => code,
          );
        const one = await failing(open(11, { on: first }));
        const two = failing(open(12, { on: second }));
        await sleep(50);
        await first.query('commit');
        return [one, (await two) ?? (await failing(second.query('commit')))];
      } finally {
        await Promise.all([first, second].map((on) => on.end()));
      }
    };

    for (const isolation of ['repeatable read', 'serializable']) {
      it(`never exceed the limit: one fails and may be repeated (${isolation})`, async () => {
        for (const id of [1, 2]) await open(id);
        expect(await bothOpen(isolation)).to.deep.equal([undefined, '40001']);
        expect(await active()).to.deep.equal([1, 2, 11]);
        await open(12);
        expect(await active()).to.deep.equal([2, 11, 12]);
      });
    }
  });

  it('know a user by the equality of the type, wherever that is, and disturb no other column', async () => {
    await sql(`create schema types; create extension citext schema types; create extension ltree schema types;
      create domain types.login as types.citext; create type types.mood as enum ('calm');
      create function types.refuse(types.mood) returns json language plpgsql as $$ begin raise 'cast'; end $$;
      create cast (types.mood as json) with function types.refuse(types.mood);`);
    for (const [type, one, same] of [
      ['types.login', 'Bob', 'bob'],
      ['types.ltree', 'a.b', 'a.b'],
      ['numeric', '1.0', '1.00'],
      ['types.mood', 'calm', 'calm'],
      ['uuid', UUID, UUID],
    ]) {
      await sql(`create table own_sessions (id integer, user_id ${type}, expires_at timestamptz, revoked_at timestamptz,
        created_at timestamptz, "new" json, "old" types.mood)`);
      await apply();
      for (const [id, user] of [one, same, one, same].entries())
        await sql(
          `insert into own_sessions values (${id}, '${user}', null, null, null, '{"a": "\\u0000", "b": 1e400000}', 'calm')`,
        );
      expect(await active('own_sessions'), type).to.deep.equal([1, 2, 3]);
      await sql('drop table own_sessions');
    }
    await sql('drop schema types cascade');
  });

  it('can be written also where they began in an impossible year', async () => {
    await open(1);
    await pretend(`created_at = '294276-12-31Z', expires_at = '294276-12-31Z'`);
    await sql('update sessions set last_seen_at = now()');
    await pretend('expires_at = null');
    await sql('update sessions set last_seen_at = now()');
    expect(await expiresIn()).to.equal(12);
  });

  it('take other columns, tables and times, and quoted names', async () => {
    await sql(`insert into "Lo gins" (id, "Us""er") values (1, '${UUID}')`);
    await sql(`insert into "Lo gins" (id, "Us""er", "Ends", "Began") values (2, '${UUID}', 'infinity', 'infinity')`);
    const { rows } = await sql(`select id, "Énded" is null as a,
      round(extract(epoch from "Ends" - now()) / 60)::integer as m from "Lo gins" order by id`);
    expect(rows).to.deep.equal([
      { id: 1, a: false, m: 30 },
      { id: 2, a: true, m: 60 },
    ]);
    await sql(
      `update "Lo gins" set "Began" = "Began" - interval '1 year', "Ends" = "Ends" - interval '1 minute' where id = 2`,
    );
    await sql(`update "Lo gins" set "Ends" = 'infinity' where id = 2`);
    const { rows: prolonged } = await sql(
      `select "Ends" = "Began" + interval '1 hour' and "Began" > now() - interval '1 minute' as p from "Lo gins" where id = 2`,
    );
    expect(prolonged).to.deep.equal([{ p: true }]);
  });

  it('are not deceived by a hostile search_path, and need no more than the rights on the table', async () => {
    await open(1);
    await sql(`create schema evil; create function evil.never(timestamptz, timestamptz) returns boolean language sql as $$ select false $$;
      create operator evil.> (leftarg = timestamptz, rightarg = timestamptz, function = evil.never);
      create operator evil.<= (leftarg = timestamptz, rightarg = timestamptz, function = evil.never);
      grant usage on schema evil to pg_read_all_stats; grant select, insert, update on sessions to pg_read_all_stats;
      set search_path = evil, pg_catalog, public; set role pg_read_all_stats`);
    await sql(`update public.sessions set expires_at = 'infinity'`);
    for (const id of [2, 3, 4]) await open(id, { table: 'public.sessions' });
    await sql(`update public.sessions set revoked_at = now() + interval '1 year' where id = 2`);
    await sql('reset role; reset search_path; drop schema evil cascade');
    expect(await active()).to.deep.equal([3, 4]);
    expect(await holds(`expires_at < now() + interval '31 days'`)).to.equal(true);
    expect(await holds(`revoked_at is null or revoked_at <= clock_timestamp()`)).to.equal(true);
  });

  it('are left alone in other tables, with the reason, and nothing changes when it is applied again', async () => {
    const { created, replaced, statements, skipped, unchanged } = await apply();
    expect({ created, replaced, statements }).to.deep.equal({ created: [], replaced: [], statements: [] });
    const guarded = unchanged.filter(({ name }) => name === 'manage_session').map(({ table }) => table);
    expect(guarded).to.deep.equal(['Lo gins', 'bare_sessions', 'sessions', 'split_sessions']);
    expect(skipped.map(({ table, name, reason }) => `${table} ${name}: ${reason}`)).to.deep.equal([
      'local_sessions manage_session: expires_at is of type timestamp without time zone; the trigger is for timestamp with time zone',
      'local_sessions limit_sessions: expires_at is of type timestamp without time zone; the trigger is for timestamp with time zone',
      'therapy_sessions manage_session: it has no column revoked_at',
      `api_keys manage_session: it has the columns of sessions, but not the name; if it holds any: configureSecurityPack({ sessions: { only: ['schema.table'] } }); if not: except`,
    ]);
  });
});
