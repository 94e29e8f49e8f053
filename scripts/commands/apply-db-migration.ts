import type { RehearsalOrigin } from '../../app/core/db-operations/rehearse-migrations.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import { type MigrationArgs, migrationFlags, ranOutcome, runOptionsOf } from '../migration-flags.js';
import { rehearsalOutcome } from '../presenters/rehearsal.js';

interface Args extends MigrationArgs {
  readonly allowOutOfOrder?: boolean;
  readonly allowMissing?: boolean;
  readonly rehearse?: boolean;
  readonly rehearseFrom?: RehearsalOrigin;
  readonly allowServerWide?: boolean;
  readonly rehearsal?: string;
}

export const command = defineCommand<Args>({
  isMutating: ({ rehearse, allowServerWide }) => rehearse !== true || allowServerWide === true,
  examples: [
    ['apply-db-migration', 'all that are pending'],
    ['apply-db-migration --dry-run', 'which ones, what is lost, and nothing happens'],
    ['apply-db-migration --rehearse', 'on a copy: time, locks, rewritten tables, whether it can be taken back'],
    ['apply-db-migration --to 20261121093000', 'up to this one'],
    [
      'apply-db-migration --env production --reason "release 42" --confirm "EXECUTE APPLY_DB_MIGRATION ON clinic"',
      'where the database is protected',
    ],
  ],
  exitCodes: { 1: 'with --rehearse, when a migration fails on the copy or cannot be taken back cleanly' },
  builder: (yargs) =>
    migrationFlags(yargs, { to: 'Up to this version, which is the last one', steps: 'At most this many' })
      .option('allow-out-of-order', {
        type: 'boolean',
        describe: 'Also those that are older than one that is applied',
      })
      .option('allow-missing', {
        type: 'boolean',
        describe: 'Also where files of applied migrations are not in the folder',
      })
      .option('rehearse', {
        type: 'boolean',
        describe: 'Only try them out, on a copy of the database that is dropped again',
      })
      .option('rehearse-from', {
        choices: ['template', 'backup', 'stream'] as const,
        describe: 'With --rehearse: where the copy comes from; by default whatever is possible, in this order',
      })
      .option('allow-server-wide', {
        type: 'boolean',
        describe: 'With --rehearse: also statements that reach beyond the copy, such as CREATE ROLE',
      })
      .option('rehearsal', {
        type: 'string',
        requiresArg: true,
        describe: 'Apply only what the rehearsal with this checksum has shown',
      }),
  async run({ rehearse: isRehearsal, rehearseFrom, allowServerWide, ...args }, context) {
    if (isRehearsal === true) return rehearse({ ...args, rehearseFrom, allowServerWide }, context);
    refuseAlone({ rehearseFrom, allowServerWide });
    const { allowOutOfOrder, allowMissing, rehearsal } = args;
    const { operation, say } = context;
    const { applyMigration } = await import('../../app/core/db-operations/migrations.js');
    const options = { ...operation, ...runOptionsOf(args, say), allowOutOfOrder, allowMissing, rehearsal };
    return ranOutcome(await applyMigration(options), operation.env);
  },
});

async function rehearse(args: Omit<Args, 'rehearse'>, { operation }: CommandContext): Promise<CommandOutcome> {
  const { to, steps, rehearseFrom, allowServerWide, ...ofRuns } = args;
  refuseBeside(ofRuns);
  const { rehearseMigrations } = await import('../../app/core/db-operations/rehearse-migrations.js');
  return rehearsalOutcome(await rehearseMigrations({ ...operation, to, steps, rehearseFrom, allowServerWide }));
}

/** What says how something is applied says nothing about a rehearsal. */
function refuseBeside(ofRuns: Omit<Args, 'rehearse' | 'to' | 'steps' | 'rehearseFrom' | 'allowServerWide'>): void {
  const { dryRun, rehearsal, lockTimeout, lockBudget, schemaFile, unknownStatement } = ofRuns;
  const { allowOutOfOrder, allowMissing } = ofRuns;
  const flags = {
    '--dry-run': dryRun,
    '--rehearsal': rehearsal,
    '--lock-timeout': lockTimeout,
    '--lock-budget': lockBudget,
    [schemaFile === false ? '--no-schema-file' : '--schema-file']: schemaFile,
    '--unknown-statement': unknownStatement,
    '--allow-out-of-order': allowOutOfOrder,
    '--allow-missing': allowMissing,
  };
  const other = Object.entries(flags).find(([, value]) => value !== undefined)?.[0];
  if (other === undefined) return;
  throw new ManageDbError('USAGE', `--rehearse and ${other} cannot be given together.`, {
    hint: 'Rehearse first, then apply.',
  });
}

/** A flag that does nothing is a flag that was misunderstood. */
function refuseAlone({ rehearseFrom, allowServerWide }: Pick<Args, 'rehearseFrom' | 'allowServerWide'>): void {
  if (rehearseFrom === undefined && allowServerWide === undefined) return;
  const flag = rehearseFrom === undefined ? '--allow-server-wide' : '--rehearse-from';
  throw new ManageDbError('USAGE', `${flag} belongs to --rehearse.`, { hint: `Add --rehearse, or leave ${flag} out.` });
}
