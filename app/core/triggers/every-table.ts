import { ManageDbError } from '../errors.js';

/** A set of tables that is found in the live catalog when the triggers are applied. */
export interface EveryTable {
  readonly kind: 'manage_db.every-table';
  /** Column name → the type names that it may have (as `format_type` writes them, without length), or `null` for any. */
  readonly having: Readonly<Record<string, readonly string[] | null>>;
  readonly lacking: readonly string[];
  /** `null`: any. */
  readonly only: readonly string[] | null;
  readonly except: readonly string[];
  readonly skip: string | null;
}

export interface EveryTableSpec {
  /** Columns that the table must have: `['updated_at']`, or with the types that fit `{ updated_at: ['date'] }`. */
  readonly having: readonly string[] | EveryTable['having'];
  /** Columns that the table must not have. */
  readonly lacking?: readonly string[];
  /** Only these tables: `'schema.table'`, where `*` stands for anything. */
  readonly only?: readonly string[];
  /** Tables to leave out: `'schema.table'`, where `*` stands for anything. `manage_db.*` is always left out. */
  readonly except?: readonly string[];
  /** Leaves all of them out, with this reason: for tables that look as if they were meant. */
  readonly skip?: string;
}

/**
 * Every ordinary and partitioned table of the application that has the columns. Partitions are left to their parent;
 * views, foreign and temporary tables, PostgreSQL's own schemas and tables of extensions are never meant.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION`
 * @example everyTable({ having: ['updated_at'], except: ['legacy.*', 'clinic.import_raw'] })
 */
export function everyTable(spec: EveryTableSpec): EveryTable {
  const having = Array.isArray(spec.having)
    ? Object.fromEntries(spec.having.map((column: string) => [column, null]))
    : { ...(spec.having as EveryTable['having']) };
  if (Object.keys(having).length === 0) throw invalid('having must name at least one column');
  const lacking = spec.lacking ?? [];
  const except = spec.except ?? [];
  for (const pattern of [...except, ...(spec.only ?? [])]) {
    if (!/^[^.]+\..+$/.test(pattern)) throw invalid(`"${pattern}" must be written as 'schema.table' or 'schema.*'`);
  }
  return { kind: 'manage_db.every-table', having, lacking, only: spec.only ?? null, except, skip: spec.skip ?? null };
}

/** Whether `schema.table` is one of the patterns. */
export function matchesPattern(patterns: readonly string[], schema: string, table: string): boolean {
  return patterns.some((pattern) => patternToRegExp(pattern).test(`${schema}.${table}`));
}

function patternToRegExp(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

function invalid(problem: string): ManageDbError {
  return new ManageDbError('INVALID_CONFIGURATION', `everyTable: ${problem}.`, {
    hint: "For instance: everyTable({ having: ['updated_at'], except: ['legacy.*'] })",
  });
}
