import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CLI, cleanEnvironment, manageDb } from '../support/command-line.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

const APPLY = ['apply-db-migration', '--env', 'testing', '--yes', '--verbose'];

describe('a migration whose runner is killed', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    await withClient(database.url, (client) => stampAs(client, 'testing'));
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const start = (): { readonly child: ChildProcess; readonly said: (words: string) => Promise<boolean> } => {
    const child = spawn(process.execPath, [CLI, ...APPLY], {
      cwd: workspace.root,
      env: cleanEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    let isOver = false;
    child.stderr?.on('data', (chunk) => {
      text += String(chunk);
    });
    child.once('exit', () => {
      isOver = true;
    });
    return {
      child,
      said: async (words) => {
        while (!text.includes(words) && !isOver) await sleep(5);
        return text.includes(words);
      },
    };
  };
  const apply = () => manageDb(APPLY, { cwd: workspace.root });
  const one = async <T>(sql: string): Promise<T> => (await database.query<{ value: T }>(sql)).rows[0]?.value as T;
  /** Takes what the runner of a transaction holds: afterwards nobody is at it. */
  const afterwards = () =>
    withClient(database.url, (client) => client.query('begin; select pg_advisory_xact_lock(470003704931)'));

  it('is applied and recorded, or neither, at any moment, and the next run finishes', async () => {
    const file = (version: number) => `-- migrate:up
      create table t${version} (id integer);
      insert into t${version} select generate_series(1, 20000);
      -- long enough for the server to notice that nobody is there any more, in every other one
      select pg_sleep(${version % 2 === 0 ? 0 : 1.2});
      create index on t${version} (id);\n`;
    let kept = 0;
    for (let round = 0; round < 8; round += 1) {
      workspace.write({ [`migrations/${round + 1}_t.sql`]: file(round + 1) });
      const { child, said } = start();
      const exited = once(child, 'exit');
      await said('applying ');
      await sleep(round * 8);
      child.kill('SIGKILL');
      await exited;
      await afterwards();
      // at one moment: somebody may still be at the commit
      const [isThere, isRecorded] = await one<
        [boolean, boolean]
      >(`select array[to_regclass('t${round + 1}') is not null,
        exists (select from manage_db.migrations where version = '${round + 1}')] as value`);
      expect(isThere, `round ${round}`).to.equal(isRecorded);
      if (isThere) kept += 1;
      const next = await apply();
      expect(next.code, next.stderr).to.equal(0);
    }
    expect(await one(`select count(*)::int as value from manage_db.migrations`)).to.equal(8);
    expect(kept, 'a moment before the commit was met').to.be.lessThan(8);
  });

  it('goes on from its journal without repeating a statement', async () => {
    await database.query('create table log (what text); create table big as select generate_series(1, 600000) as id');
    workspace.write({
      'migrations/1_pieces.sql': `-- migrate:up transaction:false
        insert into log values ('one');
        create index concurrently big_one on big (id);
        insert into log values ('two');
        create index concurrently on big ((id + 1));
        insert into log values ('three');
        reindex table concurrently big;
        insert into log values ('four');\n`,
    });
    let killed = 0;
    for (let round = 0; round < 14; round += 1) {
      const { child, said } = start();
      const exited = once(child, 'exit');
      // later each time: every statement is met
      await said(`statement ${1 + (round % 7)} of 7`);
      await sleep(round * 3);
      child.kill('SIGKILL');
      const [, signal] = await exited;
      if (signal === 'SIGKILL') killed += 1;
    }
    const last = await apply();
    expect(last.code, last.stderr).to.equal(0);
    expect(killed, 'killed in the middle').to.be.greaterThan(3);
    const { rows } = await database.query<{ what: string }>('select what from log order by ctid');
    expect(rows.map(({ what }) => what)).to.deep.equal(['one', 'two', 'three', 'four']);
    const indexes = await database.query(
      `select indexrelid::regclass::text as index, indisvalid as valid from pg_index where indrelid = 'big'::regclass order by 1`,
    );
    expect(indexes.rows).to.deep.equal([
      { index: 'big_expr_idx', valid: true },
      { index: 'big_one', valid: true },
    ]);
    expect(await one('select count(*)::int as value from manage_db.migration_journal')).to.equal(0);
    expect(await one('select count(*)::int as value from manage_db.migrations')).to.equal(1);
  });

  it('is waited for while its backend still works, and what that has finished is not done again', async () => {
    await database.query('create table big as select generate_series(1, 100) as id');
    workspace.write({
      'migrations/1_index.sql': '-- migrate:up transaction:false\ncreate index concurrently big_one on big (id);\n',
    });
    const built = () => one<number | null>(`select to_regclass('big_one')::oid::int as value`);
    await withClient(database.url, async (writer) => {
      await writer.query('begin; insert into big values (0)');
      const { child } = start();
      const exited = once(child, 'exit');
      while ((await built()) === null) await sleep(20);
      child.kill('SIGKILL');
      await exited;
      const first = await built();
      const second = apply();
      const early = await Promise.race([second.then(() => 'ended'), sleep(3_000).then(() => 'waiting')]);
      expect(early).to.equal('waiting');
      await writer.query('commit');
      const ended = await second;
      expect(ended.code, ended.stderr).to.equal(0);
      expect(await built()).to.equal(first);
      expect(await one(`select indisvalid as value from pg_index where indexrelid = 'big_one'::regclass`)).to.equal(
        true,
      );
    });
  });
});
