import type { MaskableTable } from '../../../../database/catalog/maskable-tables.js';
import { auditSchema } from '../../../triggers/audit/audit-pack.js';
import type { AuditPackSettings } from '../../../triggers/audit/audit-pack-settings.js';
import type { LeftOutTable } from './resolve-rules.js';

/** Schemas of job queues: what is to be done in production is not to be done twice. */
const QUEUES = ['graphile_worker', 'pgboss', 'pgmq'];

/** Tables that a masked copy has without their rows, whatever the rules say of others: logs of what has been, and queues. */
export function leftOutOf(tables: readonly MaskableTable[], audit: AuditPackSettings | null): readonly LeftOutTable[] {
  const isLog = ({ schema, name }: MaskableTable): boolean =>
    audit !== null && schema === auditSchema(audit) && ['audit_logs', 'audit_chain'].includes(name);
  return tables.filter((table) => isLog(table) || QUEUES.includes(table.schema));
}
