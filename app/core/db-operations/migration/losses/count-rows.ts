import { escapeIdentifier } from 'pg';
import { quotedTable, readRowEstimate, type TableName } from '../../../../database/catalog/rows-at-stake.js';
import { inUndoneSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import { messageOf } from '../../../errors.js';

/** A number of rows, or why there is none. */
export interface CountedRows {
  /** `null`: nobody knows. */
  readonly rows: number | null;
  /** By the statistics of the table, as it was last analyzed. */
  readonly isEstimate: boolean;
  /** Why it could not be counted. */
  readonly because: string | null;
}

export interface CountingLimits {
  /** Milliseconds for one count; 5000 by default. */
  readonly countTimeoutMs?: number | undefined;
  /** Milliseconds that a count waits for a table that is locked; 1000 by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** Milliseconds for all of them; afterwards everything is estimated. 60000 by default. */
  readonly totalMs?: number | undefined;
}

/** Ran out of its time, did not get its lock, or may not look: then the statistics are asked. */
const ESTIMATED = ['57014', '55P03', '42501'];

/**
 * Counts within limits, so that a look at a busy database never becomes its problem.
 *
 * @param db in an open transaction that only reads, with the search_path pinned
 */
export class RowCounter {
  private readonly deadline: number;

  constructor(
    private readonly db: Queryable,
    private readonly limits: CountingLimits = {},
  ) {
    this.deadline = Date.now() + (limits.totalMs ?? 60_000);
  }

  /** `isOnly`: without what inherits from it. */
  async rowsOf(table: TableName, isOnly: boolean): Promise<CountedRows> {
    const sql = `select pg_catalog.count(*)::text as rows from ${isOnly ? 'only ' : ''}${quotedTable(table)}`;
    return this.countedOr(sql, () => this.estimatedRows(table));
  }

  /** Rows in which the column has a value. */
  async valuesOf(table: TableName, column: string): Promise<CountedRows> {
    const sql = `select pg_catalog.count(${escapeIdentifier(column)})::text as rows from ${quotedTable(table)}`;
    return this.countedOr(sql, async () => {
      const rows = await this.estimatedRows(table);
      return rows === null ? null : Math.round(rows * (1 - (await readNullFraction(this.db, table, column))));
    });
  }

  /** What a query of somebody else counts, with their search_path. */
  async countedBy(sql: string, searchPath: string): Promise<CountedRows> {
    return this.countedOr(sql, async () => null, searchPath);
  }

  private async countedOr(sql: string, estimate: () => Promise<number | null>, path?: string): Promise<CountedRows> {
    const counted = await this.count(sql, path);
    if (typeof counted === 'number') return { rows: counted, isEstimate: false, because: null };
    const rows = counted.isEstimated ? await estimate() : null;
    return { rows, isEstimate: rows !== null, because: counted.because };
  }

  private async count(
    sql: string,
    searchPath: string | undefined,
  ): Promise<number | { readonly because: string; readonly isEstimated: boolean }> {
    const remainingMs = this.deadline - Date.now();
    if (remainingMs <= 0) return { because: 'the time for counting was over', isEstimated: true };
    const { countTimeoutMs = 5000, lockTimeoutMs = 1000 } = this.limits;
    try {
      return await inUndoneSavepoint(this.db, async () => {
        await this.db.query(
          `select pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true),
             pg_catalog.set_config('row_security', $3, true)`,
          [
            String(Math.max(1, Math.min(countTimeoutMs, remainingMs))),
            String(lockTimeoutMs),
            // what policies hide is lost as well; a statement of the file sees no more than they show
            searchPath === undefined ? 'off' : 'on',
          ],
        );
        if (searchPath !== undefined) {
          await this.db.query(`select pg_catalog.set_config('search_path', $1, true)`, [searchPath]);
        }
        const { rows } = await this.db.query<{ rows: string }>(sql);
        return Number(rows[0]?.rows ?? 0);
      });
    } catch (error) {
      if (!isServerError(error) || error.code.startsWith('57P')) throw error;
      return { because: reasonOf(error.code, messageOf(error)), isEstimated: ESTIMATED.includes(error.code) };
    }
  }

  private async estimatedRows(table: TableName): Promise<number | null> {
    const rows = await readRowEstimate(this.db, table);
    // a table that was not analyzed yet says 0, or nothing
    return rows === 0 ? null : rows;
  }
}

function reasonOf(code: string, message: string): string {
  if (code === '57014') return 'counting took too long';
  if (code === '55P03') return 'the table is locked';
  return message;
}

async function readNullFraction(db: Queryable, { schema, name }: TableName, column: string): Promise<number> {
  const { rows } = await db.query<{ fraction: number }>(
    `select null_frac as fraction from pg_catalog.pg_stats
     where schemaname = $1 and tablename = $2 and attname = $3 order by inherited desc limit 1`,
    [schema, name, column],
  );
  return rows[0]?.fraction ?? 0;
}
