import { type ConfigReport, describeConfig, getConfig } from '../../config/db-config.js';
import { forgetAccessRoles } from '../../database/records/access-roles.js';
import { readStamp, type Stamp, writeStamp } from '../../database/records/identity.js';
import { readObservation } from '../../database/records/observation.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { actorName } from '../../services/actor-name.js';
import { connectForOperation, getOperationSession } from '../../services/database-service.js';
import { embeddedServerStatus } from '../../services/embedded-postgres.js';
import { ManageDbError, messageOf } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { isExpectedAt, judgeStamp, lineageAfter, type StampJudgement, type StampState } from '../safety/stamp.js';
import { stampOf } from '../safety/write-stamp.js';

export interface StampOptions extends OperationOptions {
  /** Hosts that the real database answers at; by default those of the settings, else those of the stamp before. */
  readonly expectedHosts?: readonly string[] | undefined;
}

export interface StampResult {
  readonly before: { readonly state: StampState; readonly because: string; readonly stamp: Stamp | null };
  readonly stamp: Stamp;
  /** Where the database has answered, for `expectedHosts`. */
  readonly host: string;
}

/**
 * Says what a database is: that of `env`, from now on and until somebody says otherwise. Lowering the protection of a
 * stamp takes as much consent as the old one demands; so does the first stamp of a database that is not empty.
 *
 * @throws ManageDbError `STAMP_MISMATCH` when somebody else has stamped it meanwhile, `USAGE` when it is not at one of the
 *   expected hosts, and what the gate and connecting throw
 * @example
 * await stampDatabase({ env: 'production', consent: { confirm: 'EXECUTE STAMP_DATABASE ON clinic', reason: 'first use' } });
 */
export function stampDatabase(options: StampOptions = {}): Promise<StampResult> {
  return guarded('stamp-database', options, (target, { reason }) =>
    getOperationSession(
      async (db) => {
        await ensureSchema(db);
        await db.query('lock table manage_db.identity in share row exclusive mode');
        const old = await readStamp(db);
        refuseIfChanged(target, old);
        const settings = stampOf(await getConfig());
        const kept = old?.environment === settings.environment ? old.expectedHosts : [];
        const configured = settings.expectedHosts.length > 0 ? settings.expectedHosts : kept;
        const expectedHosts = options.expectedHosts ?? configured;
        refuseOtherPlace(target, expectedHosts);
        await writeStamp(db, {
          ...settings,
          expectedHosts,
          reason,
          lineage: lineageAfter(old, { became: 'restamped', at: new Date().toISOString(), by: actorName(), reason }),
        });
        const stamp = await readStamp(db);
        if (stamp === null) throw new Error('the stamp that was just written is gone');
        const { state = 'unstamped', because = '' } = target.stamp ?? {};
        // whoever was trusted with the original was not chosen for its copy
        if (state === 'copy' && !isSameDatabase(old, stamp)) await forgetAccessRoles(db);
        return { before: { state, because, stamp: old }, stamp, host: target.host };
      },
      { env: target.environment, ...(options.signal === undefined ? {} : { signal: options.signal }) },
    ),
  );
}

function isSameDatabase(old: Stamp | null, now: Stamp): boolean {
  return old?.systemIdentifier === now.systemIdentifier && old.databaseOid === now.databaseOid;
}

/** The consent was given for what the gate has seen. */
function refuseIfChanged({ stamp, database, environment }: Target, now: Stamp | null): void {
  const seen = stamp?.says ?? null;
  if (seen?.stampedAt === now?.stampedAt && seen?.environment === now?.environment) return;
  throw new ManageDbError(
    'STAMP_MISMATCH',
    `Somebody has stamped ${database} as ${now?.environment ?? 'nothing'} in this moment. Nothing was changed.`,
    { hint: `See: manage_db switch-env --status --env ${environment}` },
  );
}

/** It would be taken for a copy of itself from this moment on. */
function refuseOtherPlace({ host, port, database }: Target, expectedHosts: readonly string[]): void {
  if (isExpectedAt(expectedHosts, { host, port })) return;
  throw new ManageDbError(
    'USAGE',
    `${database} is at ${host}:${port}, which is not among the expected hosts (${expectedHosts.join(', ')}). Nothing was changed.`,
    { hint: `Name this one too (--expected-host ${host}), or connect by one of those.` },
  );
}

/** The stamp of an environment's database, and what it is worth. */
export interface StampStatus extends StampJudgement {
  readonly stamp: Stamp | null;
}

/** Milliseconds that a question about the stamp may take: it is an answer beside the one that was asked for. */
const PATIENCE_MS = 2000;

/**
 * Looks at the stamp of an environment's database. Starts no server and throws nothing: what cannot be reached has the
 * reason in place of the status.
 *
 * @example const { status } = await readStampStatus('production');
 */
export async function readStampStatus(
  environment: string,
): Promise<{ readonly status: StampStatus | null; readonly unread: string | null }> {
  try {
    const report = await describeConfig(environment);
    if (report.connection === null) return { status: null, unread: null };
    return { status: await lookAt(report, report.connection), unread: null };
  } catch (error) {
    return { status: null, unread: messageOf(error) };
  }
}

async function lookAt(
  { environment, security, workspace }: ConfigReport,
  connection: NonNullable<ConfigReport['connection']>,
): Promise<StampStatus | null> {
  if (connection.server === 'embedded' && !(await embeddedServerStatus(workspace.root)).running) return null;
  const patient = { ...connection, connectTimeoutMs: Math.min(connection.connectTimeoutMs, PATIENCE_MS) };
  const client = await connectForOperation(patient);
  try {
    const observation = await readObservation(client);
    const stamp = observation.hasRecords ? await readStamp(client) : null;
    const observed = { ...observation, host: client.host, port: client.port };
    return { ...judgeStamp(stamp, observed, { environment, expectedHosts: security.expectedHosts }), stamp };
  } finally {
    await client.end();
  }
}
