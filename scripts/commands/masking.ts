import type { CheckedMasking } from '../../app/core/db-operations/masking.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import type { Paint } from '../presenters/paint.js';
import { formatCount } from '../presenters/units.js';

interface Args {
  readonly action: 'init' | 'check';
  readonly rules?: string;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    [
      'masking init --env production',
      'write masking.yaml: what could become of each column, to be gone through by people',
    ],
    [
      'masking check --env production',
      'exit code 4 when a column or a literal is undecided or a rule does not fit, with the lines to add',
    ],
    ['masking check --env testing --rules rules/masking.ts', 'in CI, after the migrations'],
  ],
  exitCodes: { 4: 'when the rules do not fit the database (check)' },
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['init', 'check'] as const,
        demandOption: true,
        describe: 'Propose rules, or check them',
      })
      .option('rules', {
        type: 'string',
        requiresArg: true,
        describe: 'The file with the rules; masking.yaml by default',
      }),
  async run({ action, rules }, context) {
    return action === 'init' ? init(rules, context) : check(rules, context);
  },
});

async function init(rules: string | undefined, { operation }: CommandContext): Promise<CommandOutcome> {
  const { initMasking } = await import('../../app/core/db-operations/masking.js');
  const written = await initMasking({ ...operation, rules });
  const { columns, tables, undecided, literals } = written;
  return {
    data: written,
    text: (paint) =>
      [
        `${paint.green('✓')} ${written.rules}: ${formatCount(columns)} columns of ${formatCount(tables)} tables, ${formatCount(undecided)} of them to decide`,
        ...(literals === 0 ? [] : [`  ${formatCount(literals)} definitions with literals to acknowledge`]),
        `  Go through it, then: manage_db masking check${envFlag(operation.env)}`,
      ].join('\n'),
  };
}

async function check(rules: string | undefined, { operation }: CommandContext): Promise<CommandOutcome> {
  const { checkMasking } = await import('../../app/core/db-operations/masking.js');
  const checked = await checkMasking({ ...operation, rules });
  return {
    data: checked,
    warnings: checked.warnings,
    ...(checked.ok ? {} : { error: drift(checked) }),
    text: (paint) => describe(checked, paint),
  };
}

function describe(
  { ok, tables, columns, masked, withoutRows, lines, literalLines, problems, checksum }: CheckedMasking,
  paint: Paint,
): string {
  return [
    ...problems.map(
      ({ place, table, column, message, definition }) =>
        `${paint.red('✗')} ${place === null ? '' : `${place}: `}${paint.bold(column === null ? table : `${table}.${column}`)}: ${message}${definition === undefined ? '' : `: ${definition}`}`,
    ),
    ...(lines.length === 0 ? [] : ['To add below "tables:", with what you decide:', ...lines]),
    ...(literalLines.length === 0
      ? []
      : ['To add below "literals:", once somebody has looked at each:', ...literalLines]),
    ...(withoutRows.length === 0
      ? []
      : [paint.dim(`without rows: ${withoutRows.map(({ schema, name }) => `${schema}.${name}`).join(', ')}`)]),
    `${ok ? `${paint.green('✓')} ` : ''}${formatCount(masked)} of ${formatCount(columns)} columns of ${formatCount(tables)} tables are masked, rules ${checksum.slice(0, 12)}`,
  ].join('\n');
}

function drift({ undecided, problems, literals, rules }: CheckedMasking): ManageDbError {
  const parts = [
    ...(undecided.length === 0
      ? []
      : [`${formatCount(undecided.length)} undecided column${undecided.length === 1 ? '' : 's'}`]),
    ...(problems.length === 0 ? [] : [`${formatCount(problems.length)} problem${problems.length === 1 ? '' : 's'}`]),
    ...(literals.length === 0
      ? []
      : [`${formatCount(literals.length)} definition${literals.length === 1 ? '' : 's'} to acknowledge`]),
  ];
  return new ManageDbError('DRIFT', `The masking rules do not fit the database: ${parts.join(', ')}.`, {
    hint: `Complete ${rules ?? 'the rules'} and run the same again.`,
    details: { undecided: undecided.length, problems: problems.length, literals: literals.length },
  });
}
