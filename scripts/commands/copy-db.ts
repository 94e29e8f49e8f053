import type { CopyPlan, CopyResult, CopyStrategy } from '../../app/core/db-operations/copy.js';
import { currentEnv } from '../../app/core/environment.js';
import { defineCommand } from '../command.js';
import { keepingOf, keptLines } from '../keeping.js';
import { copyLines, copyPlanLines } from '../presenters/copy.js';
import { NO_PAINT, type Paint } from '../presenters/paint.js';
import { renderSchemaUpdate, renderSchemaUpdatePlan } from '../presenters/schema-update.js';
import { refuseTwoSources } from '../source-and-target.js';

interface Args {
  readonly from?: string;
  readonly to: string;
  readonly mask?: string;
  readonly unmasked?: boolean;
  readonly schemaOnly?: boolean;
  readonly dataOnly?: boolean;
  readonly fireTriggers?: boolean;
  readonly allowDataLoss?: boolean;
  readonly withGrants?: boolean;
  readonly strategy?: CopyStrategy;
  readonly jobs?: number;
  readonly disconnectUsers?: boolean;
  readonly keepPrevious?: string | false;
  readonly without?: readonly string[];
  readonly dryRun?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  repeatable: ['without'],
  examples: [
    ['copy-db --from production --to testing --mask --yes', 'masked by the rules in masking.yaml'],
    ['copy-db --from staging --to testing --dry-run', 'strategy, reason, expected time and size; nothing is changed'],
    ['copy-db --from staging --to testing --keep-previous 7d --yes', 'see undo-copy'],
    ['copy-db --from staging --to testing --schema-only', 'what is defined, onto rows that stay'],
    ['copy-db --from staging --to testing --data-only --yes', 'the rows, where both have the same definitions'],
  ],
  builder: (yargs) =>
    yargs
      .option('from', {
        type: 'string',
        requiresArg: true,
        describe: 'The environment that is copied, and only read; the active one by default',
      })
      .option('to', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'The environment whose database becomes the copy',
      })
      .option('mask', { type: 'string', describe: 'Mask the rows, by the rules in this file; by default masking.yaml' })
      .option('unmasked', {
        type: 'boolean',
        describe: 'Bring what a protected environment holds into an open one as it is; wants the whole ceremony',
      })
      .option('schema-only', {
        type: 'boolean',
        describe: 'Only the definitions; a target that is there is updated and keeps its rows',
      })
      .option('data-only', { type: 'boolean', describe: 'Only the rows, where both have the same definitions' })
      .option('fire-triggers', {
        type: 'boolean',
        describe: 'With --data-only: triggers fire for every row; by default they are made afterwards',
      })
      .option('allow-data-loss', {
        type: 'boolean',
        describe: 'With --schema-only: also changes by which rows are lost, after a safety backup',
      })
      .option('with-grants', {
        type: 'boolean',
        describe: 'With --schema-only: also owners, grants and default privileges as in the source',
      })
      .option('strategy', {
        choices: ['stream', 'template'] as const,
        describe: 'stream, or template (the server copies the files itself); the fastest possible one by default',
      })
      .option('jobs', { type: 'number', requiresArg: true, describe: 'Sessions that copy at the same time' })
      .option('disconnect-users', {
        type: 'boolean',
        describe: 'End the sessions that use the target at the moment of the swap',
      })
      .option('keep-previous', {
        type: 'string',
        describe: 'Keep the replaced database under another name: 24h by default, or 7d; see undo-copy',
      })
      .option('without', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Leave out what the server lacks: owners, grants, tablespaces, extension:NAME; repeatable',
      })
      .option('dry-run', { type: 'boolean', describe: 'Only say what would be done' }),
  async run({ from, keepPrevious, mask, ...args }, { env, operation, say, isVerbose }) {
    refuseTwoSources(env, from);
    const { copyDatabase } = await import('../../app/core/db-operations/copy.js');
    const { env: _env, ...controls } = operation;
    const result = await copyDatabase({
      ...controls,
      ...args,
      from: from ?? currentEnv(),
      mask: mask === '' ? true : mask,
      keepPrevious: keepingOf(keepPrevious),
      // of a dry run the statements are the result
      onPlan: (plan) => linesBefore(plan, args.dryRun === true, isVerbose).forEach(say),
    });
    return {
      data: result,
      warnings: result.warnings,
      text: (paint) => linesAfter(result, { paint, isVerbose }).join('\n'),
    };
  },
});

function linesBefore(plan: CopyPlan, isDryRun: boolean, isVerbose: boolean): string[] {
  if (plan.update === null || isDryRun) return copyPlanLines(plan);
  return [...copyPlanLines(plan), ...renderSchemaUpdatePlan(plan.update, { paint: NO_PAINT, isVerbose }).split('\n')];
}

function linesAfter(result: CopyResult, style: { readonly paint: Paint; readonly isVerbose: boolean }): string[] {
  const { plan, updated, isDryRun } = result;
  if (isDryRun) {
    return [
      ...(plan.update === null ? [] : [renderSchemaUpdatePlan(plan.update, style)]),
      style.paint.dim('Nothing was changed: this was a dry run.'),
    ];
  }
  return updated === null
    ? [...copyLines(result, style.paint), ...keptLines(result, 'undo-copy')]
    : [renderSchemaUpdate(updated, style)];
}
