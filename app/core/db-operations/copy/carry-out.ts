import { withMaintenanceConnection } from '../../../services/with-connection.js';
import type { Target } from '../../safety/gate.js';
import { withoutParts } from '../backup/left-out-parts.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { keptFor } from '../restore/keeping.js';
import { ownSessionsEnded } from '../restore/put-in-place.js';
import { replaceBySwap } from '../restore/replace-by-swap.js';
import { type Copied, CopyInTheMaking, type Copying } from './in-the-making.js';
import type { PlannedCopy } from './plan.js';
import { forebearOf } from './source.js';

/**
 * Makes the copy in a scratch database, and puts that in the place of the target.
 *
 * @throws UnknownOutcome; ManageDbError `DATABASE_IN_USE`, `STAMP_MISMATCH`, `KILL_SWITCH`, `INTERRUPTED`, and what the strategy
 *   throws
 */
export async function carryOut(copying: Copying): Promise<Copied> {
  const { target, source, planned, request, reason, onReplaced } = copying;
  const { plan, masking } = planned;
  const { disconnectUsers, keepPrevious, controls } = request;
  await ownSessionsEnded(target);
  const making = new CopyInTheMaking(copying);
  // of what nobody has masked; the rest is not what made the source worth protecting
  const carried = masking === null ? source : { ...source, isProtected: false, killSwitch: false };
  return withMaintenanceConnection(target.settings, (maintenance, maintenanceDatabase) =>
    replaceBySwap(maintenance, maintenanceDatabase, {
      ...{ work: 'the copy', target, disconnectUsers, reason, controls, onReplaced },
      keepMs: keptFor(keepPrevious ?? target.isProtected),
      properties: planned.source.properties,
      propertiesAnew: propertiesAnew(target, planned),
      create: (db, tablespace) => making.create(db, tablespace),
      fill: (scratch, db) => making.fill(scratch, db),
      finish: (scratch, db, tables) => making.finish(scratch, db, tables),
      // known only when it is filled
      records: () => ({
        arrival: {
          became: 'copied',
          of: forebearOf(planned.source),
          copiedAt: making.copiedAt,
          masking: plan.masking?.checksum ?? null,
        },
        isSameEnvironment: false,
        source: carried,
      }),
    }),
  );
}

/** What belongs to the source's database itself stays there when the copy is masked. */
function propertiesAnew(
  { user: login }: Target,
  { source, parts, masking, missingRoles }: PlannedCopy,
): DatabaseProperties {
  const properties = withoutParts(source.properties, parts, { login, missing: missingRoles });
  return masking === null
    ? properties
    : { ...properties, owner: login, grants: null, settings: [], comment: null, connectionLimit: -1 };
}
