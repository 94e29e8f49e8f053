import type { Queryable } from '../../database/queryable.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { explained } from './failure.js';
import { inspectOverview } from './inspection/inspect-overview.js';
import { inspectSelected } from './inspection/inspect-selected.js';
import { inspectTable } from './inspection/inspect-table.js';
import type { InspectResult, InspectSelection } from './inspection/inspected.js';
import { requireSchema } from './inspection/require-schema.js';

export type {
  InspectedDatabase,
  InspectedRelation,
  InspectedTable,
  InspectedTrigger,
  InspectResult,
} from './inspection/inspected.js';

export interface InspectOptions extends OperationOptions, InspectSelection {}

/** Waiting longer than this for a lock is an error: looking must not queue up behind work. */
const LOCK_TIMEOUT = '5s';

/**
 * Shows what is in a database: an overview, or the tables, triggers and functions of all schemas or of one, or one table
 * in full. Sizes are bytes, row counts are the planner's estimates. Reads from one snapshot and changes nothing.
 *
 * @throws ManageDbError `NOT_FOUND` (no such schema or table), `USAGE` (the bare name is in more than one schema)
 * @example const { triggers } = await inspectDb({ env: 'development', triggers: true, schema: 'clinic' });
 */
export function inspectDb(options: InspectOptions = {}): Promise<InspectResult> {
  return guarded('inspect-db', options, ({ environment }) =>
    getOperationSession((session) => inspect(session, options), {
      env: environment,
      readOnly: true,
      isolation: 'repeatable read',
      signal: options.signal,
    }).catch((error: unknown) => {
      throw error instanceof ManageDbError ? error : explained(error, 'Nothing was changed.');
    }),
  );
}

async function inspect(db: Queryable, options: InspectOptions): Promise<InspectResult> {
  const { schema, table } = options;
  await db.query(`select pg_catalog.set_config('lock_timeout', $1, true)`, [LOCK_TIMEOUT]);
  if (schema !== undefined) await requireSchema(db, schema);
  const selected = await inspectSelected(db, options);
  if (table !== undefined) return { ...selected, table: await inspectTable(db, table, schema) };
  return Object.keys(selected).length > 0 ? selected : inspectOverview(db);
}
