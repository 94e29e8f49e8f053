import type { StampResult } from '../../app/core/db-operations/stamp.js';
import { shellQuote } from '../../app/core/shell-quote.js';
import { defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';

interface Args {
  readonly expectedHost?: string | readonly string[];
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['stamp-database --env development', 'from now on this database is known as development'],
    ['stamp-database --env production --expected-host db1.internal', 'and a clone at another host is not production'],
  ],
  repeatable: ['expected-host'],
  builder: (yargs) =>
    yargs.option('expected-host', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Where the real database answers: host, or host:port; may be given more than once',
    }),
  async run({ expectedHost }, { operation }) {
    const { stampDatabase } = await import('../../app/core/db-operations/stamp.js');
    const hosts = expectedHost === undefined ? undefined : [expectedHost].flat();
    const result = await stampDatabase({ ...operation, expectedHosts: hosts });
    return { data: result, warnings: warningsOf(result), text: (paint) => describe(result, paint) };
  },
});

function describe({ before, stamp }: StampResult, paint: Paint): string {
  const was = before.stamp === null ? 'it had no stamp' : `it was ${before.state}: ${before.because}`;
  return `${paint.green('✓')} ${stamp.database} is ${paint.bold(stamp.environment)}${stamp.protected ? `, ${paint.red('PROTECTED')}` : ''} (${was.replace(/\.$/, '')})`;
}

function warningsOf({ stamp, host }: StampResult): readonly string[] {
  if (!stamp.protected || stamp.expectedHosts.length > 0) return [];
  return [
    `The stamp names no expected hosts: a physical clone would look like ${stamp.environment}. Pin them: manage_db stamp-database --env ${stamp.environment} --expected-host ${shellQuote(host)}`,
  ];
}
