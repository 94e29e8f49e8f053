import type { Queryable } from '../../../database/queryable.js';
import type { OperationControls } from '../../progress.js';
import { stopIfAborted } from '../failure.js';
import type { TableRows } from './manifest.js';

/** Tables counted by one statement: few round trips, and a plan of bounded size on a database with 50,000 tables. */
const BATCH = 100;

/**
 * The tables whose rows pg_dump writes: ordinary tables and partitions, without those of the system and of extensions
 * (their rows come with `create extension`). Each table is counted alone (`only`), as it is dumped.
 */
const COUNTED_TABLES = `
  select n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format('select %s::int as position, count(*) as rows from only %I.%I',
      row_number() over (order by n.nspname, c.relname) - 1, n.nspname, c.relname) as statement
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r'
    and c.relpersistence <> 't'
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e')
  order by n.nspname, c.relname`;

/** Every table of the database with its exact number of rows, in the snapshot of the transaction that `db` is in. */
export async function countTableRows(db: Queryable, controls: OperationControls = {}): Promise<TableRows[]> {
  const { rows: tables } = await db.query<{ schema: string; name: string; statement: string }>(COUNTED_TABLES);
  const counted: TableRows[] = tables.map(({ schema, name }) => ({ schema, name, rows: 0, checksum: null }));
  for (let start = 0; start < tables.length; start += BATCH) {
    stopIfAborted(controls.signal);
    const batch = tables.slice(start, start + BATCH).map(({ statement }) => statement);
    const { rows } = await db.query<{ position: number; rows: string }>(batch.join('\nunion all\n'));
    for (const row of rows) {
      const table = counted[row.position];
      if (table !== undefined) table.rows = Number(row.rows);
    }
  }
  return counted;
}

/** The tables of the database without their rows. */
export async function listTablesWithoutRows(db: Queryable): Promise<TableRows[]> {
  const { rows } = await db.query<{ schema: string; name: string }>(COUNTED_TABLES);
  return rows.map(({ schema, name }) => ({ schema, name, rows: null, checksum: null }));
}
