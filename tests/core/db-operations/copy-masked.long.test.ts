import { expect } from 'chai';
import { compareDatabases } from '../../../app/core/db-operations/compare.js';
import { readStampStatus } from '../../../app/core/db-operations/stamp.js';
import { type BreakableWay, breakableWay } from '../../support/breakable-way.js';
import { type CopyPair, copyPair } from '../../support/copy-pair.js';
import { dumpOf } from '../../support/dump-of.js';
import { onServer, withClient } from '../../support/scratch-database.js';

const SALT = 'a-salt-that-nobody-may-see-0123456789';

/** A value that may be nowhere, in every place where rows have one. */
const ROWS = `
  create schema clinic;
  create type clinic.mood as enum ('f', 'b');
  create domain clinic.phone as text;
  create table clinic.people (
    id bigint primary key generated always as identity,
    name text not null, short varchar(40), code char(12), email text unique, phone clinic.phone, phones text[],
    notes text, document jsonb, raw json, picture bytea, mood clinic.mood, born_on date,
    initials text generated always as (pg_catalog.left(name, 20)) stored);
  insert into clinic.people (name, short, code, email, phone, phones, notes, document, raw, picture, born_on)
  select 'CANARY_name_' || n, 'CANARY_short_' || n, 'CANARY' || n, 'CANARY_mail_' || n || '@clinic.test', 'CANARY_phone' || n,
    array['CANARY_phones' || n], 'CANARY_notes ' || n, pg_catalog.jsonb_build_object('a', 'CANARY_jsonb_' || n),
    pg_catalog.json_build_object('a', 'CANARY_json_' || n), pg_catalog.convert_to('CANARY_bytea_' || n, 'UTF8'), date '1980-01-01' + n
  from generate_series(1, 300) n;
  create table clinic.visits (id int primary key, person_id bigint not null references clinic.people, told text) partition by range (id);
  create table clinic.visits_1 partition of clinic.visits for values from (0) to (200);
  create table clinic.visits_2 partition of clinic.visits for values from (200) to (400);
  insert into clinic.visits select n, n, 'CANARY_told_' || n from generate_series(1, 300) n;
  create materialized view clinic.names as select name, email from clinic.people;
  create table clinic.log (line text);
  insert into clinic.log select 'CANARY_log_' || n from generate_series(1, 10) n;
  select lo_from_bytea(4711, pg_catalog.convert_to('CANARY_large_object', 'UTF8'));
  create foreign data wrapper nowhere;
  create server elsewhere foreign data wrapper nowhere;
  create user mapping for public server elsewhere options (password 'CANARY_mapping');
  create subscription told_to connection 'host=127.0.0.1 port=1 password=CANARY_subscription' publication p with (connect = false);
  create sequence clinic.numbers;
  select setval('clinic.numbers', 77);
  create schema graphile_worker;
  create table graphile_worker.jobs (payload text);
  insert into graphile_worker.jobs values ('CANARY_job')`;

/** The same in definitions, where a person has to have looked at it. */
const DEFINITIONS = `
  alter table clinic.people alter short set default 'CANARY_default';
  alter table clinic.people add constraint known check (name <> 'CANARY_check');
  comment on table clinic.people is 'CANARY_comment';
  create table clinic.places (place text) partition by list (place);
  create table clinic.places_1 partition of clinic.places for values in ('CANARY_bound');
  alter type clinic.mood add value 'CANARY_label';
  create view clinic.known as select id from clinic.people where name = 'CANARY_view';
  create function clinic.said() returns text language sql as $$ select 'CANARY_function' $$`;

const RULES = `
tables:
  clinic.people:
    keep: [id, mood]
    name: name
    short: name
    code: id-hash
    email: email
    phone: phone
    phones: phone
    notes: free-text
    document: free-text
    raw: free-text
    picture: id-hash
    born_on: { date-shift: id }
  clinic.visits:
    keep: [id, person_id]
    told: free-text
  clinic.log: no-rows
`;

/** What is written in the definitions by names, so that a copy has it knowingly. */
const KNOWN = ['default', 'check', 'comment', 'bound', 'label', 'view', 'function'];

