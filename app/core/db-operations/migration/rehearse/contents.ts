import { escapeIdentifier } from 'pg';
import { readStoredColumns, type StoredColumns } from '../../../../database/catalog/stored-columns.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import type { SchemaDifference } from '../trial/schema-state.js';

interface ColumnContents {
  /** How many rows have a value. */
  readonly values: number;
  /** Over what the values are, in whatever order: as text, the sum of their hashes. */
  readonly sum: string;
}

interface TableContents extends Pick<StoredColumns, 'schema' | 'name'> {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, ColumnContents>;
}

/** What is in the tables of a scratch copy at one moment; of a table that could not be read in time, `null`. */
export type Contents = ReadonlyMap<string, TableContents | null>;

export interface ContentsReader {
  readonly read: () => Promise<Contents>;
  /** What of the first is not in the second, or is another one there, as far as both of them have the table and the column. */
  readonly compare: (before: Contents, now: Contents) => readonly SchemaDifference[];
  /** What was not compared, in a sentence. */
  readonly warnings: () => readonly string[];
}

/** Milliseconds for one table: some ten million values. */
const TABLE_TIMEOUT_MS = 10_000;

/** Milliseconds for everything that one reader reads. */
const TOTAL_MS = 120_000;

/**
 * Reads what is in tables again and again, to be compared: definitions that are as they were say nothing about values. Sums stay
 * on the server, and what takes too long is left out and named.
 *
 * @param watcher a session of its own in the scratch copy, whom no policy hides rows from
 */
export function contentsReader(watcher: Queryable): ContentsReader {
  const left = new Set<string>();
  let remainingMs = TOTAL_MS;
  return {
    async read() {
      const contents = new Map<string, TableContents | null>();
      for (const table of await readStoredColumns(watcher)) {
        const name = `${table.schema}.${table.name}`;
        const startedAt = performance.now();
        const found = left.has(name) ? null : await readTable(watcher, table, Math.min(TABLE_TIMEOUT_MS, remainingMs));
        remainingMs -= performance.now() - startedAt;
        if (found === null) left.add(name);
        contents.set(JSON.stringify([table.schema, table.name]), found);
      }
      return contents;
    },
    compare: (before, now) =>
      [...before].flatMap(([key, one]) => {
        const other = now.get(key) ?? null;
        return one === null || other === null ? [] : differencesOf(one, other);
      }),
    warnings: () =>
      left.size === 0
        ? []
        : [
            `Whether rows and values are the same after the rollback is not known of what could not be read, or not in time: ${[...left].sort().join(', ')}.`,
          ],
  };
}

async function readTable(db: Queryable, table: StoredColumns, timeoutMs: number): Promise<TableContents | null> {
  if (timeoutMs < 1) return null;
  const { schema, name, columns } = table;
  const sums = columns.flatMap((column) => {
    const value = escapeIdentifier(column);
    return [`pg_catalog.count(${value})::text`, `pg_catalog.sum(pg_catalog.hashtextextended(${value}::text, 0))::text`];
  });
  await db.query(`begin read only; set local statement_timeout = ${Math.ceil(timeoutMs)}`);
  try {
    // in one array: a row has no place for twice as many columns as a table
    const { rows } = await db.query<{ found: (string | null)[] }>(
      `select array[${['pg_catalog.count(*)::text', ...sums].join(', ')}] as found
       from only ${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
    );
    const [count, ...found] = rows[0]?.found ?? [];
    const contents = columns.map((column, index): [string, ColumnContents] => [
      column,
      { values: Number(found[index * 2] ?? 0), sum: found[index * 2 + 1] ?? '' },
    ]);
    return { schema, name, rows: Number(count ?? 0), columns: new Map(contents) };
  } catch (error) {
    if (!isServerError(error) || error.code.startsWith('57P')) throw error;
    return null;
  } finally {
    await db.query('rollback').catch(() => undefined);
  }
}

/** Where the number of rows is another one, that of the values says nothing more. */
function differencesOf(before: TableContents, now: TableContents): SchemaDifference[] {
  const table = `${before.schema}.${before.name}`;
  if (before.rows !== now.rows) return [changed('rows', table, { from: before.rows, to: now.rows })];
  return [...before.columns].flatMap(([column, one]) => {
    const other = now.columns.get(column);
    if (other === undefined || (one.values === other.values && one.sum === other.sum)) return [];
    return [changed('values', `${table}.${column}`, { from: one.values, to: other.values })];
  });
}

function changed(
  kind: 'rows' | 'values',
  name: string,
  { from, to }: { readonly from: number; readonly to: number },
): SchemaDifference {
  const property = kind === 'rows' ? 'number of rows' : 'number of values';
  // as many as before are others
  const changes = from === to ? [] : [{ property, from, to }];
  return { kind, name, state: 'changed', changes };
}
