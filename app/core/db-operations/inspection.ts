import type { Queryable } from '../../database/queryable.js';
import { withoutJit } from '../../database/without-jit.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { explained } from './failure.js';
import { checkDiagramFile, writeDiagram } from './inspection/diagram-file.js';
import { drawDiagram } from './inspection/draw-diagram.js';
import { inspectOverview } from './inspection/inspect-overview.js';
import { inspectSelected } from './inspection/inspect-selected.js';
import { inspectTable } from './inspection/inspect-table.js';
import type { InspectResult, InspectSelection } from './inspection/inspected.js';
import { requireSchema } from './inspection/require-schema.js';

export type {
  FiringOrder,
  InspectedDatabase,
  InspectedDiagram,
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
 * in full, or a diagram of the tables. Sizes are bytes, row counts are the planner's estimates. Reads from one snapshot and
 * changes nothing in the database.
 *
 * @throws ManageDbError `NOT_FOUND` (no such schema or table), `USAGE` (the bare name is in more than one schema, what is asked for
 *   does not go together, or the diagram would replace what is no diagram), `UNREADABLE_FILE` (it cannot be written)
 * @example const { triggers } = await inspectDb({ env: 'development', triggers: true, schema: 'clinic' });
 */
export function inspectDb(options: InspectOptions = {}): Promise<InspectResult> {
  return guarded('inspect-db', options, async ({ environment }) => {
    const path = checkSelection(options);
    const result = await getOperationSession((session) => withoutJit(session, () => inspect(session, options)), {
      env: environment,
      readOnly: true,
      isolation: 'repeatable read',
      signal: options.signal,
    }).catch((error: unknown) => {
      throw error instanceof ManageDbError ? error : explained(error, 'Nothing was changed.');
    });
    return path === null || result.diagram === undefined
      ? result
      : { ...result, diagram: writeDiagram(result.diagram, path) };
  });
}

/** The file for the diagram, or null. */
function checkSelection({ diagram, table, ...lists }: InspectOptions): string | null {
  const asked = (['tables', 'triggers', 'functions'] as const).filter((name) => lists[name] === true);
  const drawn = diagram !== undefined && diagram !== false;
  if (asked.length > 0 && (drawn || table !== undefined)) {
    const [one, shows] = drawn
      ? ['--diagram', 'a picture of the tables']
      : ['--table', 'one table with all that it has'];
    throw new ManageDbError('USAGE', `${one} shows ${shows}: it does not go with --${asked[0]}.`, {
      hint: drawn
        ? 'Limit the diagram with --schema or --table, and ask for the lists in a call of their own.'
        : `Leave --${asked[0]} away, or ask for the list of a schema: --${asked[0]} --schema NAME`,
      details: { given: [one, ...asked.map((name) => `--${name}`)] },
    });
  }
  return typeof diagram === 'string' ? checkDiagramFile(diagram) : null;
}

async function inspect(db: Queryable, options: InspectOptions): Promise<InspectResult> {
  const { schema, table } = options;
  await db.query(`select pg_catalog.set_config('lock_timeout', $1, true)`, [LOCK_TIMEOUT]);
  if (schema !== undefined) await requireSchema(db, schema);
  if (options.diagram !== undefined && options.diagram !== false)
    return { diagram: await drawDiagram(db, { schema, table }) };
  const selected = await inspectSelected(db, options);
  if (table !== undefined) return { ...selected, table: await inspectTable(db, table, schema) };
  return Object.keys(selected).length > 0 ? selected : inspectOverview(db);
}
