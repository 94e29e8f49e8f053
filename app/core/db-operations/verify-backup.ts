import { describeConfig } from '../../config/db-config.js';
import { findClientTools } from '../../services/client-tools.js';
import { currentEnv } from '../environment.js';
import { normalizeEnv } from '../environment-names.js';
import { codeOf, ManageDbError, messageOf } from '../errors.js';
import { type OperationControls, stopIfAborted } from '../progress.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { backupCommand } from './backup/backup-command.js';
import { verifyDeep } from './backup/deep-verify.js';
import { readDump } from './backup/dump/read-dump.js';
import type { DecryptOptions } from './backup/encryption/keys.js';
import { openingOf, withOpenBackup } from './backup/encryption/opening.js';
import { chooseBackup } from './backup/repository/choose-backup.js';
import { withRepository } from './backup/repository/open-repository.js';
import type { BackupRepository } from './backup/repository/repository.js';
import { type BackupSummary, type BackupVerification, verificationOf } from './backup/repository/summary.js';
import type { Verification } from './backup/verification.js';
import { explained } from './failure.js';
import { type ManifestOnDisk, usersTables } from './manifest/manifest.js';

export interface VerifyBackupOptions extends OperationOptions {
  /** A backup's id, the beginning of exactly one, or `latest`: the newest that was ever finished, also if it is damaged. */
  readonly id: string;
  /** Also restores it into a scratch database on the server of its environment, and compares. */
  readonly deep?: boolean | undefined;
  /** What decrypts it, where it is encrypted; the settings of its environment by default. */
  readonly decrypt?: DecryptOptions | undefined;
  /** It lies in a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
}

export interface BackupCheck {
  /** `sequences`, `objects` (indexes, constraints, materialized views) and `triggers`: of what was restored. */
  readonly name: 'manifest' | 'files' | 'dump' | 'restore' | 'sequences' | 'objects' | 'triggers';
  readonly ok: boolean;
  /** Also of a check that is passed: what was so when the backup was made is no fault of it. */
  readonly detail: string;
}

export interface VerifiedBackup {
  readonly id: string;
  readonly environment: string;
  readonly path: string;
  readonly checks: readonly BackupCheck[];
  readonly verification: BackupVerification;
  /** `false` where the folder cannot be written to: it was verified, and nobody will know. */
  readonly isRecorded: boolean;
  readonly durationMs: number;
}

/**
 * Shows whether a backup is what was backed up: every file compared with its checksum and the dump read to its end; with
 * `deep` also restored into a scratch database and compared with the manifest. What was found is kept in `verified.json`
 * beside the manifest. Only `deep` connects to a server, and passes the gate.
 *
 * @throws ManageDbError `BACKUP_INVALID` with every damage in `details.checks`; the backup counts as not verified then.
 *   `NOT_FOUND`, `USAGE`, `DECRYPTION_FAILED`, `STORAGE_FAILED`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `INTERRUPTED`,
 *   and for `deep` what the gate and connecting throw
 * @example await verifyBackup({ env: 'production', id: 'latest', deep: true });
 */
export async function verifyBackup(options: VerifyBackupOptions): Promise<VerifiedBackup> {
  if (options.deep !== true) return verify(options, normalizeEnv(options.env ?? currentEnv()), null);
  return guarded('verify-backup', options, (target) => verify(options, target.environment, target));
}

/** What is being verified, and what has been found so far. */
interface Examination {
  readonly repository: BackupRepository;
  readonly backup: BackupSummary;
  readonly checks: BackupCheck[];
  readonly decrypt: DecryptOptions;
  readonly controls: OperationControls;
}

function verify(options: VerifyBackupOptions, environment: string, target: Target | null): Promise<VerifiedBackup> {
  const { storage } = options;
  return withRepository({ storage, environment }, (repository) => verifyIn(repository, environment, options, target));
}

