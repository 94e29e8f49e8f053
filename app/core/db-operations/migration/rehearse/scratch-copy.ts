import { type Client, escapeIdentifier } from 'pg';
import type { Queryable } from '../../../../database/queryable.js';
import { withConnection, withMaintenanceConnection } from '../../../../services/with-connection.js';
import { codeOf, ManageDbError, messageOf } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { DecryptOptions } from '../../backup/encryption/keys.js';
import { openingOf, withOpenBackup } from '../../backup/encryption/opening.js';
import { fillScratch } from '../../backup/fill-scratch.js';
import { type LeftOutParts, NOTHING_LEFT_OUT } from '../../backup/left-out-parts.js';
import { withRepository } from '../../backup/repository/open-repository.js';
import type { BackupRepository } from '../../backup/repository/repository.js';
import { createByTemplate, isSourceInUse } from '../../copy/by-template.js';
import { LEFT_AT_HOME, leftAtHome } from '../../copy/left-at-home.js';
import { quarantine } from '../../copy/quarantine/quarantine.js';
import { streamInto } from '../../copy/stream/stream-into.js';
import { defaultJobs } from '../../default-jobs.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';
import { readFreeSpace } from '../../restore/free-space.js';
import { judgeSpace, leastBytesOf } from '../../restore/space-needed.js';
import { dropAbandonedScratchDatabases, dropDatabase } from '../../scratch/scratch-database.js';
import { afterDropping, withScratchDatabase } from '../../scratch/with-scratch-database.js';
import { takeSettings } from '../trial/database-settings.js';
import { latestBackup, templateObstacles, type UsableBackup, withoutStop } from './choose-origin.js';
import { type LiveDatabase, readAppliedHere } from './live-database.js';
import type { CopyOrigin, RehearsalOrigin } from './report.js';

/** A copy of a database, on its server, that nobody else can reach. */
export interface ScratchCopy {
  readonly database: string;
  readonly origin: CopyOrigin;
  readonly warnings: readonly string[];
  /** On another database of the server. */
  readonly maintenance: Client;
}

export interface Copying {
  readonly target: Target;
  readonly live: LiveDatabase;
  /** The best one that is possible by default. */
  readonly wanted: RehearsalOrigin | undefined;
  readonly decrypt: DecryptOptions;
  readonly controls: OperationControls;
}

/**
 * Gives `work` a scratch copy of the target's database: made by the server itself where that disturbs nobody, else from the
 * latest backup, else read in one snapshot. It holds the rows as they are, so it stays on the same server, only its owner may
 * connect to it, and what would act on the outside is disarmed. It is dropped whatever happens; what is left where the
 * process was killed, the next rehearsal, restore or deep verification drops.
 *
 * @throws ManageDbError `USAGE` for a wanted origin that is not possible, or where there is no room, `PERMISSION_DENIED` for a login
 *   without CREATEDB, and what copying, restoring and `work` throw
 * @example await withScratchCopy({ target, live, wanted: undefined, decrypt: {}, controls }, ({ database }) => tryOut(database));
 */
export function withScratchCopy<T>(copying: Copying, work: (copy: ScratchCopy) => Promise<T>): Promise<T> {
  const { target, controls, wanted } = copying;
  return withMaintenanceConnection(target.settings, async (maintenance) => {
    await dropAbandonedScratchDatabases(maintenance);
    stopIfAborted(controls.signal);
    const reasons: string[] = [];
    for (const origin of wanted === undefined ? (['template', 'backup', 'stream'] as const) : [wanted]) {
      const outcome = await MAKERS[origin]({ ...copying, maintenance, because: reasonOf(wanted, reasons) }, work);
      if ('result' in outcome) return outcome.result;
      reasons.push(`${outcome.obstacle.charAt(0).toUpperCase()}${outcome.obstacle.slice(1)}.`);
    }
    throw new ManageDbError('USAGE', `A rehearsal from ${wanted} is not possible. ${reasons.join(' ')}`, {
      hint: 'Leave --rehearse-from out: then the best one that is possible is taken.',
    });
  });
}

