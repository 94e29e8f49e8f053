import type { ApplyTriggersResult } from '../../app/core/triggers/apply.js';
import { defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { renderSkipped } from '../presenters/skipped-triggers.js';
import { formatCount } from '../presenters/units.js';

interface Args {
  readonly pack?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly dryRun?: boolean;
  readonly perTable?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['apply-db-triggers', 'all packs, on every table that has the columns'],
    ['apply-db-triggers --dry-run', 'the exact SQL and its locks, and nothing happens'],
    ['apply-db-triggers --pack base --schema billing', 'one pack, in one schema'],
  ],
  builder: (yargs) =>
    yargs
      .option('pack', {
        type: 'string',
        requiresArg: true,
        describe: 'Only this pack: base, security, audit, or workspace',
      })
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only in this schema' })
      .option('table', { type: 'string', requiresArg: true, describe: 'Only on this table: name, or schema.name' })
      .option('per-table', {
        type: 'boolean',
        describe: 'Commit table by table; the default where the database is protected (--no-per-table: all or nothing)',
      })
      .option('dry-run', { type: 'boolean', describe: 'Print the SQL instead of executing it' }),
  async run({ pack, schema, table, dryRun, perTable }, { operation }) {
    const { applyTriggers } = await import('../../app/core/db-operations/triggers.js');
    const result = await applyTriggers({ ...operation, pack, schema, table, dryRun, perTable });
    return { data: result, text: (paint) => describe(result, dryRun === true, paint) };
  },
});

const CHANGES = ['created', 'replaced', 'enabled', 'disabled', 'dropped', 'removed'] as const;

function describe(result: ApplyTriggersResult, isDryRun: boolean, paint: Paint): string {
  const lines = CHANGES.flatMap((change) =>
    result[change].map(
      ({ schema, table, name }) => `${paint.green('+')} ${change.padEnd(8)}  ${schema}.${table}  ${name}`,
    ),
  );
  const counts = CHANGES.map((change) => `${formatCount(result[change].length)} ${change}`).filter(
    (text) => !text.startsWith('0 '),
  );
  lines.push(
    `${[...counts, `${formatCount(result.unchanged.length)} unchanged`].join(', ')}${isDryRun ? ', if it were executed' : ''}`,
  );
  const isAllButTriggers = counts.length === 0 && result.statements.length > 0;
  if (isAllButTriggers && !isDryRun)
    lines.push(paint.dim(`- ${counted(result.statements.length)} about functions, and tables of packs`));
  lines.push(...renderSkipped(result.skipped, paint));
  lines.push(
    ...result.skippedFunctions.map(({ schema, name, reason }) =>
      paint.dim(`- skipped function ${schema}.${name}(): ${reason}`),
    ),
  );
  if (isDryRun && result.statements.length > 0)
    lines.push('', ...result.statements.map((statement) => `${statement.replace(/;?\s*$/, '')};`));
  return lines.join('\n');
}

function counted(statements: number): string {
  return statements === 1 ? '1 statement' : `${formatCount(statements)} statements`;
}
