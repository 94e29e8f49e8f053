import type { EnvironmentConfig } from '../../config/db-config.js';
import { readEmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import { readLoginAccess } from '../../database/catalog/login-access.js';
import { readServerAccess } from '../../database/catalog/server-access.js';
import type { Queryable } from '../../database/queryable.js';
import { readStamp } from '../../database/records/identity.js';
import { type Engagement, readOpenEngagements } from '../../database/records/kill-switch.js';
import { readObservation } from '../../database/records/observation.js';
import { PIN_TRANSACTION } from '../../services/catalog-path.js';
import { asManageDbError } from '../../services/database-errors.js';
import { withPooledConnection } from '../../services/database-service.js';
import { DROP_SET_ROLE } from '../../services/neutral-settings.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { workspaceRoot } from '../workspace-root.js';
import type { GateFacts } from './decide.js';
import { protectedEnvironmentAt } from './endpoints.js';
import { type OperationName, spelledOut } from './operations.js';
import { judgeStamp, type Stamp } from './stamp.js';
import type { Located } from './target.js';
import { windowLock } from './time-windows.js';

/** Everything that the decision needs, and the stamp itself. */
export interface Situation {
  readonly facts: GateFacts;
  readonly stamp: Stamp | null;
}

/** Asks the database what it is, what the login may do there, and what stands in the way. */
export function gatherFacts(operation: OperationName, config: EnvironmentConfig, located: Located): Promise<Situation> {
  return located.engine === null ? factsOfMissing(operation, config, located) : factsOf(operation, config, located);
}

async function factsOf(operation: OperationName, config: EnvironmentConfig, { server }: Located): Promise<Situation> {
  const { observation, stamp, engagements, access } = await withPooledConnection(config.environment, look);
  const isOwnServer = isOwnCluster(observation.systemIdentifier);
  const { environment, security } = config;
  const { host = '', port = 0 } = server.settings.hosts[0] ?? {};
  const judgement = judgeStamp(
    stamp,
    { ...observation, host, port },
    { environment, expectedHosts: security.expectedHosts },
  );
  const facts: GateFacts = {
    ...commonFacts(operation, config, observation.database),
    stamp: { ...judgement, says: stamp },
    isEmpty: observation.isEmpty,
    isTemplate: observation.isTemplate,
    isOwnServer,
    endpointOf: isOwnServer ? null : await protectedEnvironmentAt(environment, server.settings),
    access,
    killSwitch: killSwitchFacts(config, engagements, observation.now),
  };
  return { facts, stamp };
}

/**
 * In a transaction of its own: what a search_path puts before PostgreSQL's own operators does not decide here, and
 * somebody who holds a lock on our records cannot keep us waiting for ever.
 */
async function look(db: Queryable) {
  await db.query(`begin read only; set local lock_timeout = '5s'; ${PIN_TRANSACTION}`);
  try {
    await db.query(DROP_SET_ROLE);
    const observation = await readObservation(db);
    const stamp = observation.hasRecords ? await readStamp(db) : null;
    const engagements = observation.hasRecords ? await readOpenEngagements(db) : [];
    return { observation, stamp, engagements, access: await readLoginAccess(db) };
  } catch (error) {
    throw asManageDbError(error);
  } finally {
    await db.query('rollback').catch(() => undefined);
  }
}

function factsOfMissing(operation: OperationName, config: EnvironmentConfig, { server }: Located): Promise<Situation> {
  const { environment, connection } = config;
  return withMaintenanceConnection(server.settings, async (db) => {
    const { systemIdentifier, now, login, mayCreateDatabases, why } = await readServerAccess(db);
    const isOwnServer = isOwnCluster(systemIdentifier);
    const facts: GateFacts = {
      ...commonFacts(operation, config, connection.database),
      stamp: { ...judgeStamp(null, null, { environment, expectedHosts: [] }), says: null },
      isEmpty: true,
      isTemplate: false,
      isOwnServer,
      endpointOf: isOwnServer ? null : await protectedEnvironmentAt(environment, server.settings),
      // whoever makes a database owns it
      access: { login, level: mayCreateDatabases ? 'admin' : 'viewer', why },
      killSwitch: killSwitchFacts(config, [], now),
    };
    return { facts, stamp: null };
  });
}

/** What the settings alone say: for a decision about a database that cannot be reached. */
export function factsOfSettings(operation: OperationName, config: EnvironmentConfig, now: Date): GateFacts {
  const { environment, connection } = config;
  return {
    ...commonFacts(operation, config, connection.database),
    stamp: { state: 'trusted', because: 'It was not asked.', says: null },
    isEmpty: false,
    isTemplate: false,
    isOwnServer: connection.server === 'embedded',
    endpointOf: null,
    access: { login: connection.user, level: 'admin', why: `not asked on ${environment}` },
    killSwitch: killSwitchFacts(config, [], now),
  };
}

function commonFacts(
  operation: OperationName,
  { environment, security, killSwitch }: EnvironmentConfig,
  database: string,
) {
  const parts = { operation: spelledOut(operation), database, environment };
  return { environment, database, security, confirmationText: killSwitch.confirmationText(parts) };
}

function killSwitchFacts(
  { killSwitch }: EnvironmentConfig,
  engagements: readonly Engagement[],
  now: Date,
): GateFacts['killSwitch'] {
  const [engaged] = engagements;
  const lock = engaged === undefined ? windowLock(killSwitch, now) : described(engaged);
  return { isOn: killSwitch.isOn, isConfirmationRequired: killSwitch.isConfirmationRequired, lock };
}

function described({ actor, engagedAt, reason, expiresAt }: Engagement): string {
  const until = expiresAt === null ? 'until it is released' : `until ${expiresAt}`;
  return `${actor} has engaged the kill switch at ${engagedAt}, ${until}: ${reason}`;
}

/** The proof of harmlessness: not where the server is, but that its cluster is the one that we have made. */
export function isOwnCluster(systemIdentifier: string): boolean {
  return readEmbeddedEndpoint(workspaceRoot())?.systemIdentifier === systemIdentifier;
}
