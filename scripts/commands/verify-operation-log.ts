import type { VerifiedOperationLog } from '../../app/core/db-operations/operation-log.js';
import { ManageDbError } from '../../app/core/errors.js';
import { dashed } from '../../app/core/listed.js';
import { defineCommand } from '../command.js';
import { formatCount } from '../presenters/units.js';
import { waitingWarnings } from '../presenters/waiting-entries.js';

const SHOWN = 20;

export const command = defineCommand({
  isMutating: false,
  examples: [['verify-operation-log --env production', 'whether anybody has changed the record of what was done']],
  exitCodes: { 1: 'when the log is not as it was written' },
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { verifyOperationLog } = await import('../../app/core/db-operations/operation-log.js');
    const verified = await verifyOperationLog(operation);
    return {
      data: verified,
      warnings: warningsOf(verified),
      ...(verified.ok ? {} : { error: broken(verified) }),
      text: (paint) =>
        verified.ok ? `${paint.green('✓')} ${formatCount(verified.entries)} entries, each as it was written` : '',
    };
  },
});

function warningsOf({ isMirrored, pending, refused }: VerifiedOperationLog): readonly string[] {
  return [
    ...(isMirrored
      ? []
      : ['This workspace does not know the end of this log: entries that are missing there would not be noticed.']),
    ...waitingWarnings({ pending, refused }),
  ];
}

function broken({ findings, entries }: VerifiedOperationLog): ManageDbError {
  const details = findings.map(({ detail }) => detail);
  return new ManageDbError(
    'OPERATION_LOG_BROKEN',
    `The operation log (${entries} entries) is not as it was written:\n${dashed(details, SHOWN)}`,
    {
      hint: 'Somebody with the rights of its owner has changed it. Compare with the log in a backup, and look into the log of the server.',
      details: { findings },
    },
  );
}
