import type { Argv } from 'yargs';
import type { MigrationRun, MigrationRunOptions } from '../app/core/db-operations/migrations.js';
import type { CommandOutcome } from './command.js';
import { durationMs } from './duration.js';
import { planLines, renderRun } from './presenters/migrations.js';

/** What comes of such a command. */
export function ranOutcome(result: MigrationRun, env: string | undefined): CommandOutcome {
  return { data: result, warnings: result.warnings, text: (paint) => renderRun(result, { paint, env }) };
}

/** The flags of every command that runs migrations. */
export interface MigrationArgs {
  readonly to?: string;
  readonly steps?: number;
  readonly dryRun?: boolean;
  readonly lockTimeout?: string;
  readonly lockBudget?: string;
  readonly unknownStatement?: 'done' | 'again';
  readonly schemaFile?: string | false;
}

export function migrationFlags<T>(yargs: Argv<T>, { to, steps }: { readonly to: string; readonly steps: string }) {
  return yargs
    .option('to', { type: 'string', requiresArg: true, describe: to })
    .option('steps', { type: 'number', requiresArg: true, describe: steps })
    .option('dry-run', { type: 'boolean', describe: 'Only say what would be done' })
    .option('lock-timeout', {
      type: 'string',
      requiresArg: true,
      describe:
        'How long one attempt waits for a lock, and the application behind it, such as 2s; see the setting lockTimeoutMs',
    })
    .option('lock-budget', {
      type: 'string',
      requiresArg: true,
      describe: 'How long it tries to get the locks of one migration, such as 60s; see the setting lockBudgetMs',
    })
    .option('schema-file', {
      type: 'string',
      describe: 'Where the schema is written afterwards, for review; --no-schema-file: nowhere',
    })
    .option('unknown-statement', {
      choices: ['done', 'again'] as const,
      describe: 'What a statement counts as of which nobody can tell whether a killed run has finished it',
    });
}

/**
 * @param say is told the plan, where something is going to be done
 * @throws ManageDbError `USAGE`
 */
export function runOptionsOf(
  { lockTimeout, lockBudget, ...args }: MigrationArgs,
  say: (line: string) => void,
): MigrationRunOptions {
  const { to, steps, dryRun, unknownStatement, schemaFile } = args;
  return {
    to,
    steps,
    dryRun,
    unknownStatement,
    // without a name, the usual one
    schemaFile: schemaFile === '' ? 'schema.sql' : schemaFile,
    lockTimeoutMs: lockTimeout === undefined ? undefined : Math.ceil(durationMs(lockTimeout, '--lock-timeout')),
    lockBudgetMs: lockBudget === undefined ? undefined : Math.ceil(durationMs(lockBudget, '--lock-budget')),
    onPlan: (plan) => {
      if (dryRun === true) return;
      for (const line of planLines(plan)) say(line);
    },
  };
}
