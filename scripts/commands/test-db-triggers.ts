import type { TestTriggersResult } from '../../app/core/db-operations/trigger-test.js';
import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { durationMs } from '../duration.js';
import { envFlag } from '../env-flag.js';
import { renderTestedTriggers } from '../presenters/tested-triggers.js';
import { formatCounted } from '../presenters/units.js';

interface Args {
  readonly schema?: string;
  readonly table?: string;
  readonly name?: string;
  readonly timeout?: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['test-db-triggers', 'every trigger of the active environment; nothing of it remains'],
    ['test-db-triggers --table clinic.users --name update_timestamp', 'one trigger'],
    [
      'test-db-triggers --json | jq ".data.triggers[] | select(.events[].state == \\"failed\\")"',
      'those that failed, for programs',
    ],
  ],
  exitCodes: { 1: 'when a trigger fails' },
  builder: (yargs) =>
    yargs
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only in this schema' })
      .option('table', {
        type: 'string',
        requiresArg: true,
        describe: 'Only on this table, as schema.table or by a name that is unique',
      })
      .option('name', { type: 'string', requiresArg: true, describe: 'Only triggers of this name' })
      .option('timeout', {
        type: 'string',
        requiresArg: true,
        describe: 'Give a statement up after this, by default 10s',
      }),
  async run({ schema, table, name, timeout }, { operation }) {
    const timeoutMs = timeout === undefined ? undefined : Math.ceil(durationMs(timeout, '--timeout'));
    const { testTriggers } = await import('../../app/core/db-operations/trigger-test.js');
    const result = await testTriggers({ ...operation, schema, table, name, timeoutMs });
    const error = failureOf(result, operation.env);
    return {
      data: result,
      text: (paint) => renderTestedTriggers(result, paint),
      ...(error === null ? {} : { error }),
    };
  },
});

function failureOf({ triggers }: TestTriggersResult, env: string | undefined): ManageDbError | null {
  const failed = triggers.filter(
    ({ events, functionErrors }) => functionErrors.length > 0 || events.some(({ state }) => state === 'failed'),
  );
  const [first] = failed;
  if (first === undefined) return null;
  return new ManageDbError(
    'SQL_FAILED',
    `${formatCounted(failed.length, 'trigger')} failed; everything was rolled back.`,
    {
      hint: `Mend its function, then: manage_db test-db-triggers --table '${first.schema}.${first.table}' --name '${first.name}'${envFlag(env)}`,
      details: { failed: failed.map(({ schema, table, name }) => ({ schema, table, name })) },
    },
  );
}
