import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { setMaskingSalt } from '../../../../app/core/db-operations/copy/masking/keyed-hash.js';
import { selectionOf } from '../../../../app/core/db-operations/copy/masking/plan.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../../support/scratch-login.js';
import { testUrl } from '../../../support/test-server.js';
import { copyMasked, maskedRows, planFor, SALT } from './masked-copy.js';

const CANARY = 'canary';

/** One column of every type that holds text, and what else is masked. */
const EVERYTHING = `
  create extension citext;
  create domain address as text check (value ~ '^[^@]+@[^@]+$');
  create domain short as varchar(8);
  create type mood as enum ('well', 'ill', 'canary');
  create table everything (
    id int primary key, plain text, limited varchar(40), fixed char(40), folded citext, named name, mail address, few short,
    texts text[], limiteds varchar(20)[], mails address[], grid text[][], doc jsonb, raw json, docs jsonb[], feeling mood, "sel""ect" text, "manage_db hash" text,
    small smallint, number int, large bigint, uid uuid, bytes bytea, day date, at timestamp, attz timestamptz, during tstzrange, days date[],
    digits text, who text, note text, gone text, said text, computed text, upper_plain text generated always as (upper(plain)) stored);
  insert into everything (id, plain, limited, fixed, folded, named, mail, few, texts, limiteds, mails, grid, doc, raw, docs, feeling, "sel""ect", "manage_db hash",
    small, number, large, uid, bytes, day, at, attz, during, days, digits, who, note, gone, said, computed)
  select n, 'canary ' || n, 'canary ' || n, 'canary ' || n, 'Canary ' || n, 'canary ' || n, 'canary' || n || '@canary.test', 'canary' || n,
    array['canary', null, '', 'a"canary,{}' || n], array['canary', 'canary two'], array['a@canary.test']::address[], array[['canary','b'],['c','canary']],
    jsonb_build_object('kept key', 'canary ' || n, 'list', jsonb_build_array('canary', n * 1111, true, null, jsonb_build_object('"', 'a "canary": \\'))),
    '{"kept key" : "canary \\" \\u0041", "a":"canary", "n": -1.5e7}', array['"canary"'::jsonb, '17', null], 'canary', 'canary ' || n, 'canary ' || n,
    n + 100, n + 100000, n + 10000000000, md5('canary' || n)::uuid, 'canary', date '2020-01-01' + n, timestamp '2020-01-01 10:00' + n * interval '1 day',
    timestamptz '2020-03-28 10:00+00' + n * interval '1 day', tstzrange(timestamptz '2020-01-01' + n * interval '1 day', null, '(]'), array[date '2020-01-01', null, date '2020-01-03'],
    '+49 170 ' || 1000000 + n, 'Canary Surname ' || n, 'canary said ' || repeat('canary ', n), 'canary', 'canary', 'canary'
  from generate_series(1, 3) n;
  insert into everything (id) values (4);
  insert into everything (id, plain, limited, folded, texts, doc, number, digits, who, note) values (5, '', '', '', '{}', '{}', 0, '', '', '');`;

const RULES = `
  public.everything:
    keep: [id]
    plain: id-hash
    limited: id-hash
    fixed: id-hash
    folded: id-hash
    named: id-hash
    mail: email
    few: name
    texts: id-hash
    limiteds: name
    mails: email
    grid: free-text
    doc: free-text
    raw: free-text
    docs: free-text
    feeling: { fixed: well }
    'sel"ect': free-text
    manage_db hash: name
    small: id-hash
    number: id-hash
    large: id-hash
    uid: id-hash
    bytes: id-hash
    day: { date-shift: id }
    at: { date-shift: id }
    attz: { date-shift: id }
    during: { date-shift: id }
    days: { date-shift: id }
    digits: phone
    who: name
    note: free-text
    gone: null
    said: { fixed: it's "gone" }
    computed: { sql: "pg_catalog.length(computed)::text || id -- how long it was" }
`;
const TABLE = { rules: RULES, table: 'public.everything' };

