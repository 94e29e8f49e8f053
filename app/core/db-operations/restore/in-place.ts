import { join } from 'node:path';
import type { Client } from 'pg';
import { readLockHolders } from '../../../database/catalog/lock-holders.js';
import { readMaterializedViewsOf, readRelationsInPlace } from '../../../database/catalog/tables-in-place.js';
import { findClientTools } from '../../../services/client-tools.js';
import { asManageDbError, errorCodeOf, isServerError } from '../../../services/database-errors.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import { withConnection, withMaintenanceConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { shellQuote } from '../../shell-quote.js';
import { removeBackup } from '../backup/backup-folder.js';
import { SAFETY_LABEL } from '../backup/backup-id.js';
import { DUMP_NAMES } from '../backup/dump.js';
import { type LeftOutParts, leavingOut } from '../backup/left-out-parts.js';
import type { Manifest, TableRows } from '../backup/manifest.js';
import { lockRestoreOf } from '../backup/scratch-database.js';
import { type BackupResult, backupTarget } from '../backup.js';
import { type Committing, isCommitted, UnknownOutcome } from '../commit-outcome.js';
import { explained } from '../failure.js';
import { qualified } from '../inspection/find-relation.js';
import { type FreeSpace, readFreeSpace } from './free-space.js';
import { Archive } from './in-place/archive.js';
import { type Chosen, chooseTables, type WantedPart } from './in-place/choose-tables.js';
import { type Planning, planInPlace } from './in-place/plan.js';
import { LOCK_TIMEOUT_MS, replaceInPlace } from './in-place/replace.js';
import type { RestoredSequence } from './in-place/sequences.js';

export interface InPlaceRestore {
  readonly target: Target;
  /** Of the backup, whose files are what the manifest says. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly wanted: WantedPart;
  readonly parts: LeftOutParts;
  readonly controls: OperationControls;
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

/** What restoring a part inside a database gives up, whatever the part. */
export const GIVEN_UP =
  'These tables are of another moment than the rest of the database: foreign keys were checked, other agreements between tables were not. Triggers did not fire, so no audit log lists the rows.';

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
  const { target, folder, manifest, wanted, parts, controls } = restore;
  refuseUnfit(target, manifest, parts);
  const { settings } = target;
  const { signal } = controls;
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const tools = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
  controls.onProgress?.({ step: 'reading the archive' });
  const archive = await Archive.open({
    path: join(folder, DUMP_NAMES[manifest.format]),
    backup: manifest.id,
    pgRestore: tools.pgRestore,
    settings,
    signal,
    args: leavingOut(parts),
  });
  const chosen = await chooseTables(archive, manifest, wanted);
  return withMaintenanceConnection(settings, async (maintenance) => {
    await lockRestoreOf(maintenance, target.database);
    const planning = { target, archive, chosen };
    // before anybody has to wait
    await withConnection(settings, { signal }, (client) => rehearsed(client, planning));
    const { replaced, safety } = await replace(restore, planning);
    const freeBytes = await readFreeSpace(maintenance);
    return {
      tables: replaced.tables,
      safetyBackup: safety?.id ?? null,
      freeBytes,
      warnings: [...replaced.warnings, ...(await lookAround(restore, chosen, archive))],
      inPlace: {
        replaced: replaced.plan.present.map(({ table }) => qualified(table)),
        made: replaced.plan.missing.map(qualified),
        emptied: replaced.plan.emptied.map(qualified),
        sequences: replaced.sequences,
        undo:
          safety === null
            ? null
            : undoCommand(
                safety,
                replaced.plan.present.map(({ table }) => table),
              ),
      },
    };
  });
}

function refuseUnfit(
  { database, exists }: Target,
  { id, format, contents, properties }: Manifest,
  parts: LeftOutParts,
) {
  const refuse = (message: string, hint: string) => new ManageDbError('USAGE', message, { hint });
  if (!exists)
    throw refuse(`${database} does not exist, so nothing can be restored inside it.`, 'Leave out --in-place.');
  if (format === 'plain')
    throw refuse(`${id} is a plain dump, of which no part can be restored.`, 'Choose a backup of another format.');
  if (contents !== 'all') {
    const lacks = contents === 'schema' ? 'no rows' : 'no table definitions';
    throw refuse(`Backup ${id} has ${lacks}.`, 'Choose a complete one: manage_db list-all-backups');
  }
  if (properties.encoding !== 'UTF8')
    throw refuse(
      `Backup ${id} is in ${properties.encoding}: tables are restored in UTF8 only.`,
      'Leave out --in-place.',
    );
  if (parts.extensions.length > 0)
    throw refuse('No extension is restored with tables.', 'Leave out --without extension:NAME.');
}

