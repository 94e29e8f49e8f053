import {
  readConstraintTriggerModes,
  switchConstraintTriggers,
} from '../../../../database/catalog/constraint-trigger-modes.js';
import { readFiringTables } from '../../../../database/catalog/firing-tables.js';
import { readForeignMaterializedViews } from '../../../../database/catalog/foreign-materialized-views.js';
import { readServerStart } from '../../../../database/catalog/server-start.js';
import { readTableParts } from '../../../../database/catalog/table-parts.js';
import type { Queryable } from '../../../../database/queryable.js';
import { grantAccess } from '../../../../database/records/access-roles.js';
import { beginLog } from '../../../../database/records/operation-log-begin.js';
import { type ClientTools, findClientTools, listClientTools } from '../../../../services/client-tools.js';
import { stopIfAborted } from '../../../progress.js';
import { NOTHING_LEFT_OUT } from '../../backup/left-out-parts.js';
import { readDatabaseProperties } from '../../database-state/database-properties.js';
import { searchPathOf } from '../../database-state/search-path.js';
import { qualified } from '../../inspection/find-relation.js';
import { analyzeTable, readAnalyzedLast } from './analyze.js';
import { copyRows } from './copy-rows.js';
import { type Definitions, type DefinitionsRequest, readDefinitions } from './definitions.js';
import { Lane } from './lane.js';
import { holdsPasswords } from './left-out-definitions.js';
import { entryMaker } from './make-entry.js';
import { orderOf } from './order.js';
import { rehearse } from './rehearse.js';
import { resetSequences, takePositionsOf } from './sequences.js';
import { chooseTables } from './source-tables.js';
import type { Filling, Moment, StreamCopy, StreamedCopy } from './stream-copy.js';
import { runTasks } from './tasks.js';

/** Everything of a copy, in its order: what rows need, rows with their indexes, and what must not be there while rows come. */
export async function fill(filling: Filling): Promise<StreamedCopy> {
  const { copy, source, blueprint, stop } = filling;
  const { target, leaveOut, triggers = 'after', parts = NOTHING_LEFT_OUT, controls } = copy;
  const step = (text: string): void => {
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: text });
  };
  step('reading the definitions');
  const at = await readBegin(source.db);
  await copy.onSnapshot?.(source.db);
  const tables = await chooseTables(filling);
  const foreign = await readForeignMaterializedViews(blueprint.db);
  const unpopulated = new Set(foreign.map(({ oid }) => oid));
  const definitions = await definitionsFor(filling, { parts, unpopulated });
  const make = entryMaker(definitions.sql);
  const lanes = await openLanes(filling);
  const [lane] = lanes;
  step('making the tables');
  for (const entry of definitions.before) await make(lane, entry);
  if (leaveOut.schema !== 'manage_db') await beginLog(lane.target);
  if (copy.rehearse ?? (await mayFail(filling, lane.target))) {
    step('trying out what comes after the rows');
    await rehearse(filling, lane, definitions);
  }
  const copiedTables = new Set(tables.map(({ definedAs }) => definedAs));
  const order = orderOf(definitions, { parts: await readTableParts(blueprint.db), copied: copiedTables, triggers });
  step('copying rows');
  // what triggers number continues behind what is there
  const isNumbered = leaveOut.rows !== 'all';
  if (isNumbered) await takePositionsOf(source.db, lane.target);
  const firingTables = triggers === 'before' ? await readFiringTables(blueprint.db) : null;
  const copied = await copyRows({ filling, lanes, tables, order, make, parts, firingTables });
  step('making foreign keys, triggers and the rest');
  if (isNumbered && copy.sequences === 'from-data') await resetSequences(lane);
  for (const entry of order.beforeKeys) await make(lane, entry);
  const keys = order.foreignKeys.map(({ entry, between }) => ({
    claims: between,
    run: (one: Lane) => make(one, entry),
  }));
  await runTasks(keys.map(alone), lanes, stop);
  for (const entry of [...order.afterKeys, ...order.grants, ...order.refreshs]) await make(lane, entry);
  const modes = await readConstraintTriggerModes(blueprint.db);
  if (modes.length > 0) await lane.target.query(switchConstraintTriggers(modes));
  await grantAccess(lane.target, target.database);
  step('analyzing');
  const last = (await readAnalyzedLast(lane.target)).map((one) => ({ run: (next: Lane) => analyzeTable(next, one) }));
  await runTasks(last.map(alone), lanes, stop);
  for (const entry of order.eventTriggers) await make(lane, entry);
  return { tables: copied, unpopulated: foreign.map(qualified), at };
}

