import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import {
  type ComparedDatabases,
  type CompareOptions,
  compareDatabases,
  type DefinitionDifference,
} from '../../../app/core/db-operations/compare.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';
import { HOSTILE_CHANGES } from './compare/hostile-changes.js';
import { HOSTILE_SEARCH_PATH, hostileDatabase, withHostileRoles } from './round-trip/hostile-database.js';

const CLINIC = `
  create schema clinic;
  create schema billing;
  create table clinic.patients (id int generated always as identity primary key, name text not null, email varchar(80));
  create table clinic.visits (id bigserial, at date not null, patient int references clinic.patients) partition by range (at);
  create table clinic.visits_2026 partition of clinic.visits for values from ('2026-01-01') to ('2027-01-01');
  create table billing.bills (id int primary key, amount numeric not null check (amount > 0));
  create view billing.open_bills as select id from billing.bills where amount > 10;
  create function clinic.touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before update on clinic.patients for each row execute function clinic.touch();
  insert into clinic.patients (name) select 'patient ' || n from generate_series(1, 300) n;
  insert into clinic.visits (at, patient) select date '2026-01-01' + n, n from generate_series(1, 300) n;
  insert into billing.bills select n, n from generate_series(1, 50) n`;

describe('comparing two databases', () => {
  let from: ScratchDatabase;
  let to: ScratchDatabase;
  let workspace: ScratchWorkspace;

  /** Two databases with the same SQL executed in them, `testing` and `development`. */
  const prepare = async (sql: string): Promise<void> => {
    [from, to] = [await scratchDatabase(sql), await scratchDatabase(sql)];
    workspace = scratchWorkspace();
    useUrls(from.url, to.url);
  };
  const useUrls = (testing: string, development: string): void =>
    workspace.write({
      '.env.testing': `TESTING_DATABASE_URL='${testing}'\n`,
      '.env.development': `DEVELOPMENT_DATABASE_URL='${development}'\n`,
    });
  afterEach(async () => {
    await workspace.remove();
    await from.drop();
    await to.drop();
  });

  const compare = (options: Partial<CompareOptions> = {}): Promise<ComparedDatabases> =>
    workspace.run(() => compareDatabases({ from: 'testing', to: 'development', ...options }));
  const failure = (work: Promise<unknown>): Promise<ManageDbError> =>
    work.then(
      () => expect.fail('it succeeded'),
      (error: ManageDbError) => error,
    );

  describe('of a clinic', () => {
    beforeEach(() => prepare(CLINIC));

    it('finds them equal, and says how much was compared', async () => {
      const { isEqual, definitions, contents, notCompared, differences } = await compare({ data: true });
      expect({ isEqual, differences, notCompared, found: definitions.differences }).to.deep.equal({
        isEqual: true,
        differences: 0,
        notCompared: [],
        found: [],
      });
      expect(definitions.compared).to.be.greaterThan(30);
      expect(contents?.tables.map(({ name, state, from: one }) => [name, state, one?.rows])).to.deep.equal([
        ['bills', 'equal', 50],
        ['patients', 'equal', 300],
        ['visits_2026', 'equal', 300],
      ]);
      expect(contents?.sequences.map(({ name, state }) => [name, state])).to.deep.equal([
        ['patients_id_seq', 'equal'],
        ['visits_id_seq', 'equal'],
      ]);
    });

    it('says what only one of them has, what differs, and the DDL that leads from one to the other', async () => {
      await to.query(`
        drop table billing.bills cascade;
        create table billing.extra (id int);
        alter table clinic.patients alter email type text, drop constraint patients_pkey cascade;
        create or replace function clinic.touch() returns trigger language plpgsql as 'begin return null; end'`);
      const { definitions, isEqual } = await compare();
      expect(isEqual).to.equal(false);
      expect(linesOf(definitions.differences)).to.include.members([
        'only_in_from table billing.bills',
        'only_in_from view billing.open_bills',
        'only_in_to table billing.extra',
        'only_in_from constraint patients_pkey on clinic.patients',
        'different column clinic.patients.email type: character varying(80) → text',
      ]);
      expect(definitions.differences.find(({ kind }) => kind === 'function')?.changes[0]?.property).to.equal(
        'definition',
      );
      expect(definitions.differences.find(({ name }) => name === 'billing.bills.amount')).to.include({ isPart: true });
      const { settings, statements } = definitions.ddl;
      expect(statements.filter(({ isDestructive }) => isDestructive).map(({ sql }) => sql)).to.deep.equal([
        'DROP TABLE "billing"."extra"',
      ]);
      await to.query(
        [...settings.map(({ name, value }) => `set ${name} = ${value}`), ...statements.map(({ sql }) => sql)].join(
          ';\n',
        ),
      );
      expect((await compare()).definitions.differences).to.deep.equal([]);
    });

    it('finds one changed value, one row more, a sequence that has moved', async () => {
      await to.query(`
        update clinic.patients set name = 'Patient 7' where id = 7;
        insert into billing.bills values (51, 1);
        select nextval('clinic.visits_id_seq')`);
      const { contents, differences } = await compare({ data: true });
      expect(differences).to.equal(3);
      const [bills, patients, visits] = contents?.tables ?? [];
      expect([bills?.state, bills?.from?.rows, bills?.to?.rows]).to.deep.equal(['different', 50, 51]);
      expect([patients?.state, patients?.from?.rows, patients?.to?.rows]).to.deep.equal(['different', 300, 300]);
      expect(visits?.state).to.equal('equal');
      expect(contents?.sequences.filter(({ state }) => state === 'different')).to.deep.equal([
        {
          schema: 'clinic',
          name: 'visits_id_seq',
          state: 'different',
          from: { lastValue: '300', isCalled: true },
          to: { lastValue: '301', isCalled: true },
        },
      ]);
      expect(await compare()).to.include({ isEqual: true, contents: null });
    });

    it('does not care in which order the rows lie, or how they are partitioned on the disk', async () => {
      await to.query(`
        create table clinic.sorted as select * from clinic.patients order by id desc;
        truncate clinic.patients cascade;
        insert into clinic.patients overriding system value select * from clinic.sorted;
        drop table clinic.sorted;
        insert into clinic.visits select generate_series(1, 300), date '2026-01-01' + generate_series(1, 300), generate_series(1, 300)`);
      expect(await compare({ data: true })).to.include({ isEqual: true });
    });

    it('sees one moment of each, whatever is committed meanwhile', async () => {
      await withClient(to.url, async (writer) => {
        await writer.query(`begin; update clinic.patients set name = 'x'; lock table clinic.patients`);
        const commit = () => void writer.query('commit').catch(() => undefined);
        const compared = await compare({
          data: true,
          onProgress: ({ step }) => void (step.startsWith('comparing the rows') && setTimeout(commit, 300)),
        });
        expect(compared).to.include({ isEqual: true });
      });
      const { contents } = await compare({ data: true });
      expect(contents?.tables[1]).to.deep.include({ name: 'patients', state: 'different' });
    });

    it('leaves out what manage_db knows about each, unless that is asked for', async () => {
      await withClient(from.url, (client) => stampAs(client, 'testing'));
      expect(await compare({ data: true })).to.include({ isEqual: true });
      await withClient(to.url, (client) => stampAs(client, 'development'));
      expect(await compare({ data: true })).to.include({ isEqual: true });
      const { definitions, contents } = await compare({ data: true, schemas: ['manage_db'] });
      expect(definitions.differences).to.deep.equal([]);
      expect(contents?.tables.find(({ name }) => name === 'identity')?.state).to.equal('different');
      expect(contents?.tables.filter(({ schema }) => schema !== 'manage_db')).to.deep.equal([]);
    });

    it('plans nothing for what manage_db has in one of them', async () => {
      await from.query(`create extension hstore; alter table billing.bills add tags hstore`);
      await withClient(from.url, (client) => stampAs(client, 'testing'));
      const { ddl } = (await compare()).definitions;
      expect(ddl.statements.map(({ sql }) => sql).filter((sql) => /manage_db|ROLE/.test(sql))).to.deep.equal([]);
      expect(ddl.statements.map(({ sql }) => sql).join('\n'))
        .to.contain('CREATE EXTENSION "hstore"')
        .and.contain('tags');
    });

    it('compares some schemas or some tables, with partitions and sequences', async () => {
      await to.query(`
        drop view billing.open_bills; update billing.bills set amount = 3;
        alter table clinic.visits add note text; delete from clinic.visits where id = 5; select nextval('clinic.visits_id_seq');
        comment on table clinic.patients is 'x'`);
      const billing = await compare({ data: true, schemas: ['billing'] });
      expect(linesOf(billing.definitions.differences)).to.deep.equal(['only_in_from view billing.open_bills']);
      expect(billing.contents?.tables.map(({ name }) => name)).to.deep.equal(['bills']);
      expect(billing.contents).to.include({ largeObjects: null });
      expect(billing.definitions.ddl.statements.map(({ sql }) => sql).join())
        .to.contain('open_bills')
        .and.not.contain('note');

      const visits = await compare({ data: true, tables: ['visits'] });
      expect(linesOf(visits.definitions.differences)).to.deep.equal(['only_in_to column clinic.visits.note']);
      expect(visits.contents?.tables.map(({ name, state }) => [name, state])).to.deep.equal([
        ['visits_2026', 'different'],
      ]);
      expect(visits.contents?.sequences.map(({ name, state }) => [name, state])).to.deep.equal([
        ['visits_id_seq', 'different'],
      ]);

      const view = await compare({ tables: ['billing.open_bills'] });
      expect(linesOf(view.definitions.differences)).to.deep.equal(['only_in_from view billing.open_bills']);
      await from.query('create schema later; create table later.t (id int)');
      const later = await compare({ tables: ['later.t'] });
      expect(linesOf(later.definitions.differences)).to.deep.equal(['only_in_from table later.t']);
      expect(await failure(compare({ tables: ['clinic.nothing'] }))).to.include({ code: 'NOT_FOUND' });
      expect((await failure(compare({ schemas: ['clinics'] }))).message).to.match(
        /^Neither testing nor development has a schema clinics\./,
      );
    });

    it('compares owners and grants, unless they are left out', async () => {
      const login = await scratchLogin('comparer');
      try {
        await to.query(`
          alter table billing.bills owner to ${login.user};
          grant select on clinic.patients to ${login.user};
          alter default privileges in schema clinic grant select on tables to ${login.user}`);
        const kinds = async (without: string[]) =>
          [...new Set((await compare({ without })).definitions.differences.map(({ kind }) => kind))].sort();
        expect(await kinds([])).to.deep.equal(['default privileges', 'grants', 'table']);
        expect(await kinds(['owners'])).to.deep.equal(['default privileges', 'grants']);
        expect(await kinds(['grants'])).to.deep.equal(['table']);
        expect(await compare({ data: true, without: ['owners', 'grants'] })).to.include({ isEqual: true });
      } finally {
        await to.query(`drop owned by ${login.user} cascade`);
        await dropLogins(login);
      }
    });

    it('is refused for one and the same database, and for what makes no sense', async () => {
      useUrls(from.url, `${from.url}?application_name=other`);
      const same = await failure(compare());
      expect(same).to.include({ code: 'USAGE', exitCode: 2 });
      expect(same.message).to.contain('testing and development are one and the same database');
      for (const options of [
        { to: 'testing' },
        { to: 'test' },
        { to: '' },
        { schemas: ['clinic'], tables: ['visits'] },
        { without: ['rows'] },
      ]) {
        expect((await failure(compare(options))).code, JSON.stringify(options)).to.equal('USAGE');
      }
      useUrls(from.url, testUrl('clinic_that_is_gone'));
      const missing = await failure(compare());
      expect(missing).to.include({ code: 'DATABASE_MISSING', exitCode: 1 });
      expect(missing.message).to.contain('clinic_that_is_gone');
    });

    it('never calls equal what the login could not read, and needs no more than reading', async () => {
      await from.query(`select lo_from_bytea(1, 'mine')`);
      await to.query(`select lo_from_bytea(1, 'other')`);
      const login = await scratchLogin('reader');
      const asReader = (database: ScratchDatabase) => testUrl(database.name, login);
      try {
        for (const database of [from, to])
          await database.query(`
            grant usage on schema clinic, billing to ${login.user};
            grant select on all tables in schema clinic, billing to ${login.user};
            grant select on all sequences in schema clinic to ${login.user};
            grant select on large object 1 to ${login.user}`);
        await to.query(`select lo_unlink(1), lo_from_bytea(1, 'mine')`);
        await to.query(`grant select on large object 1 to ${login.user}`);
        useUrls(asReader(from), asReader(to));
        expect(await compare({ data: true })).to.include({ isEqual: true });

        await to.query(`revoke all on billing.bills, clinic.visits_id_seq from ${login.user}`);
        await to.query(`alter table clinic.patients enable row level security`);
        for (const database of [from, to]) await database.query(`revoke all on large object 1 from ${login.user}`);
        await from.query(`alter table clinic.patients enable row level security`);
        await to.query(`delete from billing.bills`);
        const { isEqual, contents, notCompared } = await compare({ data: true, without: ['grants'] });
        expect(isEqual).to.equal(false);
        expect(contents?.tables.map(({ name, state }) => [name, state])).to.deep.equal([
          ['bills', 'not_compared'],
          ['patients', 'not_compared'],
          ['visits_2026', 'equal'],
        ]);
        expect(notCompared.map(({ what, name, environment }) => `${what} ${name} in ${environment}`)).to.have.members([
          'rows clinic.patients in testing',
          'rows billing.bills in development',
          'rows clinic.patients in development',
          'sequence clinic.visits_id_seq in development',
          'large objects 1 in testing, development',
        ]);
      } finally {
        for (const database of [from, to]) await database.query(`drop owned by ${login.user} cascade`);
        await dropLogins(login);
      }
    });

    it('never calls equal a user mapping that the login may not see', async () => {
      const login = await scratchLogin('reader');
      try {
        for (const database of [from, to])
          await database.query(`
            create foreign data wrapper nothing; create server away foreign data wrapper nothing;
            create user mapping for public server away options (user 'x')`);
        expect(await compare()).to.include({ isEqual: true });
        useUrls(testUrl(from.name, login), testUrl(to.name, login));
        const { isEqual, differences, notCompared } = await compare();
        expect({ isEqual, differences }).to.deep.equal({ isEqual: false, differences: 0 });
        expect(notCompared.map(({ what, name, environment }) => `${what} ${name} in ${environment}`)).to.deep.equal([
          'user mapping of public on away in testing',
          'user mapping of public on away in development',
        ]);
      } finally {
        await dropLogins(login);
      }
    });

    it('writes nothing, into the operation log either', async () => {
      await withClient(from.url, (client) => stampAs(client, 'testing'));
      const entries = async () => (await from.query('select from manage_db.operation_log')).rowCount;
      const before = await entries();
      await compare({ data: true });
      expect(await entries()).to.equal(before);
    });

    it('ends at once when it is interrupted, or when one side is lost', async () => {
      await from.query(`create table clinic.slow (id int); insert into clinic.slow values (1)`);
      await to.query(`create table clinic.slow (id int); insert into clinic.slow values (1)`);
      await withClient(to.url, async (blocker) => {
        await blocker.query('begin; lock table clinic.slow');
        const controller = new AbortController();
        const startedAt = Date.now();
        const interrupted = failure(
          compare({
            data: true,
            signal: controller.signal,
            onProgress: ({ step }) =>
              void (step.startsWith('comparing the rows') && setTimeout(() => controller.abort(), 200)),
          }),
        );
        expect(await interrupted).to.include({
          code: 'INTERRUPTED',
          exitCode: 130,
          message: 'Interrupted. Nothing was changed.',
        });
        const lost = failure(
          compare({
            data: true,
            onProgress: ({ step }) =>
              void (
                step.startsWith('comparing the rows') &&
                setTimeout(
                  () =>
                    void onServer((server) =>
                      server.query(
                        `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
                        [to.name],
                      ),
                    ),
                  500,
                )
              ),
          }),
        );
        expect((await lost).message).to.match(/Nothing was changed\.$/);
        expect(Date.now() - startedAt).to.be.lessThan(20_000);
      });
    });

    it('compares large objects piece by piece, whatever is missing between them', async () => {
      const many = `
        select lo_from_bytea(n, decode(md5(n::text), 'hex')) from generate_series(10, 700) n;
        select lo_from_bytea(9, convert_to(repeat('0123456789abcdef', 300000), 'UTF8')), lo_from_bytea(8, '')`;
      await from.query(many);
      await to.query(many);
      expect((await compare({ data: true })).contents?.largeObjects).to.deep.equal({
        compared: 693,
        different: 0,
        unreadable: 0,
        differences: [],
      });
      await to.query(`
        select lo_unlink(n) from generate_series(100, 299) n;
        select lo_put(9, 4500000, 'x'), lo_put(10, 3, 'x'), lo_from_bytea(5000, 'new')`);
      await to.query(`comment on large object 11 is 'x'; grant select on large object 12 to public`);
      const { largeObjects } = (await compare({ data: true })).contents ?? {};
      expect(largeObjects).to.include({ compared: 493, different: 205 });
      const changed = largeObjects?.differences.filter(({ state }) => state !== 'only_in_from');
      expect(changed).to.deep.equal([
        { oid: 9, state: 'different', changes: ['contents'] },
        { oid: 10, state: 'different', changes: ['contents'] },
        { oid: 11, state: 'different', changes: ['comment'] },
        { oid: 12, state: 'different', changes: ['grants'] },
        { oid: 5000, state: 'only_in_to', changes: [] },
      ]);
    });

    it('tells no secret of foreign servers and tables, and sees that they differ', async () => {
      const foreign = (canary: string) => `
        create foreign data wrapper nothing;
        create server away foreign data wrapper nothing options (host 'db1', secret '${canary}');
        create foreign table clinic.far (id int options (token '${canary}')) server away options (apikey '${canary}');
        create user mapping for public server away options (password '${canary}')`;
      await from.query(foreign('canary-one'));
      await to.query(foreign('canary-two'));
      const compared = await compare();
      expect(JSON.stringify(compared)).not.to.contain('canary');
      expect(linesOf(compared.definitions.differences)).to.deep.equal([
        'different column clinic.far.id options (not shown): null → null',
        'different foreign table clinic.far options (not shown): null → null',
        'different server away options (not shown): null → null',
      ]);
    });
  });

  describe('of a hostile database', () => {
    withHostileRoles();

    it('finds it equal to what its backup is restored to', async () => {
      await prepare('');
      await from.query(hostileDatabase());
      for (const { name } of [from, to])
        await onServer((server) => server.query(`alter database ${name} set search_path = ${HOSTILE_SEARCH_PATH}`));
      await withClient(from.url, (client) => stampAs(client, 'testing'));
      await withClient(to.url, (client) => stampAs(client, 'development'));
      const { id } = await workspace.run(() => backupDatabase({ env: 'testing' }));
      await workspace.run(() =>
        restoreDatabase({ env: 'development', fromEnvironment: 'testing', id, consent: { yes: true } }),
      );
      const { isEqual, differences, definitions, contents } = await compare({ data: true });
      expect(linesOf(definitions.differences)).to.deep.equal([]);
      expect(contents?.tables.filter(({ state }) => state !== 'equal')).to.deep.equal([]);
      expect(contents?.largeObjects).to.include({ compared: 3, different: 0 });
      expect({ isEqual, differences }).to.deep.equal({ isEqual: true, differences: 0 });
    });

    it('finds every change of every kind', async () => {
      await prepare('');
      await dropDatabase(to.name);
      await from.query(hostileDatabase());
      await onServer((server) => server.query(`create database ${to.name} template ${from.name}`));
      for (const { name } of [from, to])
        await onServer((server) => server.query(`alter database ${name} set search_path = ${HOSTILE_SEARCH_PATH}`));
      expect((await compare({ data: true })).isEqual).to.equal(true);
      for (const { sql } of HOSTILE_CHANGES) await to.query(sql);
      const found = linesOf((await compare()).definitions.differences);
      const unseen = HOSTILE_CHANGES.filter(({ difference }) => !found.some((line) => line.startsWith(difference)));
      expect(unseen, found.join('\n')).to.deep.equal([]);
    });
  });
});

/** One line a difference that is not a part of another. */
function linesOf(differences: readonly DefinitionDifference[]): string[] {
  return differences
    .filter(({ isPart }) => !isPart)
    .map(({ state, kind, name, changes }) => {
      const words = changes.map(({ property, from, to }) => ` ${property}: ${String(from)} → ${String(to)}`);
      return `${state} ${kind} ${name}${words.join(';')}`;
    });
}
