import { ok, type RunCheck } from '../check.js';

const WARNING_RATIO = 0.9;
/** With fewer block reads than this, the ratio says how young the statistics are and nothing else. */
const ENOUGH_BLOCKS = 100_000;

export const checkCacheHitRatio: RunCheck = async (db) => {
  const { rows } = await db.query<{ hits: number; blocks: number; buffers: string }>(CACHE_HIT_RATIO);
  const { hits, blocks, buffers } = rows[0] ?? { hits: 0, blocks: 0, buffers: '' };
  if (blocks < ENOUGH_BLOCKS) return ok(null, 'Too few reads since the statistics began to say anything.');
  const ratio = Math.round((hits / blocks) * 1000) / 1000;
  const detail = `${(ratio * 100).toFixed(1)} % of block reads were served from memory (shared_buffers ${buffers}).`;
  if (ratio >= WARNING_RATIO) return ok(ratio, detail);
  return {
    status: 'warning',
    value: ratio,
    detail: `${detail} A quarter of the machine's memory is a usual shared_buffers; the tables read most often are listed by:`,
    fix: 'select relid::regclass, heap_blks_read from pg_statio_user_tables order by 2 desc limit 10;',
  };
};

const CACHE_HIT_RATIO = `
  select s.blks_hit::float8 as hits, (s.blks_hit + s.blks_read)::float8 as blocks,
    pg_catalog.current_setting('shared_buffers') as buffers
  from pg_catalog.pg_stat_database s
  where s.datname = pg_catalog.current_database()`;
