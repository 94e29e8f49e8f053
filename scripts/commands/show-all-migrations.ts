import type { MigrationCounts, MigrationMatrix } from '../../app/core/db-operations/show-migrations.js';
import { EXIT, type ExitCode, ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { renderMigrationMatrix, renderMigrations } from '../presenters/migration-states.js';

interface Args {
  readonly exitCode?: boolean;
  readonly allEnvs?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['show-all-migrations', 'of the active environment; --verbose leaves out nothing'],
    ['show-all-migrations --env production --exit-code', 'for a pipeline: 3 when something is pending'],
    ['show-all-migrations --all-envs', 'side by side, which environment has which'],
  ],
  exitCodes: {
    3: 'with --exit-code, when migrations are pending or out of order',
    4: 'with --exit-code, when some are edited or missing',
  },
  builder: (yargs) =>
    yargs
      .option('exit-code', {
        type: 'boolean',
        describe: 'Exit code 3 when some are pending or out of order, 4 when some are edited or missing',
      })
      .option('all-envs', {
        type: 'boolean',
        describe: 'Migrations by environments; one that does not answer is no failure',
      }),
  async run({ exitCode = false, allEnvs = false }, { env, operation, isVerbose, signal }) {
    const { showMigrations, showMigrationsEverywhere } = await import(
      '../../app/core/db-operations/show-migrations.js'
    );
    if (!allEnvs) {
      const shown = await showMigrations(operation);
      return {
        data: shown,
        ...(exitCode ? { exitCode: exitCodeOf([shown.counts]) } : {}),
        text: (paint) => renderMigrations(shown, { paint, isVerbose, flags: envFlag(env) }),
      };
    }
    if (env !== undefined) {
      throw new ManageDbError('USAGE', 'Either --env or --all-envs.', { hint: 'Leave one of them out.' });
    }
    const matrix = await showMigrationsEverywhere({ signal });
    const counts = matrix.environments.flatMap((environment) => environment.counts ?? []);
    return {
      data: matrix,
      warnings: warningsOf(matrix),
      ...(exitCode ? { exitCode: exitCodeOf(counts) } : {}),
      text: (paint) => renderMigrationMatrix(matrix, { paint, isVerbose }),
    };
  },
});

/** What somebody has to look at is worse than what only has to be applied. */
function exitCodeOf(all: readonly MigrationCounts[]): ExitCode {
  if (all.some(({ edited, missing }) => edited + missing > 0)) return EXIT.drift;
  return all.some((counts) => counts.pending + counts.out_of_order > 0) ? EXIT.pending : EXIT.done;
}

function warningsOf({ environments }: MigrationMatrix): readonly string[] {
  return environments.flatMap(({ name, error }) =>
    error === undefined
      ? []
      : [`${name} is unreachable: ${error.message}${error.hint === null ? '' : ` ${error.hint}`}`],
  );
}
