import type { Queryable } from '../../../database/queryable.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { TableRows } from '../manifest/manifest.js';
import { isDataExcluded, isSelected, type Selection } from '../manifest/selection.js';
import { underSearchPath } from './search-path.js';
import { type ContentRow, contentChecksum, contentStatement, type HashedTable, pinOutput } from './table-content.js';

/** Tables counted by one statement: few round trips, and a plan of bounded size on a database with 50,000 tables. */
const BATCH = 100;

export interface TableCounting extends Pick<OperationControls, 'signal'> {
  /** Only these, and their rows only where they are dumped; everything by default. */
  readonly selection?: Selection;
  /** Also checksums of their content; sets in the session of `db` how values are written. */
  readonly withChecksums?: boolean;
  /**
   * What the functions of expression indexes rely on: planning a query looks into them, whatever it asks. Nothing of ours is
   * looked for by it.
   */
  readonly searchPath: string;
}

/**
 * The tables whose rows pg_dump writes: ordinary tables and partitions, without those of the system and of extensions
 * (their rows come with `create extension`). Each table is counted alone (`only`), as it is dumped.
 */
const COUNTED_TABLES = `
  select c.oid, n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "quotedName",
    exists (select from pg_catalog.pg_index i where i.indrelid = c.oid
      and (i.indexprs is not null or i.indpred is not null)) as "hasExpressions",
    array(
      select pg_catalog.quote_ident(a.attname) from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      order by a.attname) as columns
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
export async function countTableRows(
  db: Queryable,
  { selection, withChecksums = false, searchPath, signal }: TableCounting,
): Promise<TableRows[]> {
  if (withChecksums) await pinOutput(db);
  const tables = await readTables(db, selection);
  const counted = tables.map(withoutRows);
  const positions = [...tables.keys()].filter((position) => !isWithoutRows(tables[position], selection));
  const count = async (some: readonly number[]): Promise<void> => {
    for (let start = 0; start < some.length; start += BATCH) {
      stopIfAborted(signal);
      const batch = some.slice(start, start + BATCH);
      const statements = batch.map((position) => statementFor(position, tables[position], withChecksums));
      const { rows } = await db.query<{ [Key in keyof ContentRow]: ContentRow[Key] }>(statements.join('\nunion all\n'));
      for (const row of rows) {
        const table = tables[row.position];
        if (table === undefined) continue;
        const checksum = withChecksums ? contentChecksum(table, row) : null;
        counted[row.position] = { ...withoutRows(table), rows: Number(row.rows), checksum };
      }
    }
  };
  const hasExpressions = (position: number): boolean => tables[position]?.hasExpressions === true;
  await count(positions.filter((position) => !hasExpressions(position)));
  await underSearchPath(db, searchPath, () => count(positions.filter(hasExpressions)));
  return counted;
}

/** The tables whose rows are dumped. */
export async function listTablesWithRows(
  db: Queryable,
  selection: Selection,
): Promise<readonly { readonly oid: number; readonly schema: string; readonly name: string }[]> {
  return (await readTables(db, selection)).filter((table) => !isWithoutRows(table, selection));
}

/** The tables, or the selected ones, without their rows. */
export async function listTablesWithoutRows(db: Queryable, selection?: Selection): Promise<TableRows[]> {
  return (await readTables(db, selection)).map(withoutRows);
}

interface CountedTable extends HashedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Whether an index of it calls something. */
  readonly hasExpressions: boolean;
}

function statementFor(position: number, table: CountedTable | undefined, withChecksums: boolean): string {
  if (table === undefined) throw new Error(`There is no table ${position}.`);
  if (withChecksums) return contentStatement(position, table);
  return `select ${position}::int as position, pg_catalog.count(*) as rows, null as one, null as other from only ${table.quotedName}`;
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
