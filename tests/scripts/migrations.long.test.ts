import { expect } from 'chai';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

const up = (sql: string) => `-- migrate:up\n${sql}\n-- migrate:down\n`;

describe('migrations on the command line', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase('create table patients (id integer)');
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`,
      'migrations/20260101_patients.sql': up('create table patients (id integer);'),
      'migrations/20260102_phone.sql': up('alter table patients add phone text;'),
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const cli = (...args: string[]) => workspace.cli([...args, '--env', 'testing']);

  it('show which are applied and what to type for the others', async () => {
    await cli('baseline-db-migration', '--to', '20260101');
    const { code, stdout } = await cli('show-all-migrations');
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/20260101 +patients +applied \(baseline\) +just now/)
      .and.match(/20260102 +phone +pending/)
      .and.contain('1 applied, 1 pending')
      .and.contain('→ pending: manage_db apply-db-migration --env testing');
  });

  it('answer programs with one object, and with exit code 3 when something is pending', async () => {
    const plain = await cli('show-all-migrations', '--json');
    expect(plain.code).to.equal(0);
    expect(plain.json().data.migrations[0]).to.include({
      version: '20260101',
      name: 'patients',
      state: 'pending',
      appliedAt: null,
    });
    const asked = await cli('show-all-migrations', '--exit-code', '--json');
    expect([asked.code, asked.json().ok, asked.json().data.pending]).to.deep.equal([3, true, 2]);
    await cli('baseline-db-migration', '--all');
    expect((await cli('show-all-migrations', '--exit-code')).code).to.equal(0);
  });

  it('answer with exit code 4 when a file has changed or is gone: that is worse than pending', async () => {
    await cli('baseline-db-migration', '--to', '20260101');
    workspace.write({ 'migrations/20260101_patients.sql': up('create table patients (id bigint);') });
    const edited = await cli('show-all-migrations', '--exit-code');
    expect(edited.code).to.equal(4);
    expect(edited.stdout).to.contain('1 pending, 1 edited').and.contain('put the file back as it was');
    await database.query(`update manage_db.migrations set version = '1' where version = '20260101'`);
    const missing = await cli('show-all-migrations', '--exit-code', '--json');
    expect([missing.code, missing.json().data.counts.missing]).to.deep.equal([4, 1]);
  });

  it('are shown for every environment in one table, those that are down as such', async () => {
    const staging = await scratchDatabase();
    try {
      workspace.write({
        '.env.staging': `STAGING_DATABASE_URL=${staging.url}\n`,
        '.env.production': 'PRODUCTION_DATABASE_URL=postgresql://app:s3cret@127.0.0.1:1/clinic\n',
      });
      await cli('baseline-db-migration', '--to', '20260101');
      const { code, stdout, stderr } = await workspace.cli(['show-all-migrations', '--all-envs', '--exit-code']);
      expect(code).to.equal(3);
      expect(stdout)
        .to.match(/version +name +testing +staging +production/)
        .and.match(/20260101 +patients +applied +pending +unreachable/)
        .and.match(/20260102 +phone +pending +pending +unreachable/)
        .and.match(/staging +2 pending/);
      expect(stderr)
        .to.match(/! production is unreachable: .*127\.0\.0\.1:1/)
        .and.not.contain('s3cret');
      const json = (await workspace.cli(['show-all-migrations', '--all-envs', '--json'])).json();
      expect([json.ok, json.warnings.length, json.data.migrations[0].states]).to.deep.equal([
        true,
        1,
        { testing: 'applied', staging: 'pending', production: null },
      ]);
      expect((await cli('show-all-migrations', '--all-envs')).code).to.equal(2);
    } finally {
      await staging.drop();
    }
  });

  it('fold a long run of applied ones, unless --verbose wants all of them', async () => {
    const many = Array.from({ length: 200 }, (_, index) => [
      `migrations/${30_000_000 + index}_step_${index}.sql`,
      up('select 1;'),
    ]);
    workspace.write(Object.fromEntries(many));
    await cli('baseline-db-migration', '--all');
    workspace.write({ 'migrations/40000000_last.sql': up('select 1;') });
    const folded = (await cli('show-all-migrations')).stdout;
    expect(folded)
      .to.match(/… +199 more +applied/)
      .and.match(/30000199 +step_199 +applied.*\n40000000 +last +pending/);
    expect(folded.split('\n').length).to.be.lessThan(12);
    expect((await workspace.cli(['show-all-migrations', '--all-envs'])).stdout).to.match(/… +199 more +applied\n/);
    expect((await cli('show-all-migrations', '--verbose')).stdout.split('\n').length).to.be.greaterThan(200);
  });

  it('are recorded as a baseline, after a dry run has said which', async () => {
    const dry = await cli('baseline-db-migration', '--all', '--dry-run');
    expect(dry.stdout).to.equal('  20260101  patients\n  20260102  phone\n2 migrations would be recorded as applied\n');
    const done = await cli('baseline-db-migration', '--all');
    expect(done.stdout).to.contain('✓ recorded 2 migrations as applied; nothing was executed');
    expect(done.stderr).to.contain('▶ testing');
    const again = await cli('baseline_db_migration', '--all', '--json');
    expect(again.json().data).to.include({ already: 2 });
    expect(
      (await database.query('select from information_schema.columns where column_name = $1', ['phone'])).rowCount,
    ).to.equal(0);
  });

  it('are taken over from dbmate; what no file has is a warning', async () => {
    await database.query(
      `create table schema_migrations (version varchar primary key); insert into schema_migrations values ('20260101'), ('7')`,
    );
    const { code, stdout, stderr } = await cli('baseline-db-migration', '--from-dbmate');
    expect(code).to.equal(0);
    expect(stdout).to.contain('✓ recorded 1 migration as applied');
    expect(stderr).to.contain('dbmate has applied what no file has, and it was not recorded: 7.');
  });

  for (const [what, args] of [
    ['no choice', []],
    ['two choices', ['--all', '--to', '1']],
    ['a table without --from-dbmate', ['--all', '--table', 'x']],
    ['a version that is none', ['--to', 'latest']],
    ['a version without a file', ['--to', '5']],
  ] as const) {
    it(`refuse a baseline with ${what}`, async () => {
      const { code, stderr } = await cli('baseline-db-migration', ...args);
      expect(code).to.equal(2);
      expect(stderr).not.to.contain('recorded 1');
      expect((await database.query('select from manage_db.migrations')).rowCount).to.equal(0);
    });
  }

  it('say file and line of a mistake, and exit with 2', async () => {
    workspace.write({ 'migrations/20260103_bad.sql': 'create table x ();\n-- migrate:up\n' });
    const { code, stderr } = await cli('show-all-migrations');
    expect(code).to.equal(2);
    expect(stderr).to.contain('20260103_bad.sql:1 has something else than comments above "-- migrate:up"');
  });

  it('are a finding of check-database, each state by its name', async () => {
    await cli('baseline-db-migration', '--to', '20260101');
    const finding = async () =>
      (await cli('check-database', '--json'))
        .json()
        .data.checks.find(({ name }: { name: string }) => name === 'pending-migrations');
    expect(await finding()).to.deep.equal({
      name: 'pending-migrations',
      status: 'warning',
      value: 1,
      detail: 'Not applied yet: 20260102_phone.sql.',
      fix: 'manage_db apply-db-migration --env testing',
    });
    workspace.write({ 'migrations/20260101_patients.sql': up('create table patients (id bigint);') });
    expect(await finding()).to.include({
      detail: 'Not applied yet: 20260102_phone.sql. Changed since they were applied: 20260101_patients.sql.',
      fix: 'manage_db show-all-migrations --env testing',
    });
  });
});