describe('masked values', () => {
  let db: ScratchDatabase;
  before(async () => {
    db = await scratchDatabase(EVERYTHING);
  });
  after(() => db.drop());
  afterEach(() => db.query('drop schema if exists copy cascade'));

  it('hold nothing of what was there, on every type', async () => {
    await copyMasked(db.url, RULES);
    const { rows } = await db.query<{ row: string }>('select e::text as row from copy.everything e order by id');
    expect(rows).to.have.length(5);
    for (const { row } of rows) expect(row.toLowerCase()).not.to.contain(CANARY);
    const kept = await db.query<{ bytes: string; uids: number; dates: number }>(
      `select count(*) filter (where c.bytes = e.bytes)::int as bytes, count(*) filter (where c.uid = e.uid)::int as uids,
         count(*) filter (where c.day = e.day or c.at = e.at or c.attz = e.attz or c.during = e.during or c.number = e.number and e.number <> 0
           or c.digits = e.digits and e.digits <> '')::int as dates
       from everything e join copy.everything c using (id)`,
    );
    expect(kept.rows).to.deep.equal([{ bytes: 0, uids: 0, dates: 0 }]);
  });

  it('have the form of what they stand for', async () => {
    const [row] = await maskedRows(db.url, TABLE);
    expect(row?.mail).to.match(/^[0-9a-f]{20}@example\.com$/);
    expect(row?.who).to.match(/^[A-Z][a-z]{5} [A-Z][a-z]{3}$/);
    expect(row?.digits).to.match(/^\+0\d \d{3} \d{7}$/);
    expect(row?.few?.length).to.be.at.most(8);
    expect(row?.fixed?.length).to.equal(32);
    expect(row?.note).to.match(/^[a-z. ]{19}$/);
    expect(row?.mails).to.match(/^\{[0-9a-f]{20}@example\.com\}$/);
    expect(row?.texts).to.match(/^\{[0-9a-f]{32},NULL,"",[0-9a-f]{32}\}$/);
    expect(row?.uid).to.match(/^.{8}-.{4}-4.{3}-8/);
    expect(row?.said).to.equal(`it's "gone"`);
    expect(row?.computed).to.equal('61');
    expect(row?.raw).to.match(/^\{"kept key" : "[a-z. ]*", "a":"[a-z. ]{6}", "n": 0\}$/);
    const doc = JSON.parse(row?.doc ?? '');
    expect(Object.keys(doc)).to.deep.equal(['list', 'kept key']);
    expect([doc.list[1], doc.list[2], doc.list[3]]).to.deep.equal([0, true, null]);
    expect(Object.keys(doc.list[4])).to.deep.equal(['"']);
  });

  it('are NULL where it was, and empty where it was', async () => {
    const rows = await maskedRows(db.url, TABLE);
    const filled = Object.entries(rows[3] ?? {}).filter(([, value]) => value !== null);
    expect(filled.map(([name]) => name)).to.have.members(['id', 'feeling', 'said']);
    expect(rows[4]).to.include({
      plain: '',
      limited: '',
      folded: '',
      texts: '{}',
      doc: '{}',
      number: '0',
      digits: '',
      who: '',
      note: '',
    });
  });

  it('are the same with the same salt, and others with another', async () => {
    const first = await maskedRows(db.url, TABLE);
    expect(await maskedRows(db.url, TABLE)).to.deep.equal(first);
    const [other] = await maskedRows(db.url, { ...TABLE, salt: 'another salt of many bytes' });
    const unchanged = Object.entries(first[0] ?? {}).filter(
      ([name, value]) => value !== null && other?.[name] === value,
    );
    expect(unchanged.map(([name]) => name)).to.have.members(['id', 'feeling', 'said', 'computed']);
  });

  it('do not depend on what a schema puts before pg_catalog', async () => {
    const before = await maskedRows(db.url, TABLE);
    await db.query(`create schema evil;
      create function evil.sha256(bytea) returns bytea language sql as $$ select 'canary'::bytea $$;
      create function evil.textcat(text, text) returns text language sql as $$ select 'canary' $$;
      create function evil.left(text, int) returns text language sql as $$ select 'canary' $$;
      create function evil.concat_texts(text, text) returns text language sql as $$ select 'canary' $$;
      create operator evil.|| (leftarg = text, rightarg = text, function = evil.concat_texts);
      create domain evil.int8 as text; create domain evil.text as int;`);
    const rules = RULES.replace(
      '"pg_catalog.length(computed)::text || id -- how long it was"',
      `"'61'::pg_catalog.text"`,
    );
    const [row] = await maskedRows(db.url, { ...TABLE, rules, searchPath: 'evil, pg_catalog' }).catch((error) => [
      error,
    ]);
    await db.query('drop schema evil cascade');
    expect(row).to.deep.equal(before[0]);
  });

  it('keep 100,000 keys apart, and what refers to them joined', async () => {
    const own = await scratchDatabase(`
      create table people (id int primary key, code varchar(20) unique not null, mail varchar(30) not null, big bigint unique, small smallint);
      create unique index on people (lower(mail));
      create table visits (person bigint not null, code text references people (code), at timestamptz, until timestamptz);
      alter table visits add foreign key (person) references people (big);
      insert into people select n, 'P-' || n, 'anna' || n || '@clinic.test', n * 7919, n % 30000 from generate_series(1, 100000) n;
      insert into visits select n * 7919, 'P-' || n, timestamptz '2024-01-01 10:00+00' + n * interval '1 h', timestamptz '2024-01-01 10:30+00' + n * interval '1 h' from generate_series(1, 100000) n;`);
    try {
      const { problems, warnings } = await planFor(own.url, JOINED);
      expect([problems, warnings]).to.deep.equal([[], []]);
      // with all unique keys
      await copyMasked(own.url, JOINED);
      const { rows } = await own.query(`
        select (select count(*)::int from copy.people) as people,
          (select count(*)::int from copy.people c join people p on p.code = c.code)
            + (select count(*)::int from copy.people c join people p on p.mail = c.mail) as same,
          (select count(*)::int from copy.visits v join copy.people p on p.big = v.person and p.code = v.code) as joined,
          (select count(*)::int from copy.visits where until - at <> interval '30 min') as stretched`);
      expect(rows).to.deep.equal([{ people: 100_000, same: 0, joined: 100_000, stretched: 0 }]);
    } finally {
      await own.drop();
    }
  });

  it('of dates keep what lies between those of one person, in every table', async () => {
    const own = await scratchDatabase(`
      create table people (id int primary key, born date);
      create table stays (person int references people, since timestamptz, until date, planned tsrange);
      insert into people select n, date '1950-03-25' + n from generate_series(1, 500) n;
      insert into stays select n, timestamptz '2024-03-30 23:30+01' + n * interval '7 h', date '2024-05-01' + n % 9, tsrange('2024-01-01 08:00', '2024-01-01 09:00') from generate_series(1, 500) n;`);
    try {
      await copyMasked(
        own.url,
        `  public.people: { id: keep, born: { date-shift: id } }
  public.stays: { person: keep, since: { date-shift: person }, until: { date-shift: person }, planned: { date-shift: person } }`,
      );
      const { rows } = await own.query(`
        select count(*) filter (where c.since - t.since <> make_interval(hours => 24 * (p.born - o.born)))::int as since,
          count(*) filter (where c.until - t.until <> p.born - o.born)::int as until,
          count(*) filter (where upper(c.planned) - lower(c.planned) <> interval '1 h' or lower(c.planned) - lower(t.planned) <> make_interval(days => p.born - o.born))::int as planned,
          count(distinct o.born - p.born) > 200 as "areMany", min(o.born - p.born) between 1 and 9 as "isPast", max(o.born - p.born) between 350 and 365 as "isYear"
        from stays t join copy.stays c using (person) join people o on o.id = t.person join copy.people p on p.id = t.person`);
      expect(rows).to.deep.equal([{ since: 0, until: 0, planned: 0, areMany: true, isPast: true, isYear: true }]);
    } finally {
      await own.drop();
    }
  });

  it('change places: every whole number of two bytes is the image of one', async () => {
    const own = await scratchDatabase(
      `create table numbers (n smallint primary key); insert into numbers select generate_series(-32768, 32767)`,
    );
    try {
      const rules = '  public.numbers: { n: id-hash }';
      const rows = await maskedRows(own.url, { rules, table: 'public.numbers' });
      expect(new Set(rows.map(({ n }) => n)).size).to.equal(65_536);
    } finally {
      await own.drop();
    }
  });
});

