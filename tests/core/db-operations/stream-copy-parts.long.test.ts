import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Client, escapeIdentifier } from 'pg';
import { emptyInMasked } from '../../../app/core/db-operations/copy/masked-copy.js';
import { setMaskingSalt } from '../../../app/core/db-operations/copy/masking/keyed-hash.js';
import { requireDecided, selectionOf } from '../../../app/core/db-operations/copy/masking/plan.js';
import type { StreamCopy, StreamedCopy } from '../../../app/core/db-operations/copy/stream/stream-copy.js';
import { readStreamableTables } from '../../../app/database/catalog/streamable-tables.js';
import { failureOf } from '../../support/failure-of.js';
import { ownServer } from '../../support/own-server.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { settingsOf } from '../../support/settings-of.js';
import { stampAs } from '../../support/stamp.js';
import { streamCopy } from '../../support/stream-copies.js';
import { acknowledged, planFor, SALT } from './masking/masked-copy.js';
import {
  HOSTILE_ROLES,
  HOSTILE_SEARCH_PATH,
  hostileDatabase,
  withHostileRoles,
} from './round-trip/hostile-database.js';
import { differences, readWholeState } from './round-trip/whole-state.js';

const APPEND = `
  select manage_db.append_operation(jsonb_build_object('entry_id', gen_random_uuid(), 'attempt', gen_random_uuid(),
    'event', 'attempted', 'operation', 'stamp-database', 'environment', 'testing', 'database_name', 'x', 'actor', 'a', 'os_user', 'a',
    'client_host', 'a', 'application', 'a', 'tool', 'a', 'arguments', '{}'::jsonb, 'details', '{}'::jsonb, 'source', 'database', 'host', 'h', 'port', 1))`;

const NOTHING_ELSE = { largeObjects: false, rowsOf: [] };

