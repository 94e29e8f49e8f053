// Databases of about 1 GB to measure with, and for tests of what is large: made by the server, in seconds.

/** 50,000 sentences of words that are as unevenly frequent as those of a language: they compress as text does. */
const WORDS = `
  select setseed(0.5);
  create function pick(seed bigint, size int) returns int language sql immutable parallel safe
    return 1 + (hashint8extended(seed, 7) & 2147483647)::int % size;
  create function word(n int) returns text language sql immutable parallel safe
    return syllable(n % 20) || syllable(n / 20 % 20) || case when n % 3 > 0 then syllable(n / 400 % 20) else '' end;
  create temporary table phrases as
    select m as place, string_agg(word((8000 * random() ^ 3)::int), ' ') || '. ' as s
    from generate_series(1, 50000) m, generate_series(1, 8 + m % 7) group by m;
  analyze phrases`;
const SYLLABLE = `
  create function syllable(n int) returns text language sql immutable parallel safe return (array['con', 'ta', 'ri', 'do', 'lum',
    'ven', 'ster', 'a', 'mi', 'ge', 'pul', 'no', 'card', 'i', 'tis', 'er', 'o', 'blut', 'druck', 'ung'])[n + 1]`;

const text = (sentences: number): string => sequence(sentences, (index) => `p${index}.s`).join(' || ');
const phrases = (sentences: number): string =>
  sequence(sentences, (index) => `join phrases p${index} on p${index}.place = pick(n * 31 + ${index}, 50000)`).join(
    ' ',
  );

function sequence(length: number, write: (index: number) => string): string[] {
  return Array.from({ length }, (_, index) => write(index));
}

/** A clinic's: people, what was done, what was written, what was measured, what it cost. */
const TABLES = `
  create table patients (id uuid primary key, first_name text, last_name text, born_on date, email text, phone text, address jsonb,
    is_active boolean, created_at timestamptz);
  insert into patients select md5('p' || n)::uuid, initcap(word(pick(n * 100 + 1, 900))), initcap(word(pick(n * 100 + 2, 7999))),
    date '1930-01-01' + pick(n * 100 + 3, 33000), word(pick(n * 100 + 4, 7999)) || n || '@example.org', '+49 30 ' || pick(n * 100 + 5, 99999999),
    jsonb_build_object('street', initcap(word(pick(n * 100 + 6, 7999))), 'number', pick(n * 100 + 7, 200), 'city', word(pick(n * 100 + 8, 100)), 'zip', pick(n * 100 + 9, 99999)),
    n % 9 > 0, timestamptz '2015-01-01' + pick(n * 100 + 10, 300000000) * interval '1 s' from generate_series(1, 200000) n;
  create table visits (id bigint primary key, patient_id uuid, doctor_id int, ward text, started_at timestamptz, ended_at timestamptz,
    reason text, status text);
  insert into visits select n, md5('p' || pick(n * 100 + 11, 200000))::uuid, pick(n * 100 + 12, 300), 'Ward ' || pick(n * 100 + 13, 20),
    timestamptz '2015-01-01' + n * interval '5 min', timestamptz '2015-01-01' + (n + 3) * interval '5 min', ${text(1)},
    (array['planned', 'done', 'cancelled'])[pick(n * 100 + 14, 3)] from generate_series(1, 1000000) n ${phrases(1)};
  create table notes (id bigint primary key, visit_id bigint, author text, written_at timestamptz, body text);
  insert into notes select n, pick(n * 100 + 15, 1000000), initcap(word(pick(n % 300, 7999))), timestamptz '2015-01-01' + n * interval '11 min',
    ${text(7)} from generate_series(1, 600000) n ${phrases(7)};
  create table results (id uuid primary key, visit_id bigint, code text, value numeric(12,4), unit text, measured_at timestamptz, details jsonb);
  insert into results select md5('r' || n)::uuid, pick(n * 100 + 16, 1000000), 'LAB-' || pick(n * 100 + 17, 400), pick(n * 100 + 18, 1000000) / 1000.0,
    (array['mg/dl', 'mmol/l', 'U/l', '%'])[pick(n * 100 + 19, 4)], timestamptz '2015-01-01' + n * interval '4 min',
    jsonb_build_object('device', pick(n * 100 + 20, 40), 'low', pick(n * 100 + 21, 50), 'high', 50 + pick(n * 100 + 22, 50), 'flags', jsonb_build_array(word(pick(n * 100 + 23, 60)), n % 7 = 0))
    from generate_series(1, 900000) n;
  create table invoices (id bigint primary key, patient_id uuid, issued_on date, amount numeric(10,2), lines jsonb);
  insert into invoices select n, md5('p' || pick(n * 100 + 24, 200000))::uuid, date '2015-01-01' + n / 200, pick(n * 100 + 25, 90000) / 100.0,
    jsonb_build_array(jsonb_build_object('item', word(pick(n * 100 + 26, 900)), 'price', pick(n * 100 + 27, 5000) / 100.0),
      jsonb_build_object('item', word(pick(n * 100 + 28, 900)), 'price', pick(n * 100 + 29, 5000) / 100.0)) from generate_series(1, 400000) n;
  create index on visits (patient_id);
  create index on results (visit_id)`;

const NOTES = `
  create table notes (id bigint primary key, patient_id uuid, written_at timestamptz, amount numeric(10,2), details jsonb, body text);
  insert into notes select n, md5('p' || pick(n * 100 + 30, 200000))::uuid, timestamptz '2015-01-01' + n * interval '11 min', pick(n * 100 + 31, 90000) / 100.0,
    jsonb_build_object('device', pick(n * 100 + 32, 40), 'flags', jsonb_build_array(word(pick(n * 100 + 33, 60)), n % 7 = 0)), ${text(6)}
    from generate_series(1, 1500000) n ${phrases(6)}`;

/** Statements that make a clinic's database: several tables of different sizes. */
export const CLINIC = [SYLLABLE, WORDS, TABLES];

/** Statements that make a database of one table, which is all that there is to be dumped. */
export const ONE_TABLE = [SYLLABLE, WORDS, NOTES];
