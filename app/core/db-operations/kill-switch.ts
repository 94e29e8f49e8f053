import { getConfig } from '../../config/db-config.js';
import type { TimeWindow } from '../../config/kill-switch-settings.js';
import type { Queryable } from '../../database/queryable.js';
import { readStamp } from '../../database/records/identity.js';
import { type Engagement, engage, readOpenEngagements, release } from '../../database/records/kill-switch.js';
import { readObservation } from '../../database/records/observation.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { actorName } from '../../services/actor-name.js';
import { withConnection } from '../../services/with-connection.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { windowLock } from '../safety/time-windows.js';

export type { Engagement } from '../../database/records/kill-switch.js';

export interface KillSwitchStatus {
  readonly environment: string;
  readonly database: string;
  /** Changes need the override, by the settings or by the stamp. */
  readonly isOn: boolean;
  /** Nothing can be changed now, whatever is overridden: engaged, or the time of the week. */
  readonly isLocked: boolean;
  readonly engagements: readonly Engagement[];
  /** Why the time of the week locks it; `null` when it does not. */
  readonly window: string | null;
  readonly openWindows: readonly TimeWindow[];
  readonly lockedWindows: readonly TimeWindow[];
}

export interface EngageOptions extends OperationOptions {
  /** Milliseconds until it ends by itself; without it, it lasts until it is released. */
  readonly expiresInMs?: number | undefined;
}

/**
 * What the kill switch of an environment says now.
 *
 * @throws ManageDbError the configuration's and the connection's codes
 * @example const { isLocked } = await killSwitchStatus({ env: 'production' });
 */
export function killSwitchStatus(options: OperationOptions = {}): Promise<KillSwitchStatus> {
  return guarded('kill-switch-status', options, (target) =>
    withConnection(target.settings, { signal: options.signal }, async (client) => {
      const { killSwitch } = await getConfig();
      const { now, hasRecords } = await readObservation(client);
      const engagements = hasRecords ? await readOpenEngagements(client) : [];
      const stamp = hasRecords ? await readStamp(client) : null;
      const window = windowLock(killSwitch, now);
      return {
        environment: target.environment,
        database: target.database,
        isOn: killSwitch.isOn || stamp?.killSwitch === true,
        isLocked: engagements.length > 0 || window !== null,
        engagements,
        window,
        openWindows: killSwitch.openWindows,
        lockedWindows: killSwitch.lockedWindows,
      };
    }),
  );
}

/**
 * Blocks every change of a database, by whoever and from wherever, until it is released or expires. Restores, copies, drops
 * and resets that are running stop before they replace or drop anything; other changes that are running go on to their end.
 *
 * @throws ManageDbError `CONFIRMATION_REQUIRED` without a reason, `PERMISSION_DENIED` below operator, `USAGE`
 * @example await engageKillSwitch({ env: 'production', consent: { reason: 'corrupt invoices' }, expiresInMs: 7_200_000 });
 */
export function engageKillSwitch(options: EngageOptions = {}): Promise<{ readonly engagement: Engagement }> {
  const { expiresInMs = null } = options;
  if (expiresInMs !== null && !(Number.isFinite(expiresInMs) && expiresInMs > 0)) {
    throw new ManageDbError('USAGE', `The kill switch is engaged for some milliseconds, not ${expiresInMs}.`, {
      hint: 'manage_db kill-switch engage --for 2h --reason "…"',
    });
  }
  return guarded('engage-kill-switch', options, (target, { reason }) =>
    withConnection(target.settings, { signal: options.signal }, async (client) => {
      await upgradeIfAllowed(client);
      const id = await engage(client, { actor: actorName(), reason: reason ?? '', expiresInMs });
      const engagement = (await readOpenEngagements(client)).find((open) => open.id === id);
      if (engagement === undefined) throw new Error('the engagement that was just written is gone');
      return { engagement };
    }),
  );
}

/**
 * Lets changes happen again, as far as the rest of the gate allows them.
 *
 * @returns the engagements that were open; none when nobody had engaged it
 * @throws ManageDbError what the gate throws: it takes an admin, and the ceremony where the database is protected
 * @example const { released } = await releaseKillSwitch({ env: 'development' });
 */
export function releaseKillSwitch(
  options: OperationOptions = {},
): Promise<{ readonly released: readonly Engagement[] }> {
  return guarded('release-kill-switch', options, (target, { reason }) =>
    withConnection(target.settings, { signal: options.signal }, async (client) => {
      await upgradeIfAllowed(client);
      return { released: await release(client, { actor: actorName(), reason: reason ?? 'no reason given' }) };
    }),
  );
}

/** Stopping everything must be possible at once: an operator may not upgrade the schema, and need not where it can do this. */
async function upgradeIfAllowed(db: Queryable): Promise<void> {
  try {
    await ensureSchema(db);
  } catch (error) {
    const isBearable = error instanceof ManageDbError && ['PERMISSION_DENIED', 'SCHEMA_TOO_NEW'].includes(error.code);
    if (!isBearable || !(await readObservation(db)).hasRecords) throw error;
  }
}
