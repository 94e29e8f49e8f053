import { ok, type RunCheck } from '../check.js';

/**
 * Both kinds of ids last for 2.1 billion. Autovacuum acts by itself from 200 million transactions and 400 million multixacts
 * on, or where the settings say, and its failsafe at 1.6 billion: an age well above the setting says that it does not get on.
 */
const WARNING_AGE = 500_000_000;
const GRACE = 100_000_000;
const CRITICAL_AGE = 1_200_000_000;

interface Age {
  readonly database: string;
  readonly kind: 'transactions' | 'multixacts';
  readonly age: number;
  /** From which on autovacuum freezes. */
  readonly limit: number;
  readonly fix: string;
}

export const checkWraparound: RunCheck = async (db) => {
  const { rows } = await db.query<Age>(WRAPAROUND);
  const [oldest] = rows;
  if (oldest === undefined) return ok(null, 'There are no databases.');
  const tooOld = rows.filter(({ age, limit }) => age >= Math.max(WARNING_AGE, limit + GRACE));
  const [worst] = tooOld;
  if (worst === undefined) return ok(oldest.age, `The oldest one: ${words(oldest)}, of 2,147.`);
  return {
    status: worst.age >= CRITICAL_AGE ? 'critical' : 'warning',
    value: worst.age,
    detail: `${tooOld.map(words).join('; ')}. At 2,147 million the whole server stops accepting writes.`,
    fix: worst.fix,
  };
};

function words({ database, kind, age }: Age): string {
  return `${database} is ${Math.round(age / 1_000_000)} million ${kind} old`;
}

/* All databases: the oldest one stops the server for all of them. */
const WRAPAROUND = `
  select d.datname::text as database, a.kind, a.age::float8 as age, a.max_age::float8 as "limit",
    case when d.datname = pg_catalog.current_database() then 'vacuum (freeze);'
      when d.datallowconn then pg_catalog.format('vacuumdb --freeze --jobs 2 --dbname %s', pg_catalog.quote_literal(d.datname))
      else 'vacuumdb --all --freeze --jobs 2' end as fix
  from pg_catalog.pg_database d
  cross join lateral (values
    ('transactions', pg_catalog.age(d.datfrozenxid), pg_catalog.current_setting('autovacuum_freeze_max_age')::int),
    ('multixacts', pg_catalog.mxid_age(d.datminmxid), pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::int)
  ) a (kind, age, max_age)
  order by a.age desc, 1`;
