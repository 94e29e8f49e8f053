import { randomBytes } from 'node:crypto';
import { formatDatabaseUrl } from '../../app/config/database-url.js';
import { commentStatement } from '../../app/core/db-operations/database-state/database-properties.js';
import { dropDatabase } from '../../app/core/db-operations/scratch/scratch-database.js';
import { messageOf } from '../../app/core/errors.js';
import type { ConnectionSettings, Queryable } from '../../app/index.js';
import { startedIfEmbedded } from '../../app/services/connection/engine.js';
import { withMaintenanceConnection } from '../../app/services/with-connection.js';

/** `manage_db_feature_1a2b3c4d_5_testing`; with what restores and copies put beside it. */
const PREFIX = 'manage_db_feature_';
/** The first of the two keys of the lock that says that a run lives; the second is the hash of its number. ('mdbf') */
const LOCK_SPACE = 0x6d646266;
/** The second key of the lock of the run that drops what others have left. */
const SWEEPING = 0;
const KEPT = 'manage_db: kept by test-db-features';

/** What became of the databases of a run. */
export interface Finished {
  /** Dropped; with `keep`, those that are left. */
  readonly databases: readonly string[];
  readonly notDropped: readonly NotDropped[];
}

export interface NotDropped {
  /** Ends with `*` where the server could not be asked which there are. */
  readonly name: string;
  readonly reason: string;
}

/** Where one run makes its databases. */
export interface ScratchServer {
  /** The URL, with its password, of a database of this run that need not exist yet. */
  readonly newDatabase: (environment: string) => { readonly name: string; readonly url: string };
  /** The folder of the client tools that its environment names. */
  readonly pgBinDir: string | null;
  /** What killed runs had left, and is gone now. */
  readonly swept: readonly string[];
  /** Drops what this run has made, or with `keep` leaves it. Throws nothing: what was found by then must not be lost. */
  readonly finish: (keep: boolean) => Promise<Finished>;
}

/**
 * Gives `work` the server of `settings` to make databases on. A session of its own says that the run lives: when that is gone,
 * however it went, the next run drops what it left.
 */
export async function withScratchServer<T>(
  settings: ConnectionSettings,
  work: (server: ScratchServer) => Promise<T>,
): Promise<T> {
  const run = randomBytes(4).toString('hex');
  // not beside a database called postgres: a session in template1 would keep others from being made
  const reachable = { ...(await startedIfEmbedded(settings)), database: `${PREFIX}${run}` };
  return withMaintenanceConnection(reachable, async (owner) => {
    await owner.query('select pg_catalog.pg_advisory_lock($1, pg_catalog.hashtext($2))', [LOCK_SPACE, run]);
    const swept = await sweep(owner);
    let count = 0;
    return work({
      swept,
      pgBinDir: reachable.pgBinDir,
      newDatabase: (environment) => {
        count += 1;
        const name = `${PREFIX}${run}_${count}_${environment}`;
        return { name, url: formatDatabaseUrl({ ...reachable, database: name }, 'shown') };
      },
      // on a connection of its own: what has failed may be the owner's
      finish: (keep) =>
        withMaintenanceConnection(reachable, async (db) =>
          withEach(await databasesOf(db, run), (name) => (keep ? markAsKept(db, name) : dropDatabase(db, name))),
        ).catch((error: unknown) => ({
          databases: [],
          notDropped: [{ name: `${PREFIX}${run}_*`, reason: messageOf(error) }],
        })),
    });
  });
}

async function markAsKept(db: Queryable, name: string): Promise<void> {
  await db.query(commentStatement(name, KEPT));
}

/** One run at a time: two that find the same would both say that they have dropped it. */
async function sweep(db: Queryable): Promise<readonly string[]> {
  await db.query('select pg_catalog.pg_advisory_lock($1, $2)', [LOCK_SPACE, SWEEPING]);
  try {
    // of others' what this login may not drop stays
    return (await withEach(await abandoned(db), (name) => dropDatabase(db, name))).databases;
  } finally {
    await db.query('select pg_catalog.pg_advisory_unlock($1, $2)', [LOCK_SPACE, SWEEPING]);
  }
}

async function databasesOf(db: Queryable, run: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ name: string }>(
    'select datname::text as name from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, $1) order by 1',
    [`${PREFIX}${run}_`],
  );
  return rows.map(({ name }) => name);
}

/** Of runs whose session is gone, and that nobody wanted to keep. */
async function abandoned(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ name: string }>(ABANDONED, [`^${PREFIX}([0-9a-f]{8})_[0-9]+_`, KEPT, LOCK_SPACE]);
  return rows.map(({ name }) => name);
}

const ABANDONED = `
  select d.datname::text as name
  from pg_catalog.pg_database d
  left join pg_catalog.pg_shdescription c
    on c.objoid = d.oid and c.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
  where d.datname ~ $1
    and c.description is distinct from $2
    and not exists (
      select from pg_catalog.pg_locks l
      where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = $3::bigint
        and l.objid = (pg_catalog.hashtext(pg_catalog.substring(d.datname::text, $1))::bigint & 4294967295)::pg_catalog.oid)
  order by 1`;

async function withEach(names: readonly string[], work: (name: string) => Promise<unknown>): Promise<Finished> {
  const databases: string[] = [];
  const notDropped: NotDropped[] = [];
  for (const name of names) {
    await work(name).then(
      () => databases.push(name),
      (error: unknown) => notDropped.push({ name, reason: messageOf(error) }),
    );
  }
  return { databases, notDropped };
}
