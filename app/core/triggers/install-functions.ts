import { createHash } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { readTriggerFunctions } from '../../database/catalog/live-triggers.js';
import type { Queryable } from '../../database/queryable.js';
import { readTriggerRecords } from '../../database/records/trigger-registry.js';
import { runSqlFile } from '../../services/sql-script.js';
import { type FunctionFile, functionKey, readFunctionFile } from './function-file.js';
import type { TriggerPack } from './pack.js';

/** With the schema of its pack's functions, in which it is executed. */
export interface PackFunctionFile extends FunctionFile {
  readonly functionSchema: string;
}

export interface InstalledFunctions {
  readonly files: readonly PackFunctionFile[];
  /** The SQL that was needed. */
  readonly statements: readonly string[];
}

/**
 * Brings the functions of `packs`, except those in `leave`, up to date in the open transaction of `db`; with `isInstalled`
 * only says which there are.
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
  { leave, isInstalled }: { leave: ReadonlySet<string>; isInstalled: boolean },
): Promise<InstalledFunctions> {
  const statements: string[] = [];
  const files = await readFunctionFiles(packs);
  if (isInstalled) return { files, statements };
  statements.push(...(await installGenerated(db, files, leave)));
  const before = await readPrints(db);
  for (const { functionSchema, source, ...file } of files) {
    if (file.isGenerated || leave.has(functionKey(file))) continue;
    await db.query('savepoint manage_db_function');
    await db.query(`set local search_path to ${escapeIdentifier(functionSchema)}, pg_temp`);
    await runSqlFile(db, source);
    await db.query(`set local search_path to ''`);
    const touched = await readPrints(db, 'touched');
    const isChanged = [...touched].some(([oid, print]) => before.get(oid) !== print);
    await db.query(isChanged ? 'release savepoint manage_db_function' : 'rollback to savepoint manage_db_function');
    for (const [oid, print] of touched) before.set(oid, print);
    if (isChanged) statements.push(source.sql.trim());
  }
  return { files, statements };
}

/** How many functions travel to the server at once. */
const BATCH = 50;

/** Generated ones are written by us: those that are there as they were registered need not be tried. */
async function installGenerated(
  db: Queryable,
  files: readonly PackFunctionFile[],
  leave: ReadonlySet<string>,
): Promise<string[]> {
  const generated = files.filter((file) => file.isGenerated && !leave.has(functionKey(file)));
  if (generated.length === 0) return [];
  const live = new Map((await readTriggerFunctions(db)).map((one) => [functionKey(one), one]));
  const { functions } = await readTriggerRecords(db, []);
  const registered = new Map(functions.map((one) => [functionKey(one), one]));
  const missing = generated.filter((file) => {
    const known = registered.get(functionKey(file));
    return known?.fileChecksum !== file.checksum || live.get(functionKey(file))?.definition !== known.definition;
  });
  const statements = missing.map(({ source }) => source.sql);
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
    for (const path of functionFiles) files.push({ ...(await readFunctionFile(path, functionSchema)), functionSchema });
    for (const { schema, name, sql } of functions) {
      const source = { path: `the ${pack.name} pack`, sql, firstLine: 1 };
      const checksum = createHash('sha256').update(sql).digest('hex');
      files.push({ source, schema, name, checksum, isGenerated: true, body: null, functionSchema });
    }
  }
  return files;
}

/**
 * A fingerprint of each function: definition, owner, privileges, comment. `touched`: only those that this transaction
 * wrote; their xmin is its id or that of a savepoint, which is younger.
 */
async function readPrints(db: Queryable, scope: 'all' | 'touched' = 'all'): Promise<Map<string, string>> {
  const { rows } = await db.query<{ oid: string; print: string }>(
    `
    select p.oid::text as oid, pg_catalog.md5(pg_catalog.concat_ws(E'\\n',
      pg_catalog.pg_get_functiondef(p.oid), p.proowner, p.proacl, pg_catalog.obj_description(p.oid, 'pg_proc'))) as print
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema')
      and p.prokind in ('f', 'p')
      and ($1 = 'all' or pg_catalog.age(p.xmin) <= 0)
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
      )`,
    [scope],
  );
  return new Map(rows.map(({ oid, print }) => [oid, print]));
}
