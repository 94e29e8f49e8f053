import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { getWorkspace } from '../../../config/workspace.js';
import { normalizeEnv } from '../../environment.js';
import { codeOf, ManageDbError, messageOf } from '../../errors.js';
import { filesBelow } from './backup-files.js';
import { PARTIAL_SUFFIX } from './backup-folder.js';
import { isBackupId, SAFETY_LABEL, timeOfBackupId } from './backup-id.js';
import { isWhole, type Manifest, readManifest, readManifestFile } from './manifest.js';
import { readVerification, type Verification } from './verification.js';
import { type Worker, workerOf } from './work-mark.js';

/** `incomplete`: never finished, or being made just now. `damaged`: its manifest or a file of it is broken or missing. */
export type BackupState = 'complete' | 'incomplete' | 'damaged';

export interface BackupSummary {
  readonly id: string;
  readonly environment: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly sizeBytes: number;
  readonly label: string | null;
  /** Whether it has been shown to restore. */
  readonly verified: boolean;
  /** What `verify-backup` found, of this very manifest; `null` when it was not verified. */
  readonly verification: BackupVerification | null;
  readonly state: BackupState;
  /** Of an incomplete one: whether it is being made (or removed) just now. */
  readonly worker: Worker | null;
  /** Whether it has everything of its database, and so could take its place. */
  readonly isWhole: boolean;
  readonly path: string;
}

export interface BackupVerification {
  /** `deep`: restored and compared. `files`: every byte is as it was written, and the dump can be read to its end. */
  readonly how: 'deep' | 'files';
  /** ISO 8601, UTC: of the latest of that kind. */
  readonly at: string;
}

/**
 * The backups of the workspace, the newest first, from every environment unless `env` names one. Reads manifests and
 * sizes, not the dumps: `damaged` is what shows without reading them.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`
 * @example const [latest] = await listBackups({ env: 'production' });
 */
export async function listBackups({ env }: { readonly env?: string } = {}): Promise<BackupSummary[]> {
  const { backupsDir } = await getWorkspace();
  const environments = env === undefined ? await foldersIn(backupsDir) : [normalizeEnv(env)];
  const lists = await Promise.all(environments.map((environment) => backupsOf(backupsDir, environment)));
  return lists.flat().sort(newestFirst);
}

/**
 * The backup of `environment` that `id` means: an id, the beginning of exactly one, or `latest`, the newest complete one.
 * Only what is in the list can be found, so no id leads out of the folder.
 *
 * @throws ManageDbError `NOT_FOUND` with what there is, `USAGE` for an ambiguous one, `BACKUP_INVALID`
 */
export async function findBackup(
  { backupsDir, environment }: { readonly backupsDir: string; readonly environment: string },
  id: string,
): Promise<{ path: string; manifest: Manifest }> {
  const found = await chooseBackup({ backupsDir, environment }, id);
  if (found.state === 'incomplete') {
    throw new ManageDbError(
      'BACKUP_INVALID',
      `Backup ${found.id} of ${environment} is incomplete: it was never finished.`,
      {
        hint: 'Choose another one: manage_db list-all-backups',
      },
    );
  }
  return { path: found.path, manifest: await readManifest(found.path, { id: found.id, environment }) };
}

/**
 * As {@link findBackup}, also one that is damaged or incomplete. `latest` is the newest complete one, or with
 * `latestFinished` the newest that was ever finished: who asks whether backups are good must not be shown an older one.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`
 */
export async function chooseBackup(
  { backupsDir, environment }: { readonly backupsDir: string; readonly environment: string },
  id: string,
  { latestFinished = false }: { readonly latestFinished?: boolean } = {},
): Promise<BackupSummary> {
  const backups = (await backupsOf(backupsDir, environment)).sort(newestFirst);
  const newest = latestFinished ? backups.find(({ state }) => state !== 'incomplete') : undefined;
  return id === 'latest' && newest !== undefined ? newest : choose(backups, environment, id);
}

/** The verification that a record tells of, where it is of the manifest with this checksum. */
export function verificationOf(record: Verification | null, manifestSha256: string): BackupVerification | null {
  if (record === null || record.manifestSha256 !== manifestSha256) return null;
  const { deep, files } = record;
  return deep === null ? { how: 'files', at: files.at } : { how: 'deep', at: deep.at };
}

