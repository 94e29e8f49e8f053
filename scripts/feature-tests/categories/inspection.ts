import { applyTriggers, initDb, inspectDb } from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat } from '../expectations.js';
import type { Suite } from '../feature-test.js';

/** That what is shown is what is there. */
export function testInspectDb(suite: Suite): void {
  suite.installation('the database can be inspected', 'database', async ({ env, signal, note }) => {
    const { tables = [] } = await inspectDb({ env, signal, tables: true });
    const { triggers = [] } = await inspectDb({ env, signal, triggers: true });
    note(`${tables.length} tables and views, ${triggers.length} triggers.`);
  });

  suite.prepare(async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    await initDb(operation);
    await applyTriggers(operation);
  });

  suite.library('shows a table with its columns, constraints and triggers', async ({ signal }) => {
    const { table } = await inspectDb({ env: 'development', signal, table: 'public.notes' });
    expectEqual(
      'The columns of notes',
      table?.columns.map(({ name }) => name),
      ['id', 'title', 'body', 'created_at', 'updated_at', 'created_by', 'updated_by'],
    );
    expectEqual('The number of constraints', table?.constraints.length, 1);
    const names = table?.triggers.map(({ name }) => name) ?? [];
    expectThat(names.includes('notes_tidy_title'), `The trigger notes_tidy_title is not among ${names.join(', ')}.`);
  });

  suite.library('shows the functions of a schema', async ({ signal }) => {
    const { functions = [] } = await inspectDb({ env: 'development', signal, functions: true });
    expectThat(
      functions.some(({ schema, name }) => schema === 'public' && name === 'tidy_note_title'),
      'The function public.tidy_note_title is not shown.',
    );
  });

  suite.library('refuses a table that does not exist', async ({ signal }) => {
    await expectRefusal('The table nots', inspectDb({ env: 'development', signal, table: 'nots' }), 'NOT_FOUND');
  });

  suite.cli('inspect-db --tables lists the tables', async ({ scratch }) => {
    const result = await scratch.manageDb(['inspect-db', '--tables', '--schema', 'public']);
    expectExit(result, 0);
    const { tables } = (result.envelope().data ?? {}) as { readonly tables?: readonly { readonly name: string }[] };
    expectEqual(
      'The tables of public',
      tables?.map(({ name }) => name),
      ['notes'],
    );
  });

  suite.cli('inspect-db refuses a table that does not exist', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['inspect-db', '--table', 'nots']), 2, 'NOT_FOUND');
  });
}
