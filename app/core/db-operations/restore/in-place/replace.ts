import type { Client } from 'pg';
import { readFiringTriggers } from '../../../../database/catalog/firing-triggers.js';
import { readRelationsInPlace } from '../../../../database/catalog/tables-in-place.js';
import { endWithUs } from '../../../../services/end-with-us.js';
import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { refuseIfChanged } from '../../../safety/still-allowed.js';
import type { Entry } from '../../database-state/contents.js';
import { searchPathOf, underSearchPath } from '../../database-state/search-path.js';
import { countTableRows } from '../../database-state/table-rows.js';
import { qualified } from '../../inspection/find-relation.js';
import type { Manifest, TableRows } from '../../manifest/manifest.js';
import type { StillAlone } from '../../scratch/keep-others-out.js';
import type { Archive } from './archive.js';
import type { ChosenTable } from './choose-tables.js';
import { loadRows } from './load-rows.js';
import { type Plan, type Planning, planInPlace, sequencesOf } from './plan.js';
import { moveSequences, type RestoredSequence } from './sequences.js';
import { dropKeys, makeKeys, switchKeys } from './switched-keys.js';

/** Milliseconds that it waits for a table that somebody works with; everything behind it waits as long. */
export const LOCK_TIMEOUT_MS = 10_000;

export interface Replacing {
  readonly planning: Planning;
  readonly manifest: Manifest;
  readonly controls: OperationControls;
  /** Backs up these tables: called when nobody writes any more, and before anything is replaced. */
  readonly backUp: (tables: readonly string[]) => Promise<void>;
  /** Says at the end what the database is by that; `null`: what it was. */
  readonly stamp: string | null;
  readonly stillAlone: StillAlone;
}

export interface Replaced {
  readonly xid: string;
  readonly plan: Plan;
  readonly tables: readonly TableRows[];
  readonly sequences: readonly RestoredSequence[];
  readonly warnings: readonly string[];
}

/** Does everything but the commit, in a transaction that it begins. */
export async function replaceInPlace(client: Client, replacing: Replacing): Promise<Replaced> {
  const { planning, manifest, controls, backUp, stamp, stillAlone } = replacing;
  const { archive, chosen, target, searchPath } = planning;
  const step = (text: string) => {
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: text });
  };
  const make = async (entries: readonly Entry[]) => {
    const sql = await archive.sqlOf(entries);
    if (sql.trim() !== '') await underSearchPath(client, searchPath, () => client.query(sql));
  };
  const xid = await beginLimited(client);
  step('locking the tables');
  const plan = await lockAll(client, planning);
  // what cannot be made is known before anything was backed up
  await make(plan.belongings.before);
  if (plan.present.length > 0) {
    step('backing up what is there');
    await backUp([...plan.present.map(({ live }) => live), ...plan.emptied].map(({ identity }) => identity));
  }
  step('replacing rows');
  const switched = await dropKeys(client, plan.keys);
  const replaced = [...plan.present.map(({ live }) => live), ...plan.emptied];
  const triggers = await readFiringTriggers(
    client,
    replaced.map(({ oid }) => oid),
  );
  for (const { off } of triggers) await client.query(off);
  const leaves = replaced.filter(({ kind }) => kind === 'r').map(({ identity }) => `only ${identity}`);
  // the indexes are built anew, and may call functions for that
  if (leaves.length > 0)
    await underSearchPath(client, searchPath, () => client.query(`truncate table ${leaves.join(', ')}`));
  await loadRows(client, archive, { entries: rowsOf(archive, chosen.tables), searchPath, controls });
  step('making indexes and keys');
  await make(plan.belongings.indexes);
  await make(plan.belongings.attachments);
  step('comparing row counts');
  const tables = await compareRows(client, { plan, manifest, tables: chosen.tables, controls });
  step('checking foreign keys');
  const loose = await makeKeys(client, plan.keys);
  await make(plan.belongings.after);
  for (const { on } of triggers) await client.query(on);
  const enforced = await switchKeys(client, switched, { plan, manifest });
  const live = await readRelationsInPlace(client, chosen.tables);
  const positions = await archive.positions(positionsOf(archive, chosen.tables));
  const sequences = await moveSequences(
    client,
    live.map(({ oid }) => oid),
    positions,
  );
  await stillAlone();
  await refuseIfChanged(client, target);
  if (stamp !== null) await client.query(stamp);
  stopIfAborted(controls.signal);
  return { xid, plan, tables, sequences, warnings: [...warningsOf(plan, sequences), ...loose, ...enforced] };
}

