import { readPartitionsBelow } from '../../../../database/catalog/partitions.js';
import { readStreamableTables, type StreamableTable } from '../../../../database/catalog/streamable-tables.js';
import type { Queryable } from '../../../../database/queryable.js';
import { subjectOf } from '../../../../database/records/own-tables.js';
import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import { qualified } from '../../inspection/find-relation.js';
import type { SelectedColumn } from '../selected-column.js';
import { naming } from './copy-error.js';
import type { Filling, StreamCopy } from './stream-copy.js';

export interface ChosenTable {
  readonly table: StreamableTable;
  /** Its oid where the definitions come from. */
  readonly definedAs: number;
  /** Its rows are left out. */
  readonly isEmpty: boolean;
  /** What is selected from it; `null`: its columns. */
  readonly selected: readonly SelectedColumn[] | null;
  /** Sessions that share it. */
  readonly sessions: number;
}

/**
 * The tables of the source, which nobody alters, empties or drops any more while the transaction of `db` lasts: what a snapshot
 * shows would be gone with them.
 *
 * @throws ManageDbError `NOT_FOUND` for rows that are to be left out and are nowhere, or have no table to go into, `LOCK_TIMEOUT`,
 *   `PERMISSION_DENIED`
 */
export async function chooseTables(filling: Filling): Promise<readonly ChosenTable[]> {
  const { source, blueprint, copy } = filling;
  const { db } = source;
  const left = copy.parts?.extensions ?? [];
  const tables = (await readStreamableTables(db)).filter(
    ({ schema, extension }) => schema !== copy.leaveOut.schema && (extension === null || !left.includes(extension)),
  );
  await lockTables(db, tables);
  const named = await leftEmpty(db, copy);
  const isEmpty = ({ oid, schema, name, extensionRows }: StreamableTable): boolean =>
    copy.leaveOut.rows === 'all' ||
    named.has(oid) ||
    // without a log its head has no row but the first one
    (schema === 'manage_db' && subjectOf(name) === 'database') ||
    (copy.select !== undefined && extensionRows !== null);
  const defined = blueprint === source ? tables : await readStreamableTables(blueprint.db);
  const oidOf = new Map(defined.map((table) => [table.quotedName, table.oid]));
  refuseHomeless(
    tables.filter((table) => !isEmpty(table) && !oidOf.has(table.quotedName)),
    filling,
  );
  const whole = tables.reduce((sum, table) => sum + (isEmpty(table) ? 0 : table.bytes), 0);
  return tables.flatMap((table) => {
    const definedAs = oidOf.get(table.quotedName);
    if (definedAs === undefined) return [];
    const isLeftOut = isEmpty(table);
    const selected = isLeftOut ? null : (copy.select?.(table) ?? null);
    return [{ table, definedAs, isEmpty: isLeftOut, selected, sessions: sessionsFor(table, whole, copy) }];
  });
}

function refuseHomeless(tables: readonly StreamableTable[], { source, blueprint }: Filling): void {
  if (tables.length === 0) return;
  const names = tables.map(qualified);
  throw new ManageDbError(
    'NOT_FOUND',
    `${blueprint.settings.environment} has no table ${listed(names, MOST_SHOWN)} for rows of ${source.settings.environment}. Nothing was copied.`,
    {
      hint: `manage_db compare-db --from ${source.settings.environment} --to ${blueprint.settings.environment} shows what is different.`,
      details: { tables: names },
    },
  );
}

const MOST_SHOWN = 10;

async function lockTables(db: Queryable, tables: readonly StreamableTable[]): Promise<void> {
  await naming('The tables of the source could not be kept from being altered', async () => {
    for (let start = 0; start < tables.length; start += LOCKED_AT_ONCE) {
      const names = tables.slice(start, start + LOCKED_AT_ONCE).map(({ quotedName }) => `only ${quotedName}`);
      await db.query(`lock table ${names.join(', ')} in access share mode`);
    }
  });
}

const LOCKED_AT_ONCE = 1000;

/** The oids of the tables that are named, and of their partitions. */
async function leftEmpty(db: Queryable, { leaveOut: { rowsOf }, source }: StreamCopy): Promise<ReadonlySet<number>> {
  const { rows } = await db.query<{ name: string; oid: number | null }>(
    'select w.name, pg_catalog.to_regclass(w.name)::pg_catalog.oid as oid from pg_catalog.unnest($1::text[]) w (name)',
    [rowsOf],
  );
  const missing = rows.filter(({ oid }) => oid === null).map(({ name }) => name);
  if (missing.length > 0) {
    throw new ManageDbError(
      'NOT_FOUND',
      `${source.environment} has no table ${missing.join(', ')} of which the rows could be left out. Nothing was copied.`,
      {
        hint: `manage_db inspect-db --tables --env ${source.environment} lists what there is.`,
        details: { tables: missing },
      },
    );
  }
  const oids = rows.flatMap(({ oid }) => (oid === null ? [] : [oid]));
  const below = await readPartitionsBelow(db, oids);
  return new Set([...oids, ...below.map(({ oid }) => oid)]);
}

/** Sharing a table has its price: its pages are written twice. */
const SPLIT_BYTES = 2 ** 28;

/** By default only a table is shared that the other sessions would have to wait for in the end. */
function sessionsFor(
  { bytes, isHeap, extensionRows }: StreamableTable,
  whole: number,
  { jobs, splitBytes }: StreamCopy,
) {
  if (!isHeap || extensionRows !== null) return 1;
  const limit = splitBytes ?? Math.max(SPLIT_BYTES, whole / jobs);
  return Math.max(1, Math.min(jobs, Math.round(bytes / limit)));
}