async function verifyIn(
  repository: BackupRepository,
  environment: string,
  { id, decrypt = {}, signal, onProgress }: VerifyBackupOptions,
  target: Target | null,
): Promise<VerifiedBackup> {
  const startedAt = Date.now();
  const backup = await chooseBackup(repository, environment, id, { latestFinished: true });
  const controls = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  const examination: Examination = { repository, backup, checks: [], decrypt, controls };
  try {
    const record = await examine(examination, target);
    const isRecorded = await repository.saveVerification(backup, record).then(
      () => true,
      () => false,
    );
    return {
      id: backup.id,
      environment,
      path: backup.path,
      checks: examination.checks,
      verification: verificationOf(record, record.manifestSha256) ?? { how: 'files', at: record.files.at },
      isRecorded,
      durationMs: Date.now() - startedAt,
    };
  } catch (error) {
    if (error instanceof ManageDbError && error.code === 'BACKUP_INVALID') {
      // where it cannot be removed, nothing could have been written either; a changed manifest makes it worth nothing anyway
      await repository.saveVerification(backup, null).catch(() => undefined);
    }
    throw explained(error, 'No database was changed.', signal);
  }
}

async function examine(examination: Examination, target: Target | null): Promise<Verification> {
  const { repository, backup, decrypt, controls } = examination;
  if (backup.state === 'incomplete') throw invalid(examination, 'manifest', ['it was never finished']);
  const onDisk = await repository.manifestOf(backup).catch((error: unknown) => {
    if (codeOf(error) !== 'BACKUP_INVALID') throw error;
    throw invalid(examination, 'manifest', [messageOf(error)]);
  });
  const { manifest } = onDisk;
  const before = await repository.verificationOf(backup);
  const changes = changesOf(onDisk, before);
  pass(examination, 'manifest', changes, `of ${manifest.database}, ${manifest.createdAt}`);
  const stray = await repository.strayFiles(backup, manifest);

  let isOpen = false;
  try {
    return await withOpenBackup(openingOf(repository, backup, { manifest, decrypt, controls }), (folder) => {
      isOpen = true;
      return examineDump(examination, { onDisk, before, stray, folder, target });
    });
  } catch (error) {
    const damages = isOpen ? null : damagesIn(error);
    if (damages === null) throw error;
    pass(examination, 'files', [...damages, ...stray], '');
    throw damaged(examination);
  }
}

function damagesIn(error: unknown): readonly string[] | null {
  if (!(error instanceof ManageDbError) || error.code !== 'BACKUP_INVALID') return null;
  return Array.isArray(error.details.damages) ? error.details.damages : [error.message];
}

interface Dump {
  readonly onDisk: ManifestOnDisk;
  readonly before: Verification | null;
  readonly stray: readonly string[];
  /** Where it can be read. */
  readonly folder: string;
  readonly target: Target | null;
}

/** When every file is what the manifest says. */
async function examineDump(
  examination: Examination,
  { onDisk, before, stray, folder, target }: Dump,
): Promise<Verification> {
  const { checks, controls, backup } = examination;
  const { manifest, sha256 } = onDisk;
  const count = manifest.files.length === 1 ? '1 file' : `${manifest.files.length} files`;
  const secret = manifest.encryption === null ? '' : ', decrypted';
  pass(examination, 'files', stray, `${count}, each with the checksum that it was written with${secret}`);
  refuseDamaged(examination);

  stopIfAborted(controls.signal);
  const { connection } = await describeConfig(backup.environment);
  const dump = await readDump({ ...controls, folder, manifest, binDir: connection?.pgBinDir ?? null });
  pass(examination, 'dump', dump.damage === null ? [] : [dump.damage], 'read to its end');
  refuseDamaged(examination);
  const files = { at: new Date().toISOString(), tool: dump.tool };
  if (target === null) {
    // these are still the bytes that were restored then
    return { manifestSha256: sha256, files, deep: before?.manifestSha256 === sha256 ? before.deep : null };
  }
  const { tables: all, ...surprises } = await restored(examination, folder, target, onDisk);
  const tables = usersTables(all);
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  const contents = manifest.tables.some(({ checksum }) => checksum !== null) ? ' and their contents' : '';
  const found = `${tables.length} tables with ${rows} rows${contents}, as the manifest says`;
  checks.push(
    { name: 'restore', ok: true, detail: found },
    { name: 'sequences', ok: true, detail: surprises.sequences.join(' ') || 'none is behind its column' },
    {
      name: 'objects',
      ok: true,
      detail: surprises.unfinished.join(' ') || 'indexes valid, constraints validated, materialized views populated',
    },
    { name: 'triggers', ok: true, detail: surprises.triggers.join(' ') || 'as registered, enabled modes included' },
  );
  const { serverVersion, settings } = target;
  const tools = await findClientTools({ serverMajor: serverMajorOf(target, onDisk), binDir: settings.pgBinDir });
  const deep = { at: new Date().toISOString(), tool: tools.version, server: serverVersion ?? manifest.serverVersion };
  return { manifestSha256: sha256, files, deep };
}

