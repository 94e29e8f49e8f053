import type { ComparedDatabases, ComparedSide } from '../../app/core/db-operations/compare.js';
import { currentEnv } from '../../app/core/environment.js';
import { ManageDbError, PermissionError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { renderComparison } from '../presenters/comparison.js';
import { formatCounted } from '../presenters/units.js';
import { refuseTwoSources } from '../source-and-target.js';

interface Args {
  readonly from?: string;
  readonly to: string;
  readonly data?: boolean;
  readonly schema?: readonly string[];
  readonly table?: readonly string[];
  readonly without?: readonly string[];
}

export const command = defineCommand<Args>({
  // it changes nothing, but it takes its time, and which two databases these are is half of the answer
  isMutating: true,
  repeatable: ['schema', 'table', 'without'],
  examples: [
    ['compare-db --from staging --to testing', 'what is defined differently; exit code 4 on any difference'],
    ['compare-db --from staging --to testing --verbose', 'also the DDL that makes testing like staging'],
    ['compare-db --from staging --to testing --data', 'also rows, sequences and large objects, by checksums'],
    [
      'compare-db --to production --schema clinic --without owners',
      'the active environment with production, one schema',
    ],
  ],
  exitCodes: { 2: 'when no difference was found, and not everything could be compared', 4: 'when the two differ' },
  builder: (yargs) =>
    yargs
      .option('from', {
        type: 'string',
        requiresArg: true,
        describe: 'The environment that is as it should be; the active one by default',
      })
      .option('to', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'The environment that is compared with it',
      })
      .option('data', { type: 'boolean', describe: 'Also compare rows, sequences and large objects' })
      .option('schema', { type: 'string', array: true, requiresArg: true, describe: 'Only this schema; repeatable' })
      .option('table', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Only this table or view, with its partitions; repeatable',
      })
      .option('without', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Leave out owners or grants; repeatable',
      }),
  async run({ from, to, data, schema, table, without }, { env, operation, isVerbose }) {
    refuseTwoSources(env, from);
    const { compareDatabases } = await import('../../app/core/db-operations/compare.js');
    const { signal, onProgress, onTarget } = operation;
    const compared = await compareDatabases({
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(onTarget === undefined ? {} : { onTarget }),
      from: from ?? currentEnv(),
      to,
      data,
      schemas: schema,
      tables: table,
      without,
    });
    return {
      data: compared,
      warnings: [...compared.notCompared.map(sentence), ...compared.warnings],
      ...(compared.isEqual ? {} : { error: errorFor(compared, isVerbose) }),
      text: (paint) => renderComparison(compared, { paint, isVerbose }),
    };
  },
});

function sentence({ what, name, environment, because }: ComparedDatabases['notCompared'][number]): string {
  return `Not compared: ${what}${name === '' ? '' : ` ${name}`}, in ${environment}. ${because}`;
}

function errorFor(
  { from, to, differences, definitions, notCompared }: ComparedDatabases,
  isVerbose: boolean,
): ManageDbError {
  const names = `${from.environment} and ${to.environment}`;
  const details = { differences, notCompared: notCompared.length };
  if (differences === 0) {
    return new PermissionError(
      `No difference was found between ${names}, but not everything could be compared. Nothing was changed.`,
      { hint: 'Compare with logins that may read everything; without --data no rows are read.', details },
    );
  }
  return new ManageDbError('DRIFT', `${names} differ: ${formatCounted(differences, 'difference')}.`, {
    hint: definitions.differences.length === 0 ? ROWS_HINT : isVerbose ? DDL_HINT : ddlHint(from, to),
    details,
  });
}

const ROWS_HINT = 'The definitions are equal. Every table with its rows and checksums: the same again with --json';
const DDL_HINT = 'The DDL is a proposal: try it on a copy, and compare again.';

function ddlHint(from: ComparedSide, to: ComparedSide): string {
  return `The DDL that makes ${to.environment} like ${from.environment}: the same again with --verbose, or --json`;
}
