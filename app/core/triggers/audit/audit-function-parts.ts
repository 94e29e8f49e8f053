import type { AuditableTable } from '../../../database/catalog/auditable-tables.js';
import type { AuditedColumns, RowExpressions } from './row-expressions.js';

export interface AuditFunctionOptions extends AuditedColumns {
  /** Where the log is. */
  readonly schema: string;
  readonly data: 'changed' | 'whole';
  readonly isChained: boolean;
}

/** What the statements of one function are made of. */
export interface Parts {
  readonly table: AuditableTable;
  readonly rows: RowExpressions;
  readonly options: AuditFunctionOptions;
  /** `insert into …`, with its columns. */
  readonly into: string;
  /** The schema of the log, quoted. */
  readonly s: string;
}

/** Of the names of variables, for the entries of one call. */
export const COMMON = 'moment, xid, tg_op, logged_schema, logged_table';
export const WHO = 'app_user, session_user, client';