function serverMajorOf({ serverMajor }: Target, { manifest }: ManifestOnDisk): number {
  return serverMajor ?? manifest.serverMajor;
}

function changesOf({ isAsWritten, sha256 }: ManifestOnDisk, before: Verification | null): string[] {
  return [
    ...(isAsWritten ? [] : ['manifest.json is not as it was written']),
    ...(before === null || before.manifestSha256 === sha256
      ? []
      : [`manifest.json was changed after it had been verified at ${before.files.at}`]),
  ];
}

async function restored(examination: Examination, folder: string, target: Target, onDisk: ManifestOnDisk) {
  const { manifest } = onDisk;
  const { controls } = examination;
  const serverMajor = serverMajorOf(target, onDisk);
  try {
    return await verifyDeep({ settings: target.settings, serverMajor, folder, manifest, controls });
  } catch (error) {
    if (!(error instanceof ManageDbError) || !isAboutBackup(error)) throw error;
    const { differences } = error.details;
    const detail = Array.isArray(differences) ? differences.join('; ') : error.message;
    throw invalid(examination, 'restore', [detail]);
  }
}

/** What the server, the machine or the way between them has to answer for says nothing about the backup. */
const NOT_ITS_FAULT =
  /No space left on device|could not (connect|write|extend)|server closed the connection|terminating connection|connection to server|deadlock detected|out of (shared )?memory|permission denied|must be (superuser|owner|member of role|able to SET ROLE)/i;

function isAboutBackup({ code, details, message }: ManageDbError): boolean {
  if (code === 'BACKUP_INVALID') return true;
  return code === 'CLIENT_TOOL_FAILED' && !details.signal && !NOT_ITS_FAULT.test(message);
}

function pass({ checks }: Examination, name: BackupCheck['name'], damages: readonly string[], fine: string): void {
  checks.push({ name, ok: damages.length === 0, detail: damages.length === 0 ? fine : damages.join('; ') });
}

function refuseDamaged(examination: Examination): void {
  if (examination.checks.some(({ ok }) => !ok)) throw damaged(examination);
}

function invalid(examination: Examination, name: BackupCheck['name'], damages: readonly string[]): ManageDbError {
  examination.checks.push({ name, ok: false, detail: damages.join('; ') });
  return damaged(examination);
}

function damaged({ backup, repository, checks }: Examination): ManageDbError {
  const { id, environment } = backup;
  const place = { environment, storage: repository.asked };
  const details = checks.filter(({ ok }) => !ok).map(({ detail }) => detail);
  return new ManageDbError(
    'BACKUP_INVALID',
    `Backup ${id} of ${environment} is no good: ${details.join('; ').replace(/\.$/, '')}.`,
    {
      hint: `Make a new one: ${backupCommand('create-backup', place)}. Show the others: ${backupCommand('list-all-backups', place)}`,
      details: { id, environment, checks },
    },
  );
}
