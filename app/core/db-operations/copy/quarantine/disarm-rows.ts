import { type Client, escapeIdentifier, type QueryConfig, type QueryResult } from 'pg';
import { asManageDbError, isServerError } from '../../../../services/database-errors.js';
import { offsetOfPosition, sqlScriptError } from '../../../../services/sql-script.js';
import { errorWith, ManageDbError } from '../../../errors.js';
import { qualified } from '../../inspection/find-relation.js';
import { type NamedRows, placeOf } from './named-rows.js';

/** Rows that were disarmed. */
export interface DisarmedRows {
  readonly schema: string;
  readonly table: string;
  readonly action: 'delete' | 'set';
  readonly rows: number;
}

/**
 * Deletes or changes the rows that the configuration names.
 *
 * @param client in a transaction in which no trigger fires; conditions are read under its search_path
 * @throws ManageDbError `SQL_FAILED` with the place in the condition, `PERMISSION_DENIED`
 */
export async function disarmRows(client: Client, named: NamedRows): Promise<DisarmedRows> {
  const { relation, rows, assignments } = named;
  const sets = assignments.map(({ column }, index) => `${column} = $${index + 1}`);
  const { rowCount } = await execute(client, named, {
    head:
      rows.action === 'delete'
        ? `delete from ${quoted(named)} where `
        : `update ${quoted(named)} set ${sets.join(', ')} where `,
  });
  return { schema: relation.schema, table: relation.name, action: rows.action, rows: rowCount ?? 0 };
}

/**
 * Looks whether a row is left that the condition means, and that is not as it should be: others may have been changed after it.
 *
 * @throws ManageDbError `SQL_FAILED`
 */
export async function refuseRowsLeft(client: Client, named: NamedRows): Promise<void> {
  const differs = named.assignments.map(
    // as text: json and xml cannot be compared; by the cast a value has the form that the column gave it
    ({ column, type }, index) => `${column}::text is distinct from ($${index + 1}::text::${type})::text`,
  );
  const { rows: left } = await execute(client, named, {
    head: `select from ${quoted(named)} where ${differs.length === 0 ? '' : `(${differs.join(' or ')}) and `}`,
    tail: ' limit 1',
  });
  if (left.length === 0) return;
  throw new ManageDbError(
    'SQL_FAILED',
    `${placeOf(named.key)}: the condition still finds rows of ${qualified(named.relation)} that are armed.`,
    { hint: 'Let the condition look at the row alone, and at nothing that the quarantine changes.' },
  );
}

function quoted({ relation }: NamedRows): string {
  return `${escapeIdentifier(relation.schema)}.${escapeIdentifier(relation.name)}`;
}

interface Statement {
  /** What stands before the condition. */
  readonly head: string;
  readonly tail?: string;
}

async function execute(
  client: Client,
  { key, rows, assignments }: NamedRows,
  { head, tail = '' }: Statement,
): Promise<QueryResult> {
  const condition = rows.where ?? 'true';
  const query: QueryConfig & { readonly queryMode: 'extended' } = {
    // a line end, as the condition may end in a comment
    text: `${head}(${condition}\n)${tail}`,
    values: assignments.map(({ value }) => value),
    // which takes one statement only
    queryMode: 'extended',
  };
  try {
    return await client.query(query);
  } catch (error) {
    if (!isServerError(error)) throw error;
    const known = asManageDbError(error);
    const offset = offsetOfPosition(query.text, Number(error.position)) - head.length - 1;
    if (rows.where !== null && error.position !== undefined && offset >= 0 && offset <= condition.length) {
      const source = { path: `${placeOf(key)}: where`, sql: condition, firstLine: 1 };
      throw sqlScriptError(source, {
        ...{ code: known.code, message: error.message, offset, sqlState: error.code, cause: error },
        hint: error.hint ?? 'Correct the condition in the configuration file.',
      });
    }
    throw errorWith(known.code, `${placeOf(key)}: ${known.message}`, {
      ...(known.hint === null ? {} : { hint: known.hint }),
      details: known.details,
      cause: error,
    });
  }
}
