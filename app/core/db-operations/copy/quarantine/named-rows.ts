import { escapeIdentifier } from 'pg';
import type { QuarantinedRows, QuarantineSettings } from '../../../../config/copy-settings.js';
import { type QuarantineTable, readQuarantineTable } from '../../../../database/catalog/quarantine-tables.js';
import type { RelationName } from '../../../../database/catalog/relation-names.js';
import type { Queryable } from '../../../../database/queryable.js';
import { ManageDbError } from '../../../errors.js';
import { nearest } from '../../../nearest.js';
import { findRelation, qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';

/** Rows that the configuration names, and the table that they are in. */
export interface NamedRows {
  /** As it is written in the configuration file. */
  readonly key: string;
  readonly relation: RelationName;
  readonly rows: QuarantinedRows;
  /** What the columns are set to, and their types. */
  readonly assignments: readonly { readonly column: string; readonly type: string; readonly value: string | null }[];
}

/**
 * Finds the tables and columns that the configuration names.
 *
 * @param db under a pinned search_path
 * @throws ManageDbError `INVALID_CONFIGURATION` with everything that is not there, or cannot be changed, at once
 */
export async function findNamedRows(db: Queryable, { rows }: QuarantineSettings): Promise<readonly NamedRows[]> {
  const problems: string[] = [];
  const found: NamedRows[] = [];
  for (const [key, what] of Object.entries(rows)) {
    const looked = await lookFor(db, key, what, found);
    if ('problems' in looked) problems.push(...looked.problems.map((problem) => `${placeOf(key)}: ${problem}`));
    else found.push(looked);
  }
  if (problems.length === 0) return found;
  throw new ManageDbError(
    'INVALID_CONFIGURATION',
    `What the configuration file names for the quarantine does not fit the database:\n${problems.join('\n')}`,
    { hint: 'Correct copy.quarantine.rows of the environment that the copy is for.', details: { problems } },
  );
}

export function placeOf(key: string): string {
  return `copy.quarantine.rows ${key}`;
}

async function lookFor(
  db: Queryable,
  key: string,
  rows: QuarantinedRows,
  others: readonly NamedRows[],
): Promise<NamedRows | { readonly problems: readonly string[] }> {
  const relation = await relationOf(db, key);
  if (typeof relation === 'string') return { problems: [relation] };
  const same = others.find((other) => other.relation.oid === relation.oid);
  if (same !== undefined) return { problems: [`it is the same table as ${same.key}.`] };
  const table = await readQuarantineTable(db, relation.oid);
  if (table === null) return { problems: ['it has just been dropped.'] };
  if (table.obstacle !== null) return { problems: [`${table.obstacle}.`] };
  if (rows.action === 'delete') return { key, relation, rows, assignments: [] };
  const names = Object.keys(rows.set);
  const problems = names.flatMap((name) => problemOf(name, table, relation));
  if (problems.length > 0) return { problems };
  const assignments = names.flatMap((name) => {
    const value = rows.set[name] ?? null;
    const column = columnOf(name, table);
    return column === undefined
      ? []
      : [{ column: escapeIdentifier(column.name), type: column.type, value: value === null ? null : String(value) }];
  });
  return { key, relation, rows, assignments };
}

async function relationOf(db: Queryable, key: string): Promise<RelationName | string> {
  try {
    return await findRelation(db, key);
  } catch (error) {
    if (!(error instanceof ManageDbError && ['NOT_FOUND', 'USAGE'].includes(error.code))) throw error;
    return `${error.message} ${error.hint ?? ''}`.trim();
  }
}

function columnOf(name: string, { columns }: QuarantineTable) {
  return (
    columns.find((column) => column.name === name) ?? columns.find((column) => escapeIdentifier(column.name) === name)
  );
}

function problemOf(name: string, table: QuarantineTable, relation: RelationName): readonly string[] {
  const column = columnOf(name, table);
  if (column?.isGenerated) return [`the column ${quotedWhereNeeded(name)} is generated, and follows from the others.`];
  if (column !== undefined) return [];
  const meant = nearest(
    name,
    table.columns.map((one) => one.name),
  );
  const suggestion = meant === null ? '' : ` Did you mean ${quotedWhereNeeded(meant)}?`;
  return [`there is no column ${name} in ${qualified(relation)}.${suggestion}`];
}
