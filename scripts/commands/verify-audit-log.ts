import type { VerifiedAuditLog } from '../../app/core/db-operations/audit-log.js';
import { ManageDbError } from '../../app/core/errors.js';
import { dashed } from '../../app/core/listed.js';
import { defineCommand } from '../command.js';
import { formatCount } from '../presenters/units.js';

const SHOWN = 20;

export const command = defineCommand({
  isMutating: false,
  examples: [['verify-audit-log --env production', 'whether anybody has changed what the triggers have logged']],
  exitCodes: { 1: 'when the log is not as it was written' },
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { verifyAuditLog } = await import('../../app/core/db-operations/audit-log.js');
    const verified = await verifyAuditLog(operation);
    const { ok, entries, chained, isChained } = verified;
    return {
      data: verified,
      ...(ok ? {} : { error: broken(verified) }),
      warnings: isChained
        ? []
        : [
            'New entries are not chained: what the owner of the log removes of them in spite of the triggers is not found. Set hashChain in configureAuditPack.',
          ],
      text: (paint) =>
        ok
          ? `${paint.green('✓')} ${formatCount(entries)} entries, ${formatCount(chained)} of them chained and as they were written`
          : '',
    };
  },
});

function broken({ findings, entries }: VerifiedAuditLog): ManageDbError {
  const details = findings.map(({ detail }) => detail);
  return new ManageDbError(
    'AUDIT_LOG_BROKEN',
    `The audit log (${entries} entries) is not as it was written:\n${dashed(details, SHOWN)}`,
    {
      hint: 'Somebody with the rights of its owner has changed it. Compare with the log in a backup.',
      details: { findings },
    },
  );
}