async function beginLimited(client: Client): Promise<string> {
  await endWithUs(client);
  await client.query('begin read write');
  await client.query(`set local role none; set local lock_timeout = ${LOCK_TIMEOUT_MS}; set local row_security = off;
    set constraints all immediate`);
  // otherwise foreign keys would not be checked
  await client.query(`select pg_catalog.set_config('session_replication_role', 'origin', true)
    where pg_catalog.current_setting('session_replication_role') <> 'origin'`);
  const { rows } = await client.query<{ xid: string }>('select pg_catalog.pg_current_xact_id()::text as xid');
  return rows[0]?.xid ?? '';
}

/**
 * Keeps writers out of everything that takes part, and makes sure that readers will go: who holds a table in an open
 * transaction is found now, and not when all has been backed up. Backing up has to read, so that readers may come in until
 * the rows are replaced.
 */
async function lockAll(client: Client, planning: Planning): Promise<Plan> {
  const before = await planInPlace(client, planning);
  if (before.locks.length === 0) return before;
  const tables = before.locks.join(', ');
  await client.query(`lock table ${tables} in exclusive mode`);
  await client.query(`savepoint manage_db_readers; lock table ${tables} in access exclusive mode;
    rollback to savepoint manage_db_readers`);
  const now = await planInPlace(client, planning);
  if (JSON.stringify(now.locks) === JSON.stringify(before.locks)) return now;
  throw new ManageDbError('DATABASE_IN_USE', `The tables of ${planning.target.database} were altered in this moment.`, {
    hint: 'Run it again.',
  });
}

function rowsOf(archive: Archive, tables: readonly ChosenTable[]): readonly Entry[] {
  const ids = new Set(tables.map(({ id }) => id));
  return archive.ofKind('TABLE DATA').filter(({ needs }) => needs.some((need) => ids.has(need)));
}

function positionsOf(archive: Archive, tables: readonly ChosenTable[]): readonly Entry[] {
  const sequences = new Set(sequencesOf(archive, tables).map(({ id }) => id));
  return archive.ofKind('SEQUENCE SET').filter(({ needs }) => needs.some((need) => sequences.has(need)));
}

interface Comparing {
  readonly plan: Plan;
  readonly manifest: Manifest;
  readonly tables: readonly ChosenTable[];
  readonly controls: OperationControls;
}

async function compareRows(client: Client, { plan, manifest, tables, controls }: Comparing): Promise<TableRows[]> {
  const expected = tables.flatMap((table) => table.expected ?? []);
  const live = await readRelationsInPlace(client, expected);
  const selection = {
    said: { schemas: [], tables: [], excludedData: [] },
    schemas: [],
    tables: live,
    excludedData: [],
  };
  const found =
    live.length === 0
      ? []
      : await countTableRows(client, {
          selection,
          searchPath: searchPathOf(manifest.properties),
          withChecksums: expected.some(({ checksum }) => checksum !== null),
          ...(controls.signal === undefined ? {} : { signal: controls.signal }),
        });
  // a column that the backup does not know is in the checksum of now
  const changed = new Set(plan.added.map(({ table }) => qualified(table)));
  const differences = expected.flatMap((then) => {
    const name = qualified(then);
    const now = found.find((table) => table.schema === then.schema && table.name === then.name);
    if (now?.rows !== then.rows) return [`${name} has ${now?.rows ?? 'no'} rows instead of ${then.rows}`];
    const isSame = then.checksum === null || changed.has(name) || then.checksum === now.checksum;
    return isSame ? [] : [`${name} has as many rows, with another content`];
  });
  if (differences.length === 0) return found;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `What was restored from ${manifest.id} is not what was backed up: ${listed(differences, 10)}.`,
    { hint: 'Choose another backup: manage_db list-all-backups', details: { id: manifest.id, differences } },
  );
}

function warningsOf({ added, emptied, missing, belongings }: Plan, sequences: readonly RestoredSequence[]): string[] {
  return [
    ...added.map(
      ({ table, columns }) =>
        `The backup does not know ${columns.join(', ')} of ${qualified(table)}: all rows have the default there.`,
    ),
    ...emptied.map((table) => `The backup does not know the partition ${qualified(table)}: it is empty now.`),
    ...missing.map((table) => `${qualified(table)} was not there, and has been made again.`),
    ...belongings.leftOut,
    ...sequences.flatMap(({ sequence, next, from }) =>
      from === 'live'
        ? [`The sequence ${sequence} was ahead of the backup, and stays: it gives ${next} next.`]
        : from === 'rows'
          ? [`The sequence ${sequence} was behind the rows in the backup: it gives ${next} next.`]
          : [],
    ),
  ];
}
