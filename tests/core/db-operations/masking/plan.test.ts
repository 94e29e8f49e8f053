import { expect } from 'chai';
import { selectionOf } from '../../../../app/core/db-operations/copy/masking/plan.js';
import { parseYamlRules } from '../../../../app/core/db-operations/copy/masking/yaml-rules.js';
import { type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';
import { maskedRows, planFor, problemsOf } from './masked-copy.js';

const CLINIC = `
  create type mood as enum ('well', 'ill');
  create domain address as text check (value ~ '^[^@]+@example[.]com$');
  create domain tidy as text check (value !~ '[0-9]');
  create schema "Größe x";
  create table patients (
    id int primary key, code varchar(20) unique, short varchar(8) unique, name text not null, born date, mail address, feeling mood,
    amount numeric(8, 2), full_name text generated always as (name || '!') stored, label tidy,
    constraint shouting check (name = upper(name)), constraint long_name check (length(full_name) > 2));
  insert into patients (id, code, short, name, born, mail, feeling, amount, label)
    select n, 'c' || n, 's' || n, 'ANNA', '2000-01-01', 'a@example.com', 'ill', n, 'x' from generate_series(1, 5) n;
  create table visits (patient int references patients, code varchar(30) references patients (code), at date, unique (patient, at), exclude using gist (daterange(at, at, '[]') with &&));
  create table events (id int, at date, who text, primary key (id, at)) partition by range (at);
  create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01') partition by hash (id);
  create table events_2024_0 partition of events_2024 for values with (modulus 1, remainder 0);
  insert into events values (1, '2024-05-05', 'Anna');
  create table "Größe x"."a.b" ("c: d" text, "#" text);
  insert into "Größe x"."a.b" values ('Anna', 'Anna');
  create temporary table passing (id int);
  create view seen as select * from patients;`;

const PATIENTS = (rules: Readonly<Record<string, string>>): string => {
  const all = {
    id: 'keep',
    code: 'keep',
    short: 'keep',
    name: 'keep',
    born: 'keep',
    mail: 'keep',
    feeling: 'keep',
    amount: 'keep',
    label: 'keep',
    ...rules,
  };
  const lines = Object.entries(all).map(([column, rule]) => `    ${column}: ${rule}\n`);
  return `  public.patients:\n${lines.join('')}`;
};
const VISITS = '  public.visits: { keep: [patient, code, at] }\n';
const REST = `  public.events: { keep: [id, at, who] }
  Größe x.a.b: { keep: ["c: d", "#"] }
`;

describe('a masking plan', () => {
  let db: ScratchDatabase;
  before(async () => {
    db = await scratchDatabase(CLINIC);
  });
  after(() => db.drop());

  const patients = (rules: Readonly<Record<string, string>>) => problemsOf(db.url, PATIENTS(rules) + VISITS + REST);

  it('lists every column that nobody has decided, and those that came later', async () => {
    const { undecided, problems } = await planFor(db.url, `${VISITS}  public.patients: { keep: [id], name: }\n`);
    expect(problems).to.deep.equal([]);
    expect(undecided.map(({ table, column }) => `${table}.${column}`)).to.deep.equal([
      'a.b.c: d',
      'a.b.#',
      'events.id',
      'events.at',
      'events.who',
      ...['code', 'short', 'name', 'born', 'mail', 'feeling', 'amount', 'label'].map((column) => `patients.${column}`),
    ]);
    await db.query('alter table patients add nickname text');
    const later = await planFor(db.url, PATIENTS({}) + VISITS + REST);
    await db.query('alter table patients drop nickname');
    expect(later.undecided).to.have.length(1);
    expect(later.undecided[0]).to.include({ schema: 'public', table: 'patients', column: 'nickname', type: 'text' });
  });

  it('selects every column but the generated ones, for each partition too, whatever the names are', async () => {
    const plan = await planFor(
      db.url,
      PATIENTS({ code: 'null' }) + VISITS.replace(' code,', '').replace('keep', 'code: null, keep') + REST,
    );
    expect([plan.problems, plan.undecided]).to.deep.equal([[], []]);
    const select = selectionOf(plan);
    expect(select({ schema: 'public', name: 'patients' })?.map(({ column }) => column)).not.to.include('full_name');
    expect(select({ schema: 'public', name: 'events_2024_0' })?.map(({ column }) => column)).to.deep.equal([
      'id',
      'at',
      'who',
    ]);
    expect(() => select({ schema: 'public', name: 'made_meanwhile' })).to.throw('is not part of the masking plan');
    const columns = ['id', 'at', 'who', 'since'];
    expect(() => select({ schema: 'public', name: 'events_2024_0', columns })).to.throw(
      'events_2024_0.since is not part',
    );
    const rules =
      PATIENTS({}) +
      VISITS +
      REST.replace('keep: ["c: d", "#"]', '"c: d": name, "#": free-text').replace(
        'keep: [id, at, who]',
        'keep: [id, at], who: name',
      );
    const [row] = await maskedRows(db.url, { rules, table: 'public.events_2024_0' });
    expect(row?.who).to.match(/^[A-Z][a-z]{5}$/);
  });

  it('refuses rules for what is not there, with what was meant', async () => {
    expect(
      await problemsOf(
        db.url,
        `${PATIENTS({ names: 'name', full_name: 'name' })}  public.patient: no-rows\n  events: no-rows\n  public.events_2024_0: no-rows\n`,
      ),
    ).to.deep.equal([
      'public.patient.null: there is no such table; did you mean public.patients',
      'events.null: there is no such table; did you mean public.events',
      'public.events_2024_0.null: it is a partition; the rules of public.events hold for it',
      'public.patients.names: there is no such column; did you mean name',
      'public.patients.full_name: it is generated, and follows from the others: leave it out',
    ]);
  });

  for (const [what, rules, problem] of [
    [
      'a masker for another type',
      { born: 'email' },
      'public.patients.born: email does not fit the type date: use keep, null, fixed, sql, date-shift',
    ],
    [
      'a masker for labels',
      { feeling: 'name' },
      'public.patients.feeling: name does not fit the type public.mood: use keep, null, fixed, sql',
    ],
    ['NULL where none may be', { name: 'null' }, 'public.patients.name: null does not fit: the column is NOT NULL'],
    [
      'an expression that gives NULL there',
      { name: '{ sql: "nullif(name, name)" }' },
      'public.patients.name: the column is NOT NULL, and its rule gives NULL',
    ],
    [
      'a masker that makes values equal, in a unique key',
      { short: 'name' },
      'public.patients.short: name does not fit: patients_short_key is unique; use id-hash, email, or keep',
    ],
    [
      'one that is too short to stay unique',
      { short: 'id-hash' },
      'public.patients.short: id-hash does not fit: patients_short_key is unique, and 8 characters are too few for that (16)',
    ],
    [
      'an address that is too long',
      { short: 'email' },
      'public.patients.short: email needs 16 characters, and character varying(8) has 8',
    ],
    [
      'a fixed value that is too long',
      { short: '{ fixed: "123456789" }' },
      'public.patients.short: the fixed value has 9 characters, and the column takes 8',
    ],
    [
      'a fixed value that is none of the type',
      { amount: '{ fixed: much }' },
      'public.patients.amount: masked values do not fit the column (SQLSTATE 22P02)',
    ],
    [
      'a CHECK that masked values break',
      { name: 'name' },
      `public.patients.name: masked values break the constraint shouting: CHECK (name = upper(name))`,
    ],
    [
      'a CHECK on a generated column',
      { name: '{ fixed: "X" }' },
      `public.patients.null: masked values break the constraint long_name: CHECK (length(full_name) > 2)`,
    ],
    [
      'a domain that they break',
      { label: 'id-hash' },
      `public.patients.label: masked values break the constraint tidy_check of the column's type`,
    ],
    [
      'a key to shift by that is not there',
      { born: '{ date-shift: ID }' },
      'public.patients.born: date-shift goes by "ID", which is no column of the table',
    ],
    [
      'an expression that is none',
      { amount: '{ sql: "1 from patients" }' },
      'public.patients.amount: sql takes one expression over the columns of the table',
    ],
    [
      'one that leaves its brackets',
      { amount: '{ sql: "1), (select 2" }' },
      'public.patients.amount: the expression cannot be read: syntax error at or near ")"',
    ],
    [
      'one with a column that is not there',
      { amount: '{ sql: salary }' },
      'public.patients.amount: the server refuses it: column "salary" does not exist',
    ],
    [
      'one that fails on a value, without showing it',
      { amount: '{ sql: "name::int" }' },
      'public.patients.amount: masked values do not fit the column (SQLSTATE 22P02)',
    ],
    [
      'keys that no longer join',
      { id: 'id-hash' },
      'public.visits.patient: keep does not fit: by visits_patient_fkey it refers to public.patients.id, which has id-hash',
    ],
  ] as const) {
    it(`refuses ${what}`, async () => {
      // one rule is wrong in two ways
      expect(await patients(rules)).to.include(problem);
    });
  }

  it('tries what does not depend on rows also where there are none', async () => {
    const empty = await scratchDatabase(`create domain low as text check (value = lower(value));
      create table people (id int, name text check (name = upper(name)), mail text check (mail like '%@example.com'), phone text check (phone ~ '^[0-9]+$'))`);
    try {
      expect(
        await problemsOf(empty.url, '  public.people: { id: keep, name: name, mail: email, phone: phone }\n'),
      ).to.deep.equal([
        'public.people.name: masked values break the constraint people_name_check: CHECK (name = upper(name))',
      ]);
    } finally {
      await empty.drop();
    }
  });

  it('lets keys be masked on both sides, cut alike, and left out on one', async () => {
    const masked = PATIENTS({ id: 'id-hash', code: 'id-hash', born: '{ date-shift: id }' });
    const both =
      masked + VISITS.replace('keep: [patient, code, at]', 'patient: id-hash, code: id-hash, at: keep') + REST;
    expect(await problemsOf(db.url, both)).to.deep.equal([]);
    const select = selectionOf(await planFor(db.url, both));
    const code = (name: string) =>
      select({ schema: 'public', name })
        ?.find(({ column }) => column === 'code')
        ?.expression.replace(/::[^:]*$/, '');
    expect(code('visits')).to.equal(code('patients'));
    expect(
      await problemsOf(
        db.url,
        masked + VISITS.replace('keep: [patient, code, at]', 'patient: null, code: null, at: keep') + REST,
      ),
    ).to.deep.equal([]);
    expect(await problemsOf(db.url, `${masked}  public.visits: no-rows\n${REST}`)).to.deep.equal([]);
    expect(await problemsOf(db.url, `  public.patients: no-rows\n${VISITS}${REST}`)).to.have.members([
      'public.visits.patient: by visits_patient_fkey it refers to public.patients, whose rows are left out',
      'public.visits.code: by visits_code_fkey it refers to public.patients, whose rows are left out',
    ]);
  });

  it('keeps partitions and unique dates in their place', async () => {
    const rules = (events: string, at: string) =>
      PATIENTS({}) +
      VISITS.replace('keep: [patient, code, at]', `keep: [patient, code], at: ${at}`) +
      REST.replace('keep: [id, at, who]', events);
    expect(
      await problemsOf(db.url, rules('id: id-hash, at: { date-shift: who }, who: name', '{ date-shift: patient }')),
    ).to.have.members([
      'public.events.id: it decides in which partition a row is: only keep fits',
      'public.events.at: it decides in which partition a row is: only keep fits',
      'public.events.at: date-shift does not fit: events_pkey is unique; shift by one of its columns, or keep it',
    ]);
    const { problems, warnings } = await planFor(db.url, rules('keep: [id, at, who]', '{ date-shift: patient }'));
    expect(problems).to.deep.equal([]);
    expect(warnings).to.deep.equal([
      'public.visits.at: whether visits_daterange_excl still holds is only known when it is built.',
    ]);
    expect(await problemsOf(db.url, rules('keep: [id, at, who]', '{ date-shift: code }'))).to.deep.equal([
      'public.visits.at: date-shift does not fit: visits_patient_at_key is unique; shift by one of its columns, or keep it',
    ]);
  });

  it('tries tables whose indexes call functions that rely on the search_path', async () => {
    const own = await scratchDatabase(`
      create function helper(text) returns text language sql immutable as 'select lower($1)';
      create function with_helper(text) returns text language sql immutable as 'select helper($1)';
      create table people (id int, name text check (length(name) < 5));
      create index on people (with_helper(name));
      insert into people values (1, 'Anna')`);
    try {
      expect(await problemsOf(own.url, '  public.people: { id: keep, name: name }\n')).to.deep.equal([
        'public.people.name: masked values break the constraint people_name_check: CHECK (length(name) < 5)',
      ]);
      expect(await problemsOf(own.url, '  public.people: { id: keep, name: free-text }\n')).to.deep.equal([]);
    } finally {
      await own.drop();
    }
  });

  it('calls no function of users to try a rule', async () => {
    const own = await scratchDatabase(`
      create table calls (n int);
      create function noted(text) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
      create table people (id int, name text);
      insert into people values (1, 'Anna');
      alter table people add constraint watched check (noted(name)) not valid;
      update pg_constraint set convalidated = true where conname = 'watched';
      create domain watched as text check (value is null or noted(value));
      create table others (name watched);`);
    try {
      const { problems } = await planFor(
        own.url,
        '  public.people: { id: keep, name: name }\n  public.others: { name: name }\n  public.calls: no-rows\n',
      );
      expect(problems).to.deep.equal([]);
    } finally {
      await own.drop();
    }
  });
});

describe('masking rules', () => {
  const read = (text: string) => parseYamlRules(text, 'masking.yaml').catch((error: Error) => error.message);

  it('show ten mistakes: one line that is no YAML makes all those below it wrong', async () => {
    const columns = Array.from({ length: 30 }, (_, number) => `    column_${number}: keep\n`).join('');
    const message = String(
      await read(`  keep  { date-shift: <key column> }  { fixed: <value> }\n#\ntables:\n  public.a:\n${columns}`),
    );
    const lines = message.split('\n');
    expect(lines).to.have.length(11);
    expect(lines[0]).to.match(/^masking\.yaml:\d+:/);
    expect(lines[10]).to.match(/^And \d+ more\.$/);
  });

  for (const [what, text, message] of [
    [
      'a rule that there is not',
      'tables:\n  public.a:\n    b: emails\n',
      'masking.yaml:3:5: "emails" is no rule; did you mean email.',
    ],
    [
      'a shift without its key',
      'tables:\n  a.b: { c: date-shift }\n',
      'masking.yaml:2:10: date-shift needs the column that decides how far: { date-shift: patient_id }.',
    ],
    [
      'two rules for one column',
      'tables:\n  a.b:\n    c: keep\n    c: name\n',
      'masking.yaml:4:5: Map keys must be unique.',
    ],
    [
      'what is no YAML',
      'tables:\n  a.b: [\n',
      'masking.yaml:3:1: Flow sequence in block collection must be sufficiently indented and end with a ].',
    ],
    [
      'an alias',
      'tables:\n  a.b: &x { c: keep }\n  a.d: *x\n',
      'masking.yaml:3:8: aliases are not read here; write it out.',
    ],
    ['another word at the top', 'table:\n  a.b: no-rows\n', 'masking.yaml:1:1: '],
    [
      'two ways at once',
      'tables:\n  a.b: { c: { fixed: 1, sql: x } }\n',
      'masking.yaml:2:10: {"fixed":1,"sql":"x"} is no rule; there are keep, null, email',
    ],
    [
      'a list that keeps nothing',
      'tables:\n  a.b:\n    drop: [c]\n',
      'masking.yaml:3:5: only keep takes a list of columns.',
    ],
    [
      'what is no digest',
      '# first\ntables: {}\nliterals:\n  default a.b.c: keep\n',
      'masking.yaml:4:3: default a.b.c takes the digest that masking check prints: 8 to 64 hex digits.',
    ],
    [
      'one definition twice',
      'tables: {}\nliterals:\n  default a.b.c: 01234567\n  "default a.b.c": 01234567\n',
      'masking.yaml:4:3: Map keys must be unique.',
    ],
    [
      'another way with comments',
      'tables: {}\nliterals:\n  comments: all\n',
      'masking.yaml:3:3: comments are left out with none; else take the line out.',
    ],
    [
      'no definition',
      'tables: {}\nliterals: [default a.b.c]\n',
      'masking.yaml:2:1: it takes names of definitions with their digests.',
    ],
  ] as const) {
    it(`say where there is ${what}`, async () => {
      expect(await read(text))
        .to.be.a('string')
        .that.satisfies((said: string) => said.startsWith(message), message);
    });
  }

  it('tell nothing from null, and have the same checksum however they are written', async () => {
    const one = await parseYamlRules('tables:\n  a.b: { c: null, d: , e: ~, f: "null" }\n  a.c: no-rows', 'x');
    expect(one.tables[0]?.columns.map(({ rule }) => rule?.kind ?? null)).to.deep.equal(['null', null, 'null', 'null']);
    const other = await parseYamlRules(
      '# why\ntables:\n  a.c: no-rows\n  a.b:\n    d:\n    f: ~\n    e: null\n    c: null # never',
      'y',
    );
    expect(other.checksum)
      .to.equal(one.checksum)
      .and.match(/^[0-9a-f]{64}$/);
    expect((await parseYamlRules('tables:\n  a.b: { c: keep }', 'x')).checksum).not.to.equal(one.checksum);
  });

  it('read digests as they stand there, also those that look like numbers', async () => {
    const { literals, checksum } = await parseYamlRules(
      '# why\nliterals:\n  default a.b.c: 00123456\n  default a.b.d: 1234e567\n  check a.b.e:\n  comments: none\ntables: {}\n',
      'x',
    );
    expect(literals.hasComments).to.equal(false);
    expect(literals.acknowledged.map(({ digest }) => digest)).to.deep.equal(['00123456', '1234e567', null]);
    const nothing = await parseYamlRules('tables: {}\nliterals:\n', 'x');
    expect(nothing.literals).to.deep.equal({ hasComments: true, acknowledged: [] });
    expect(nothing.checksum).not.to.equal(checksum);
  });
});
