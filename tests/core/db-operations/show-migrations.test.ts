import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { initDb } from '../../../app/core/db-operations/initialize.js';
import { showMigrations, showMigrationsEverywhere } from '../../../app/core/db-operations/show-migrations.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { testUrl } from '../../support/test-server.js';

const table = (name: string) =>
  `-- migrate:up\ncreate table ${name} (id integer);\n-- migrate:down\ndrop table ${name};\n`;

describe('show-all-migrations', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const show = () => workspace.run(() => showMigrations({ env: 'testing' }));
  const initialize = () => workspace.run(() => initDb({ env: 'testing' }));
  const states = async () => (await show()).migrations.map(({ version, state }) => `${version} ${state}`);

  it('shows all of them as pending in a database that manage_db has never been in, and leaves no trace there', async () => {
    workspace.write({ 'migrations/1_one.sql': table('one'), 'migrations/2_two.sql': table('two') });
    const { migrations, pending, counts } = await show();
    expect(migrations[0]).to.deep.equal({
      version: '1',
      name: 'one',
      state: 'pending',
      appliedAt: null,
      durationMs: null,
      actor: null,
      isBaseline: false,
      file: 'migrations/1_one.sql',
      statementsDone: null,
      inPlace: null,
    });
    expect([pending, counts.pending]).to.deep.equal([2, 2]);
    expect((await database.query(`select from pg_namespace where nspname = 'manage_db'`)).rowCount).to.equal(0);
  });

  it('says when one was applied, by whom, and how long it took', async () => {
    workspace.write({ 'migrations/1_one.sql': table('one') });
    await initialize();
    const [one] = (await show()).migrations;
    expect(one?.state).to.equal('applied');
    expect(Math.abs(Date.now() - Date.parse(one?.appliedAt ?? ''))).to.be.lessThan(60_000);
    expect(one?.durationMs).to.be.at.least(0);
    expect(one?.actor).to.be.a('string').and.not.equal('');
  });

  it('tells pending, edited, missing and out of order apart', async () => {
    workspace.write({
      'migrations/1_one.sql': table('one'),
      'migrations/2_two.sql': table('two'),
      'migrations/4_four.sql': table('four'),
    });
    await initialize();
    await database.query(`update manage_db.migrations set version = '5', name = 'five' where version = '2'`);
    workspace.write({
      'migrations/1_one.sql': `${table('one')}-- one word more\n`,
      'migrations/3_three.sql': table('three'),
      'migrations/10_ten.sql': table('ten'),
    });
    expect(await states()).to.deep.equal([
      '1 edited',
      '2 out_of_order',
      '3 out_of_order',
      '4 applied',
      '5 missing',
      '10 pending',
    ]);
    const { pending, counts, migrations } = await show();
    expect(pending).to.equal(3);
    expect(counts).to.deep.equal({ applied: 1, pending: 1, edited: 1, missing: 1, out_of_order: 2 });
    expect(migrations[4]).to.include({ name: 'five', file: null });
  });

  it('takes a file whose line ends or byte order mark Git has changed for the same one', async () => {
    workspace.write({ 'migrations/1_one.sql': table('one') });
    await initialize();
    workspace.write({ 'migrations/1_one.sql': `\uFEFF${table('one').replaceAll('\n', '\r\n')}` });
    expect(await states()).to.deep.equal(['1 applied']);
  });

  it('shows what is recorded also where the folder is gone', async () => {
    workspace.write({ 'migrations/1_one.sql': table('one') });
    await initialize();
    workspace.write({ 'manage_db.config.json': '{"migrationsDir":"elsewhere"}' });
    const { migrations, migrationsFolder } = await show();
    expect([migrationsFolder, migrations.map(({ state }) => state)]).to.deep.equal([null, ['missing']]);
  });

  it('executes nothing out of a schema manage_db that a stranger has made', async () => {
    const stranger = await scratchLogin('stranger');
    try {
      workspace.write({ 'migrations/1_one.sql': table('one') });
      await database.query(`grant create on database ${database.name} to ${stranger.user}`);
      await withClient(testUrl(database.name, stranger), (client) =>
        client.query(`
          create schema manage_db; grant usage on schema manage_db to public;
          create function manage_db.spring() returns text language plpgsql as $$ begin raise 'sprung as %', session_user; end $$;
          create view manage_db.migrations as select manage_db.spring() as version, ''::text as name, ''::text as checksum,
            0 as duration_ms, ''::text as actor, ''::text as tool, now() as applied_at;
          grant select on manage_db.migrations to public`),
      );
      expect(await states()).to.deep.equal(['1 pending']);
    } finally {
      await database.query(`drop owned by ${stranger.user} cascade`);
      await dropLogins(stranger);
    }
  });

  describe('in every environment', () => {
    let staging: ScratchDatabase;
    const servers: Server[] = [];

    beforeEach(async () => {
      staging = await scratchDatabase();
      workspace.write({
        '.env.staging': `STAGING_DATABASE_URL=${staging.url}\n`,
        'migrations/1_one.sql': table('one'),
        'migrations/2_two.sql': table('two'),
      });
      await initialize();
    });
    afterEach(async () => {
      for (const server of servers.splice(0)) server.close();
      await staging.drop();
    });

    const everywhere = (timeLimitMs?: number) => workspace.run(() => showMigrationsEverywhere({ timeLimitMs }));

    it('puts them side by side; environments without a database are left out', async () => {
      const { environments, migrations } = await everywhere();
      expect(environments.map(({ name, reachable }) => [name, reachable])).to.deep.equal([
        ['testing', true],
        ['staging', true],
      ]);
      expect(migrations).to.deep.equal([
        { version: '1', name: 'one', states: { testing: 'applied', staging: 'pending' } },
        { version: '2', name: 'two', states: { testing: 'applied', staging: 'pending' } },
      ]);
    });

    it('shows what only one of them has: the other ones have never heard of it', async () => {
      await database.query(`update manage_db.migrations set version = '3', name = 'three' where version = '2'`);
      const { migrations } = await everywhere();
      expect(migrations.at(-1)).to.deep.equal({
        version: '3',
        name: 'three',
        states: { testing: 'missing', staging: null },
      });
    });

    it('says of one that is down, without a database, or silent that it is unreachable, and why; the others answer', async () => {
      const silent = createServer();
      servers.push(silent);
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const address = silent.address();
      const port = typeof address === 'object' ? address?.port : 0;
      workspace.write({
        '.env.production': 'PRODUCTION_DATABASE_URL=postgresql://app:s3cret@127.0.0.1:1/clinic\n',
        '.env.gone': `GONE_DATABASE_URL=${testUrl('there_is_no_such_database')}\n`,
        '.env.silent': `SILENT_DATABASE_URL=postgresql://app:s3cret@127.0.0.1:${port}/clinic\n`,
      });
      const started = Date.now();
      const { environments, migrations } = await everywhere(1500);
      expect(Date.now() - started).to.be.lessThan(25_000);
      const codes = Object.fromEntries(environments.map(({ name, error }) => [name, error?.code ?? 'answered']));
      expect(codes).to.deep.equal({
        testing: 'answered',
        staging: 'answered',
        production: 'CONNECTION_REFUSED',
        gone: 'DATABASE_MISSING',
        silent: 'CONNECTION_TIMEOUT',
      });
      expect(environments.find(({ name }) => name === 'silent')?.error?.message).to.contain('within 1.5 s');
      expect(JSON.stringify(environments)).not.to.contain('s3cret');
      expect(migrations[0]?.states).to.deep.equal({
        testing: 'applied',
        staging: 'pending',
        production: null,
        gone: null,
        silent: null,
      });
    });

    it('does not wait for a lock that somebody holds on the records', async () => {
      await withClient(database.url, async (other) => {
        await other.query('begin; lock table manage_db.migrations in access exclusive mode');
        const { environments } = await everywhere(1000);
        expect(environments.map(({ reachable }) => reachable)).to.deep.equal([false, true]);
      });
    });

    it('says so of one whose records this login may not read', async () => {
      const login = await scratchLogin('reader');
      try {
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, login)}\n` });
        const { environments } = await everywhere();
        expect(environments[0]?.error?.code).to.equal('PERMISSION_DENIED');
      } finally {
        await workspace.remove();
        await dropLogins(login);
      }
    });

    it('neither starts the embedded server nor makes a database for it', async () => {
      workspace.write({ '.env.testing': '' });
      const { environments } = await everywhere();
      expect(environments.map(({ name }) => name)).to.deep.equal(['staging']);
    });
  });
});
