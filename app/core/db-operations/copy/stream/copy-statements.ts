import { type Client, escapeIdentifier } from 'pg';
import type { StreamableTable } from '../../../../database/catalog/streamable-tables.js';
import type { Queryable } from '../../../../database/queryable.js';
import type { SelectedColumn } from '../selected-column.js';

/** Pages of a table from the first one on, up to the one before the last one. */
export interface Pages {
  readonly from: number;
  /** `null`: up to the end. */
  readonly to: number | null;
}

/** How the rows of a table come from one server to the other. */
export interface RowFormat {
  readonly columns: readonly string[];
  /** `null`: the columns themselves. */
  readonly expressions: readonly string[] | null;
  /** The options of COPY that both sides have. */
  readonly options: string;
}

/** As PostgreSQL names them. */
export interface Encodings {
  readonly source: string;
  readonly target: string;
}

/**
 * Binary where its form means the same on both sides, which takes no parsing; text otherwise, as pg_dump writes it.
 *
 * @param db a session on the source, prepared as those that copy
 */
export async function rowFormat(
  db: Client,
  table: StreamableTable,
  { selected, encodings }: { readonly selected: readonly SelectedColumn[] | null; readonly encodings: Encodings },
): Promise<RowFormat> {
  const chosen = selected === null || isWhole(selected, table) ? null : selected;
  const columns = (chosen?.map(({ column }) => column) ?? table.columns).map((column) => escapeIdentifier(column));
  const expressions = chosen?.map(({ expression }) => `(${expression})`) ?? null;
  // as binary, text is converted to the encoding of the session, which is UTF8
  const isUnicode = encodings.source === 'UTF8' && encodings.target === 'UTF8';
  const isSame = expressions === null || (await haveTypesOf(db, table, columns, expressions));
  if (table.isPortable && isUnicode && isSame) return { columns, expressions, options: 'format binary' };
  // bytes that an encoding does not define can be kept, but not converted
  const encoding = encodings.source === encodings.target ? encodings.source : 'UTF8';
  return { columns, expressions, options: `format text, encoding '${encoding}'` };
}

/** Whether it is every column as it is: then the table itself is copied, which is faster. */
function isWhole(selected: readonly SelectedColumn[], { columns }: StreamableTable): boolean {
  const kept = selected.filter(({ column, expression }) => expression === escapeIdentifier(column));
  return (
    kept.length === selected.length &&
    columns.length === selected.length &&
    columns.every((column) => kept.some((one) => one.column === column))
  );
}

/** Whether the server gives for each expression what it gives for the column itself. */
async function haveTypesOf(
  db: Client,
  { quotedName }: StreamableTable,
  columns: readonly string[],
  expressions: readonly string[],
): Promise<boolean> {
  if (columns.length === 0) return true;
  const { fields } = await db.query(
    `select ${[...columns, ...expressions].join(', ')} from only ${quotedName} limit 0`,
  );
  return columns.every((_, index) => fields[index]?.dataTypeID === fields[index + columns.length]?.dataTypeID);
}

/** What the source executes: the table itself where that is enough, which is the fastest. */
export function copyOutStatement(table: StreamableTable, format: RowFormat, pages: Pages | null): string {
  const { quotedName, extensionRows } = table;
  const { columns, expressions, options } = format;
  if (expressions === null && pages === null && !extensionRows)
    return `copy ${quotedName}${listOf(columns)} to stdout (${options})`;
  const conditions = extensionRows ? [extensionRows] : pages === null ? [] : [`where ${isIn(pages)}`];
  const selected = (expressions ?? columns).join(', ');
  return `copy (select ${selected} from only ${quotedName} ${conditions.join(' ')}) to stdout (${options})`;
}

/** What the scratch database executes. */
export function copyInStatement({ quotedName }: StreamableTable, format: RowFormat, isFrozen: boolean): string {
  return `copy ${quotedName}${listOf(format.columns)} from stdin (${format.options}${isFrozen ? ', freeze' : ''})`;
}

function listOf(columns: readonly string[]): string {
  return columns.length === 0 ? '' : ` (${columns.join(', ')})`;
}

/** PostgreSQL 14 and newer read no more than these pages. */
function isIn({ from, to }: Pages): string {
  const begin = `ctid >= '(${from},0)'::pg_catalog.tid`;
  return to === null ? begin : `${begin} and ctid < '(${to},0)'::pg_catalog.tid`;
}

/** `parts` ranges that are about as large as one another. */
export function rangesOf({ pages }: StreamableTable, parts: number): readonly Pages[] {
  const size = Math.ceil(pages / parts);
  return Array.from({ length: parts }, (_, index) => ({
    from: index * size,
    // rows may lie behind what was the end when it was looked at
    to: index === parts - 1 ? null : (index + 1) * size,
  }));
}

/** The encodings of the databases that two sessions are in. */
export async function readEncodings(source: Queryable, target: Queryable): Promise<Encodings> {
  const encodingOf = async (db: Queryable): Promise<string> => {
    const { rows } = await db.query<{ encoding: string }>('select pg_catalog.getdatabaseencoding()::text as encoding');
    return rows[0]?.encoding ?? '';
  };
  return { source: await encodingOf(source), target: await encodingOf(target) };
}
