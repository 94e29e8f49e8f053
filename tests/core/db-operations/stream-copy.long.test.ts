import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { StreamCopy, StreamedCopy } from '../../../app/core/db-operations/copy/stream/stream-copy.js';
import type { ProgressEvent } from '../../../app/core/progress.js';
import { CLINIC, CLINIC_ROWS } from '../../database/catalog/clinic-fixture.js';
import { failureOf } from '../../support/failure-of.js';
import { ownServer } from '../../support/own-server.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { settingsOf } from '../../support/settings-of.js';
import { later, streamCopy } from '../../support/stream-copies.js';
import { canMount } from '../../support/tmpfs.js';
import {
  DROP_USER_MAPPINGS,
  HOSTILE_SEARCH_PATH,
  hostileDatabase,
  withHostileRoles,
} from './round-trip/hostile-database.js';
import { expectSame, readWholeState } from './round-trip/whole-state.js';

interface Counts {
  readonly counted: number;
  readonly entries: number;
  readonly copies: number;
}

describe('a stream copy', () => {
  let source: ScratchDatabase;
  let scratch: ScratchDatabase;

  withHostileRoles();
  afterEach(async () => {
    for (const database of [source, scratch]) await dropDatabase(database.name);
  });

  const prepare = async (sql: string): Promise<void> => {
    source = await scratchDatabase(sql);
    scratch = await scratchDatabase();
    await onServer((server) => server.query(`alter database ${source.name} set search_path = ${HOSTILE_SEARCH_PATH}`));
  };
  const stream = (options: Partial<StreamCopy> = {}): Promise<StreamedCopy> =>
    streamCopy(source, scratch.name, options);
  /** The scratch database with what the copy leaves to those who put it in place. */
  const stateOfScratch = async () => {
    await onServer((server) => server.query(`alter database ${scratch.name} set search_path = ${HOSTILE_SEARCH_PATH}`));
    return readWholeState(scratch.url);
  };

  /** The source, without what never comes along. */
  const stateWithoutPasswords = async () => {
    await source.query(DROP_USER_MAPPINGS);
    return readWholeState(source.url);
  };

  /** Soon, as nobody waits for a server that is just ending them. */
  const nobodyIsLeft = (): Promise<void> =>
    onServer(async (server) => {
      for (let waited = 0; ; waited += 50) {
        const { rows } = await server.query(
          'select datname, state, query from pg_stat_activity where datname = any ($1)',
          [[source.name, scratch.name]],
        );
        if (rows.length === 0) return;
        if (waited > 4000) expect(rows).to.deep.equal([]);
        await sleep(50);
      }
    });

  for (const [name, sql] of Object.entries({
    'a clinic': (): string => `${CLINIC}; drop schema manage_db cascade; ${CLINIC_ROWS}`,
    'a hostile database': hostileDatabase,
  })) {
    for (const splitBytes of [undefined, 8192]) {
      it(`is ${name} again${splitBytes === undefined ? '' : ', where sessions share tables'}`, async () => {
        await prepare(sql());
        const before = await readWholeState(source.url);
        const { tables } = await stream({
          jobs: 3,
          rehearse: true,
          ...(splitBytes === undefined ? {} : { splitBytes }),
        });
        expect(before).to.deep.equal(await readWholeState(source.url));
        expectSame(await stateWithoutPasswords(), await stateOfScratch());
        expect(tables).to.have.length.greaterThan(3);
      });
    }
  }

  describe('while somebody works with the source', () => {
    /** Each transaction adds a row to both tables, and counts them. */
    const LEDGER = `
      create table entries (id int primary key, filler text);
      create table copies (id int primary key references entries, filler text);
      create table counted (rows int);
      insert into entries select n, repeat(md5(n::text), 10) from generate_series(1, 60000) n;
      insert into copies select * from entries;
      insert into counted values (60000)`;
    const ADD = `
      with n as (update counted set rows = rows + 1 returning rows),
        e as (insert into entries select rows, 'new' from n returning id)
      insert into copies select id, 'new' from e;
      update entries set filler = filler || 'x' where id % 5000 = 7;
      delete from copies where id = (select min(id) from copies)`;
    const COUNTS = `
      select (select rows from counted) as counted, (select count(*)::int from entries) as entries, (select count(*)::int from copies) as copies`;

    it('is what the source was at one moment', async () => {
      await prepare(LEDGER);
      let isOver = false;
      const writing = withClient(source.url, async (client) => {
        while (!isOver) await client.query(ADD);
      });
      await stream({ splitBytes: 1 << 20 });
      isOver = true;
      await writing;
      const then = (await scratch.query<Counts>(COUNTS)).rows[0];
      const now = (await source.query<Counts>(COUNTS)).rows[0];
      expect(then?.counted)
        .to.equal(then?.entries)
        .and.to.be.lessThan(now?.counted ?? 0);
      // as many were deleted as were added
      expect(then?.copies).to.equal(60000);
    });

    it('keeps tables from being emptied meanwhile, and lets them go afterwards', async () => {
      await prepare(LEDGER);
      const attempts: Promise<string>[] = [];
      const attempt = (longest: string) =>
        withClient(source.url, (client) => client.query(`set lock_timeout = '${longest}'; truncate copies`)).then(
          () => 'emptied',
          (error) => error.code,
        );
      const onProgress = ({ step }: ProgressEvent) => {
        if (step === 'making the tables') attempts.push(attempt('100ms'));
      };
      const { tables } = await stream({ controls: { onProgress } });
      expect(await Promise.all(attempts)).to.deep.equal(['55P03']);
      expect(tables.find(({ name }) => name === 'copies')).to.include({ rows: 60000 });
      expect(await attempt('1min')).to.equal('emptied');
    });
  });

  describe('of selected values', () => {
    const PEOPLE = `
      create domain short as varchar(20);
      create table people (id int primary key, name short not null, born timestamptz, notes text[], long int generated always as (length(name)) stored);
      insert into people select n, 'canary ' || n, '1980-05-05 12:00+00', array['canary'] from generate_series(1, 1000) n;
      create table visits (id int primary key, person int references people, reason text);
      insert into visits select n, n, 'canary' from generate_series(1, 1000) n`;
    const select: StreamCopy['select'] = ({ name }) =>
      name !== 'people'
        ? null
        : [
            { column: 'id', expression: 'id' },
            { column: 'name', expression: `pg_catalog.left(pg_catalog.current_setting('test.salt') || id, 20)` },
            // not the type of the column
            { column: 'born', expression: `'1970-01-01'::date` },
            { column: 'notes', expression: 'null::text[]' },
          ];

    it('has those, and what is computed from them', async () => {
      await prepare(PEOPLE);
      await stream({
        select,
        leaveOut: { largeObjects: false, rowsOf: ['public.visits'] },
        prepareSource: async (client) => {
          await client.query(`select pg_catalog.set_config('test.salt', $1, true)`, ['pepper']);
        },
      });
      const { rows } = await scratch.query("select *, born at time zone 'utc' as utc from people order by id limit 1");
      expect(rows[0]).to.deep.include({ id: 1, name: 'pepper1', notes: null, long: 7 });
      expect(rows[0]?.utc.getFullYear()).to.equal(1970);
      const { rows: counts } = await scratch.query(
        'select count(*)::int as people, (select count(*)::int from visits) as visits from people',
      );
      expect(counts[0]).to.deep.equal({ people: 1000, visits: 0 });
    });

    it('says which table cannot be selected from, and ends', async () => {
      await prepare(PEOPLE);
      const error = await failureOf(
        stream({
          select: (table) => (table.name === 'people' ? [{ column: 'id', expression: '1 / (id - 500)' }] : null),
        }),
      );
      expect(error.code).to.equal('SQL_FAILED');
      expect(error.message).to.match(
        /^The rows of public\.people could not be copied: the source has failed: .*SQLSTATE 22012/,
      );
      await nobodyIsLeft();
    });

    it('says which table does not take them, and ends', async () => {
      await prepare(PEOPLE);
      const error = await failureOf(
        stream({
          select: (table) =>
            table.name === 'people'
              ? [
                  { column: 'id', expression: 'id' },
                  { column: 'name', expression: `case when id < 500 then 'x' end` },
                ]
              : null,
        }),
      );
      expect(error.code).to.equal('SQL_FAILED');
      expect(error.message).to.match(
        /^The rows of public\.people could not be copied: the scratch database has refused them: .*not-null constraint/,
      );
      await nobodyIsLeft();
    });

    it('refuses to leave out the rows of a table that is nowhere', async () => {
      await prepare(PEOPLE);
      const error = await failureOf(stream({ leaveOut: { largeObjects: false, rowsOf: ['public.visist'] } }));
      expect(error).to.include({ code: 'NOT_FOUND' });
      expect(error.message).to.include('public.visist');
    });
  });

  describe('that does not come to its end', () => {
    /** Takes 10 ms, but in the database that it was made in. */
    const slow = () => `
      create function slow(int) returns int language plpgsql immutable as $$ begin
        if pg_catalog.current_database() <> '${source.name}' then perform pg_catalog.pg_sleep(0.01); end if;
        return $1;
      end $$;
      create function slower(int) returns text language plpgsql as $$ begin perform pg_catalog.pg_sleep(0.01); return $1; end $$;
      create table large (id int primary key, filler text);
      insert into large select n, repeat(md5(n::text), 20) from generate_series(1, 30000) n`;
    const slowly: StreamCopy['select'] = ({ name }) =>
      name === 'large'
        ? [
            { column: 'id', expression: 'id' },
            { column: 'filler', expression: 'public.slower(id)' },
          ]
        : null;

    it('tells of a session of the source that was ended', async () => {
      await prepare('');
      await source.query(slow());
      const end = () =>
        onServer((server) =>
          server.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and query ~ 'slower'`,
            [source.name],
          ),
        );
      const error = await failureOf(
        stream({ select: slowly, controls: { onProgress: later(/^copying public.large/, end) } }),
      );
      expect(error).to.include({ code: 'CONNECTION_LOST' });
      expect(error.message).to.match(/^The rows of public\.large could not be copied: the source has failed: /);
      await nobodyIsLeft();
    });

    it('tells of a session in the scratch database that was ended', async () => {
      await prepare('');
      await source.query(slow());
      const end = () =>
        onServer((server) =>
          server.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and query ~ 'copy'`, [
            scratch.name,
          ]),
        );
      const error = await failureOf(
        stream({ select: slowly, controls: { onProgress: later(/^copying public.large/, end) } }),
      );
      expect(error).to.include({ code: 'CONNECTION_LOST' });
      expect(error.message).to.match(/^The rows of public\.large could not be copied: the scratch database has /);
      await nobodyIsLeft();
    });

    for (const [what, select] of [
      ['the rows of a table', slowly],
      ['an index', () => null],
    ] as const) {
      it(`stops at once when it is aborted, in the middle of ${what}`, async () => {
        await prepare('');
        await source.query(`${slow()}; create index on large (slow(id))`);
        const controller = new AbortController();
        let at = 0;
        // all of it would take five minutes
        const abort = async () => {
          const working = await onServer((server) =>
            server.query(`select from pg_stat_activity where datname = any ($1) and wait_event = 'PgSleep'`, [
              [source.name, scratch.name],
            ]),
          );
          if (working.rowCount !== 0) {
            at = performance.now();
            controller.abort();
          }
          return working;
        };
        const onProgress = later(select === slowly ? /^copying public.large/ : /^making INDEX/, abort);
        const error = await failureOf(stream({ select, controls: { signal: controller.signal, onProgress } }));
        expect(error).to.include({ code: 'INTERRUPTED' });
        expect(performance.now() - at).to.be.lessThan(15_000);
        await nobodyIsLeft();
      });
    }
  });

  it('keeps values that are hard to write, also of types that others have defined', async () => {
    await prepare(`
      create extension hstore;
      create type mood as enum ('well', 'it''s "so"');
      create domain positive as int check (value > 0);
      create type span as range (subtype = float8);
      create type pair as (a int, b mood);
      create table plain (id int primary key, f float8, r real, n numeric, d date, t timestamptz, i interval, b bytea, e bit varying, c "char",
        p point, k inet, j jsonb, u uuid, a int[], w text[][], m mood, o positive, s span, q money, v tsvector, "q""s" text);
      insert into plain select n, case n % 3 when 0 then 'NaN' when 1 then '-Infinity' else n / 3.0 end, 1e-44, case n % 2 when 0 then 'NaN' else 1e-30 end,
        case n % 2 when 0 then '4713-01-01 BC'::date else 'infinity' end, '-infinity', '-1 mon +3 days', '\\x00ff5c', B'101', 'x', '(NaN,0)', '::1/64',
        '{"b": 1e10}', md5(n::text)::uuid, '[0:1]={1,2}', '{{"a,b",NULL},{"\\"","{}"}}', 'it''s "so"', n, span(n, n + 1), -92233720368547758.08, 'a:1A b', E'\\N\\.\n'
        from generate_series(1, 20000) n;
      create index on plain (lower("q""s"));
      create table others (h hstore, c regclass, p pair, a mood[], x xml, t regtype[], o pair[]);
      insert into others select 'a=>b', 'plain', row(1, 'well')::pair, '{well}', '<a/>', '{pair,int}', array[row(2, 'well')::pair] from generate_series(1, 9);
      create table computed (one int generated always as (1) stored);
      insert into computed default values`);
    const before = await readWholeState(source.url);
    await stream();
    expectSame(before, await stateOfScratch());
    // the pages were final when they were written
    const { rows } = await scratch.query(`select relpages, relallvisible from pg_class where relname = 'plain'`);
    expect(rows[0]?.relallvisible).to.equal(rows[0]?.relpages).and.to.be.greaterThan(100);
  });

  it('brings large objects of any size, and leaves them out where that is asked for', async () => {
    const objects = `
      select lo_from_bytea(0, decode(md5(n::text), 'hex')) from generate_series(1, 600) n;
      select lo_from_bytea(900000, decode(repeat('00ff5c27', 200000), 'hex')), lo_from_bytea(900001, decode(repeat('ab', 262144), 'hex'))`;
    await prepare(objects);
    const before = await readWholeState(source.url);
    await stream();
    expectSame(before, await stateOfScratch());
    await dropDatabase(scratch.name);
    scratch = await scratchDatabase();
    await stream({ leaveOut: { largeObjects: true, rowsOf: [] } });
    expect((await scratch.query('select from pg_largeobject_metadata')).rowCount).to.equal(0);
  });

  it('goes from one server to another, and says when there is no room for a table', async function () {
    if (!canMount()) {
      process.stdout.write('      skipped: only root can mount a disk of its own\n');
      return this.skip();
    }
    await prepare(`
      create table small (id int primary key); insert into small select generate_series(1, 1000);
      create table large (id int, filler text)`);
    const other = await ownServer({ tmpfsMb: 130 });
    try {
      await other.query('postgres', 'create database first');
      await other.query('postgres', 'create database second');
      const target = await settingsOf(other.url('postgres'));
      const { tables } = await stream({ target, scratch: 'first' });
      expect(tables).to.have.length(2);
      expect(await other.query('first', 'select from small where id > 0')).to.have.length(1000);
      await source.query(`insert into large select n, repeat(md5(n::text), 30) from generate_series(1, 200000) n`);
      const error = await failureOf(stream({ target, scratch: 'second' }));
      // where it is the log that finds no room, the server stops
      expect(error.code).to.be.oneOf(['DISK_FULL', 'CONNECTION_LOST']);
      expect(error.message).to.include(
        'The rows of public.large could not be copied: the scratch database has refused them',
      );
    } finally {
      await other.remove();
    }
  });

  it('leaves out the rows of a partitioned table with those of its partitions', async () => {
    await prepare(hostileDatabase());
    const { tables } = await stream({
      leaveOut: { largeObjects: true, rowsOf: ['public.visits', 'public."of_visits"'] },
    });
    expect(tables.filter(({ name }) => name.includes('visits') || name === 'attached')).to.deep.equal([]);
    expect((await scratch.query('select from visits')).rowCount).to.equal(0);
    expect((await scratch.query('select from parents')).rowCount).to.equal(300);
  });

  it('refuses to bring less than there is where policies hide rows from the login', async () => {
    await prepare(
      'create table notes (id int); insert into notes values (1); alter table notes enable row level security',
    );
    const login = await scratchLogin('copier');
    try {
      await source.query(`grant select on notes to ${login.user}; grant all on schema public to ${login.user}`);
      const settings = await settingsOf(source.url);
      const error = await failureOf(stream({ source: { ...settings, user: login.user, password: login.password } }));
      expect(error.message).to.include('row-level security');
      expect((await scratch.query('select from notes')).rowCount).to.equal(0);
    } finally {
      await dropDatabase(source.name);
      await dropLogins(login);
    }
  });

  for (const encoding of ['LATIN1', 'SQL_ASCII']) {
    it(`keeps the bytes of a database whose encoding is ${encoding}`, async () => {
      await prepare('');
      for (const { name } of [source, scratch]) {
        await dropDatabase(name);
        await onServer((server) =>
          server.query(`create database ${name} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`),
        );
      }
      await source.query(`create table "größe" ("ä" text, b bytea);
        insert into "größe" values ('Käse', 'x'), (convert_from('\\xc3a4'::bytea, '${encoding}'), '\\xff')`);
      await stream();
      const bytes = `select convert_to("ä", '${encoding}') as a, b from "größe" order by 2`;
      expect((await scratch.query(bytes)).rows).to.deep.equal((await source.query(bytes)).rows);
    });
  }

  it('says how far it has come, table by table', async () => {
    await prepare(`
      create table large (id int, filler text);
      insert into large select n, repeat(md5(n::text), 10) from generate_series(1, 50000) n;
      create table small (id int); insert into small values (1)`);
    const events: ProgressEvent[] = [];
    const { tables } = await stream({ controls: { onProgress: (event) => events.push(event) } });
    const steps = events.map(({ step }) => step);
    expect(steps).to.include.members([
      'copying public.large',
      'making foreign keys, triggers and the rest',
      'analyzing',
    ]);
    const done = events.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes.done]));
    expect(done).to.deep.equal([...done].sort((one, other) => one - other));
    const large = tables.find(({ name }) => name === 'large');
    expect(large).to.include({ schema: 'public', rows: 50000 });
    expect(large?.bytes).to.be.greaterThan(16e6);
    expect(large?.durationMs).to.be.greaterThan(0);
  });
});
