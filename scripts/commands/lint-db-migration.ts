import type { Severity } from '../../app/core/db-operations/lint-migrations.js';
import { EXIT } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { renderLint } from '../presenters/lint.js';

interface Args {
  readonly files?: readonly string[];
  readonly all?: boolean;
  readonly down?: boolean;
  readonly failOn: Severity | 'never';
}

/** The first is the least. */
const LEVELS: readonly Severity[] = ['notice', 'warning', 'error'];

export const command = defineCommand<Args>({
  isMutating: false,
  repeatable: ['files'],
  examples: [
    ['lint-db-migration --env production', 'the pending migrations, with the sizes of the tables of production'],
    ['lint-db-migration migrations/20260101120000_index.sql --verbose', 'one file, with the locks of every statement'],
    ['lint-db-migration --all --down --fail-on warning', 'all of them, both ways; exit code 1 on any warning'],
  ],
  exitCodes: { 1: 'when there is a finding of the level of --fail-on or above' },
  builder: (yargs) =>
    yargs
      .positional('files', { type: 'string', array: true, describe: 'SQL files; the pending migrations by default' })
      .option('all', { type: 'boolean', describe: 'Also the migrations that were applied' })
      .option('down', { type: 'boolean', describe: 'Also the down parts' })
      .option('fail-on', {
        choices: [...LEVELS, 'never'] as const,
        default: 'error' as const,
        describe: 'Exit code 1 when there is a finding of this level or above',
      }),
  async run({ files = [], all, down, failOn }, { operation, isVerbose }) {
    const { lintMigrations } = await import('../../app/core/db-operations/lint-migrations.js');
    const { warnings, ...result } = await lintMigrations({ ...operation, files, all, down });
    const levels = failOn === 'never' ? [] : LEVELS.slice(LEVELS.indexOf(failOn));
    return {
      data: result,
      warnings,
      exitCode: levels.some((level) => result.counts[level] > 0) ? EXIT.failed : EXIT.done,
      text: (paint) => renderLint(result, { paint, isVerbose }),
    };
  },
});
