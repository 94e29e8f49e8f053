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

const FIXES = { tables: 'vacuum (full, analyze) %s', indexes: 'reindex index concurrently %s' };

/**
 * @param estimates the beginning of a query: its last part, `estimate`, has `root` (what a partition belongs to), `bytes`, how many are
 *   `needed`, and whether that `is_known`; `$1` is the least size in bytes
 */
export async function checkBloat(
  db: Queryable,
  what: 'tables' | 'indexes',
  estimates: string,
): Promise<Omit<Check, 'name'>> {
  const { bytes, share } = SMALLEST_WASTE;
  const { rows } = await db.query<Bloat & { unknown: number }>(`${estimates}${FOUND}`, [bytes, share, FIXES[what]]);
  const bloated = rows.filter(({ name }) => name !== null);
  return finding(what, bloated, rows[0]?.unknown ?? 0);
}

/** How many could not be estimated is `unknown`; a row without a name says only that. */
const FOUND = `, found as (
    select e.root, pg_catalog.sum(e.bytes) as bytes, pg_catalog.sum(greatest(e.bytes - e.needed, 0)) as wasted
    from estimate e where e.is_known group by e.root
  )
  select f.root::pg_catalog.regclass::text as name, f.wasted::float8 as bytes,
    pg_catalog.pg_size_pretty(f.wasted) as size, (f.wasted / f.bytes)::float8 as share,
    pg_catalog.format($3, f.root::pg_catalog.regclass) as fix, u.count as unknown
  from (select pg_catalog.count(*)::int as count from estimate e where not e.is_known) u
  left join found f on f.wasted >= $1 and f.wasted >= $2 * f.bytes
  order by f.wasted desc, 1`;

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
