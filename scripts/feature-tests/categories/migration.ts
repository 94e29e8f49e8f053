import { applyMigration, initDb, rollbackMigration, type ShownMigration, showMigrations } from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat, Unexpected } from '../expectations.js';
import type { ScratchRunning, Suite } from '../feature-test.js';
import { CREATE_TAGS, SPLIT_BADLY } from '../sample-migrations.js';

/** That migrations are applied once and whole, and that the history is the one of the files. */
export function testMigration(suite: Suite): void {
  suite.installation('the history of the database is that of the files', 'database', async ({ env, signal, note }) => {
    const { migrations, counts, migrationsFolder, recordableUpTo } = await showMigrations({ env, signal });
    const wrong = migrations.flatMap((migration) => {
      const problem = problemOf(migration);
      return problem === null ? [] : [{ ...migration, problem }];
    });
    if (wrong.length > 0) {
      const isRecordMissing = recordableUpTo !== null && wrong.every(({ inPlace }) => inPlace?.isWhole === true);
      throw new Unexpected(
        `${wrong.map(({ version, name, problem }) => `${version}_${name} is ${problem}`).join('; ')}.`,
        isRecordMissing
          ? `If it was applied, record that, which executes nothing: manage_db baseline-db-migration --to ${recordableUpTo} --env ${env}`
          : `manage_db show-all-migrations --env ${env}`,
      );
    }
    if (migrationsFolder === null) note('The workspace has no migrations.');
    else note(`${counts.applied} applied, ${counts.pending} pending.`);
  });

  suite.prepare(async ({ scratch, signal }) => {
    await initDb({ env: 'development', signal, consent: { yes: true } });
    scratch.write({ [CREATE_TAGS.path]: CREATE_TAGS.sql });
  });

  suite.library('applies what is pending, once', async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    const { ran } = await applyMigration(operation);
    expectEqual(
      'What was applied',
      ran.map(({ name }) => name),
      [CREATE_TAGS.name],
    );
    expectEqual('What was applied the second time', (await applyMigration(operation)).ran.length, 0);
    const { counts } = await showMigrations({ env: 'development', signal });
    expectEqual('The states', counts, { applied: 2, pending: 0, edited: 0, missing: 0, out_of_order: 0 });
  });

  suite.library('a migration that fails leaves nothing behind', async ({ scratch, signal }) => {
    await withFile(scratch, SPLIT_BADLY, async () => {
      const operation = { env: 'development', signal, consent: { yes: true } };
      const error = await expectRefusal('A migration with an error', applyMigration(operation), 'SQL_FAILED');
      expectThat(error.message.includes(SPLIT_BADLY.name), `The error does not name the file: ${error.message}`);
      const { pending } = await showMigrations({ env: 'development', signal });
      expectEqual('What is pending afterwards', pending, 1);
    });
  });

  suite.library('refuses to go on when an applied file was edited', async ({ scratch, signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    const edited = { ...CREATE_TAGS, sql: `${CREATE_TAGS.sql}\n-- a word more\nselect 1;\n` };
    scratch.write({ [edited.path]: edited.sql });
    try {
      await withFile(scratch, SPLIT_BADLY, async () => {
        const error = await expectRefusal('Going on', applyMigration(operation), 'MIGRATION_EDITED');
        expectThat(error.message.includes(CREATE_TAGS.name), `The error does not name the file: ${error.message}`);
      });
    } finally {
      scratch.write({ [CREATE_TAGS.path]: CREATE_TAGS.sql });
    }
  });

  suite.library('rolls back, and can be applied again', async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    const { ran } = await rollbackMigration(operation);
    expectEqual(
      'What was rolled back',
      ran.map(({ name }) => name),
      [CREATE_TAGS.name],
    );
    expectEqual('What is pending', (await showMigrations({ env: 'development', signal })).pending, 1);
  });

  suite.cli('apply-db-migration and show-all-migrations agree', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['show-all-migrations', '--exit-code']), 3);
    expectExit(await scratch.manageDb(['apply-db-migration', '--yes']), 0);
    expectExit(await scratch.manageDb(['show-all-migrations', '--exit-code']), 0);
  });

  suite.cli('rollback-db-migration wants somebody to agree', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['rollback-db-migration']), 2, 'CONFIRMATION_REQUIRED');
    expectExit(await scratch.manageDb(['rollback-db-migration', '--yes']), 0);
  });

  suite.cli('create-db-migration writes a file that can be read', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['create-db-migration', 'feature test']), 0);
    const file = scratch.list('migrations').find((name) => name.includes('feature_test'));
    expectThat(file !== undefined, 'There is no new file in migrations.');
  });
}

/** `null`: it is applied, or waits for that. */
function problemOf({ state, statementsDone, inPlace, file }: ShownMigration): string | null {
  if (statementsDone !== null) return 'begun and not finished';
  if (inPlace !== null) {
    const what = inPlace.isWhole ? 'what' : 'part of what';
    return `not recorded as applied, although ${what} ${file} makes is there: ${inPlace.objects.join(', ')}`;
  }
  return state === 'applied' || state === 'pending' ? null : WORDS[state];
}

const WORDS = {
  edited: 'changed since it was applied',
  missing: 'applied, and its file is gone',
  out_of_order: 'not applied, although later ones are',
} as const;

/** Lets a migration be there for the time of `work`. */
async function withFile(
  scratch: ScratchRunning['scratch'],
  { path, sql }: { readonly path: string; readonly sql: string },
  work: () => Promise<void>,
): Promise<void> {
  scratch.write({ [path]: sql });
  try {
    await work();
  } finally {
    scratch.remove(path);
  }
}
