import type { Queryable } from '../../../../database/queryable.js';
import type { TriggerRecords } from '../../../../database/records/trigger-registry.js';
import type { DefiningStatement, SqlSource } from '../../../../services/sql-script.js';
import type { LiveNames } from '../live-names.js';
import type { LiveDifference, UnsafeReplacement } from './live-difference.js';

/** What is known while the statements are gone through. */
export interface ComparisonRun {
  readonly db: Queryable;
  readonly names: LiveNames;
  readonly registry: Registry;
  /** By the oid of what is there. */
  readonly dropped: Map<string, Dropped>;
  /** Tables and types that were changed in a way that what is built on them would forbid, with the number of the statement. */
  readonly touched: Map<string, number>;
  readonly differences: Map<string, { difference: LiveDifference; table: string | null; name: string }>;
  readonly unsafe: Map<string, UnsafeReplacement>;
  count: number;
}

export interface Registry {
  readonly records: TriggerRecords;
  /** The functions that are not as they were installed, by schema and name. */
  readonly changed: ReadonlySet<string>;
}

export interface Dropped {
  readonly source: SqlSource;
  readonly statement: DefiningStatement;
  readonly at: number;
}

export function triggerKey(table: string, name: string): string {
  return JSON.stringify([table, name]);
}

export const MODE_REMARK = 'Its mode is ';