describe('a stream copy', () => {
  let source: ScratchDatabase;
  let scratch: ScratchDatabase;
  const others: ScratchDatabase[] = [];

  afterEach(async () => {
    for (const { name } of [source, scratch, ...others.splice(0)]) await dropDatabase(name);
  });

  const prepare = async (sql: string): Promise<void> => {
    source = await scratchDatabase(sql);
    scratch = await scratchDatabase();
  };
  const stream = (options: Partial<StreamCopy> = {}): Promise<StreamedCopy> =>
    streamCopy(source, scratch.name, options);
  /** The rows of a query in the scratch database, each as an array. */
  const found = (text: string): Promise<unknown[][]> =>
    withClient(scratch.url, async (client) => (await client.query<unknown[]>({ text, rowMode: 'array' })).rows);

  it('tries nothing out before the rows on the server that has everything, whatever that is called', async () => {
    await prepare('create table patients (id int primary key)');
    const called = await settingsOf(scratch.url);
    const steps: string[] = [];
    await stream({
      target: { ...called, hosts: called.hosts.map((one) => ({ ...one, host: 'localhost' })) },
      controls: { onProgress: ({ step }) => steps.push(step) },
    });
    expect(steps).to.include('copying rows').and.not.include('trying out what comes after the rows');
  });

  describe('by a masking plan', () => {
    const PEOPLE = `
      create schema app; set search_path = public, app;
      create function app.loud(t text) returns text language sql immutable as 'select upper(t)';
      create function app.shout(t text) returns text language sql immutable as 'select loud(t)';
      create domain short as varchar(30);
      create domain many as text[];
      create table people (id int generated always as identity primary key, code bigserial unique, name short not null, notes text[], more many,
        long int generated always as (length(name)) stored, kept text default 'x');
      insert into people (name, notes, more) select 'canary ' || n, array['canary', null], array['canary'] from generate_series(1, 3000) n;
      create index on people (shout(name));
      create table visits (id int primary key, person int references people, reason text);
      insert into visits select n, n, 'canary' from generate_series(1, 3000) n;
      create table events (at date, id int, who text, primary key (id, at)) partition by range (at);
      create table events_2025 (id int not null, who text, at date not null);
      alter table events attach partition events_2025 for values from ('2025-01-01') to ('2026-01-01');
      insert into events select '2025-05-05', n, 'canary' from generate_series(1, 500) n;
      create table plain (id int primary key, city text);
      insert into plain select n, 'Berlin' from generate_series(1, 500) n;
      create table queue (id int, payload text);
      insert into queue values (1, 'canary');
      create sequence loose;
      select setval('loose', 77);
      create materialized view names as select name, who from people, events where events.id = people.id`;
    const RULES = `
  public.people: { id: id-hash, code: keep, name: name, notes: free-text, more: free-text, kept: keep }
  public.visits: { person: id-hash, reason: free-text, keep: [id] }
  public.events: { keep: [at, id], who: name }
  public.plain: { keep: [id, city] }
  public.queue: no-rows
`;
    const preparePeople = async (): Promise<void> => {
      await prepare(PEOPLE);
      for (const { name } of [source, scratch])
        await onServer((server) => server.query(`alter database ${name} set search_path = public, app`));
    };
    const masked = async (more: Partial<StreamCopy> = {}): Promise<StreamedCopy> => {
      const plan = await planFor(source.url, RULES);
      await requireDecided(acknowledged(plan));
      return stream({
        select: selectionOf(plan),
        prepareSource: (client) => setMaskingSalt(client, SALT),
        leaveOut: {
          largeObjects: true,
          rowsOf: emptyInMasked(plan, await withClient(source.url, readStreamableTables)),
        },
        sequences: 'from-data',
        ...more,
      });
    };

    it('has nothing that was masked, and keeps what belongs together', async () => {
      await preparePeople();
      await masked();
      expect(JSON.stringify(await readText(scratch))).not.to.include('canary');
      expect(await found('select count(*)::int, count(distinct id)::int, min(long) > 2 from people')).to.deep.equal([
        [3000, 3000, true],
      ]);
      expect(await found('select count(*)::int from visits join people on person = people.id')).to.deep.equal([[3000]]);
      expect(await found('select count(*)::int, count(who)::int from events_2025')).to.deep.equal([[500, 500]]);
      expect(await found('select count(*)::int, min(city) from plain')).to.deep.equal([[500, 'Berlin']]);
      expect(await found('select count(*)::int from queue')).to.deep.equal([[0]]);
      expect(await found('select array_length(notes, 1), array_length(more, 1) from people limit 1')).to.deep.equal([
        [2, 1],
      ]);
      expect(await found('select count(*) > 0 from names')).to.deep.equal([[true]]);
    });

    it('lets sequences go on behind what is there', async () => {
      await preparePeople();
      await masked();
      const [[last, next, code, loose]] = (await found(
        `select (select max(id) from people), nextval(pg_get_serial_sequence('people', 'id'))::int, nextval('people_code_seq')::int, nextval('loose')::int`,
      )) as [[number, number, number, number]];
      expect(next).to.equal(last + 1);
      expect([code, loose]).to.deep.equal([3001, 78]);
    });

    it('reads tables of which every column is kept as they are, without asking what is in them', async () => {
      await preparePeople();
      const sent = await statementsDuring(() => masked());
      expect(sent.filter((text) => /^copy .*plain.* to stdout/.test(text))).to.deep.equal([
        'copy public.plain ("id", "city") to stdout (format binary)',
      ]);
      expect(sent.filter((text) => text.includes(SALT))).to.deep.equal([]);
    });

    it('refuses what was made since somebody has decided', async () => {
      await preparePeople();
      const plan = await planFor(source.url, RULES);
      await source.query('alter table plain add secret text');
      const leaveOut = {
        largeObjects: true,
        rowsOf: emptyInMasked(plan, await withClient(source.url, readStreamableTables)),
      };
      const select = selectionOf(plan);
      const prepareSource = (client: Client) => setMaskingSalt(client, SALT);
      const error = await failureOf(stream({ select, prepareSource, leaveOut }));
      expect(error.message).to.match(/^public\.plain\.secret is not part of the masking plan/);
    });

    it('never says what was in a row that it could not mask', async () => {
      await preparePeople();
      const select: StreamCopy['select'] = ({ name }) =>
        name === 'visits' ? [{ column: 'id', expression: 'reason::int' }] : null;
      const error = await failureOf(stream({ select }));
      expect(error.message).to.match(/^The rows of public\.visits could not be copied: .*SQLSTATE 22P02/);
      expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.to.include('canary');
    });
  });

  describe('and what holds passwords', () => {
    const SECRETS = `
      create foreign data wrapper nothing;
      create server far foreign data wrapper nothing;
      create user mapping for public server far options (password 'canary-1');
      create foreign table remote (id int) server far;
      create table notes (id int primary key);
      comment on table notes is 'a remark';
      create subscription sub connection 'host=/nowhere password=canary-2' publication p with (connect = false, slot_name = none, enabled = false);
      comment on subscription sub is 'canary-3';
      create view v as select * from remote;
      create materialized view far_rows as select * from v with no data;
      create materialized view farther as select * from far_rows with no data;
      update pg_class set relispopulated = true where relname in ('far_rows', 'farther')`;
    const drop = () =>
      onServer(async () => {
        await source.query('drop subscription if exists sub');
      });

    it('leaves it where it is, and sends nothing of it', async () => {
      await prepare('');
      await source.query(SECRETS.replace(/create subscription[^;]*;|comment on subscription[^;]*;/g, ''));
      for (const statement of SECRETS.match(/create subscription[^;]*;|comment on subscription[^;]*;/g) ?? [])
        await source.query(statement);
      const folder = await mkdtemp(join(tmpdir(), 'manage-db-stream-'));
      const before = process.env.TMPDIR;
      process.env.TMPDIR = folder;
      const left: string[] = [];
      try {
        const sent = await statementsDuring(async () => {
          const onProgress = ({ step }: { step: string }) => {
            if (step === 'making the tables') left.push(...filesBelow(folder));
          };
          const { unpopulated } = await stream({ controls: { onProgress } });
          expect(unpopulated).to.deep.equal(['public.far_rows', 'public.farther']);
        });
        expect(sent.filter((text) => /canary|user mapping|subscription sub/i.test(text))).to.deep.equal([]);
        expect(left).to.deep.equal([]);
        expect(await found('select from pg_user_mappings')).to.deep.equal([]);
        expect(
          await found(
            `select subname from pg_subscription s join pg_database d on d.oid = subdbid where datname = current_database()`,
          ),
        ).to.deep.equal([]);
        expect(await found(`select obj_description('notes'::regclass)`)).to.deep.equal([['a remark']]);
      } finally {
        if (before === undefined) delete process.env.TMPDIR;
        else process.env.TMPDIR = before;
        await rm(folder, { recursive: true });
        await drop();
      }
    });

    it('leaves out what else is named, and what cannot be without it', async () => {
      await prepare(`
        create table notes (id int primary key);
        create index special on notes (id);
        comment on index special is 'canary';
        comment on table notes is 'canary'`);
      const definitions: StreamCopy['leaveOut']['definitions'] = ({ kind, said }) =>
        (kind === 'INDEX' && said.includes('special')) || (kind === 'COMMENT' && said.includes('TABLE notes'));
      await stream({ leaveOut: { ...NOTHING_ELSE, definitions } });
      expect(await found(`select to_regclass('special'), obj_description('notes'::regclass)`)).to.deep.equal([
        [null, null],
      ]);
    });
  });

  describe('of the definitions alone', () => {
    withHostileRoles();

    it('has no row of anything, and is defined as the source is', async () => {
      await prepare(hostileDatabase());
      for (const { name } of [source, scratch])
        await onServer((server) => server.query(`alter database ${name} set search_path = ${HOSTILE_SEARCH_PATH}`));
      const { tables } = await stream({ leaveOut: { ...NOTHING_ELSE, rows: 'all' } });
      expect(tables).to.deep.equal([]);
      await source.query(`drop user mapping if exists for public server "far away"`);
      await source.query(
        `drop user mapping if exists for ${escapeIdentifier(HOSTILE_ROLES[1] ?? '')} server "far away"`,
      );
      const [there, here] = [await readWholeState(source.url), await readWholeState(scratch.url)];
      expect(here.schema).to.deep.equal(there.schema);
      expect(differences(there, here)).to.deep.equal([]);
      const { rows: filled } = await scratch.query(`
        select oid::regclass from pg_class where relkind = 'r' and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
          and pg_relation_size(oid) > 0`);
      expect(filled).to.deep.equal([]);
      expect(here.data.filter((line) => line.startsWith('large object'))).to.deep.equal([]);
      const { rows } = await scratch.query(`
        select schemaname, sequencename from pg_sequences where last_value is not null`);
      expect(rows).to.deep.equal([]);
    });
  });

  it('does not take over what is true of one database only, and its log can begin', async () => {
    await prepare('create table notes (id int primary key)');
    await withClient(source.url, async (client) => {
      await stampAs(client, 'testing');
      for (let count = 0; count < 3; count++) await client.query(APPEND);
      await client.query(`insert into manage_db.access_roles values ('viewer', 'nobody')`);
      await client.query(`insert into manage_db.kill_switch (actor, reason) values ('a', 'b')`);
    });
    await stream();
    const counts = ['operation_log', 'access_roles', 'kill_switch'].map(
      (table) => `(select count(*)::int from manage_db.${table})`,
    );
    expect(await found(`select ${counts.map((count, index) => `${count} as c${index}`).join(', ')}`)).to.deep.equal([
      [0, 0, 0],
    ]);
    expect(await found('select id::int, hash from manage_db.operation_log_head')).to.deep.equal([[0, null]]);
    expect(await found('select count(*) > 3 from manage_db.schema_versions')).to.deep.equal([[true]]);
    await withClient(scratch.url, (client) => client.query(APPEND));
    expect(await found('select id::int, previous_hash from manage_db.operation_log')).to.deep.equal([[1, null]]);
  });

  describe('of the rows alone', () => {
    it('has the definitions of another database, and the rows of the source', async () => {
      const tables = `
        create table parents (id serial primary key, name text);
        create table children (id int primary key, parent int references parents) partition by range (id);
        create table children_1 partition of children for values from (1) to (1000)`;
      await prepare(`${tables};
        insert into parents (name) select 'p' || n from generate_series(1, 2000) n;
        insert into children select n, n from generate_series(1, 900) n`);
      const other = await scratchDatabase(`create table first (id int); create schema s; ${tables};
        create function shout(t text) returns text language sql immutable as 'select upper(t)';
        create index special on parents (shout(name));
        create view first_parent as select min(name) from parents;
        comment on table parents is 'of the other';
        insert into parents (name) values ('gone')`);
      others.push(other);
      const { tables: copied } = await stream({
        definitionsFrom: { settings: await settingsOf(other.url), major: 15 },
      });
      expect(copied.map(({ name, rows }) => [name, rows])).to.deep.include.members([
        ['parents', 2000],
        ['children_1', 900],
      ]);
      expect((await readWholeState(scratch.url)).schema).to.deep.equal((await readWholeState(other.url)).schema);
      expect(await found(`select count(*)::int, min(name), nextval('parents_id_seq')::int from parents`)).to.deep.equal(
        [[2000, 'p1', 2001]],
      );
    });

    it('refuses rows that have no table to go into, before anything', async () => {
      await prepare('create table notes (id int); create table more (id int)');
      const other = await scratchDatabase('create table notes (id int)');
      others.push(other);
      const definitionsFrom = { settings: await settingsOf(other.url), major: 15 };
      const error = await failureOf(stream({ definitionsFrom }));
      expect(error).to.include({ code: 'NOT_FOUND' });
      expect(error.message).to.include('public.more');
      await stream({ definitionsFrom, leaveOut: { largeObjects: false, rowsOf: ['public.more'] } });
    });
  });

  it('lets triggers fire for the rows where that is asked for, and finds what they look for', async () => {
    await prepare(`
      create schema app;
      create table app.log (id bigserial primary key, what text);
      insert into app.log (what) select 'old' from generate_series(1, 5);
      create table app.totals (name text primary key, rows int);
      create table children (id int primary key, parent int, name text);
      create table parents (id int primary key, grandparent int);
      create table grandparents (id int primary key, child int);
      create table parted (id int primary key) partition by hash (id);
      create table parted_1 partition of parted for values with (modulus 1, remainder 0);
      insert into grandparents select n from generate_series(1, 200) n;
      insert into parents select n, n from generate_series(1, 200) n;
      insert into children select n, n, 'child' from generate_series(1, 200) n;
      insert into parted select generate_series(1, 10);
      alter table children add foreign key (parent) references parents;
      alter table parents add foreign key (grandparent) references grandparents;
      alter table grandparents add foreign key (child) references children;
      create function app.fire() returns trigger language plpgsql as $$ begin
        insert into log (what) values ('new ' || tg_table_name);
        insert into totals values (tg_table_name, 1) on conflict (name) do update set rows = totals.rows + 1;
        if tg_table_name = 'children' then
          if not exists (select from public.parents where id = new.parent) then raise 'no parent'; end if;
          new.name := new.name || '!'; if new.id > 150 then return null; end if; end if;
        return new;
      end $$;
      create trigger fire before insert on children for each row execute function app.fire();
      create trigger fire before insert on parents for each row execute function app.fire();
      create trigger fire before insert on grandparents for each row execute function app.fire();
      create trigger fire before insert on parted for each row execute function app.fire();
      create trigger off before insert on parted for each row execute function app.fire();
      alter table only parted disable trigger off; alter table parted_1 disable trigger off;
      create function app.never() returns trigger language plpgsql as $$ begin raise 'emptied'; end $$;
      create trigger never before truncate on children for each statement execute function app.never()`);
    await onServer((server) => server.query(`alter database ${source.name} set search_path = app, public`));
    const { tables } = await stream({ triggers: 'before' });
    expect(tables.find(({ name }) => name === 'children')).to.include({ rows: 150 });
    expect(await found(`select count(*)::int, min(name), max(name) from children`)).to.deep.equal([
      [150, 'child!', 'child!'],
    ]);
    expect(await found(`select name, rows from app.totals order by 1`)).to.deep.equal([
      ['children', 200],
      ['grandparents', 200],
      ['parents', 200],
      ['parted_1', 10],
    ]);
    // what was there keeps its place
    expect(
      await found(`select what, min(id)::int, count(*)::int from app.log group by 1 order by 2 limit 1`),
    ).to.deep.equal([['old', 1, 5]]);
    expect(await found('select max(id)::int = count(*)::int from app.log')).to.deep.equal([[true]]);
    // by default they do not
    await dropDatabase(scratch.name);
    scratch = await scratchDatabase();
    await stream();
    expect(
      await found('select count(*)::int, (select count(*)::int from app.totals) as totals from children'),
    ).to.deep.equal([[200, 0]]);
    const [there, here] = [await readWholeState(source.url), await readWholeState(scratch.url)];
    expect(differences(there, here)).to.deep.equal([]);
  });

  it('says what helps where the other server lacks the owner of everything', async () => {
    await prepare('create role missing_owner; create table notes (id int); alter table notes owner to missing_owner');
    const other = await ownServer();
    try {
      for (const database of ['first', 'second']) await other.query('postgres', `create database ${database}`);
      const target = await settingsOf(other.url('postgres'));
      const error = await failureOf(streamCopy(source, 'first', { target }));
      expect(error).to.include({ code: 'NOT_FOUND' });
      expect(error.message).to.contain('role "missing_owner" does not exist');
      expect(error.hint).to.contain('--without owners --without grants');
      const parts = { owners: true, grants: true, tablespaces: false, extensions: [] };
      await streamCopy(source, 'second', { target, parts });
      expect(await other.query('second', 'select from notes')).to.have.length(0);
    } finally {
      await other.remove();
      await source.query('drop table notes');
      await onServer((server) => server.query('drop role missing_owner'));
    }
  });

  it('says before the rows come what the other server cannot make, all of it', async () => {
    await prepare(`
      create table notes (id int primary key, body text);
      insert into notes select n, 'x' from generate_series(1, 1000) n;
      create role missing_one; create role missing_two;
      create policy mine on notes to missing_one using (true);
      grant select on notes to missing_two;
      create function loud(t text) returns text language sql immutable as 'select upper(t)';
      create function shout(t text) returns text language sql immutable as 'select loud(t)';
      create index fine on notes (shout(body))`);
    await onServer((server) => server.query(`alter database ${source.name} set search_path = public`));
    const other = await ownServer();
    try {
      for (const database of ['first', 'second']) await other.query('postgres', `create database ${database}`);
      const target = await settingsOf(other.url('postgres'));
      const steps: string[] = [];
      const error = await failureOf(
        streamCopy(source, 'first', { target, controls: { onProgress: ({ step }) => steps.push(step) } }),
      );
      expect(error).to.include({ code: 'NOT_FOUND' });
      expect(error.message).to.match(
        /- POLICY .*mine.*: role "missing_one" does not exist\n- ACL .*notes.*: role "missing_two" does not exist\nNo row was copied\.$/,
      );
      expect(steps).not.to.include('copying rows');
      await other.query('postgres', 'create role missing_one; create role missing_two');
      await streamCopy(source, 'second', { target });
      expect(await other.query('second', 'select from notes')).to.have.length(1000);
    } finally {
      await other.remove();
      await source.query('drop policy mine on notes; revoke all on notes from missing_two');
      await onServer((server) => server.query('drop role missing_one; drop role missing_two'));
    }
  });

  async function statementsDuring(work: () => Promise<unknown>): Promise<string[]> {
    const real = Client.prototype.query;
    const sent: string[] = [];
    const spy = function (this: Client, ...args: unknown[]) {
      const [first] = args;
      if (typeof first === 'string') sent.push(first);
      else if (typeof first === 'object' && first !== null && 'text' in first) sent.push(String(first.text));
      return Reflect.apply(real, this, args);
    };
    Client.prototype.query = spy as typeof real;
    try {
      await work();
    } finally {
      Client.prototype.query = real;
    }
    return sent;
  }
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

/** Every row of every table and materialized view. */
async function readText({ query }: ScratchDatabase): Promise<string[]> {
  const { rows } = await query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relkind in ('r', 'm') and relnamespace in ('public'::regnamespace, 'app'::regnamespace)`,
  );
  const found: string[] = [];
  for (const { name } of rows)
    found.push(
      ...(await query<{ line: string }>(`select t::text as line from ${name} t`)).rows.map(({ line }) => line),
    );
  return found;
}
