import { createHash } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { readFunctionPrints } from '../../database/catalog/function-prints.js';
import { type LiveTriggerFunction, readTriggerFunctions } from '../../database/catalog/live-triggers.js';
import type { Queryable } from '../../database/queryable.js';
import type { RegisteredFunction } from '../../database/records/trigger-registry.js';
import { runSqlFile } from '../../services/sql-script.js';
import { codeOf } from '../errors.js';
import { isChangedByHand } from './changed-by-hand.js';
import { type FunctionFile, functionKey, readFunctionFile } from './function-file.js';
import type { TriggerPack } from './pack.js';
import type { SkippedFunction } from './planned-trigger.js';

/** With the schema of its pack's functions, in which it is executed. */
export interface PackFunctionFile extends FunctionFile {
  readonly functionSchema: string;
  readonly pack: TriggerPack;
}

export interface InstalledFunctions {
  readonly files: readonly PackFunctionFile[];
  /** Those that somebody has changed by hand, and that stay so. */
  readonly skipped: readonly SkippedFunction[];
  /** The SQL that was needed. */
  readonly statements: readonly string[];
}

export interface InstallOptions {
  /** Functions ({@link functionKey}) that stay as they are. */
  readonly leave: ReadonlySet<string>;
  readonly registered: readonly RegisteredFunction[];
  /** Whether what somebody has changed by hand is overwritten. */
  readonly overrides: boolean;
}

/** What is known about the functions before anything is done. */
interface Known {
  readonly live: ReadonlyMap<string, LiveTriggerFunction>;
  readonly registered: ReadonlyMap<string, RegisteredFunction>;
  readonly options: InstallOptions;
}

/**
 * Brings the functions of `packs` up to date in the open transaction of `db`. One that somebody has changed by hand stays
 * as it is, unless its file now says the same.
 *
 * Whether a file changes anything is decided by the server: it is executed in a savepoint, and what it touched is
 * compared with what was there, as the server prints both. What is the same is rolled back and so not touched.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line and column; `INVALID_CONFIGURATION` when a file holds anything but
 *   its function, before the first of them is executed
 */
export async function installFunctions(
  db: Queryable,
  packs: readonly TriggerPack[],
  options: InstallOptions,
): Promise<InstalledFunctions> {
  const files = await readFunctionFiles(packs);
  if (files.length === 0) return { files, skipped: [], statements: [] };
  const known: Known = {
    live: byKey(await readTriggerFunctions(db)),
    registered: byKey(options.registered),
    options,
  };
  const skipped: SkippedFunction[] = [];
  const statements = await installGenerated(db, packs, files, known);
  const before = await readFunctionPrints(db);
  for (const file of files) {
    const { schema, name, source } = file;
    const isKept = isByHand(file, known);
    if (file.isGenerated) {
      if (isKept) skipped.push({ schema, name, reason: reasonToKeep(file, known) });
      continue;
    }
    await db.query('savepoint manage_db_function');
    const outcome = await execute(db, file, before).catch((error: unknown) => {
      // what is not applied anyway may be somebody else's by now
      if (isKept && CANNOT_EXECUTE.has(codeOf(error) ?? '')) return 'changed' as const;
      throw error;
    });
    const isInstalled = outcome === 'changed' && !isKept;
    await db.query(isInstalled ? 'release savepoint manage_db_function' : 'rollback to savepoint manage_db_function');
    if (isInstalled) statements.push(source.sql.trim());
    else if (outcome === 'changed') skipped.push({ schema, name, reason: reasonToKeep(file, known) });
  }
  return { files, skipped, statements };
}

const CANNOT_EXECUTE = new Set(['SQL_FAILED', 'PERMISSION_DENIED']);

/** Notes in `prints` what it touched. */
async function execute(
  db: Queryable,
  { functionSchema, source }: PackFunctionFile,
  prints: Map<string, string>,
): Promise<'changed' | 'same'> {
  await db.query(`set local search_path to ${escapeIdentifier(functionSchema)}, pg_temp`);
  await runSqlFile(db, source);
  await db.query(`set local search_path to ''`);
  const touched = await readFunctionPrints(db, 'touched');
  return [...touched].some(([oid, print]) => prints.get(oid) !== print) ? 'changed' : 'same';
}

function isByHand(file: PackFunctionFile, { live, registered, options }: Known): boolean {
  const key = functionKey(file);
  if (options.leave.has(key)) return true;
  if (options.overrides || file.isGenerated) return false;
  const [now, then] = [live.get(key), registered.get(key)];
  return now !== undefined && then !== undefined && isChangedByHand(now, then);
}

function reasonToKeep(file: PackFunctionFile, { registered }: Known): string {
  const then = registered.get(functionKey(file));
  const also = then?.fileChecksum === file.checksum ? '' : ', and so has its file, which is not applied';
  return `changed by hand since it was installed${also}; verify-db-triggers --fix --override-drift overwrites it`;
}

function byKey<T extends { readonly schema: string; readonly name: string }>(all: readonly T[]): Map<string, T> {
  return new Map(all.map((one) => [functionKey(one), one]));
}

/** How many functions travel to the server at once. */
const BATCH = 50;

/** Generated ones are written by us: those that are there as they were registered need not be tried. */
async function installGenerated(
  db: Queryable,
  packs: readonly TriggerPack[],
  files: readonly PackFunctionFile[],
  { live, registered, options }: Known,
): Promise<string[]> {
  const isMissing = (file: PackFunctionFile): boolean => {
    const [now, then] = [live.get(functionKey(file)), registered.get(functionKey(file))];
    const isAsInstalled = now !== undefined && now.definition === then?.definition && now.owner === then.owner;
    return !isAsInstalled || then?.fileChecksum !== file.checksum;
  };
  const statements: string[] = [];
  for (const pack of packs) {
    const missing = files.filter(
      (file) => file.isGenerated && file.pack === pack && !options.leave.has(functionKey(file)) && isMissing(file),
    );
    if (missing.length === 0) continue;
    const { before = [], after = [] } = pack.aroundFunctions ?? {};
    statements.push(...before, ...missing.map(({ source }) => source.sql), ...after);
  }
  for (let start = 0; start < statements.length; start += BATCH) {
    await db.query(statements.slice(start, start + BATCH).join(';\n'));
  }
  return statements;
}

/**
 * The files of the functions of `packs`.
 *
 * @throws ManageDbError as {@link readFunctionFile}
 */
export async function readFunctionFiles(packs: readonly TriggerPack[]): Promise<readonly PackFunctionFile[]> {
  const files: PackFunctionFile[] = [];
  for (const pack of packs) {
    const { functionSchema, functionFiles, functions = [] } = pack;
    for (const path of functionFiles)
      files.push({ ...(await readFunctionFile(path, functionSchema)), functionSchema, pack });
    for (const { schema, name, sql } of functions) {
      const source = { path: `the ${pack.name} pack`, sql, firstLine: 1 };
      const checksum = createHash('sha256').update(sql).digest('hex');
      files.push({ source, schema, name, checksum, isGenerated: true, body: null, functionSchema, pack });
    }
  }
  return files;
}
