import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { AfterCopyHook } from '../../../app/config/copy-settings.js';
import { readCopySettings } from '../../../app/config/resolve-copy.js';
import { readAfterCopy, runAfterCopy } from '../../../app/core/db-operations/copy/after-copy.js';
import type { OperationControls } from '../../../app/core/progress.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { settingsOf } from '../../support/settings-of.js';
import { testUrl } from '../../support/test-server.js';

describe('the afterCopy hooks', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    database = await scratchDatabase('create table notes (id integer primary key, body text)');
    workspace = scratchWorkspace();
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const run = async (hooks: readonly AfterCopyHook[], controls: OperationControls = {}) => {
    const settings = await settingsOf(testUrl('postgres'));
    return workspace.run(async () => {
      const ready = await readAfterCopy(hooks);
      return runAfterCopy(settings, {
        ...{ scratch: database.name, database: 'clinic_testing', from: 'production', to: 'testing' },
        ...{ hooks: ready, controls },
      });
    });
  };
  const notes = async () => (await database.query<{ body: string }>('select body from notes order by id')).rows;

  it('run files and functions in their order, each in a transaction and a session like new', async () => {
    workspace.write({ 'scripts/one.sql': `set search_path = pg_catalog; insert into public.notes values (1, 'file')` });
    const steps: string[] = [];
    const ran = await run(
      [
        'scripts/one.sql',
        async function scrub({ client, from, to, database: name }) {
          await client.query('insert into notes values (2, $1)', [`${from} ${to} ${name}`]);
        },
        ({ client }) => client.query('update notes set body = upper(body) where id = 1'),
      ],
      { onProgress: ({ step }) => steps.push(step) },
    );
    expect(ran.map(({ name }) => name)).to.deep.equal(['scripts/one.sql', 'function scrub', 'unnamed function']);
    expect(await notes()).to.deep.equal([{ body: 'FILE' }, { body: 'production testing clinic_testing' }]);
    expect(steps).to.deep.equal([
      'running scripts/one.sql in the copy',
      'running function scrub in the copy',
      'running unnamed function in the copy',
    ]);
  });

  it('come from the configuration file, also in TypeScript, and for what extends the environment', async () => {
    workspace.write({
      'scripts/one.sql': `insert into notes values (1, 'file');`,
      'manage_db.config.ts': `import { defineConfig } from 'manage_db';
        export default defineConfig({ environments: {
          testing: { copy: { afterCopy: ['scripts/one.sql', async ({ client, to }) => {
            await client.query('insert into notes values (2, $1)', [to]);
          }] } },
          preview: { extends: 'testing' },
        } });`,
    });
    const { afterCopy } = await workspace.run(() => readCopySettings('preview'));
    await run(afterCopy);
    expect(await notes()).to.deep.equal([{ body: 'file' }, { body: 'testing' }]);
  });

  it('write also where the database is set to be read only', async () => {
    await database.query(`alter database ${database.name} set default_transaction_read_only = on`);
    workspace.write({ 'one.sql': `insert into notes values (1, 'file')` });
    await run(['one.sql', ({ client }) => client.query(`insert into notes values (2, 'function')`)]);
    expect(await notes()).to.have.length(2);
  });

  for (const [what, sql, words] of [
    [
      'fails',
      `insert into notes values (1, 'a');\ninsert into note values (2);`,
      `bad.sql:2:13: relation "note" does not exist\ninsert into note values (2);\n            ^`,
    ],
    [
      'ends the transaction',
      `insert into notes values (1, 'a');\ncommit;`,
      'bad.sql:2:1: The file begins or ends the transaction itself (COMMIT).',
    ],
    ['cannot run in a transaction', 'vacuum notes;', 'bad.sql:1:1: VACUUM as it is here cannot run in a transaction'],
  ] as const) {
    it(`say where a file ${what}, and nothing of it is done`, async () => {
      workspace.write({ 'bad.sql': sql });
      const error = await failureOf(run(['bad.sql']));
      expect(error).to.include({ code: 'SQL_FAILED' });
      expect(error.message).to.contain(words);
      expect(await notes()).to.deep.equal([]);
    });
  }

  it('are read before any of them runs', async () => {
    workspace.write({ 'one.sql': `insert into notes values (1, 'file')` });
    const error = await failureOf(run(['one.sql', 'scripts/missing.sql']));
    expect(error).to.include({ code: 'UNREADABLE_FILE' });
    expect(await notes()).to.deep.equal([]);
  });

  it('name the one that fails, and roll back what it did', async () => {
    const error = await failureOf(
      run([
        ({ client }) => client.query(`insert into notes values (1, 'first')`),
        async function scrub({ client }) {
          await client.query(`insert into notes values (2, 'second')`);
          throw new Error('no such tenant');
        },
      ]),
    );
    expect(error).to.include({ code: 'HOOK_FAILED', exitCode: 1 });
    expect(error.message).to.equal(
      'The function scrub has failed: no such tenant. afterCopy stopped at hook 2 of 2, function scrub: the copy is not put in place.',
    );
    expect(await notes()).to.deep.equal([{ body: 'first' }]);
  });

  for (const [what, code, words, hook] of [
    [
      'a statement fails in',
      'SQL_FAILED',
      'relation "note" does not exist',
      ({ client }) => client.query('delete from note'),
    ],
    [
      'a statement fails unnoticed in',
      'HOOK_FAILED',
      'has gone on although a statement of it failed',
      ({ client }) => client.query('delete from note').catch(() => undefined),
    ],
    ['the transaction is ended by', 'HOOK_FAILED', 'has ended the transaction', ({ client }) => client.query('commit')],
    [
      'the transaction is begun again by',
      'HOOK_FAILED',
      'has ended the transaction',
      ({ client }) => client.query('rollback; begin'),
    ],
    [
      'a deferred constraint is broken by',
      'SQL_FAILED',
      'later',
      ({ client }) =>
        client.query(`
      create table kept (id integer constraint later references notes deferrable initially deferred); insert into kept values (9)`),
    ],
  ] as readonly (readonly [string, string, string, Exclude<AfterCopyHook, string>])[]) {
    it(`fail where ${what} a function`, async () => {
      const error = await failureOf(run([hook]));
      expect(error).to.include({ code });
      expect(error.message).to.contain(words).and.to.contain('afterCopy stopped at hook 1 of 1');
    });
  }

  for (const [what, hook] of [
    ['the database', ({ client }) => client.query('select pg_sleep(30)')],
    ['something else', () => sleep(30_000, undefined, { ref: false })],
  ] as readonly (readonly [string, Exclude<AfterCopyHook, string>])[]) {
    it(`stop when they are interrupted, also while a function waits for ${what}`, async () => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 300);
      const start = performance.now();
      const error = await failureOf(run([hook], { signal: stop.signal }));
      expect(error).to.include({ code: 'INTERRUPTED' });
      expect(performance.now() - start).to.be.below(5_000);
    });
  }
});