const JOINED = `
  public.people: { id: id-hash, code: id-hash, mail: email, big: id-hash, small: keep }
  public.visits: { person: id-hash, code: id-hash, at: { date-shift: person }, until: { date-shift: person } }
`;

describe('the salt of a masked copy', () => {
  let db: ScratchDatabase;
  before(async () => {
    db = await scratchDatabase(
      `create table people as select n, 'Anna ' || n as name, 'anna' || n || '@clinic.test' as mail from generate_series(1, 200000) n`,
    );
  });
  after(() => db.drop());

  const rules = '  public.people: { n: keep, name: name, mail: email }';
  const statement = async (): Promise<string> => {
    const select = selectionOf(await planFor(db.url, rules))({ schema: 'public', name: 'people' }) ?? [];
    return `copy (select ${select.map(({ expression }) => expression).join(', ')} from only public.people) to '/dev/null'`;
  };

  it('is in no statement that others see while it works', async () => {
    const copy = await statement();
    const salt = `salt-${randomBytes(16).toString('hex')}`;
    const seen = await withClient(db.url, async (client) => {
      await client.query('begin');
      await setMaskingSalt(client, salt);
      const working = client.query(copy);
      const found: string[] = [];
      await onServer(async (server) => {
        const look = 'select query from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()';
        for (let isDone = false; !isDone; ) {
          found.push(...(await server.query<{ query: string }>(look, [db.name])).rows.map(({ query }) => query));
          isDone = await Promise.race([
            working.then(() => true),
            new Promise<false>((resolve) => setTimeout(resolve, 20, false)),
          ]);
        }
      });
      return found;
    });
    expect(seen.filter((query) => query.startsWith('copy (select'))).to.have.length.of.at.least(3);
    expect(copy).not.to.contain(salt);
    for (const query of seen) expect(query).not.to.contain(salt).and.not.to.contain(Buffer.from(salt).toString('hex'));
  });

  it('ends with its transaction, and without it nothing is masked by chance', async () => {
    const copy = await statement();
    await withClient(db.url, async (client) => {
      const without = await client.query(copy).catch((error: Error) => error);
      expect(without)
        .to.be.an('error')
        .with.property('message', 'unrecognized configuration parameter "manage_db.masking_salt"');
      await client.query('begin');
      await setMaskingSalt(client, SALT);
      await client.query('commit');
      const after = await client.query(copy).catch((error: Error) => error);
      expect(after)
        .to.be.an('error')
        .with.property('message', 'unrecognized configuration parameter "manage_db.masking_salt_is_not_set"');
      const outside = await setMaskingSalt(client, SALT).catch((error: Error) => error);
      expect(outside)
        .to.include({ code: 'USAGE' })
        .and.have.property('message')
        .that.contains('outside of a transaction');
    });
  });

  it('is not sent where the server would log it, unless the login can prevent that', async () => {
    const anna = await scratchLogin('anna');
    try {
      await onServer(async (server) => {
        await server.query(`alter role ${anna.user} set log_statement = 'all'`);
        await server.query(`alter role ${anna.user} set log_min_duration_statement = 0`);
      });
      const send = () =>
        withClient(testUrl(db.name, anna), async (client) => {
          await client.query('begin');
          await setMaskingSalt(client, SALT);
          return 'sent';
        }).catch((error: Error) => error);
      const refused = await send();
      expect(refused).to.include({
        code: 'USAGE',
        message:
          'The server would write the salt for masking into its log (log_min_duration_statement = 0, log_statement = all); it was not sent.',
      });
      // a trial has a salt that nobody needs
      await db.query(`grant select on people to ${anna.user}`);
      expect((await planFor(testUrl(db.name, anna), rules)).problems).to.deep.equal([]);
      await db.query(`revoke select on people from ${anna.user}`);
      // the privilege came with PostgreSQL 15
      if ((await onServer((server) => server.query(`show server_version_num`))).rows[0].server_version_num >= 150_000) {
        await onServer((server) => server.query(`grant set on parameter log_parameter_max_length to ${anna.user}`));
        expect(await send()).to.equal('sent');
        await onServer((server) => server.query(`revoke set on parameter log_parameter_max_length from ${anna.user}`));
      }
      await onServer(async (server) => {
        await server.query(`alter role ${anna.user} set log_parameter_max_length = 0`);
      });
      expect(await send()).to.equal('sent');
    } finally {
      await dropLogins(anna);
    }
  });

  it('costs a few times what copying costs', async () => {
    const copy = await statement();
    await withClient(db.url, async (client) => {
      await client.query('begin');
      await setMaskingSalt(client, SALT);
      const time = async (text: string): Promise<number> => {
        const started = performance.now();
        await client.query(text);
        return performance.now() - started;
      };
      // a loaded machine is so for both of a round; what is guarded against is another order of magnitude
      const ratios: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        ratios.push((await time(copy)) / (await time(`copy public.people to '/dev/null'`)));
      }
      expect(Math.min(...ratios), ratios.join(', ')).to.be.lessThan(60);
    });
  });
});
