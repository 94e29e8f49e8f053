import { expect } from 'chai';
import { type OpenDatabase, openDatabase } from '../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

describe('check-database --fail-on', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase('create table public.notes (id int primary key)');
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const check = (...args: string[]) => workspace.cli(['check-database', '--env', 'testing', ...args]);

  it('exits with 0 without it, whatever is found', async () => {
    const { code, stdout } = await check();
    expect([code, stdout.includes('! last-backup')]).to.deep.equal([0, true]);
  });

  it('exits with 1 and names what is wrong, with all checks in the data', async () => {
    const { code, json } = await check('--fail-on', 'warning', '--json');
    expect(code).to.equal(1);
    const { ok, data, error } = json();
    expect(ok).to.equal(false);
    expect(data.checks).to.have.length.of.at.least(25);
    expect(error?.code).to.equal('CHECK_FAILED');
    expect(error?.message).to.contain('last-backup is warning: There is no complete backup');
    expect(error?.hint).to.equal('manage_db create-backup --env testing');
    expect(error?.details.failed).to.deep.equal([{ name: 'last-backup', status: 'warning' }]);
  });

  it('names the worst first', async () => {
    await db.client.query(`create sequence public.full as smallint; select setval('public.full', 32000)`);
    await db.client.query(`alter sequence public.full owned by public.notes.id`);
    const { code, json } = await check('--fail-on', 'warning', '--json');
    expect([code, json().error?.details.failed]).to.deep.equal([
      1,
      [
        { name: 'sequences', status: 'critical' },
        { name: 'last-backup', status: 'warning' },
      ],
    ]);
    await db.client.query('drop sequence public.full');
  });

  it('lets warnings pass where only what is critical fails', async () => {
    const { code, json } = await check('--fail-on', 'critical', '--json');
    expect([code, json().error]).to.deep.equal([0, null]);
  });

  it('names the environment in the next command where it was named', async () => {
    const { stdout } = await workspace.cli(['drop-all-tables', '--env', 'testing', '--yes']);
    expect(stdout).to.contain('Build it again: manage_db initialize-db --env testing');
    await db.client.query('create table public.notes (id int primary key)');
  });

  it('shows the name of a table that looks like another check as the name that it is', async () => {
    await db.client.query(`create table public."x
✗ last-backup    \u001b[2Jeverything is lost" (id int)`);
    const { stdout } = await check();
    expect(stdout.split('\n').filter((line) => line.startsWith('✗'))).to.deep.equal([]);
    expect(stdout).to.contain('x\\u{a}✗ last-backup').and.not.contain('\u001b[2J');
    const failed = await check('--fail-on', 'warning');
    expect(
      failed.stderr
        .trim()
        .split('\n')
        .filter((line) => !/^[✗→]/.test(line)),
    ).to.deep.equal([]);
    await db.client.query(`drop table public."x
✗ last-backup    \u001b[2Jeverything is lost"`);
  });

  it('exits with 2 on a level that there is not', async () => {
    for (const level of ['info', '', 'Warning']) {
      const { code, stderr } = await check('--fail-on', level);
      expect([level, code]).to.deep.equal([level, 2]);
      expect(stderr).to.contain('fail-on');
    }
  });
});
