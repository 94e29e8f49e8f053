import type { LintFinding, Severity } from '../../app/core/db-operations/lint-migrations.js';
import { ManageDbError } from '../../app/core/errors.js';
import { shellQuote } from '../../app/core/shell-quote.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { placeOf, renderLint, shownFile } from '../presenters/lint.js';
import { printable } from '../presenters/printable.js';

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
    const error = failOn === 'never' ? null : failure(result.findings, { failOn, env: operation.env });
    return {
      data: result,
      warnings,
      ...(error === null ? {} : { error }),
      text: (paint) => renderLint(result, { paint, isVerbose }),
    };
  },
});

/** Names the worst, and how it is done safely. */
function failure(
  findings: readonly LintFinding[],
  { failOn, env }: { readonly failOn: Severity; readonly env: string | undefined },
): ManageDbError | null {
  const failed = LEVELS.slice(LEVELS.indexOf(failOn))
    .reverse()
    .flatMap((level) => findings.filter(({ severity }) => severity === level));
  const [worst] = failed;
  if (worst === undefined) return null;
  const { file, rule, message, rewrite } = worst;
  const others = failed.length === 1 ? '' : ` (and ${failed.length - 1} more)`;
  const again = `manage_db lint-db-migration ${shellQuote(shownFile(file))}${envFlag(env)}`;
  return new ManageDbError('CHECK_FAILED', `${placeOf(worst)}  ${rule}: ${printable(message)}${others}`, {
    hint: rewrite ?? `Change it, and look again: ${again}`,
    details: { failOn, failed: failed.map(({ file, line, rule, severity }) => ({ file, line, rule, severity })) },
  });
}
