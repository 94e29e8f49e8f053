import type { Queryable } from '../../../../database/queryable.js';
import { listed } from '../../../listed.js';
import { type Check, ok, statements } from '../check.js';

/** What is smaller is soon filled again, and the estimate is coarse. */
const SMALLEST_WASTE = { bytes: 10 * 1024 * 1024, share: 0.5 };
const WARNING_BYTES = 100 * 1024 * 1024;

const REWRITES =
  ' VACUUM FULL writes a table anew, which nobody can read or write meanwhile (ACCESS EXCLUSIVE), and takes as much room again.';

interface Bloat {
  readonly name: string;
  readonly bytes: number;
  readonly size: string;
  readonly share: number;
  readonly fix: string;
}

/**
 * @param sql selects {@link Bloat}, given the smallest waste in bytes and as a share, and how many could not be estimated as
 *   `unknown`; a row without a name says only that
 */
export async function checkBloat(db: Queryable, what: 'tables' | 'indexes', sql: string): Promise<Omit<Check, 'name'>> {
  const { bytes, share } = SMALLEST_WASTE;
  const { rows } = await db.query<Bloat & { unknown: number }>(sql, [bytes, share]);
  const bloated = rows.filter(({ name }) => name !== null);
  return finding(what, bloated, rows[0]?.unknown ?? 0);
}

function finding(what: 'tables' | 'indexes', rows: readonly Bloat[], unknown: number): Omit<Check, 'name'> {
  const unread =
    unknown === 0
      ? ''
      : ` ${unknown} larger ${what} could not be estimated, for want of statistics or of the right to read them.`;
  if (rows.length === 0) {
    const detail = `No estimate finds half of one of the larger ${what} empty.${unread}`;
    return unknown === 0 ? ok(0, detail) : { status: 'info', value: 0, detail, fix: 'analyze;' };
  }
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  return {
    status: bytes >= WARNING_BYTES ? 'warning' : 'info',
    value: bytes,
    detail: `Estimated to be empty for the most part: ${listed(rows.map(({ name, size, share }) => `${name} (${size}, ${Math.round(share * 100)} %)`))}.${what === 'tables' ? REWRITES : ''}${unread}`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
}