function reasonOf(wanted: RehearsalOrigin | undefined, reasons: readonly string[]): string {
  if (wanted !== undefined) return 'It was asked for.';
  return reasons.length === 0 ? 'The database is open and idle, and the server copies it fastest.' : reasons.join(' ');
}

interface Making extends Copying {
  readonly maintenance: Client;
  readonly because: string;
}

type Made<T> = { readonly result: T } | { readonly obstacle: string };
type Maker = <T>(making: Making, work: (copy: ScratchCopy) => Promise<T>) => Promise<Made<T>>;

const byTemplate: Maker = async (making, work) => {
  const { maintenance, target, live, controls, because } = making;
  const [obstacle] = await templateObstacles(maintenance, target);
  if (obstacle !== undefined) return { obstacle: `a template is not possible: ${obstacle}` };
  await judgeRoom(maintenance, live, live.bytes);
  controls.onProgress?.({ step: `copying the files of ${target.database}` });
  const at = new Date().toISOString();
  let database: string;
  try {
    database = await createByTemplate(maintenance, { target, source: target.database, tablespace: null, controls });
  } catch (error) {
    if (!isSourceInUse(error)) throw error;
    return { obstacle: 'a template is not possible: somebody has come into the database' };
  }
  try {
    await maintenance.query(`revoke all on database ${escapeIdentifier(database)} from public`);
    await maintenance.query(`alter database ${escapeIdentifier(database)} allow_connections true`);
    const origin = { from: 'template', because, at, backup: null } as const;
    const result = await workIn({ ...making, properties: live.properties }, { database, origin, warnings: [] }, work);
    await dropped(database, target);
    return { result };
  } catch (error) {
    throw await afterDropping(database, target.settings, error);
  }
};

const byBackup: Maker = (making, work) =>
  withRepository({ environment: making.target.environment }, async (repository) => {
    const found = await latestBackup(repository, { target: making.target, head: making.live.head });
    if ('obstacle' in found) return found;
    const begun = { work: false };
    try {
      return { result: await restored(making, { ...found, repository, begun }, work) };
    } catch (error) {
      // with another origin, what has nothing to do with the backup would fail as well
      if (begun.work || making.wanted !== undefined || !UNUSABLE.includes(codeOf(error) ?? '')) throw error;
      return { obstacle: `the latest backup, ${found.backup.id}, cannot be used: ${withoutStop(messageOf(error))}` };
    }
  });

const UNUSABLE = ['BACKUP_INVALID', 'DECRYPTION_FAILED', 'NOT_FOUND', 'CLIENT_TOOL_FAILED', 'MISSING_SETTING', 'USAGE'];

interface Restoring extends UsableBackup {
  readonly repository: BackupRepository;
  /** From then on the backup is not to blame. */
  readonly begun: { work: boolean };
}

function restored<T>(
  making: Making,
  { repository, backup, manifest, begun }: Restoring,
  work: (copy: ScratchCopy) => Promise<T>,
): Promise<T> {
  const { maintenance, target, live, controls, decrypt, because } = making;
  const { settings } = target;
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const { properties } = live;
  return withOpenBackup(openingOf(repository, backup, { manifest, decrypt, controls }), async (folder) => {
    await judgeRoom(maintenance, live, leastBytesOf(manifest));
    controls.onProgress?.({ step: `restoring ${backup.id} into a scratch database` });
    return withScratchDatabase(maintenance, { settings, serverMajor, properties }, async ({ name, renew }) => {
      const { parts, warnings } = leftOut(manifest.extensions);
      await fillScratch(name, { settings, serverMajor, folder, manifest, parts, controls, renew });
      await refuseOtherHistory(making, name, backup.id);
      begun.work = true;
      const origin = { from: 'backup', because, at: manifest.createdAt, backup: backup.id } as const;
      return workIn({ ...making, properties }, { database: name, origin, warnings }, work);
    });
  });
}

