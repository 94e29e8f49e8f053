import { expect } from 'chai';
import pg from 'pg';
import { parseTree } from '../../../app/services/sql-script/parse-tree.js';
import { statementLocks } from '../../../app/services/sql-script/statement-locks.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const CLINIC = `
  create table patients (id int primary key, name text default '', ward int, born date);
  create table wards (id int primary key, name text);
  create table visits (id int primary key, patient_id int);
  create table logs (id int, at date) partition by range (at);
  create table logs_1 partition of logs for values from ('2020-01-01') to ('2021-01-01');
  create table logs_2 (id int, at date);
  create table parents (id int); create table children () inherits (parents);
  create table strays (id int);
  create index patients_name on patients (name);
  create sequence numbers;
  create view named as select id, name from patients;
  create materialized view counted as select ward, count(*) from patients group by 1;
  create unique index counted_ward on counted (ward);
  alter table visits add constraint visits_patient foreign key (patient_id) references patients not valid;
  alter table visits add constraint visits_id check (id > 0) not valid;
  create function f() returns trigger language plpgsql as 'begin return new; end';
  create trigger touched before insert on patients for each row execute function f();
  create policy seen on patients;
  create rule quiet as on delete to wards do instead nothing;
`;

/** One of each kind that takes a lock on what it names. */
const STATEMENTS = [
  'select * from patients p join wards using (id)',
  'with w as (select * from wards) select * from w',
  'select * from patients for update',
  'insert into patients (id) select id from wards',
  'update patients set name = wards.name from wards where wards.id = ward',
  'delete from visits where patient_id in (select id from wards)',
  'with gone as (delete from visits returning id) select * from gone join wards using (id)',
  'merge into strays using wards on wards.id = strays.id when matched then do nothing',
  `copy patients to '/dev/null'`,
  'truncate strays, children',
  'lock table patients in share mode',
  'lock table patients',
  'create table a (id int references patients (id))',
  'create table a (like patients including all)',
  'create table a () inherits (parents)',
  `create table a partition of logs for values from ('2021-01-01') to ('2022-01-01')`,
  'create table a as select * from patients',
  'create view a as select * from patients',
  'create or replace view named as select id, name from patients',
  'create materialized view a as select * from patients',
  'refresh materialized view counted',
  'refresh materialized view concurrently counted',
  'create index on patients (ward)',
  'reindex table patients',
  'reindex index patients_name',
  'cluster patients using patients_name',
  'analyze patients',
  'create trigger t before insert on patients for each row execute function f()',
  'create constraint trigger t after insert on patients from wards for each row execute function f()',
  'create rule r as on delete to visits do instead nothing',
  'create policy p on wards',
  'alter policy seen on patients to public',
  'create statistics s on id, name from patients',
  `comment on table patients is 'x'`,
  `comment on column patients.name is 'x'`,
  `comment on index patients_name is 'x'`,
  `comment on trigger touched on patients is 'x'`,
  `comment on constraint visits_id on visits is 'x'`,
  'create publication pub for table patients',
  'alter table patients add column a int',
  'alter table patients add column a int references wards (id)',
  'alter table patients drop column born',
  'alter table strays alter column id type bigint',
  'alter table patients alter column name set not null',
  `alter table patients alter column name set default 'x'`,
  'alter table patients alter column name set statistics 100',
  'alter table patients alter column name set (n_distinct = 5)',
  'alter table patients set (fillfactor = 90)',
  'alter table patients reset (fillfactor)',
  'alter table patients cluster on patients_name',
  'alter table patients set without cluster',
  'alter table patients add constraint c check (id > 0)',
  'alter table patients add constraint c check (id > 0) not valid',
  'alter table patients add constraint c unique (name)',
  'alter table patients add constraint c foreign key (ward) references wards (id)',
  'alter table patients add constraint c foreign key (ward) references wards (id) not valid',
  'alter table visits validate constraint visits_id',
  'alter table visits drop constraint visits_id',
  'alter table patients disable trigger touched',
  'alter table patients disable trigger user',
  'alter table patients enable always trigger touched',
  'alter table patients enable row level security',
  'alter table wards disable rule quiet',
  'alter table patients replica identity full',
  'alter table strays set unlogged',
  'alter table patients owner to current_user',
  'alter table children no inherit parents',
  'alter table logs detach partition logs_1',
  `alter table logs attach partition logs_2 for values from ('2022-01-01') to ('2023-01-01')`,
  'alter table patients rename to people',
  'alter table patients rename column name to called',
  'alter table visits rename constraint visits_id to c',
  'alter index patients_name rename to i',
  'alter index patients_name set (fillfactor = 90)',
  'alter trigger touched on patients rename to t',
  'alter policy seen on patients rename to p',
  'alter view named rename to v',
  'alter table patients set schema information_schema',
  'alter sequence numbers increment 2',
  'drop table strays',
  'drop view named',
  'drop materialized view counted',
  'drop sequence numbers',
  'drop index patients_name',
  'drop trigger touched on patients',
  'drop policy seen on patients',
  'drop rule quiet on wards',
  'alter table patients inherit parents',
];

describe('the locks of a statement', () => {
  let db: ScratchDatabase;
  let client: pg.Client;
  before(async () => {
    db = await scratchDatabase(CLINIC);
    client = new pg.Client({ connectionString: db.url });
    await client.connect();
  });
  after(async () => {
    await client.end();
    await db.drop();
  });

  /** What PostgreSQL holds on each of the relations that the fixture has made, `name: MODE`. */
  async function takenBy(sql: string): Promise<{ readonly taken: readonly string[]; readonly failed: string | null }> {
    await client.query('begin');
    try {
      // names are read before: the statement may rename
      const { rows: names } = await client.query<{ oid: number; name: string }>(
        `select oid::int, relname as name from pg_class where relnamespace = 'public'::regnamespace`,
      );
      await client.query('savepoint before');
      await client.query(sql);
      const { rows } = await client.query<{ oid: number; mode: string }>(
        `select relation::int as oid, mode from pg_locks
         where pid = pg_backend_pid() and locktype = 'relation' and database = (select oid from pg_database where datname = current_database())`,
      );
      const taken = rows.flatMap(({ oid, mode }) => {
        const known = names.find((one) => one.oid === oid);
        return known === undefined ? [] : [`${known.name}: ${words(mode)}`];
      });
      return { taken, failed: null };
    } catch (error) {
      return { taken: [], failed: String(error) };
    } finally {
      await client.query('rollback');
    }
  }

  for (const sql of STATEMENTS) {
    it(`are those that PostgreSQL takes: ${sql}`, async () => {
      const { taken, failed } = await takenBy(sql);
      const outcome = await parseTree(sql);
      const node = outcome.kind === 'tree' ? outcome.statements[0]?.stmt : undefined;
      if (node === undefined) throw new Error('not read');
      expect(failed).to.equal(null);
      const said = statementLocks(node).map(({ name, mode }) => `${name}: ${mode}`);
      expect(said).to.not.deep.equal([]);
      expect(taken).to.include.members(said);
      // and nothing stronger on the same
      for (const one of statementLocks(node)) {
        const modes = taken.filter((lock) => lock.startsWith(`${one.name}: `)).map((lock) => lock.split(': ')[1]);
        expect(ORDER.indexOf(one.mode), `${one.name}: ${modes.join(', ')}`).to.equal(
          Math.max(...modes.map((mode) => ORDER.indexOf(mode ?? ''))),
        );
      }
    });
  }
});

const ORDER = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
];

/** `AccessExclusiveLock` of pg_locks as LOCK TABLE calls it. */
function words(mode: string): string {
  return mode
    .replace(/Lock$/, '')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase();
}
