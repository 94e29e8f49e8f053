import { ok, type RunCheck } from '../check.js';

/** Transaction ids last for 2.1 billion; autovacuum acts by itself at 200 million, its failsafe at 1.6 billion. */
const WARNING_AGE = 500_000_000;
const CRITICAL_AGE = 1_200_000_000;

export const checkWraparound: RunCheck = async (db) => {
  const { rows } = await db.query<{ name: string; age: number }>(WRAPAROUND);
  const [oldest] = rows;
  if (oldest === undefined || oldest.age < WARNING_AGE) {
    return ok(
      oldest?.age ?? null,
      `The oldest database is ${millions(oldest?.age ?? 0)} million transactions old, of 2,147.`,
    );
  }
  return {
    status: oldest.age >= CRITICAL_AGE ? 'critical' : 'warning',
    value: oldest.age,
    detail: `${oldest.name} is ${millions(oldest.age)} million transactions old; at 2,147 the whole server stops accepting writes.`,
    fix: `vacuumdb --all --freeze --jobs 2`,
  };
};

function millions(age: number): number {
  return Math.round(age / 1_000_000);
}

/* All databases: the oldest one stops the server for all of them. */
const WRAPAROUND = `
  select d.datname::text as name,
    greatest(pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid))::float8 as age
  from pg_catalog.pg_database d
  order by 2 desc
  limit 1`;
