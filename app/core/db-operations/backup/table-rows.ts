import type { Queryable } from '../../../database/queryable.js';
import type { OperationControls } from '../../progress.js';
import { stopIfAborted } from '../failure.js';
import type { TableRows } from './manifest.js';
import { isDataExcluded, isSelected, type Selection } from './selection.js';

/** Tables counted by one statement: few round trips, and a plan of bounded size on a database with 50,000 tables. */
const BATCH = 100;

export interface TableCounting extends Pick<OperationControls, 'signal'> {
  /** Only these, and their rows only where they are dumped; everything by default. */
  readonly selection?: Selection;
}

/**
 * The tables whose rows pg_dump writes: ordinary tables and partitions, without those of the system and of extensions
 * (their rows come with `create extension`). Each table is counted alone (`only`), as it is dumped.
 */
const COUNTED_TABLES = `
  select n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "quotedName"
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

/** Every table, or the selected ones, with its exact number of rows, in the snapshot of the transaction that `db` is in. */
export async function countTableRows(db: Queryable, { selection, signal }: TableCounting = {}): Promise<TableRows[]> {
  const tables = await readTables(db, selection);
  const counted = tables.map(withoutRows);
  const positions = [...tables.keys()].filter((position) => !isWithoutRows(tables[position], selection));
  for (let start = 0; start < positions.length; start += BATCH) {
    stopIfAborted(signal);
    const batch = positions.slice(start, start + BATCH);
    const statements = batch.map(
      (position) => `select ${position}::int as position, count(*) as rows from only ${tables[position]?.quotedName}`,
    );
    const { rows } = await db.query<{ position: number; rows: string }>(statements.join('\nunion all\n'));
    for (const row of rows) {
      const table = counted[row.position];
      if (table !== undefined) table.rows = Number(row.rows);
    }
  }
  return counted;
}

/** The tables, or the selected ones, without their rows. */
export async function listTablesWithoutRows(db: Queryable, selection?: Selection): Promise<TableRows[]> {
  return (await readTables(db, selection)).map(withoutRows);
}

interface CountedTable {
  readonly schema: string;
  readonly name: string;
  readonly quotedName: string;
}

async function readTables(db: Queryable, selection: Selection | undefined): Promise<CountedTable[]> {
  const { rows } = await db.query<{ [Key in keyof CountedTable]: CountedTable[Key] }>(COUNTED_TABLES);
  return selection === undefined ? rows : rows.filter((table) => isSelected(selection, table));
}

function isWithoutRows(table: CountedTable | undefined, selection: Selection | undefined): boolean {
  return table === undefined || (selection !== undefined && isDataExcluded(selection, table));
}

function withoutRows({ schema, name }: CountedTable): TableRows {
  return { schema, name, rows: null, checksum: null };
}
