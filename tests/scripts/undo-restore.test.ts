import { expect } from 'chai';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

describe('undo-restore on the command line', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase('create table public.patients (id int primary key)');
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    const { rows } = await onServer((server) =>
      server.query<{ name: string }>('select datname::text as name from pg_database where datname like $1', [
        `${db.name}_previous_%`,
      ]),
    );
    for (const { name } of rows) await dropDatabase(name);
    await dropDatabase(db.name);
  });

  const run = async (...line: string[]) => {
    const result = await workspace.cli([...line, '--env', 'testing']);
    return { ...result, text: `${result.stdout}\n${result.stderr}` };
  };

  it('is offered by the restore that can be undone, and says what was kept', async () => {
    await run('create-backup');
    await db.query('insert into public.patients values (1)');
    expect((await run('list-previous-databases')).stdout).not.to.include(db.name);

    const wrong = await run('restore-backup', 'latest', '--yes', '--keep-previous', '7');
    expect(wrong.code).to.equal(2);
    expect(wrong.text).to.include('--keep-previous takes a duration');
    const unknown = await run('restore-backup', 'latest', '--yes', '--without', 'owners', '--without', 'indexes');
    expect(unknown.code).to.equal(2);
    expect(unknown.text).to.include('leave out indexes');

    const restored = await run('restore-backup', 'latest', '--yes', '--keep-previous', '7d');
    expect(restored.code, restored.text).to.equal(0);
    const name = /The replaced database is (\S+), kept until/.exec(restored.stdout)?.[1] ?? '';
    expect(restored.stdout).to.include('manage_db undo-restore');
    expect((await run('list-previous-databases')).stdout)
      .to.include(name)
      .and.include('Free space of the server');
    const listed = (await run('list-previous-databases', '--json')).json();
    expect(listed.data.previousDatabases.map((one: { name: string }) => one.name)).to.include(name);

    expect((await run('undo-restore', name)).code).to.equal(2);
    const undone = await run('undo-restore', name, '--yes');
    expect(undone.code, undone.text).to.equal(0);
    expect(undone.stdout).to.include(`is again what was ${name}`);
    expect((await db.query('select from public.patients')).rowCount).to.equal(1);

    const dropped = await run('restore-backup', 'latest', '--yes', '--no-keep-previous', '--json');
    expect(dropped.json().data.previousDatabase).to.equal(null);
    const kept = await run('restore-backup', 'latest', '--yes', '--json', '--keep-previous');
    expect(kept.json().data.previousDatabase).to.be.a('string');
  });
});