/** Whether the server of the scratch database could lack something that definitions need, or the login the right to it. */
async function mayFail({ blueprint }: Filling, scratch: Queryable): Promise<boolean> {
  const isSameServer = (await readServerStart(blueprint.db)) === (await readServerStart(scratch));
  const { rows } = await scratch.query<{ is: boolean }>(
    `select pg_catalog.current_setting('is_superuser')::pg_catalog.bool as is`,
  );
  return !isSameServer || rows[0]?.is !== true;
}

async function definitionsFor(
  { copy, blueprint, lockTimeoutMs, folder, signal }: Filling,
  left: Pick<DefinitionsRequest, 'parts' | 'unpopulated'>,
): Promise<Definitions> {
  const { settings, snapshot, db, major } = blueprint;
  const properties = await readDatabaseProperties(db, settings.database);
  return readDefinitions({
    tools: await findTools(major, copy),
    ...{ settings, folder, snapshot, lockTimeoutMs, signal, ...left },
    encoding: properties?.encoding ?? 'UTF8',
    options: copy.leaveOut.schema === undefined ? [] : [`--exclude-schema=${copy.leaveOut.schema}`],
    // the target's own stay where they are
    isLeftOut: (entry) =>
      (copy.definitionsFrom === undefined && holdsPasswords(entry)) || copy.leaveOut.definitions?.(entry) === true,
  });
}

/** Those that fit both servers, as far as there are any; those that can read the definitions otherwise. */
async function findTools(major: number, { target, targetMajor }: StreamCopy): Promise<ClientTools> {
  const binDir = target.pgBinDir;
  const found = await listClientTools({ binDir });
  const fitsBoth = found.some((tools) => tools.major >= Math.max(major, targetMajor));
  return findClientTools({ serverMajor: fitsBoth ? Math.max(major, targetMajor) : major, binDir });
}

/** As a task of which nothing comes. */
function alone<T extends { readonly run: (lane: Lane) => Promise<void> }>(task: T) {
  return {
    ...task,
    weight: 0,
    run: async (lane: Lane) => {
      await task.run(lane);
      return [];
    },
  };
}

async function openLanes({
  copy,
  source,
  blueprint,
  sessions,
  lockTimeoutMs,
}: Filling): Promise<readonly [Lane, ...Lane[]]> {
  const { target, scratch, prepareSource: prepare, jobs } = copy;
  const ends = {
    ...{ source: source.settings, target, scratch },
    searchPaths: { source: await readSearchPath(source), target: await readSearchPath(blueprint) },
    state: { snapshot: source.snapshot, lockTimeoutMs, prepare },
  };
  const first = await Lane.open(sessions, ends);
  const others = Array.from({ length: jobs - 1 }, () => Lane.open(sessions, ends));
  return [first, ...(await Promise.all(others))];
}

async function readSearchPath({ db, settings }: Moment): Promise<string> {
  const properties = await readDatabaseProperties(db, settings.database);
  return properties === null ? '' : searchPathOf(properties);
}

/** When the transaction has begun, and with it the snapshot. ISO. */
async function readBegin(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ at: Date }>('select pg_catalog.now() as at');
  return (rows[0]?.at ?? new Date()).toISOString();
}