async function rehearsed(client: Client, planning: Planning): Promise<void> {
  await client.query('begin');
  await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    await planInPlace(client, planning);
  } catch (error) {
    throw await inWords(error, planning);
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

async function replace(restore: InPlaceRestore, planning: Planning) {
  const { target, controls, manifest } = restore;
  let safety: BackupResult | null = null;
  let xid: string | null = null;
  let done: Awaited<ReturnType<typeof replaceInPlace>> | null = null;
  const backUp = async (tables: readonly string[]) => {
    safety = await backupTarget(target, { ...controls, label: SAFETY_LABEL, tables });
  };
  try {
    done = await withConnection(target.settings, { signal: controls.signal }, async (client) => {
      const replaced = await replaceInPlace(client, { planning, manifest, controls, backUp }).catch(async (error) => {
        // whoever is asked then who holds locks must not name us
        if (isServerError(error)) await client.query('rollback');
        throw error;
      });
      controls.onProgress?.({ step: 'committing' });
      // from here on only the server knows
      done = replaced;
      xid = replaced.xid;
      await client.query('commit');
      return replaced;
    });
  } catch (error) {
    const outcome = await outcomeOf(target, xid);
    if (outcome !== 'committed' || done === null) {
      if (outcome === 'unknown') throw unknownOutcome(error, xid, safety);
      // nothing was replaced, so there is nothing to go back to
      if (safety !== null) await removeBackup((safety as BackupResult).path);
      throw await inWords(error, planning);
    }
  }
  return { replaced: done, safety: safety as BackupResult | null };
}

async function outcomeOf({ settings }: Target, xid: string | null): Promise<'committed' | 'nothing' | 'unknown'> {
  if (xid === null) return 'nothing';
  try {
    const anew: Committing['anew'] = (work) => withConnection(settings, {}, work);
    return (await isCommitted({ xid, what: 'the restore', anew })) ? 'committed' : 'nothing';
  } catch (error) {
    if (error instanceof UnknownOutcome) return 'unknown';
    throw error;
  }
}

function unknownOutcome(error: unknown, xid: string | null, safety: BackupResult | null): UnknownOutcome {
  const was = safety === null ? '' : ` What the tables were is backup ${safety.id}.`;
  const { code, message, details } = explained(error, `It cannot be asked whether the restore was committed.${was}`);
  const hint = `When the server answers: select pg_xact_status('${xid}');`;
  return new UnknownOutcome(code, message, { hint, details, cause: error });
}

/** What failed, as somebody has to know it who wanted tables back. */
async function inWords(error: unknown, { target }: Planning): Promise<unknown> {
  if (!isServerError(error)) return error;
  if (error.code === '23503') {
    const { constraint, table, schema, detail } = error;
    return new ManageDbError(
      'SQL_FAILED',
      `A row would point at nothing: the foreign key ${constraint} of ${schema}.${table} does not hold. ${detail ?? ''}`.trim(),
      {
        hint: 'Restore the other table with it (one more --table), or change those rows first.',
        details: { sqlState: error.code, constraint, schema, table, detail },
        cause: error,
      },
    );
  }
  if (errorCodeOf(error.code) !== 'LOCK_TIMEOUT') return asManageDbError(error);
  const holders = await withConnection(target.settings, {}, (db) => readLockHolders(db)).catch(() => []);
  return lockTimeoutError({
    wanted: `the tables of ${target.database}`,
    waitedMs: LOCK_TIMEOUT_MS,
    holders,
    unchanged: 'Nothing was restored.',
    cause: error,
  });
}

/** What is committed is not undone by what is found then. */
async function lookAround({ target, controls }: InPlaceRestore, chosen: Chosen, archive: Archive): Promise<string[]> {
  const { settings } = target;
  try {
    return await withConnection(settings, {}, async (db) => {
      const live = await readRelationsInPlace(db, chosen.tables);
      controls.onProgress?.({ step: 'analyzing' });
      for (const { identity } of live) await db.query(`analyze ${identity}`);
      const views = await readMaterializedViewsOf(
        db,
        live.map(({ oid }) => oid),
      );
      return [
        GIVEN_UP,
        ...views.map(
          (view) => `The materialized view ${view} shows what was there before: refresh materialized view ${view};`,
        ),
        ...(await readLostViews(db, archive, chosen)),
        ...(await readUnknownTables(db, chosen, archive)),
      ];
    });
  } catch (error) {
    return [GIVEN_UP, `The tables are restored; what follows could not be done: ${asManageDbError(error).message}`];
  }
}

/** Views that went with a table: they are not made again, since more may hang on them. */
async function readLostViews(db: Client, archive: Archive, { tables }: Chosen): Promise<string[]> {
  const ids = new Set(tables.map(({ id }) => id));
  const views = archive.entries.filter(
    ({ kind, needs }) => (kind === 'VIEW' || kind === 'MATERIALIZED VIEW') && needs.some((need) => ids.has(need)),
  );
  if (views.length === 0) return [];
  const { rows } = await db.query<{ said: string }>(
    `select n.nspname || ' ' || c.relname || ' ' as said from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm')`,
  );
  return views
    .filter(({ said }) => !rows.some((row) => said.startsWith(row.said)))
    .map(({ said }) => `A view of the backup is not there: ${said.replace(/ \S+$/, '').replace(' ', '.')}.`);
}

/** What a schema has got since stays. */
async function readUnknownTables(db: Client, { schemas }: Chosen, archive: Archive): Promise<string[]> {
  if (schemas.length === 0) return [];
  const known = await archive.tables();
  const { rows } = await db.query<{ schema: string; name: string }>(
    `select n.nspname::text as schema, c.relname::text as name from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition order by 1, 2`,
    [schemas],
  );
  return rows
    .filter(({ schema, name }) => !known.some((table) => table.schema === schema && table.name === name))
    .map((table) => `The table ${qualified(table)} is not in the backup, and stays as it is.`);
}

function undoCommand({ id }: BackupResult, tables: Chosen['tables']): string {
  const roots = tables.filter(({ parent }) => parent === null);
  return `manage_db restore-backup ${id} --in-place ${roots.map((table) => `--table ${shellQuote(qualified(table))}`).join(' ')}`;
}
