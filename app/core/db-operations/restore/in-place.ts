import { join } from 'node:path';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { findClientTools } from '../../../services/client-tools.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { shellQuote } from '../../shell-quote.js';
import { DUMP_NAMES } from '../backup/dump/dump.js';
import { type LeftOutParts, leavingOut } from '../backup/left-out-parts.js';
import { SafetyBackup } from '../backup/safety-backup.js';
import { qualified } from '../inspection/find-relation.js';
import type { Manifest, TableRows } from '../manifest/manifest.js';
import { whileOthersAreKeptOut } from '../scratch/keep-others-out.js';
import { type FreeSpace, readFreeSpace } from './free-space.js';
import { Archive } from './in-place/archive.js';
import { chooseTables, type WantedPart } from './in-place/choose-tables.js';
import type { PresentTable } from './in-place/compare-definitions.js';
import { lookAround } from './in-place/look-around.js';
import { replaceAndCommit } from './in-place/replace-and-commit.js';
import type { RestoredSequence } from './in-place/sequences.js';
import { raisedStamp, type Source } from './other-environment.js';
import { refuseOtherArchivedStamp } from './stamp-of-contents.js';

export interface InPlaceRestore {
  readonly target: Target;
  /** Of the backup, whose files are what the manifest says. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly wanted: WantedPart;
  readonly parts: LeftOutParts;
  readonly source: Source;
  readonly reason: string | null;
  readonly controls: OperationControls;
  /** From here on the tables are the restored ones, whatever fails; a sentence that says so. */
  readonly onReplaced: (sentence: string) => void;
}

/** What was done to which tables; names with their schemas, as SQL writes them. */
export interface InPlaceResult {
  /** Their rows are those of the backup. */
  readonly replaced: readonly string[];
  /** They were not there any more. */
  readonly made: readonly string[];
  /** Partitions that the backup does not know: they are empty. */
  readonly emptied: readonly string[];
  readonly sequences: readonly RestoredSequence[];
  /** The command that brings back what was replaced; `null`: nothing was. */
  readonly undo: string | null;
}

export interface RestoredInPlace {
  readonly tables: readonly TableRows[];
  readonly safetyBackup: string | null;
  readonly freeBytes: FreeSpace;
  readonly warnings: readonly string[];
  readonly inPlace: InPlaceResult;
}

/**
 * Brings tables of a backup back inside the live database, in one transaction; everything else stays. Writers of those
 * tables wait from the first lock, what is there is backed up, the rows are replaced, foreign keys are checked, and the
 * rows are compared with the manifest; only then is it committed. Whatever fails or dies before that, nothing has happened.
 *
 * @throws UnknownOutcome; ManageDbError, all else being unchanged: `USAGE`, `NOT_FOUND`, `PERMISSION_DENIED`, `LOCK_TIMEOUT`, `DATABASE_IN_USE`, `SQL_FAILED` for a
 *   row that would lose what it points at, `BACKUP_INVALID`, `STAMP_MISMATCH`, `KILL_SWITCH`, `CLIENT_TOOLS_MISSING`,
 *   `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function restoreInPlace(restore: InPlaceRestore): Promise<RestoredInPlace> {
  const { target, manifest, wanted, controls } = restore;
  const { settings } = target;
  refuseUnfit(restore);
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const { folder } = restore;
  await refuseOtherArchivedStamp({ folder, manifest, settings, serverMajor, signal: controls.signal });
  const archive = await openArchive(restore);
  const chosen = await chooseTables(archive, manifest, wanted);
  const safety = await SafetyBackup.prepare(target, { ...manifest, label: 'before a restore' }, controls);
  const stamp = await raisedStamp(restore);
  return whileOthersAreKeptOut(target, null, async (stillAlone) => {
    const freeBytes = await withConnection(settings, {}, readFreeSpace);
    if (stamp !== null) await withConnection(settings, {}, ensureSchema);
    const planning = { target, archive, chosen };
    const { plan, ...replaced } = await replaceAndCommit({ planning, manifest, controls, safety, stamp, stillAlone });
    const was = safety.id === null ? '' : `; what they were is backup ${safety.id}`;
    restore.onReplaced(`The tables of ${target.database} are restored${was}.`);
    const found = await lookAround({ target, manifest, archive, chosen, controls });
    return {
      tables: replaced.tables,
      safetyBackup: safety.id,
      freeBytes,
      warnings: [...replaced.warnings, ...found, ...safety.warnings],
      inPlace: {
        replaced: plan.present.map(({ table }) => qualified(table)),
        made: plan.missing.map(qualified),
        emptied: plan.emptied.map(qualified),
        sequences: replaced.sequences,
        undo: safety.id === null ? null : undoCommand(safety.id, target, plan.present),
      },
    };
  });
}

function refuseUnfit({
  target: { database, exists },
  manifest: { id, format, contents },
  parts,
}: InPlaceRestore): void {
  if (!exists)
    throw refusal(`${database} does not exist, so nothing can be restored inside it.`, 'Leave out --in-place.');
  if (format === 'plain')
    throw refusal(`${id} is a plain dump, of which no part can be restored.`, 'Choose a backup of another format.');
  if (contents !== 'all') {
    const lacks = contents === 'schema' ? 'no rows' : 'no table definitions';
    throw refusal(`Backup ${id} has ${lacks}.`, 'Choose a complete one: manage_db list-all-backups');
  }
  if (parts.extensions.length > 0)
    throw refusal('No extension is restored with tables.', 'Leave out --without extension:NAME.');
}

async function openArchive({ target, folder, manifest, parts, controls }: InPlaceRestore): Promise<Archive> {
  const { settings } = target;
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const tools = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
  controls.onProgress?.({ step: 'reading the archive' });
  const archive = await Archive.open({
    path: join(folder, DUMP_NAMES[manifest.format]),
    backup: manifest.id,
    pgRestore: tools.pgRestore,
    environment: manifest.environment,
    signal: controls.signal,
    args: leavingOut(parts),
  });
  if (archive.encoding === 'UTF8') return archive;
  throw refusal(
    `Backup ${manifest.id} is written in ${archive.encoding}: tables are restored in UTF8 only.`,
    'Leave out --in-place.',
  );
}

function refusal(message: string, hint: string): ManageDbError {
  return new ManageDbError('USAGE', message, { hint });
}

function undoCommand(id: string, { environment }: Target, present: readonly PresentTable[]): string {
  const roots = present.filter(({ table }) => table.parent === null);
  const tables = roots.map(({ table }) => `--table ${shellQuote(qualified(table))}`);
  return `manage_db restore-backup ${id} --env ${environment} --in-place ${tables.join(' ')}`;
}