/** Migrations of the same version may have been applied in another form. */
async function refuseOtherHistory({ target, live, controls }: Making, database: string, id: string): Promise<void> {
  const here = await withConnection(target.settings, { database, signal: controls.signal }, readAppliedHere);
  if (here === live.history) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `In backup ${id} other migrations are applied than in ${target.database}.`,
    {
      hint: `Make a new one: manage_db create-backup --env ${target.environment}. Or: --rehearse-from stream`,
    },
  );
}

const byStream: Maker = async (making, work) => {
  const { maintenance, target, live, controls, because } = making;
  const { settings } = target;
  const { properties, serverMajor } = live;
  await judgeRoom(maintenance, live, live.bytes);
  controls.onProgress?.({ step: `copying ${target.database} into a scratch database` });
  const result = await withScratchDatabase(maintenance, { settings, serverMajor, properties }, async ({ name }) => {
    const { parts, warnings } = leftOut(live.extensions);
    const { at } = await streamInto({
      ...{ source: settings, target: settings, scratch: name, parts },
      ...{ sourceMajor: serverMajor, targetMajor: serverMajor, controls },
      jobs: defaultJobs(),
      leaveOut: { largeObjects: false, rowsOf: [] },
    });
    const origin = { from: 'stream', because, at, backup: null } as const;
    return workIn({ ...making, properties }, { database: name, origin, warnings }, work);
  });
  return { result };
};

const MAKERS: Readonly<Record<RehearsalOrigin, Maker>> = { template: byTemplate, backup: byBackup, stream: byStream };

function leftOut(extensions: readonly { readonly name: string }[]): {
  readonly parts: LeftOutParts;
  readonly warnings: string[];
} {
  const names = extensions.map(({ name }) => name).filter((name) => LEFT_AT_HOME.includes(name));
  return { parts: { ...NOTHING_LEFT_OUT, extensions: names }, warnings: names.map(leftAtHome) };
}

async function judgeRoom(maintenance: Client, { bytes }: LiveDatabase, leastBytes: number): Promise<void> {
  const needs = { what: 'the database', verb: 'copy', leastBytes } as const;
  judgeSpace(needs, { free: await readFreeSpace(maintenance), liveBytes: bytes });
}

/** The copy is complete by now. */
async function workIn<T>(
  making: Making & { readonly properties: DatabaseProperties },
  copy: Omit<ScratchCopy, 'maintenance'>,
  work: (copy: ScratchCopy) => Promise<T>,
): Promise<T> {
  const { maintenance, target, properties, controls } = making;
  const { database } = copy;
  const settings = await takeSettings(maintenance, database, properties);
  await giveToOwner(maintenance, database, properties);
  const look = { database, signal: controls.signal };
  const { objects } = await withConnection(target.settings, look, (contents) =>
    quarantine(contents, { rows: {}, keep: [] }, controls),
  );
  const disarmed = objects.map(({ kind, name }) => `${name} (${kind})`);
  const warnings = [
    ...copy.warnings,
    ...settings,
    ...(disarmed.length === 0
      ? []
      : [`Disarmed in the copy, so that nothing acts on the outside: ${disarmed.join(', ')}.`]),
  ];
  return work({ ...copy, warnings, maintenance });
}

/** Who decides about the database is trusted with its registry; and may read it there as well. */
async function giveToOwner(maintenance: Queryable, scratch: string, { owner }: DatabaseProperties): Promise<void> {
  const { rows } = await maintenance.query<{ isMember: boolean }>(
    `select pg_catalog.pg_has_role(current_user, r.oid, 'member') as "isMember"
     from pg_catalog.pg_roles r where r.rolname = $1`,
    [owner],
  );
  if (rows[0]?.isMember !== true) return;
  await maintenance.query(`alter database ${escapeIdentifier(scratch)} owner to ${escapeIdentifier(owner)}`);
}

function dropped(database: string, { settings }: Target): Promise<void> {
  return withMaintenanceConnection(settings, (db) => dropDatabase(db, database));
}
