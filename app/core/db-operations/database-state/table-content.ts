import { createHash } from 'node:crypto';
import type { Queryable } from '../../../database/queryable.js';

/** A table as the checksum of its content needs it. */
export interface HashedTable {
  readonly quotedName: string;
  /** The columns that are dumped, quoted and by name: generated ones are computed again, the order need not be kept. */
  readonly columns: readonly string[];
}

/**
 * Two sums over 64 bits of the text of each row. What is added up does not depend on the order of the rows, needs no sort,
 * and one row is in memory at a time.
 *
 * `offset 0` keeps the server from making the text of each row twice.
 */
export function contentStatement(position: number, { quotedName, columns }: HashedTable): string {
  return `
    select ${position}::int as position, pg_catalog.count(*) as rows,
      pg_catalog.sum(pg_catalog.hashtextextended(line, 20251)) as one,
      pg_catalog.sum(pg_catalog.hashtextextended(line, 77003)) as other
    from (select row(${columns.map((column) => `t.${column}`).join(', ')})::text collate pg_catalog."C" as line
      from only ${quotedName} t offset 0) lines`;
}

export interface ContentRow {
  readonly position: number;
  readonly rows: string;
  readonly one: string | null;
  readonly other: string | null;
}

/** SHA-256 of the columns' names, the number of rows and their sums. */
export function contentChecksum({ columns }: HashedTable, { rows, one, other }: ContentRow): string {
  return createHash('sha256')
    .update(JSON.stringify([columns, rows, one, other]))
    .digest('hex');
}

/**
 * Fixes in the session of `db` how values are written as text: the same in every session, on every server, whatever the
 * login, the database or the server have set.
 */
export async function pinOutput(db: Queryable): Promise<void> {
  const names = Object.keys(OUTPUT);
  await db.query(
    `select pg_catalog.set_config(s.name, s.value, false)
    from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as s (name, value)`,
    [names, names.map((name) => OUTPUT[name])],
  );
}

const OUTPUT: Readonly<Record<string, string>> = {
  bytea_output: 'hex',
  DateStyle: 'ISO, YMD',
  extra_float_digits: '1',
  IntervalStyle: 'postgres',
  lc_monetary: 'C',
  quote_all_identifiers: 'off',
  // names of tables and types among the values come with their schemas
  search_path: 'pg_catalog, pg_temp',
  TimeZone: 'UTC',
};
