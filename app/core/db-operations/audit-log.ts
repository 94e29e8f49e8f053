import type { Queryable } from '../../database/queryable.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { auditSchema } from '../triggers/audit/audit-pack.js';
import { type AuditedTable, readCoverage } from './audit-log/coverage.js';
import { type AuditFinding, type AuditLogPlace, readAuditFindings } from './audit-log/verify.js';
import { readAuditSettings } from './trigger-work/packs.js';

export type { AuditedTable } from './audit-log/coverage.js';
export type { AuditFinding } from './audit-log/verify.js';

export interface VerifiedAuditLog {
  readonly ok: boolean;
  readonly entries: number;
  /** Those with a hash; 0 where no chain was ever configured. */
  readonly chained: number;
  /** Whether new entries get one, as the workspace says. */
  readonly isChained: boolean;
  /** At most 1000. */
  readonly findings: readonly AuditFinding[];
}

export interface AuditCoverage {
  readonly tables: readonly AuditedTable[];
  readonly counts: Readonly<Record<AuditedTable['state'], number>>;
}

/**
 * Checks the audit log: what protects it, and where it is chained, every hash and every link.
 *
 * @throws ManageDbError `USAGE` where no trigger file configures the audit pack, `NOT_FOUND` before its first apply,
 *   `PERMISSION_DENIED` to whom may not read it, and what connecting throws; what is wrong is in `findings`
 * @example const { ok, findings } = await verifyAuditLog({ env: 'production' });
 */
export function verifyAuditLog(options: OperationOptions = {}): Promise<VerifiedAuditLog> {
  return guarded('verify-audit-log', options, (target) =>
    looking(target, options, async (db, place) => {
      const { entries, chained, findings } = await readAuditFindings(db, place, target);
      return { ok: findings.length === 0, entries, chained, isChained: place.isChained, findings };
    }),
  );
}

/**
 * Which tables are audited, and which are not.
 *
 * @throws ManageDbError as {@link verifyAuditLog}
 * @example const missing = (await auditCoverage()).tables.filter(({ state }) => state !== 'audited');
 */
export function auditCoverage(options: OperationOptions = {}): Promise<AuditCoverage> {
  return guarded('show-audit-coverage', options, (target) =>
    looking(target, options, async (db, { schema }) => {
      const tables = await readCoverage(db, schema);
      const counts = { audited: 0, partly: 0, not_audited: 0 };
      for (const { state } of tables) counts[state] += 1;
      return { tables, counts };
    }),
  );
}

async function looking<T>(
  { environment, database }: Target,
  { signal }: OperationOptions,
  work: (db: Queryable, place: AuditLogPlace) => Promise<T>,
): Promise<T> {
  const place = await configuredPlace();
  const session = { env: environment, readOnly: true, isolation: 'repeatable read' } as const;
  return getOperationSession(
    async (db) => {
      await db.query(`select pg_catalog.set_config('search_path', '', true)`);
      const { rows } = await db.query<{ log: string | null }>(`select pg_catalog.to_regclass($1)::text as log`, [
        `${place.schema}.audit_logs`,
      ]);
      if (rows[0]?.log) return work(db, place);
      throw new ManageDbError('NOT_FOUND', `${database} has no audit log yet.`, {
        hint: `Apply the audit pack: manage_db apply-db-triggers --pack audit --env ${environment}`,
      });
    },
    { ...session, ...(signal === undefined ? {} : { signal }) },
  );
}

async function configuredPlace(): Promise<AuditLogPlace> {
  const settings = await readAuditSettings();
  if (settings !== null) return { schema: auditSchema(settings), isChained: settings.hashChain === true };
  throw new ManageDbError('USAGE', 'Nothing is audited: no trigger file configures the audit pack.', {
    hint: "Write triggers/audit.trigger.ts: import { configureAuditPack } from 'manage_db'; export default configureAuditPack();",
  });
}