describe('a masked copy of what is protected', () => {
  let pair: CopyPair;
  let way: BreakableWay | null = null;
  beforeEach(async () => {
    pair = await copyPair(ROWS, { from: 'production', to: 'testing' });
    pair.workspace.write({
      'masking.yaml': RULES,
      '.env.production': `PRODUCTION_DATABASE_URL=${pair.source.url}\nPRODUCTION_MASKING_SALT=${SALT}\n`,
    });
  });
  afterEach(async () => {
    await way?.close();
    way = null;
    await withClient(pair.source.url, async (client) => {
      await client.query('alter subscription told_to set (slot_name = none); drop subscription told_to');
    });
    await pair.remove();
  });

  const canariesIn = (text: string): string[] => [...new Set(text.match(/CANARY_?[a-z_]*[a-z]/g) ?? [])].sort();

  it('brings not one unmasked value, neither into the target nor on the way there', async () => {
    await onServer((server) => server.query(`alter database ${pair.source.name} set app.motto = 'CANARY_setting'`));
    await onServer((server) => server.query(`comment on database ${pair.source.name} is 'CANARY_of_database'`));
    const sent: Buffer[] = [];
    const url = new URL(pair.target.url);
    way = await breakableWay(Number(url.port), (chunk) => sent.push(chunk));
    url.port = String(way.port);
    pair.workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url.href}\n` });

    const { plan, strategy, tables } = await pair.copy({ mask: true });
    expect(strategy).to.equal('stream');
    expect(plan.masking).to.include({ rules: 'masking.yaml' });
    expect(plan.withoutRows).to.have.members(['clinic.log', 'graphile_worker.jobs']);
    expect(Object.fromEntries(tables.map(({ name, rows }) => [name, rows]))).to.include({ people: 300, visits_1: 199 });

    const dump = await dumpOf(pair.target.url);
    expect(dump).to.include('COPY clinic.people').and.include('@example.com');
    expect(canariesIn(dump)).to.deep.equal([]);
    const wire = Buffer.concat(sent).toString('latin1');
    expect(wire.length).to.be.greaterThan(dump.length / 2);
    expect(canariesIn(wire)).to.deep.equal([]);
    // text that was sent as bytes would not be found as it is
    expect(wire).not.to.include(Buffer.from('CANARY').toString('hex'));
    expect(wire).not.to.include(SALT);
    const { rows } = await onServer((server) =>
      server.query<{ all: string }>(
        `select pg_catalog.to_jsonb(d)::text || coalesce(s.all::text, '') as all from pg_database d
         left join lateral (select jsonb_agg(r) as all from pg_db_role_setting r where r.setdatabase = d.oid) s on true
         where d.datname = $1`,
        [pair.target.name],
      ),
    );
    expect(canariesIn(JSON.stringify(rows))).to.deep.equal([]);
  });

  it('tells the target nothing of a value that cannot be masked', async () => {
    const sent: Buffer[] = [];
    const url = new URL(pair.target.url);
    way = await breakableWay(Number(url.port), (chunk) => sent.push(chunk));
    url.port = String(way.port);
    await pair.source.query(`
      create table clinic.ages (id int primary key, age text);
      insert into clinic.ages select n, '12' from generate_series(1, 60000) n;
      update clinic.ages set age = 'CANARY_age' where id = 44321; analyze clinic.ages`);
    pair.workspace.write({
      '.env.testing': `TESTING_DATABASE_URL=${url.href}\n`,
      'masking.yaml': `${RULES}  clinic.ages: { id: keep, age: { sql: "(age::int / 10 * 10)::text" } }\n`,
    });
    const error = await pair.failure({ mask: true });
    expect(error.message).to.include('clinic.ages').and.not.include('CANARY');
    const wire = Buffer.concat(sent).toString('latin1');
    expect(wire).to.include('No more rows come.');
    expect(canariesIn(wire)).to.deep.equal([]);
  });

  it('brings nothing that others keep in the schema manage_db, and asks for parts of tables there to be moved', async () => {
    await pair.source.query(`
      create table manage_db.notes (line text default 'CANARY_default');
      insert into manage_db.notes values ('CANARY_row');
      create function manage_db.said() returns text language sql as $$ select 'CANARY_function' $$;
      insert into manage_db.migrations values ('20260101', 'first', repeat('a', 64), 1, 'CANARY_actor', 'manage_db');
      insert into manage_db.trigger_functions (schema_name, function_name, definition, owner, is_security_definer, server_version_num, installed_by)
        values ('clinic', 'old', 'CANARY_old', current_user, false, 150000, 'CANARY_installer')`);
    const { warnings } = await pair.copy({ mask: true });
    expect(warnings.join()).to.include('manage_db.notes');
    expect(canariesIn(await dumpOf(pair.target.url))).to.deep.equal([]);
    const { rows } = await pair.target.query('select version, name, actor from manage_db.migrations');
    expect(rows).to.deep.equal([{ version: '20260101', name: 'first', actor: 'masked' }]);

    await pair.source.query(
      'create table manage_db.visits_3 partition of clinic.visits for values from (400) to (500)',
    );
    const error = await pair.failure({ mask: true });
    expect(error).to.include({ code: 'USAGE' });
    expect(error.message).to.include('manage_db.visits_3');
  });

  it('keeps what has to fit: keys, sequences, views that are computed, and says by which rules', async () => {
    const { plan } = await pair.copy({ mask: true });
    const lines = async () => (await dumpOf(pair.target.url, '--data-only', '--schema=clinic')).split('\n').sort();
    const before = await lines();
    const one = async (text: string) => (await pair.target.query<{ v: unknown }>(text)).rows[0]?.v;
    expect(
      await one('select count(*)::int as v from clinic.visits v join clinic.people p on p.id = v.person_id'),
    ).to.equal(300);
    expect(await one('select count(*)::int as v from clinic.names n join clinic.people p using (email)')).to.equal(300);
    expect(await one(`select bool_and(initials = left(name, 20)) as v from clinic.people`)).to.equal(true);
    expect(await one(`select nextval(pg_get_serial_sequence('clinic.people', 'id'))::int as v`)).to.equal(301);
    expect(await one('select count(*)::int as v from pg_largeobject_metadata')).to.equal(0);
    expect(await one('select count(*)::int as v from pg_user_mapping')).to.equal(0);
    const { status } = await pair.workspace.run(() => readStampStatus('testing'));
    expect(status?.stamp).to.include({ environment: 'testing', protected: false });
    const [ancestor] = status?.stamp?.lineage ?? [];
    expect(ancestor).to.include({ environment: 'production', became: 'copied', masking: plan.masking?.checksum });
    // definitions are the same but for what holds passwords
    const compared = await pair.workspace.run(() => compareDatabases({ from: 'production', to: 'testing' }));
    const kinds = compared.definitions.differences.map(({ kind }) => kind);
    expect([...new Set(kinds)].sort()).to.deep.equal(['subscription', 'user mapping']);
    // the same rules and salt give the same values
    await pair.copy({ mask: true });
    expect(await lines()).to.deep.equal(before);
  });

  it('is refused while a column is undecided, and prints the lines to add', async () => {
    await pair.source.query('alter table clinic.people add nickname text');
    const error = await pair.failure({ mask: true });
    expect(error).to.include({ code: 'DRIFT', exitCode: 4 });
    expect(error.message).to.include('clinic.people').and.include('nickname');
    expect(await pair.target.query('select from public.patients')).to.have.property('rowCount', 1);
    expect(await pair.leftovers()).to.deep.equal([]);
  });

  it('is refused while a value in a definition was not looked at, by name, and knows it from then on', async () => {
    await pair.source.query(DEFINITIONS);
    const rules = `${RULES}  clinic.places: no-rows\n`;
    pair.workspace.write({ 'masking.yaml': rules });
    const error = await pair.failure({ mask: true });
    expect(error).to.include({ code: 'DRIFT', exitCode: 4 });
    expect(error.message).not.to.include('CANARY');
    for (const name of KNOWN) expect(error.hint, name).to.include(`CANARY_${name}`);
    for (const name of ['default clinic.people.short', 'check clinic.people.known', 'comment on table clinic.people'])
      expect(error.message).to.include(name);

    const { literalLines } = await pair.workspace.run(async () => {
      const { checkMasking } = await import('../../../app/core/db-operations/masking.js');
      return checkMasking({ env: 'production' });
    });
    pair.workspace.write({ 'masking.yaml': `${rules}literals:\n${literalLines.join('\n')}\n` });
    await pair.copy({ mask: true });
    const dump = await dumpOf(pair.target.url);
    expect(canariesIn(dump)).to.deep.equal(KNOWN.map((name) => `CANARY_${name}`).sort());

    await pair.source.query(`alter table clinic.people alter short set default 'CANARY_other'`);
    const again = await pair.failure({ mask: true });
    expect(again.code).to.equal('DRIFT');
    expect(again.message).to.include('default clinic.people.short').and.not.include('clinic.people.known');
  });

  it('keeps the salt to itself', async () => {
    await pair.source.query(
      `insert into clinic.people (name) select 'CANARY_more_' || n from generate_series(1, 20000) n`,
    );
    const seen = new Set<string>();
    let isOver = false;
    const watching = onServer(async (server) => {
      while (!isOver) {
        const { rows } = await server.query<{ query: string }>(
          'select query from pg_stat_activity where datname is not null',
        );
        for (const { query } of rows) seen.add(query);
      }
    });
    await pair.copy({ mask: true, strategy: 'stream' });
    isOver = true;
    await watching;
    const queries = [...seen].join('\n');
    expect(queries).to.match(/copy \(select/i);
    expect(queries).not.to.include(SALT);
    expect(queries).not.to.include(Buffer.from(SALT).toString('hex'));
  });

  it('wants rules and a salt before anything else', async () => {
    pair.workspace.write({ '.env.production': `PRODUCTION_DATABASE_URL=${pair.source.url}\n` });
    expect(await pair.failure({ mask: true })).to.include({ code: 'MISSING_SETTING' });
    expect(await pair.failure({ mask: 'other.yaml' })).to.include({ code: 'NOT_FOUND' });
    expect(await pair.failure({ mask: true, strategy: 'template' })).to.include({ code: 'MISSING_SETTING' });
    expect(await pair.leftovers()).to.deep.equal([]);
  });
});
