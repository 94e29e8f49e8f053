import { expect } from 'chai';
import { type OpenDatabase, openDatabase } from '../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

const TABLE = 'create table public.notes (id int primary key, updated_at timestamptz)';

describe('a command that is proposed for another environment than the active one', () => {
  let active: OpenDatabase;
  let testing: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    [active, testing] = await Promise.all([openDatabase(TABLE), openDatabase(TABLE)]);
    await Promise.all([stampAs(active.client, 'development'), stampAs(testing.client, 'testing')]);
    workspace = scratchWorkspace({
      '.env.development': `DEVELOPMENT_DATABASE_URL=${active.url}\n`,
      '.env.testing': `TESTING_DATABASE_URL=${testing.url}\n`,
    });
  });
  after(async () => {
    await workspace.remove();
    await Promise.all([active.drop(), testing.drop()]);
  });

  const commandsIn = (text: string): string[] =>
    text.match(/manage_db [a-z]+(-[a-z]+)+( \w+(?= --))?( --[a-z-]+( \w+(\.\w+)?)?)*/g) ?? [];
  const modesIn = async ({ client }: OpenDatabase) =>
    (
      await client.query(
        `select tgname, tgenabled from pg_trigger where not tgisinternal and tgrelid = 'notes'::regclass`,
      )
    ).rows;

  it('does its work there, copied as it stands', async () => {
    const pending = await workspace.cli(['verify-db-triggers', '--env', 'testing']);
    expect(pending.code).to.equal(4);
    const proposed = [...commandsIn(pending.stdout), ...commandsIn(pending.stderr)];
    expect(proposed).to.have.lengthOf(3);
    for (const command of proposed) {
      const { code } = await workspace.cli([...command.split(' ').slice(1), '--yes']);
      expect([command, code]).to.deep.equal([command, 0]);
    }
    expect([await modesIn(active), await modesIn(testing)]).to.deep.equal([
      [],
      [{ tgname: 'update_timestamp', tgenabled: 'O' }],
    ]);
  });

  it('names it in every recommendation', async () => {
    await testing.client.query('alter table public.notes disable trigger all');
    const disabled = await workspace.cli(['diff-db-triggers', '--env', 'testing']);
    const proposed = commandsIn(disabled.stdout);
    expect(proposed).to.deep.equal([
      'manage_db verify-db-triggers --fix --env testing',
      'manage_db disable-db-trigger update_timestamp --table public.notes --env testing',
    ]);
  });

  it('names it where something was not found', async () => {
    for (const args of [
      ['inspect-db', '--table', 'zzzzzzzz'],
      ['inspect-db', '--schema', 'zzzzzzzz'],
      ['diff-db-triggers', 'zzzzzzzz'],
      ['undo-restore'],
      ['grant-db-role', 'viewer', 'zzzzzzzz'],
    ]) {
      const { stderr } = await workspace.cli([...args, '--env', 'testing', '--yes']);
      const proposed = commandsIn(stderr.split('▶').at(-1) ?? '').filter((command) => !command.includes('--help'));
      expect([args, proposed.filter((command) => !command.endsWith('--env testing'))]).to.deep.equal([args, []]);
    }
  });
});
