import { expect } from 'chai';
import { type OpenDatabase, openDatabase } from '../database/catalog/open-database.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { testUrl } from '../support/test-server.js';

describe('what inspect-db and its like say', () => {
  let db: OpenDatabase;
  let onlooker: ScratchLogin;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(`
      create table public.notes (id int primary key); insert into public.notes select generate_series(1, 5);
      create materialized view public.sums as select count(*) from public.notes with no data;
      create materialized view public.filled as select * from public.notes; analyze`);
    onlooker = await scratchLogin('onlooker');
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${db.url}\n`,
      '.env.staging': `STAGING_DATABASE_URL=${testUrl(db.name, onlooker)}\n`,
    });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
    await dropLogins(onlooker);
  });

  it('a materialized view that was never filled is not one without rows', async () => {
    const { stdout } = await workspace.cli(['inspect-db', '--tables', '--env', 'testing']);
    expect(stdout).to.match(/public +sums +materialized view +never filled /);
    expect(stdout).to.match(/public +filled +materialized view +5 /);
    const one = await workspace.cli(['inspect-db', '--table', 'sums', '--env', 'testing']);
    expect(one.stdout).to.contain('materialized view  never filled').and.not.contain('rows');
  });

  it('a stamp that this login may not read is there all the same', async () => {
    const overview = async (env: string) => (await workspace.cli(['inspect-db', '--env', env])).stdout.split('\n')[1];
    expect(await overview('staging')).to.equal('not stamped');
    await stampAs(db.client, 'testing');
    await db.client.query('revoke usage on schema manage_db from public');
    expect(await overview('staging')).to.equal('its stamp cannot be read by this login');
    expect(await overview('testing')).to.match(/^stamped as testing, /);
    const { stdout: status } = await workspace.cli(['switch-env', '--status', '--env', 'staging']);
    expect(status).to.contain('Its stamp cannot be read by this login.');
    const { stdout: checks } = await workspace.cli(['check-database', '--env', 'staging']);
    expect(checks).to.match(/! identity-stamp +Its stamp cannot be read by this login\./);
    expect(checks).to.match(/i kill-switch +Whether somebody has engaged it cannot be read by this login\./);
    expect(checks).to.contain(`→ manage_db grant-db-role viewer ${onlooker.user} --env staging`);
  });

  it('the stamp of a protected environment is pinned by the command that stamp-database proposes', async () => {
    const own = await openDatabase('create table public.notes (id int primary key)');
    workspace.write({ '.env.production': `PRODUCTION_DATABASE_URL=${own.url}\n` });
    const ceremony = ['--confirm', `EXECUTE STAMP_DATABASE ON ${own.name}`, '--reason', 'a test'];
    const first = await workspace.cli(['stamp-database', '--env', 'production', ...ceremony]);
    const [, command] = /Pin them: manage_db (.*)$/m.exec(first.stderr) ?? [];
    expect([first.code, command]).to.deep.equal([
      0,
      `stamp-database --env production --expected-host ${new URL(own.url).hostname}`,
    ]);
    const pinned = await workspace.cli([...(command ?? '').split(' '), ...ceremony], {
      env: { KILL_SWITCH_OVERRIDE: 'true' },
    });
    expect([pinned.code, pinned.stderr.includes('Pin them')]).to.deep.equal([0, false]);
    const { rows } = await own.client.query('select expected_hosts from manage_db.identity');
    await own.drop();
    expect(rows).to.deep.equal([{ expected_hosts: [new URL(own.url).hostname] }]);
  });
});
