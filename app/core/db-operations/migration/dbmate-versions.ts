import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf, ManageDbError } from '../../errors.js';
import { compareVersions } from '../../migration-versions.js';
import { findRelation } from '../inspection/find-relation.js';

/** undefined_column */
const NO_SUCH_COLUMN = '42703';

/**
 * The versions that dbmate has recorded in `table`, in their order.
 *
 * @throws ManageDbError `NOT_FOUND` when there is no such table, `USAGE` when it is none of dbmate's
 */
export async function readDbmateVersions(db: Queryable, table: string): Promise<readonly string[]> {
  const { schema, name } = await findRelation(db, table);
  try {
    const { rows } = await db.query<{ version: string }>(
      `select distinct version::text as version from only ${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
    );
    const versions = rows.map(({ version }) => version);
    const strange = versions.find((version) => !/^\d+$/.test(version));
    if (strange !== undefined)
      throw noTableOfDbmate(table, `it has the version ${JSON.stringify(strange)}, which is no number`);
    return versions.sort(compareVersions);
  } catch (error) {
    if (codeOf(error) === NO_SUCH_COLUMN) throw noTableOfDbmate(table, 'it has no column "version"');
    throw error;
  }
}

function noTableOfDbmate(table: string, because: string): ManageDbError {
  return new ManageDbError('USAGE', `${table} is no table of dbmate: ${because}. Nothing was recorded.`, {
    hint: 'Name the one that dbmate keeps its versions in: --from-dbmate --table SCHEMA.NAME',
    details: { table },
  });
}
