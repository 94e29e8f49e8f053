import { expect } from 'chai';
import type pg from 'pg';
import { applyPacks } from '../../../app/core/triggers/apply.js';
import { basePack } from '../../../app/core/triggers/base-pack.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const NIL = '00000000-0000-0000-0000-000000000000';

const TABLES = `
  create domain actor as text check (value <> 'bad');
  create table notes (id integer primary key, body text, created_at timestamptz, updated_at timestamptz, created_by text, updated_by text);
  create table short_names (id integer primary key, body text, created_by varchar(4), updated_by char(3));
  create table numbers (id integer primary key, body text, created_by integer, updated_by bigint);
  create table ids (id integer primary key, body text, created_by uuid, updated_by uuid);
  create table domains (id integer primary key, body text, updated_by actor);
  create table local_times (id integer primary key, body text, created_at timestamp, updated_at timestamp(0));
  create table only_created (id integer primary key, body text, created_at timestamptz, created_by text);
  create table days (id integer, day date, body text, updated_at timestamptz, updated_by text, primary key (id, day)) partition by range (day);
  create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
  create table days_rest partition of days default;
  create view notes_view as select * from notes;`;

describe('the base triggers', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  before(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await client.query('begin');
    await ensureSchema(client);
    await applyPacks(client, [basePack({ systemUser: { 'public.ids': NIL } })], {
      environment: 'testing',
      dryRun: false,
      lockTimeoutMs: 1000,
    });
    await client.query('commit');
  });
  after(async () => {
    await client.end();
    await database.drop();
  });
  beforeEach(() => client.query('begin'));
  afterEach(() => client.query('rollback'));

  const sql = async (text: string) => (await client.query(text)).rows;
  const actAs = (user: string) => client.query(`select set_config('app.current_user', $1, true)`, [user]);
  const one = async (table: string, columns: string) =>
    (await sql(`select ${columns} from ${table} order by id limit 1`))[0];

  describe('on INSERT', () => {
    it('fill in what is missing: now, and system when nobody is known', async () => {
      await sql(`insert into notes (id) values (1)`);
      expect(
        await one('notes', 'created_at = now() as c, updated_at = now() as u, created_by, updated_by'),
      ).to.deep.equal({
        c: true,
        u: true,
        created_by: 'system',
        updated_by: 'system',
      });
    });

    it('name the user of the session', async () => {
      await actAs('alice');
      await sql(`insert into notes (id) values (1)`);
      expect(await one('notes', 'created_by, updated_by')).to.deep.equal({ created_by: 'alice', updated_by: 'alice' });
    });

    it('take an empty user for none', async () => {
      await actAs('');
      await sql(`insert into notes (id) values (1)`);
      expect(await one('notes', 'created_by')).to.deep.equal({ created_by: 'system' });
    });

    it('keep what is set', async () => {
      await actAs('alice');
      await sql(`insert into notes values (1, 'x', '2020-01-01Z', '2020-01-02Z', 'import', 'import')`);
      expect(
        await one('notes', `created_at = '2020-01-01Z' as c, updated_at = '2020-01-02Z' as u, created_by, updated_by`),
      ).to.deep.equal({ c: true, u: true, created_by: 'import', updated_by: 'import' });
    });
  });

  describe('on UPDATE', () => {
    beforeEach(async () => {
      await sql(
        `insert into notes values (1, 'x', '2020-01-01Z', '2020-01-01Z', 'ann', 'ann'), (2, 'y', null, null, null, 'ben')`,
      );
      await actAs('zoe');
    });
    const updatedBy = async () => (await sql('select updated_by from notes order by id')).map((row) => row.updated_by);

    it('never change created_*, whatever the statement says', async () => {
      await sql(`update notes set created_at = '2020-01-01Z', created_by = 'thief'`);
      expect(await sql(`select created_at = '2020-01-01Z' as c, created_by from notes order by id`)).to.deep.equal([
        { c: true, created_by: 'ann' },
        { c: false, created_by: 'system' },
      ]);
    });

    it('name the session, or system, when the statement names nobody', async () => {
      await sql(`update notes set body = 'z' where id = 1`);
      await actAs('');
      await sql(`update notes set body = 'z' where id = 2`);
      expect(await updatedBy()).to.deep.equal(['zoe', 'system']);
    });

    it('keep the value that the statement gives', async () => {
      await sql(`update notes set updated_by = 'cat'`);
      expect(await updatedBy()).to.deep.equal(['cat', 'cat']);
    });

    it('keep the value that the statement gives also when it is the same again, row by row', async () => {
      await sql(`update notes set body = 'z', updated_by = updated_by`);
      expect(await updatedBy()).to.deep.equal(['ann', 'ben']);
    });

    it('do not take a later statement for one that gave the value', async () => {
      await sql(`update notes set updated_by = updated_by`);
      await sql(`update notes set body = 'later'`);
      expect(await updatedBy()).to.deep.equal(['zoe', 'zoe']);
    });

    it('take NULL for no value', async () => {
      await sql(`update notes set updated_by = null`);
      expect(await updatedBy()).to.deep.equal(['zoe', 'zoe']);
    });

    it('know the same value again in ON CONFLICT DO UPDATE and through a view', async () => {
      await sql(
        `insert into notes (id, updated_by) values (1, 'ann') on conflict (id) do update set updated_by = excluded.updated_by`,
      );
      await sql(`update notes_view set updated_by = 'ben' where id = 2`);
      expect(await updatedBy()).to.deep.equal(['ann', 'ben']);
      await sql(
        `insert into notes (id, updated_by) values (1, 'ann') on conflict (id) do update set body = 'conflict'`,
      );
      expect(await updatedBy()).to.deep.equal(['zoe', 'ben']);
    });

    it('are not confused by a statement inside another trigger', async () => {
      await sql(`
        create function touch_second() returns trigger language plpgsql as $$
        begin
          -- between the two triggers of the outer row: one row with the value given again, one without
          update notes set updated_by = updated_by where id = 2 and new.id = 1;
          update notes set body = 'nested' where id = 3 and new.id = 1;
          return new;
        end $$;
        insert into notes (id, updated_by) values (3, 'dan');
        create trigger track_nested before update on notes for each row execute function touch_second()`);
      await sql(`update notes set body = 'outer' where id = 1`);
      expect(await updatedBy()).to.deep.equal(['zoe', 'ben', 'zoe']);
    });

    it('forget a note that was rolled back', async () => {
      await sql(`savepoint s; update notes set updated_by = updated_by; rollback to savepoint s`);
      await sql(`update notes set body = 'after'`);
      expect(await updatedBy()).to.deep.equal(['zoe', 'zoe']);
    });

    it('move updated_at forward with every statement of one transaction, also from the future', async () => {
      const times: string[] = [];
      for (let n = 0; n < 3; n++) {
        await sql(`update notes set body = '${n}', updated_at = '1999-01-01Z' where id = 1`);
        times.push((await one('notes', 'updated_at::text'))?.updated_at);
      }
      expect(new Set(times).size).to.equal(3);
      expect([...times].sort()).to.deep.equal(times);
      await sql(`alter table notes disable trigger update_timestamp; update notes set updated_at = '2999-01-01Z';
        alter table notes enable trigger update_timestamp; update notes set body = 'future'`);
      expect(
        await one('notes', `updated_at = timestamptz '2999-01-01Z' + interval '1 microsecond' as moved`),
      ).to.deep.equal({
        moved: true,
      });
    });
  });

  it('move a timestamp without fractions forward by a whole second', async () => {
    await sql(`insert into local_times values (1, 'x', null, '2999-01-01'); update local_times set body = 'y'`);
    expect(await one('local_times', 'created_at is not null as c, updated_at::text')).to.deep.equal({
      c: true,
      updated_at: '2999-01-01 00:00:01',
    });
  });

  it('work on tables that have some of the columns only', async () => {
    await actAs('alice');
    await sql(`insert into only_created (id) values (1); update only_created set created_by = 'thief', body = 'x'`);
    expect(await one('only_created', 'created_by, created_at = now() as c')).to.deep.equal({
      created_by: 'alice',
      c: true,
    });
  });

  it('cut a user who is too long for the column', async () => {
    await actAs('alexandra');
    await sql(`insert into short_names (id) values (1)`);
    expect(await one('short_names', 'created_by, updated_by')).to.deep.equal({ created_by: 'alex', updated_by: 'ale' });
  });

  it('use a user that fits the type of the column', async () => {
    await actAs('42');
    await sql(`insert into numbers (id) values (1)`);
    expect(await one('numbers', 'created_by, updated_by')).to.deep.equal({ created_by: 42, updated_by: '42' });
  });

  it('leave the column alone when no user fits and none is configured: the write must not fail', async () => {
    await actAs('alice');
    await sql(
      `insert into numbers (id) values (1); insert into numbers values (2, 'x', 7, 7); update numbers set body = 'y'`,
    );
    expect(await sql('select created_by, updated_by from numbers order by id')).to.deep.equal([
      { created_by: null, updated_by: null },
      { created_by: 7, updated_by: '7' },
    ]);
  });

  it('use the configured value where system does not fit', async () => {
    await actAs('alice');
    await sql(`insert into ids (id) values (1); update ids set body = 'x'`);
    expect(await one('ids', 'created_by, updated_by')).to.deep.equal({ created_by: NIL, updated_by: NIL });
    const user = '6f1b1c1e-58a4-4d0c-9a3e-2f6f6a1d9a10';
    await actAs(user);
    await sql(`update ids set body = 'y'`);
    expect(await one('ids', 'created_by, updated_by')).to.deep.equal({ created_by: NIL, updated_by: user });
  });

  it('respect the checks of a domain', async () => {
    await actAs('bad');
    await sql(`insert into domains (id) values (1)`);
    expect(await one('domains', 'updated_by')).to.deep.equal({ updated_by: 'system' });
  });

  it('reach the partitions, and rows that move between them', async () => {
    await actAs('alice');
    await sql(`insert into days values (1, '2025-05-05', 'x'); insert into days_rest values (2, '2030-01-01', 'x')`);
    expect(await sql('select updated_by from days')).to.deep.equal([{ updated_by: 'alice' }, { updated_by: 'alice' }]);
    await actAs('bob');
    await sql(
      `update days set day = '2031-01-01', updated_by = 'alice' where id = 1; update days set day = '2025-02-02' where id = 2`,
    );
    expect(await sql('select id, tableoid::regclass::text as leaf, updated_by from days order by id')).to.deep.equal([
      { id: 1, leaf: 'days_rest', updated_by: 'alice' },
      { id: 2, leaf: 'days_2025', updated_by: 'bob' },
    ]);
  });

  it('work under a search_path without pg_catalog in front', async () => {
    await sql(`create schema hostile;
      create function hostile.now() returns timestamptz language sql as $$ select '1999-01-01Z'::timestamptz $$;
      create function hostile.current_setting(text, boolean) returns text language sql as $$ select 'mallory' $$;
      set local search_path = hostile, pg_catalog, public`);
    await sql(`insert into notes (id) values (1)`);
    expect(await one('notes', 'created_by, created_at = pg_catalog.now() as c')).to.deep.equal({
      created_by: 'system',
      c: true,
    });
  });
});