function choose(backups: readonly BackupSummary[], environment: string, id: string): BackupSummary {
  const complete = backups.filter(({ state, label }) => state === 'complete' && label !== SAFETY_LABEL);
  const matches = id === '' ? [] : backups.filter((backup) => backup.id.startsWith(id));
  const [first, second] = matches;
  const found = id === 'latest' ? complete[0] : (backups.find((backup) => backup.id === id) ?? first);
  const ids = complete.map((backup) => backup.id);
  if (found === undefined) {
    const there = ids.length === 0 ? `${environment} has no complete backups.` : `There are: ${shortList(ids)}.`;
    const wanted = id === 'latest' ? 'No backup' : `No backup ${JSON.stringify(id)}`;
    throw new ManageDbError('NOT_FOUND', `${wanted} of ${environment} was found. ${there}`, {
      hint: ids.length === 0 ? 'Make one: manage_db create-backup' : 'Show all: manage_db list-all-backups',
      details: { id, environment, backups: ids },
    });
  }
  if (id !== 'latest' && found.id !== id && second !== undefined) {
    const meant = matches.map((backup) => backup.id);
    throw new ManageDbError(
      'USAGE',
      `${id} is the beginning of several backups of ${environment}: ${shortList(meant)}.`,
      {
        hint: 'Give more of the id.',
        details: { id, environment, backups: meant },
      },
    );
  }
  return found;
}

/** The backups of one environment, in no order. */
export async function backupsOf(backupsDir: string, environment: string): Promise<BackupSummary[]> {
  const parent = join(backupsDir, environment);
  const names = await foldersIn(parent);
  const summaries = await Promise.all(names.map((name) => summarize(parent, environment, name)));
  return summaries.filter((summary) => summary !== null);
}

/** `null` for a folder that is no backup, and for one that has gone meanwhile. */
async function summarize(parent: string, environment: string, name: string): Promise<BackupSummary | null> {
  const isPartial = name.endsWith(PARTIAL_SUFFIX);
  const id = isPartial ? name.slice(0, -PARTIAL_SUFFIX.length) : name;
  const createdAt = timeOfBackupId(id);
  if (createdAt === null || !isBackupId(id)) return null;
  const path = join(parent, name);
  const sizes = await sizesBelow(path).catch((error: unknown) => codeOf(error) ?? 'unknown');
  if (sizes === 'ENOENT') return null;
  if (typeof sizes === 'string') {
    // somebody counts on it: it must not look as if it had never been made
    return { ...NOTHING_KNOWN, id, environment, sizeBytes: 0, path, createdAt, state: 'damaged' };
  }
  const sizeBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const common = { ...NOTHING_KNOWN, id, environment, sizeBytes, path, createdAt };
  if (isPartial) return { ...common, state: 'incomplete', worker: await workerOf(path) };
  const found = await readManifestFile(path, { id, environment }).catch(() => null);
  if (found === null) return { ...common, state: 'damaged' };
  const { createdAt: begunAt, label, files } = found.manifest;
  const isComplete = files.every((file) => sizes.get(file.path) === file.sizeBytes);
  const verification = isComplete ? verificationOf(await readVerification(path), found.sha256) : null;
  return {
    ...common,
    createdAt: begunAt,
    label,
    isWhole: isWhole(found.manifest),
    verification,
    verified: verification?.how === 'deep',
    state: isComplete ? 'complete' : 'damaged',
  };
}

const NOTHING_KNOWN = { verified: false, verification: null, worker: null, isWhole: false, label: null } as const;

async function sizesBelow(folder: string): Promise<Map<string, number>> {
  const paths = await filesBelow(folder);
  return new Map(await Promise.all(paths.map(async (path) => [path, (await stat(join(folder, path))).size] as const)));
}

/** Links are not followed: a backup is what lies here. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw new ManageDbError('UNREADABLE_FILE', `${folder} cannot be read: ${messageOf(error)}.`, {
      hint: `Check its permissions: ls -ld ${folder}`,
      cause: error,
    });
  });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name);
}

export function newestFirst(a: BackupSummary, b: BackupSummary): number {
  return b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id);
}

function shortList(ids: readonly string[]): string {
  const shown = ids.slice(0, 10).join(', ');
  return ids.length > 10 ? `${shown} and ${ids.length - 10} more` : shown;
}
