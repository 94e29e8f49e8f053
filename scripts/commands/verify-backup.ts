import { backupCommand } from '../../app/core/db-operations/backup/backup-command.js';
import type { BackupCheck, VerifiedBackup } from '../../app/core/db-operations/verify-backup.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type DecryptArgs, decryptFlags, decryptOf, type StorageArgs, storageFlag } from '../backup-flags.js';
import { type CommandOutcome, defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { formatDuration } from '../presenters/units.js';

interface Args extends DecryptArgs, StorageArgs {
  readonly id: string;
  readonly deep?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['verify-backup latest', 'every checksum, and the dump read to its end; no server is needed'],
    ['verify-backup latest --deep --env production', 'restored into a scratch database, compared, dropped again'],
  ],
  exitCodes: { 1: 'when it is not what was backed up' },
  builder: (yargs) =>
    storageFlag(decryptFlags(yargs))
      .positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'Its id, the beginning of exactly one, or "latest": the newest that was ever finished',
      })
      .option('deep', {
        type: 'boolean',
        describe: "Also restore it into a scratch database on its environment's server, and compare",
      }),
  async run({ id, deep, storage, ...keys }, context) {
    const { verifyBackup } = await import('../../app/core/db-operations/verify-backup.js');
    const decrypt = await decryptOf(keys, context);
    try {
      return fine(storage, await verifyBackup({ ...context.operation, id: String(id), deep, storage, decrypt }));
    } catch (error) {
      if (error instanceof ManageDbError && error.code === 'BACKUP_INVALID' && Array.isArray(error.details.checks)) {
        return noGood(error, error.details.checks as BackupCheck[]);
      }
      throw error;
    }
  },
});

function fine(storage: string | undefined, verified: VerifiedBackup): CommandOutcome {
  const { id, environment, checks, verification, isRecorded, durationMs } = verified;
  const how = verification.how === 'deep' ? 'it restores' : 'its files are sound';
  return {
    data: verified,
    warnings: isRecorded ? [] : [`Its folder cannot be written to: nobody will know that ${id} was verified.`],
    text: (paint) =>
      [
        ...lines(checks, paint),
        `${paint.green('✓')} ${paint.bold(id)} verified in ${formatDuration(durationMs)}: ${how}`,
        ...(verification.how === 'deep'
          ? []
          : [`  Whether it restores: ${backupCommand(`verify-backup ${id} --deep`, { environment, storage })}`]),
      ].join('\n'),
  };
}

function noGood(error: ManageDbError, checks: readonly BackupCheck[]): CommandOutcome {
  const { id, environment } = error.details;
  return { data: { id, environment, checks }, error, text: (paint) => lines(checks, paint).join('\n') };
}

function lines(checks: readonly BackupCheck[], paint: Paint): readonly string[] {
  const width = Math.max(...checks.map(({ name }) => name.length), 0);
  return checks.map(
    ({ name, ok, detail }) => `${ok ? paint.green('✓') : paint.red('✗')} ${name.padEnd(width)}  ${detail}`,
  );
}
