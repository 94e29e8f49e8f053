import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import type { MaskingCheck } from '../../../../database/catalog/masking-checks.js';
import { inUndoneSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { codeOf, messageOf } from '../../../errors.js';
import { isOfSearchPath } from '../../database-state/search-path.js';
import { qualified } from '../../inspection/find-relation.js';
import type { SelectedColumn } from '../selected-column.js';
import { familyOf, isTextual } from './column-family.js';
import { setPassingSalt } from './keyed-hash.js';
import type { MaskingProblem, RuledColumn, RuledTable } from './resolve-rules.js';

/** A table whose expressions are known. */
export interface PlannedTable {
  readonly ruled: RuledTable;
  readonly select: readonly SelectedColumn[];
  readonly checks: readonly MaskingCheck[];
}

/** Rows of each table. */
const TRIED_ROWS = 1_000;
/** Rows that are made up, where it does not matter what was in them. */
const MADE_ROWS = 20;

/**
 * Masks some rows of every table on the server, with a salt that nobody keeps, and counts which constraints they would
 * break. Only counts come back. What calls functions of users is not called.
 *
 * @param db in a transaction; it is as before then, but for the setting of the salt
 */
export async function tryMasking(db: Queryable, tables: readonly PlannedTable[]): Promise<readonly MaskingProblem[]> {
  await setPassingSalt(db, randomBytes(32).toString('hex'));
  const problems: MaskingProblem[] = [];
  for (const table of tables) problems.push(...(await tryTable(db, table)));
  return problems;
}

async function tryTable(db: Queryable, table: PlannedTable): Promise<readonly MaskingProblem[]> {
  const changed = table.ruled.columns.filter(({ rule }) => rule !== null && rule.kind !== 'keep');
  if (changed.length === 0) return [];
  const broken: MaskingProblem[] = [];
  // one by one first: the server names no column
  for (const one of changed) broken.push(...(await tryColumn(db, table, one)));
  if (broken.length > 0) return broken;
  const real = await tryChecks(db, table, rowsOf(table), () => true);
  return real.length > 0 ? real : tryMade(db, table);
}

/** Whether the expression works at all, fits into a domain, and gives no NULL where none may be. */
async function tryColumn(db: Queryable, table: PlannedTable, one: RuledColumn): Promise<readonly MaskingProblem[]> {
  const { column } = one;
  const name = escapeIdentifier(column.column);
  const expression = table.select.find((selected) => selected.column === column.column)?.expression ?? name;
  const masked = `(select ${expression} as ${name} from ${rowsOf(table)}) masked`;
  const cast = column.domain?.isBuiltIn === true ? `::${column.declared}` : '';
  const outcome = await attempt<{ values: string; nulls: string }>(
    db,
    `select pg_catalog.count(${name}${cast}) as values, pg_catalog.count(*) filter (where ${name} is null) as nulls from ${masked}`,
  );
  if (!outcome.isDone) return [problemOf(table, one, outcome.why)];
  // a column that has NULLs although it must not have them has them already
  if (column.isNullable || Number(outcome.row?.nulls ?? 0) === 0) return [];
  return [problemOf(table, one, 'the column is NOT NULL, and its rule gives NULL')];
}

async function tryMade(db: Queryable, table: PlannedTable): Promise<readonly MaskingProblem[]> {
  const made = table.ruled.columns.filter(({ rule, column }) => {
    const isSaltedText = ['email', 'name', 'id-hash'].includes(rule?.kind ?? '') && isTextual(familyOf(column));
    return !column.isArray && (isSaltedText || rule?.kind === 'fixed' || rule?.kind === 'null');
  });
  const names = made.map(({ column }) => column.column);
  const values = table.ruled.columns.map(({ column }) => {
    const value =
      names.includes(column.column) && isTextual(familyOf(column)) ? `pg_catalog.concat('made ', n)` : 'null';
    return `${value}::${column.sql} as ${escapeIdentifier(column.column)}`;
  });
  const rows = `(select ${values.join(', ')} from pg_catalog.generate_series(1, ${MADE_ROWS}) made (n)) made`;
  return tryChecks(db, table, rows, ({ columns }) => columns.length > 0 && columns.every((one) => names.includes(one)));
}

/** Counts the rows that break a CHECK once they are masked. */
async function tryChecks(
  db: Queryable,
  table: PlannedTable,
  rows: string,
  isMeant: (check: MaskingCheck) => boolean,
): Promise<readonly MaskingProblem[]> {
  const { ruled, select, checks } = table;
  const isChanged = (column: string): boolean =>
    ruled.table.generated.some((one) => one.column === column) ||
    ruled.columns.some((one) => one.column.column === column && one.rule !== null && one.rule.kind !== 'keep');
  const isUndecided = (name: string): boolean =>
    ruled.columns.some(({ column, rule }) => column.column === name && rule === null);
  const tried = checks.filter(
    (check) => check.isBuiltIn && check.columns.some(isChanged) && !check.columns.some(isUndecided) && isMeant(check),
  );
  if (tried.length === 0) return [];
  const generated = ruled.table.generated.filter(({ isBuiltIn }) => isBuiltIn);
  const columns = select.map(({ column, expression }) => `${expression} as ${escapeIdentifier(column)}`);
  const made = generated.map(({ column, expression }) => `(${expression}) as ${escapeIdentifier(column)}`);
  const counts = tried.map(
    ({ expression }, place) => `pg_catalog.count(*) filter (where (${expression}) is false) as c${place}`,
  );
  const outcome = await attempt<Record<string, string>>(
    db,
    `select ${counts.join(', ')}
    from (select ${['masked.*', ...made].join(', ')} from (select ${columns.join(', ')} from ${rows}) masked) whole`,
  );
  if (!outcome.isDone)
    return [{ table: qualified(ruled.table), column: null, message: outcome.why, place: ruled.place }];
  return tried.flatMap((check, place) => {
    const count = Number(outcome.row?.[`c${place}`] ?? 0);
    if (count === 0) return [];
    const [first] = ruled.columns.filter(
      ({ column, rule }) => check.columns.includes(column.column) && rule !== null && rule.kind !== 'keep',
    );
    const message = `masked values break the constraint ${check.name}`;
    return [
      {
        table: qualified(ruled.table),
        column: first?.column.column ?? null,
        message,
        place: first?.place ?? ruled.place,
        definition: `CHECK ${check.expression}`,
      },
    ];
  });
}

function rowsOf({ ruled: { table } }: PlannedTable): string {
  const only = table.isPartitioned ? '' : 'only ';
  const name = `${escapeIdentifier(table.schema)}.${escapeIdentifier(table.name)}`;
  return `(select * from ${only}${name} limit ${TRIED_ROWS}) tried`;
}

type Attempt<Row> =
  | { readonly isDone: true; readonly row: Row | undefined }
  | { readonly isDone: false; readonly why: string };

/** Runs a statement that only reads, under `searchPath` where there is one; the transaction is as before then. */
async function attempt<Row extends Record<string, string>>(
  db: Queryable,
  statement: string,
  searchPath: string | null = null,
): Promise<Attempt<Row>> {
  try {
    return await inUndoneSavepoint(db, async () => {
      if (searchPath !== null) await db.query(`select pg_catalog.set_config('search_path', $1, true)`, [searchPath]);
      const { rows } = await db.query<Row>(statement);
      return { isDone: true, row: rows[0] };
    });
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined || /^(08|40|53|55|57|58|XX)/.test(code)) throw error;
    // planning a query looks into the functions of its table's indexes
    if (searchPath === null && isOfSearchPath(error)) return attempt(db, statement, await applicationPath(db));
    return { isDone: false, why: whyFailed(error, code) };
  }
}

async function applicationPath(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ path: string }>(
    `select s.reset_val as path from pg_catalog.pg_settings s where s.name = 'search_path'`,
  );
  return rows[0]?.path ?? '';
}

/** What the server says about a statement names no value; what it says about data may. */
function whyFailed(error: unknown, code: string): string {
  if (code.startsWith('42')) return `the server refuses it: ${messageOf(error)}`;
  const constraint =
    typeof error === 'object' && error !== null && 'constraint' in error ? error.constraint : undefined;
  return typeof constraint === 'string'
    ? `masked values break the constraint ${constraint} of the column's type`
    : `masked values do not fit the column (SQLSTATE ${code})`;
}

function problemOf({ ruled }: PlannedTable, { column, place }: RuledColumn, message: string): MaskingProblem {
  return { table: qualified(ruled.table), column: column.column, message, place };
}
