import { listed } from '../../../listed.js';
import { ok, type RunCheck } from '../check.js';

const WARNING_RATIO = 0.9;
/** With fewer block reads than this, the ratio says how young the statistics are and nothing else. */
const ENOUGH_BLOCKS = 100_000;

export const checkCacheHitRatio: RunCheck = cacheHitRatioBelow(WARNING_RATIO, ENOUGH_BLOCKS);

/**
 * No statement mends it: how much memory the machine has to give is not to be seen from here, and whether a table has to be
 * read at all is decided by queries.
 *
 * @param enough blocks that have to be read for the ratio to mean something
 */
export function cacheHitRatioBelow(limit: number, enough: number): RunCheck {
  return async (db) => {
    const { rows } = await db.query<{ hits: number; blocks: number; buffers: string }>(CACHE_HIT_RATIO);
    const { hits, blocks, buffers } = rows[0] ?? { hits: 0, blocks: 0, buffers: '' };
    if (blocks < enough) return ok(null, 'Too few reads since the statistics began to say anything.');
    const ratio = Math.round((hits / blocks) * 1000) / 1000;
    const detail = `${(ratio * 100).toFixed(1)} % of block reads were served from memory (shared_buffers ${buffers}).`;
    if (ratio >= limit) return ok(ratio, detail);
    const most = (await db.query<{ words: string }>(READ_MOST)).rows.map(({ words }) => words);
    return {
      status: 'warning',
      value: ratio,
      detail: `${detail}${most.length === 0 ? '' : ` Read from disk most: ${listed(most)}: see whether their queries lack an index.`} A quarter of the machine's memory is a usual shared_buffers; another one takes a restart.`,
      fix: null,
    };
  };
}

const CACHE_HIT_RATIO = `
  select s.blks_hit::float8 as hits, (s.blks_hit + s.blks_read)::float8 as blocks,
    pg_catalog.current_setting('shared_buffers') as buffers
  from pg_catalog.pg_stat_database s
  where s.datname = pg_catalog.current_database()`;

const READ_MOST = `
  select pg_catalog.format('%s (%s)', s.relid::pg_catalog.regclass, pg_catalog.pg_size_pretty(s.heap_blks_read
      * pg_catalog.current_setting('block_size')::bigint)) as words
  from pg_catalog.pg_statio_user_tables s
  where s.heap_blks_read > 0
  order by s.heap_blks_read desc, 1
  limit 3`;
