import { expect } from 'chai';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { dropLevelRoles, dropLogins, type ScratchLogin, scratchLogin } from '../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { testUrl } from '../support/test-server.js';

const TABLES = `
  create table visits (id integer primary key, note text);
  create function stamp() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger mark before insert on visits for each row execute function stamp()`;

describe('levels and triggers on the command line', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let anna: ScratchLogin;

  beforeEach(async () => {
    database = await scratchDatabase(TABLES);
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    anna = await scratchLogin('anna');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
    await dropLevelRoles(database.name);
    await dropLogins(anna);
  });

  const cli = (...args: string[]) => workspace.cli([...args, '--env', 'testing']);

  it('are set up, granted, shown and revoked', async () => {
    const setup = await cli('setup-db-roles');
    expect(setup.code).to.equal(0);
    expect(setup.stdout).to.match(/operator +manage_db_operator +created/);
    const granted = await cli('grant-db-role', 'operator', anna.user);
    expect(granted.stdout).to.equal(`✓ ${anna.user} in ${database.name}: no level → operator\n`);
    await onServer((server) => server.query(`revoke connect on database ${database.name} from public`));
    const outside = (await cli('grant-db-role', 'viewer', anna.user, '--json')).json();
    expect(outside.data).to.include({ before: 'operator', after: 'viewer', mayConnect: false });
    expect(outside.warnings).to.deep.equal([
      `${anna.user} may not connect to ${database.name}: let its owner grant CONNECT on it.`,
    ]);
    await onServer((server) => server.query(`grant connect on database ${database.name} to public`));
    const url = { env: { TESTING_DATABASE_URL: testUrl(database.name, anna) } };
    const seen = await workspace.cli(['whoami', '--env', 'testing'], url);
    expect(seen.stdout).to.contain(
      `${anna.user} is viewer of ${database.name} (testing): member of manage_db_viewer\nmay: inspect-db, `,
    );
    expect((await cli('revoke-db-role', anna.user)).stdout).to.contain('viewer → no level');
  });

  it('refuses a level that does not exist, and a line without a login', async () => {
    expect((await cli('grant-db-role', 'boss', anna.user)).code).to.equal(2);
    expect((await cli('grant-db-role', 'viewer')).code).to.equal(2);
    expect((await cli('disable-db-trigger', 'mark', '--reason', 'x')).code).to.equal(2);
  });

  it('drops a trigger and prints what creates it again', async () => {
    const dropped = await cli('drop-db-trigger', 'mark', '--table', 'visits', '--yes');
    expect(dropped.stdout)
      .to.contain('✓ dropped mark of public.visits')
      .and.contain('CREATE TRIGGER mark BEFORE INSERT');
    expect((await database.query(`select from pg_trigger where tgname = 'mark'`)).rowCount).to.equal(0);
  });

  for (const [level, args] of [
    ['viewer', ['disable-db-trigger', 'mark', '--table', 'visits', '--reason', 'x']],
    ['viewer', ['enable-db-trigger', 'mark', '--table', 'visits']],
    ['viewer', ['drop-db-trigger', 'mark', '--table', 'visits', '--yes']],
    ['viewer', ['reset-database', '--yes']],
    ['operator', ['drop-db-trigger', 'mark', '--table', 'visits', '--yes']],
    ['operator', ['drop-all-tables', '--yes']],
    ['operator', ['grant-db-role', 'admin', 'ANNA']],
    ['operator', ['setup-db-roles']],
  ] as const) {
    it(`refuses ${args[0]} to a ${level}, and says which level it takes`, async () => {
      await cli('setup-db-roles');
      await cli('grant-db-role', level, anna.user);
      // the login even owns the table: the level decides
      await database.query(`alter table visits owner to ${anna.user}`);
      const words = args.map((word) => (word === 'ANNA' ? anna.user : word));
      const refused = await workspace.cli([...words, '--env', 'testing', '--json'], {
        env: { TESTING_DATABASE_URL: testUrl(database.name, anna) },
      });
      expect([refused.code, refused.json().error?.code]).to.deep.equal([2, 'PERMISSION_DENIED']);
      expect(refused.json().error?.hint).to.contain('grant-db-role');
      expect(
        (await database.query(`select from pg_trigger where tgname = 'mark' and tgenabled = 'O'`)).rowCount,
      ).to.equal(1);
    });
  }

  it('lets an operator who owns nothing disable and enable', async () => {
    await cli('setup-db-roles');
    await cli('grant-db-role', 'operator', anna.user);
    const url = { env: { TESTING_DATABASE_URL: testUrl(database.name, anna) } };
    const on = ['--table', 'visits', '--env', 'testing', '--reason', 'too loud', '--json'];
    const disabled = await workspace.cli(['disable-db-trigger', 'mark', ...on], url);
    expect([disabled.code, disabled.json().data]).to.deep.equal([
      0,
      { schema: 'public', table: 'visits', name: 'mark', before: 'origin', after: 'disabled' },
    ]);
    expect((await workspace.cli(['enable-db-trigger', 'mark', ...on], url)).json().data).to.include({
      after: 'origin',
    });
  });
});
