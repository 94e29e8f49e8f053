import { loadConfigFile } from '../../app/config/config-file.js';
import { formatDatabaseUrl } from '../../app/config/database-url.js';
import { describeConfig } from '../../app/config/db-config.js';
import { discover, setEnvironment } from '../../app/core/environment.js';
import { assertKnownEnvironment, normalizeEnv } from '../../app/core/environment-names.js';
import { ManageDbError } from '../../app/core/errors.js';
import { describeAncestor } from '../../app/core/safety/stamp.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import { renderTable } from '../presenters/table.js';

interface Args {
  readonly name?: string;
  readonly status?: boolean;
  readonly shell?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['switch-env testing', 'make testing the active environment of this workspace'],
    ['switch-env --status', 'which environment is active, and every place that was looked at'],
    ['switch-env prod --shell', 'print an export line: eval "$(manage_db switch-env prod --shell)"'],
  ],
  builder: (yargs) =>
    yargs
      .positional('name', {
        type: 'string',
        describe: 'development, testing, staging, production (dev, test, stage, prod) or a custom one',
      })
      .option('status', { type: 'boolean', describe: 'Show the active environment, its source and all candidates' })
      .option('shell', { type: 'boolean', describe: 'Switch this shell only: print an export line for eval' }),
  async run(args, context) {
    if (args.name === undefined) {
      if (args.shell) {
        throw new ManageDbError('USAGE', '--shell needs the name of an environment.', {
          hint: 'eval "$(manage_db switch-env testing --shell)"',
        });
      }
      return status(context);
    }
    if (args.status) {
      throw new ManageDbError('USAGE', 'Either switch or show: a name and --status exclude one another.', {
        hint: `manage_db switch-env ${args.name} && manage_db switch-env --status`,
      });
    }
    const environment = normalizeEnv(args.name);
    await loadConfigFile(context.workspace);
    assertKnownEnvironment(environment, context.workspace);
    return args.shell ? shellLine(environment) : switchTo(environment, context);
  },
});

async function switchTo(environment: string, context: CommandContext): Promise<CommandOutcome> {
  const outranking = outrankingCandidate(context.workspace);
  const { from } = setEnvironment(environment, { workspace: context.workspace });
  const report = await describeConfig(environment);
  const warnings = report.problems.map((problem) => problem.message);
  if (outranking !== null && outranking.environment !== environment) {
    warnings.push(
      `${outranking.source}=${outranking.value} in this shell outranks the file: the next command still uses ${outranking.environment}. Change it with: eval "$(manage_db switch-env ${environment} --shell)"`,
    );
  }
  return {
    data: { environment, previous: from, protected: report.security.protected },
    warnings,
    text: (paint) =>
      `${paint.green('✓')} ${from} → ${paint.bold(environment)}${report.security.protected ? `  ${paint.red('PROTECTED')}` : ''}`,
  };
}

/** A variable of this shell that will still win over the file in the next command. */
function outrankingCandidate(workspace: string) {
  try {
    const { candidates } = discover(workspace);
    return (
      candidates.find(({ source, value }) => (source === 'MANAGE_DB_ENV' || source === 'APP_ENV') && value !== null) ??
      null
    );
  } catch {
    return null;
  }
}

function shellLine(environment: string): CommandOutcome {
  const line = `export MANAGE_DB_ENV=${environment}`;
  return { data: { environment, line }, text: () => line };
}

async function status(context: CommandContext): Promise<CommandOutcome> {
  const found = discover(context.workspace);
  const report = await describeConfig(found.environment);
  const { readStampStatus } = await import('../../app/core/db-operations/stamp.js');
  const { status: stamp, unread } = await readStampStatus(found.environment);
  const databaseUrl = report.connection === null ? null : formatDatabaseUrl(report.connection, 'masked');
  return {
    data: {
      environment: found.environment,
      source: found.source,
      candidates: found.candidates,
      protected: report.security.protected,
      databaseUrl,
      stamp,
    },
    warnings: [
      ...report.problems.map((problem) => `${problem.message}${problem.hint === null ? '' : ` ${problem.hint}`}`),
      ...report.warnings,
      ...(unread === null ? [] : [`The stamp could not be read: ${unread}`]),
    ],
    text: (paint) =>
      [
        `${paint.bold(found.environment)}${report.security.protected ? `  ${paint.red('PROTECTED')}` : ''}  from ${found.source}`,
        `database  ${databaseUrl ?? paint.yellow('not configured')}`,
        `stamp     ${stamp === null ? paint.dim('not read') : `${stamp.state === 'trusted' ? paint.green('trusted') : paint.yellow(stamp.state)}  ${stamp.because}`}`,
        ...(stamp?.stamp?.lineage.slice(0, 1) ?? []).map((ancestor) => `before    ${describeAncestor(ancestor)}`),
        '',
        renderTable(
          paint,
          ['looked at', 'says', ''],
          found.candidates.map(({ source, value, environment, ignored }) => [
            source,
            value === null ? null : value === environment ? value : `${value} (${environment ?? 'impossible'})`,
            ignored === null ? (source === found.source ? paint.green('← wins') : '') : `ignored: ${ignored}`,
          ]),
        ),
      ].join('\n'),
  };
}
