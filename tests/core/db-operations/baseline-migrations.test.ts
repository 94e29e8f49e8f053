import { expect } from 'chai';
import { type BaselineOptions, baselineMigrations } from '../../../app/core/db-operations/baseline-migrations.js';
import { initDb } from '../../../app/core/db-operations/initialize.js';
import { showMigrations } from '../../../app/core/db-operations/show-migrations.js';
import { ADVISORY_LOCKS } from '../../../app/database/advisory-locks.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

const table = (name: string) =>
  `-- migrate:up\ncreate table ${name} (id integer);\n-- migrate:down\ndrop table ${name};\n`;

describe('baseline-db-migration', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase('create table one (id integer); create table two (id integer)');
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`,
      'migrations/1_one.sql': table('one'),
      'migrations/2_two.sql': table('two'),
      'migrations/10_ten.sql': table('ten'),
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const baseline = (options: BaselineOptions) =>
    workspace.run(() => baselineMigrations({ env: 'testing', ...options }));
  const states = async () =>
    (await workspace.run(() => showMigrations({ env: 'testing' }))).migrations.map(
      ({ version, state, isBaseline }) => `${version} ${state}${isBaseline ? ' baseline' : ''}`,
    );
  const recorded = async () => (await database.query('select version from manage_db.migrations')).rowCount;

  it('records those up to a version without executing them; the rest can be applied as ever', async () => {
    expect(await baseline({ to: '2' })).to.deep.equal({
      recorded: [
        { version: '1', name: 'one' },
        { version: '2', name: 'two' },
      ],
      already: 0,
      withoutFile: [],
      isDryRun: false,
    });
    expect(await states()).to.deep.equal(['1 applied baseline', '2 applied baseline', '10 pending']);
    const { migrations } = await workspace.run(() => initDb({ env: 'testing' }));
    expect(migrations.map(({ name }) => name)).to.deep.equal(['ten']);
    expect(await states()).to.deep.equal(['1 applied baseline', '2 applied baseline', '10 applied']);
  });

  it('records nothing twice, and says how many there were', async () => {
    await baseline({ to: '1' });
    expect(await baseline({ all: true })).to.deep.include({
      recorded: [
        { version: '2', name: 'two' },
        { version: '10', name: 'ten' },
      ],
      already: 1,
    });
    expect(await baseline({ all: true })).to.deep.include({ recorded: [], already: 3 });
  });

  it('says what it would record in a dry run, and records nothing', async () => {
    const { recorded: would, isDryRun } = await baseline({ to: '2', dryRun: true });
    expect([would.length, isDryRun, await recorded()]).to.deep.equal([2, true, 0]);
  });

  it('finds a version by its number, however many zeros are before it', async () => {
    expect((await baseline({ to: '0002' })).recorded).to.have.length(2);
  });

  it('records once when many do it at the same moment', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => baseline({ all: true })));
    expect(results.map((result) => result.recorded.length).sort()).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 3]);
    expect(await recorded()).to.equal(3);
  });

  it('waits until a runner is done', async () => {
    await withClient(database.url, async (runner) => {
      await runner.query(`begin; select pg_advisory_xact_lock(${ADVISORY_LOCKS.migrations})`);
      let isDone = false;
      const work = baseline({ all: true }).finally(() => {
        isDone = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(isDone).to.equal(false);
      await runner.query('rollback');
      expect((await work).recorded).to.have.length(3);
    });
  });

  describe('from dbmate', () => {
    const dbmate = (name: string, ...versions: string[]) =>
      database.query(`create table ${name} (version character varying(128) primary key);
        insert into ${name} select unnest('{${versions.join(',')}}'::text[])`);

    it('records what dbmate has applied, and lists what no file has', async () => {
      await dbmate('schema_migrations', '1', '10', '7');
      expect(await baseline({ fromDbmate: true })).to.deep.equal({
        recorded: [
          { version: '1', name: 'one' },
          { version: '10', name: 'ten' },
        ],
        already: 0,
        withoutFile: ['7'],
        isDryRun: false,
      });
      expect(await states()).to.deep.equal(['1 applied baseline', '2 out_of_order', '10 applied baseline']);
    });

    it('reads the table that is named, however it is spelled', async () => {
      await database.query('create schema "My Tools"');
      await dbmate('"My Tools"."Versions"', '1');
      expect((await baseline({ fromDbmate: true, table: '"My Tools"."Versions"' })).recorded).to.have.length(1);
    });

    it('refuses a table that is not there, and one that is none of dbmate', async () => {
      expect(await failureOf(baseline({ fromDbmate: true }))).to.include({ code: 'NOT_FOUND' });
      const other = await failureOf(baseline({ fromDbmate: true, table: 'one' }));
      expect([other.code, other.message]).to.deep.equal([
        'USAGE',
        'one is no table of dbmate: it has no column "version". Nothing was recorded.',
      ]);
      await dbmate('schema_migrations', 'abc');
      expect((await failureOf(baseline({ fromDbmate: true }))).message).to.contain('"abc", which is no number');
    });
  });

  it('refuses where one of them is recorded with another text', async () => {
    await baseline({ to: '1' });
    workspace.write({ 'migrations/1_one.sql': `${table('one')}-- one word more\n` });
    const error = await failureOf(baseline({ all: true }));
    expect(error.code).to.equal('MIGRATION_EDITED');
    expect(error.message).to.contain('1_one.sql').and.contain('Nothing was recorded');
    expect(await recorded()).to.equal(1);
  });

  it('refuses one that was begun and is not finished', async () => {
    await database.query(`insert into manage_db.migration_journal (version, direction, position, statement_checksum, state, actor)
      values ('2', 'up', 1, repeat('0', 64), 'done', 'test')`);
    const error = await failureOf(baseline({ all: true }));
    expect(error.code).to.equal('MIGRATION_UNFINISHED');
    expect([error.message, error.hint]).to.deep.equal([
      'Migration 2 was begun (up) and is not finished: 1 of its statements are done. Nothing was recorded.',
      'Finish it first: manage_db apply-db-migration --env testing. Its file must be in the migrations folder (git log --all -- migrations).',
    ]);
    expect((await baseline({ to: '1' })).recorded).to.have.length(1);
  });

  it('refuses a version that no file has, and names the one before', async () => {
    const error = await failureOf(baseline({ to: '5' }));
    expect([error.code, error.hint]).to.deep.equal(['NOT_FOUND', 'The last one before it is 2 (2_two.sql).']);
    expect(await failureOf(baseline({ to: '2_two' }))).to.include({
      code: 'USAGE',
      hint: 'manage_db show-all-migrations --env testing lists them.',
    });
  });

  it('refuses an empty database: there is nothing that they could have made', async () => {
    const empty = await scratchDatabase();
    try {
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${empty.url}\n` });
      const error = await failureOf(baseline({ all: true }));
      expect([error.code, error.hint]).to.deep.equal([
        'NOT_FOUND',
        'Let the migrations make it: manage_db initialize-db --env testing',
      ]);
    } finally {
      await workspace.remove();
      await empty.drop();
    }
  });

  it('wants to be told which ones, in one way', async () => {
    for (const options of [{}, { all: true, to: '1' }, { all: true, table: 'one' }, { fromDbmate: true, all: true }])
      expect((await failureOf(baseline(options))).code).to.equal('USAGE');
  });

  it('is written into the operation log with what was recorded', async () => {
    await baseline({ to: '2' });
    const { rows } = await database.query<{ entry: string }>(
      `select to_jsonb(l)::text as entry from manage_db.operation_log l where operation = 'baseline-db-migration' and event = 'succeeded'`,
    );
    expect(rows[0]?.entry).to.contain('"recorded": ["1", "2"]');
  });
});
