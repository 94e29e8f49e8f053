import { applyTriggers, getDbSession, initDb, verifyTriggers, withActor } from '../../../app/index.js';
import { expectEqual, expectExit, expectSqlState, expectThat, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';

/** That triggers are as declared and installed, do what they say, and that a change by hand is found. */
export function testTriggerManagement(suite: Suite): void {
  suite.installation(
    'the triggers are as they were declared and installed',
    'database',
    async ({ env, signal, note }) => {
      const { triggers, problems, counts } = await verifyTriggers({ env, signal });
      // one that was never applied is a note; one that is there under its name and is another is not
      const drifted = triggers.filter(
        ({ isDrift, state, mode, differences }) =>
          isDrift && (state !== 'pending' || (mode !== null && differences.length > 0)),
      );
      const [problem] = problems;
      if (drifted.length > 0 || problem !== undefined) {
        throw new Unexpected(
          [
            ...drifted.map(({ schema, table, name, state, differences }) => {
              const fields = differences.map(({ field }) => field).join(', ');
              return `${name} on ${schema}.${table} is ${state}${fields === '' ? '' : ` (${fields})`}.`;
            }),
            ...problems,
          ].join(' '),
          `manage_db verify-db-triggers --env ${env}`,
        );
      }
      note(
        `${counts.in_sync} in sync${counts.pending === 0 ? '' : `, ${counts.pending} not applied yet (manage_db apply-db-triggers --env ${env})`}.`,
      );
    },
  );

  let createdFirst: readonly string[] = [];
  suite.prepare(async ({ signal }) => {
    const { triggers } = await initDb({ env: 'development', signal, consent: { yes: true } });
    createdFirst = triggers.created.map(({ name }) => name);
  });

  suite.library('applies the declared triggers, and leaves what is unchanged', async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    // initialize-db applies them; those of the bundled pack are among them
    expectThat(createdFirst.includes('notes_tidy_title'), `Only these were created: ${createdFirst.join(', ')}.`);
    const again = await applyTriggers(operation);
    expectEqual('What was created or replaced again', [...again.created, ...again.replaced], []);
    expectThat(
      (await verifyTriggers({ env: 'development', signal })).ok,
      'They do not verify after they were applied.',
    );
  });

  suite.library('triggers do what they are there for', async () => {
    const insert = "insert into notes (title) values ('  tidy  ') returning title, created_by";
    const { rows } = await withActor('feature tester', () =>
      getDbSession((db) => db.query<{ title: string; created_by: string }>(insert), { env: 'development' }),
    );
    expectEqual('The note', rows[0], { title: 'tidy', created_by: 'feature tester' });
    const refused = getDbSession((db) => db.query("insert into notes (title) values ('   ')"), { env: 'development' });
    await expectSqlState('A note without a title', refused, '23514');
  });

  suite.cli('verify-db-triggers finds a function that was changed by hand', async ({ scratch }) => {
    await scratch.inside(() => getDbSession((db) => db.query(CHANGED_BY_HAND), { env: 'development' }));
    expectExit(await scratch.manageDb(['verify-db-triggers']), 4, 'DRIFT');
  });

  suite.cli('verify-db-triggers --fix --override-drift heals it', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['verify-db-triggers', '--fix', '--override-drift', '--yes']), 0);
    expectExit(await scratch.manageDb(['verify-db-triggers']), 0);
  });

  suite.cli('test-db-triggers makes them fire, and nothing remains', async ({ scratch }) => {
    const result = await scratch.manageDb(['test-db-triggers', '--yes']);
    expectExit(result, 0);
    const { counts } = (result.envelope().data ?? {}) as { readonly counts?: { readonly fired: number } };
    expectThat((counts?.fired ?? 0) > 0, 'No trigger has fired.');
  });

  suite.cli('a trigger that does not exist is refused', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['diff-db-triggers', 'notes_tidy_titel']), 2, 'NOT_FOUND');
  });
}

const CHANGED_BY_HAND = `
  create or replace function public.tidy_note_title() returns trigger language plpgsql as $$
  begin
    return new;
  end
  $$`;
