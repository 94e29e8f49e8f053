import type { InPlaceResult } from '../../app/core/db-operations/restore/in-place.js';
import type { RestoreOptions, RestoreResult } from '../../app/core/db-operations/restore.js';
import { currentEnv } from '../../app/core/environment.js';
import { normalizeEnv } from '../../app/core/environment-names.js';
import type { OperationOptions } from '../../app/core/safety/gate.js';
import { type DecryptArgs, decryptFlags, decryptOf, type StorageArgs, storageFlag } from '../backup-flags.js';
import { defineCommand } from '../command.js';
import { keepingOf, keptLines } from '../keeping.js';
import { formatCounted, formatDuration } from '../presenters/units.js';

interface Args extends DecryptArgs, StorageArgs {
  readonly id: string;
  readonly toEnv?: string;
  readonly unmasked?: boolean;
  readonly disconnectUsers?: boolean;
  readonly keepPrevious?: string | false;
  readonly without?: readonly string[];
  readonly method?: 'swap' | 'transaction';
  readonly table?: readonly string[];
  readonly schema?: readonly string[];
  readonly inPlace?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  repeatable: ['without', 'table', 'schema'],
  examples: [
    ['restore-backup latest --yes', 'the newest backup of the active environment'],
    [
      'restore-backup latest --env staging --to-env testing --yes',
      'the newest backup of staging, into the database of testing',
    ],
    [
      'restore-backup 20261121T0334 --keep-previous 7d',
      'by the beginning of its id; the replaced database is kept for a week',
    ],
    ['restore-backup latest --in-place --table clinic.visits', 'one table inside the live database; the rest stays'],
  ],
  builder: (yargs) =>
    storageFlag(decryptFlags(yargs))
      .positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'Its id, the beginning of exactly one, or "latest"',
      })
      .option('to-env', {
        type: 'string',
        requiresArg: true,
        describe: 'Restore it into another environment than the one that it is of (--env)',
      })
      .option('unmasked', {
        type: 'boolean',
        describe: 'Bring what a protected environment holds into an open one as it is; wants the whole ceremony',
      })
      .option('disconnect-users', {
        type: 'boolean',
        describe: 'End the sessions that use the database at the moment of the swap',
      })
      .option('keep-previous', {
        type: 'string',
        describe: 'Keep the replaced database under another name: 24h by default, or 7d; see undo-restore',
      })
      .option('without', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Leave out what the server lacks: owners, grants, tablespaces, extension:NAME; repeatable',
      })
      .option('method', {
        choices: ['swap', 'transaction'] as const,
        describe: 'swap (default where it is possible), or inside the live database in one transaction',
      })
      .option('table', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Only this table, with its partitions; repeatable; needs --in-place',
      })
      .option('schema', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Only the tables of this schema; repeatable; needs --in-place',
      })
      .option('in-place', {
        type: 'boolean',
        describe: 'Inside the live database, where all else stays: the tables are of another moment than the rest then',
      }),
  async run(args, context) {
    const { id, toEnv, unmasked, disconnectUsers, keepPrevious, without, method, storage, ...more } = args;
    const { table, schema, inPlace, ...keys } = more;
    const { operation } = context;
    const { restoreDatabase } = await import('../../app/core/db-operations/restore.js');
    const result = await restoreDatabase({
      ...operation,
      ...(toEnv === undefined ? {} : intoOther(toEnv, operation)),
      id: String(id),
      unmasked,
      storage,
      decrypt: await decryptOf(keys, context),
      disconnectUsers,
      keepPrevious: keepingOf(keepPrevious),
      without,
      method,
      tables: table,
      schemas: schema,
      inPlace,
    });
    const rows = result.tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
    return {
      data: result,
      warnings: result.warnings,
      text: (paint) =>
        [
          `${paint.green('✓')} ${paint.bold(result.database)} restored${fromOther(result)} by ${result.strategy} in ${formatDuration(result.durationMs)}: ${formatCounted(result.tables.length, 'table')}, ${formatCounted(rows, 'row')} as the manifest says`,
          ...(result.strategy === 'transaction' ? [`  In one transaction: ${result.because}`] : []),
          ...(result.inPlace === null ? [] : inPlaceLines(result.inPlace)),
          ...(result.safetyBackup === null
            ? []
            : [
                `  What it replaced: ${result.inPlace?.undo ?? `manage_db restore-backup ${result.safetyBackup} --env ${result.environment}`}`,
              ]),
          ...keptLines(result),
        ].join('\n'),
    };
  },
});

/** The gate is that of the environment which is changed. */
function intoOther(
  toEnv: string,
  { env }: OperationOptions,
): Pick<RestoreOptions, 'env' | 'environmentFlag' | 'fromEnvironment'> {
  return { env: normalizeEnv(toEnv), environmentFlag: '--to-env', fromEnvironment: env ?? currentEnv() };
}

function fromOther({ id, environment, fromEnvironment }: RestoreResult): string {
  return environment === fromEnvironment ? '' : ` for ${environment} from backup ${id} of ${fromEnvironment}`;
}

function inPlaceLines({ replaced, made, emptied, sequences }: InPlaceResult): string[] {
  const lines: readonly (readonly [string, readonly string[]])[] = [
    ['Rows replaced', replaced],
    ['Made again', made],
    ['Emptied', emptied],
    ['Sequences', sequences.map(({ sequence, next }) => `${sequence} (gives ${next} next)`)],
  ];
  return lines.flatMap(([what, names]) => (names.length === 0 ? [] : [`  ${what}: ${names.join(', ')}`]));
}
