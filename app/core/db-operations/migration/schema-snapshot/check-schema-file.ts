import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import type { Workspace } from '../../../../config/workspace.js';
import { codeOf, ManageDbError } from '../../../errors.js';
import { foreignFile, noPlainFile } from '../../../own-file.js';

/** What a snapshot begins with: nothing else is written over. */
export const FIRST_LINE =
  '-- What the database is defined as, for those who read it: written by manage_db after each migration. Do not edit.';

/**
 * Refuses a path that a snapshot of the schema must not be written to: outside of the workspace, among the migrations, through a
 * link, or over a file that is none. Reads only; the next migration need not run to find it out.
 *
 * @param path from the root of the workspace, or absolute; returned as an absolute one
 * @throws ManageDbError `USAGE`
 * @example checkSchemaFile('schema.sql', await getWorkspace()) // /srv/clinic/schema.sql
 */
export function checkSchemaFile(
  path: string,
  { root, migrationsDir }: Pick<Workspace, 'root' | 'migrationsDir'>,
): string {
  const wanted = resolve(root, path);
  const problem = problemOf(wanted, { root, migrationsDir });
  if (problem === null) return wanted;
  throw new ManageDbError('USAGE', `The schema is not written to ${wanted}: ${problem}. Nothing was changed.`, {
    hint: 'Name another file, such as --schema-file schema.sql, or the setting schemaFile.',
  });
}

function problemOf(wanted: string, { root, migrationsDir }: Pick<Workspace, 'root' | 'migrationsDir'>): string | null {
  const odd = noPlainFile(wanted);
  if (odd !== null) return odd;
  const real = realPathOf(wanted);
  if (!isBelow(real, realPathOf(root))) return `that is outside of the workspace ${root}`;
  if (isBelow(real, realPathOf(migrationsDir))) return 'that is in the folder of the migrations';
  return foreignFile(wanted, FIRST_LINE);
}

/** Of what is not there yet: by the links of the folders above it. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const above = dirname(path);
    if (codeOf(error) !== 'ENOENT' || above === path) throw error;
    return resolve(realPathOf(above), relative(above, path));
  }
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
