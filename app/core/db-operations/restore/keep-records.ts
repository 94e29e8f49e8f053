import { redact } from '../../../config/redaction.js';
import type { Queryable } from '../../../database/queryable.js';
import { grantAccess } from '../../../database/records/access-roles.js';
import { readObservation } from '../../../database/records/observation.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { withConnection } from '../../../services/with-connection.js';
import { messageOf } from '../../errors.js';
import { carryKillSwitch, carryRecords, forgetRecords } from '../../safety/carry-records.js';
import type { Target } from '../../safety/gate.js';
import { carryLateEntries } from '../../safety/operation-log/carry-over.js';
import { refuseIfChanged } from '../../safety/still-allowed.js';
import { type Arrival, type StampedSource, stampRestored } from '../../safety/write-stamp.js';
import { withoutEventTriggers } from '../database-state/without-triggers.js';

export interface KeptRecords {
  /** For messages: `the restore`. */
  readonly work: string;
  readonly target: Target;
  readonly hasLive: boolean;
  readonly arrival: Arrival;
  /** Whether the contents are of the environment that they come to. */
  readonly isSameEnvironment: boolean;
  /** Where the contents are from; `null`: it is known by their stamp alone. */
  readonly source: StampedSource | null;
  readonly reason: string | null;
  readonly signal: AbortSignal | undefined;
}

/** The stamp of what it becomes, and what manage_db knows about the database that it replaces. */
export async function keepRecords(candidate: string, records: KeptRecords): Promise<void> {
  const { work, target, hasLive, arrival, isSameEnvironment, source, reason, signal } = records;
  const { settings } = target;
  // a scratch database is dropped when anything fails; a previous one is not, and must stay as it is
  const quietly = arrival.became === 'returned' ? loudly : withoutEventTriggers;
  await withConnection(settings, { database: candidate, signal }, (contents) =>
    quietly(contents, async () => {
      await ensureSchema(contents);
      const isCarried =
        hasLive &&
        (await withConnection(settings, {}, async (present) => {
          await refuseIfChanged(present, target, work);
          const { hasRecords } = await readObservation(present);
          if (hasRecords) await carryRecords(present, contents);
          return hasRecords;
        }));
      // what a previous database knows is about itself
      if (!isCarried && arrival.became !== 'returned') await forgetRecords(contents, { isSameEnvironment });
      await grantAccess(contents, target.database);
      const live = target.stamp?.says ?? null;
      await stampRestored(contents, target, {
        live,
        source: source ?? { isProtected: false, killSwitch: false },
        database: target.database,
        arrival,
        reason,
      });
    }),
  );
}

function loudly(_contents: Queryable, work: () => Promise<void>): Promise<void> {
  return work();
}

/**
 * Takes over what was logged and engaged between the carrying and the swap. Where that fails, the previous database must not
 * be dropped: it has the only copy. Returns a warning that says so; `null`: nothing is missing.
 */
export async function carryLate(previous: string, { settings, environment }: Target): Promise<string | null> {
  try {
    await withConnection(settings, { database: previous }, (from) =>
      withConnection(settings, {}, async (to) => {
        if (!(await readObservation(from)).hasRecords) return;
        await carryKillSwitch(from, to);
        await carryLateEntries(from, to);
      }),
    );
    return null;
  } catch (error) {
    return `What was logged, and whether the kill switch was engaged, in the last moment before the swap is known in ${previous} only, which is therefore kept (${redact(messageOf(error))}). See: manage_db kill-switch status --env ${environment}`;
  }
}
