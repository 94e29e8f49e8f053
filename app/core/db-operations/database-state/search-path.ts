import type { Queryable } from '../../../database/queryable.js';
import { PIN_SESSION } from '../../../services/catalog-path.js';
import { isServerError } from '../../../services/database-errors.js';
import { ManageDbError } from '../../errors.js';
import type { DatabaseProperties } from '../manifest/manifest.js';

/** What PostgreSQL takes where nothing is set. */
const DEFAULT = '"$user", public';

/**
 * Whether a tool or a statement has failed because a function found nothing under the empty search_path that dumps are restored under.
 * Functions are called by indexes, generated columns, constraints, domains and materialized views.
 */
export function isOfSearchPath(error: unknown): boolean {
  if (isServerError(error)) return /does not exist/.test(error.message) && /\bfunction /.test(error.where ?? '');
  if (!(error instanceof ManageDbError) || error.code !== 'CLIENT_TOOL_FAILED') return false;
  const stderr = Array.isArray(error.details.stderr) ? error.details.stderr.join('\n') : '';
  return isAboutSearchPath(`${error.message}\n${stderr}`);
}

/** The same of what the server said. */
export function isAboutSearchPath(said: string): boolean {
  return /ERROR: .* does not exist/.test(said) && /CONTEXT: .*\bfunction /.test(said);
}

/** The search_path of those who worked with the database, as far as it says that. */
export function searchPathOf(properties: DatabaseProperties): string {
  return searchPathSettings(properties)[0]?.slice(PREFIX.length) ?? DEFAULT;
}

/** What a database has set for everybody: one `search_path=…`, or nothing. */
export function searchPathSettings({ settings }: DatabaseProperties): string[] {
  const forAll = settings.filter(({ role }) => role === null).flatMap((one) => one.settings);
  return forAll.filter((pair) => pair.startsWith(PREFIX));
}

/** Runs `work` with this search_path in the session of `db`, for statements in which everything is named with its schema. */
export async function underSearchPath<T>(db: Queryable, searchPath: string, work: () => Promise<T>): Promise<T> {
  await db.query(`select pg_catalog.set_config('search_path', $1, false)`, [searchPath]);
  const result = await work();
  // where it has failed, so have the transaction and what it is for
  await db.query(PIN_SESSION);
  return result;
}

const PREFIX = 'search_path=';
