import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { formatDatabaseUrl } from '../../app/config/database-url.js';
import { messageOf } from '../../app/core/errors.js';
import type { ConnectionSettings, Queryable } from '../../app/index.js';
import { startedIfEmbedded } from '../../app/services/connection/engine.js';
import { isServerError } from '../../app/services/database-errors.js';
import { withMaintenanceConnection } from '../../app/services/with-connection.js';

/** `manage_db_feature_1a2b3c4d_5_testing`; with what restores and copies put beside it. */
const PREFIX = 'manage_db_feature_';
/** The first of the two keys of the lock that says that a run lives; the second is the hash of its number. ('mdbf') */
const LOCK_SPACE = 0x6d646266;
const UNDEFINED_DATABASE = '3D000';
const KEPT = 'manage_db: kept by test-db-features';

/** What became of the databases of a run. */
export interface Finished {
  /** Dropped; with `keep`, those that are left. */
  readonly databases: readonly string[];
  readonly notDropped: readonly NotDropped[];
}

export interface NotDropped {
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
  /** Drops what this run has made, or with `keep` leaves it. */
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
    // of others' what this login may not drop stays
    const { databases: swept } = await dropAll(owner, await abandoned(owner));
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
        withMaintenanceConnection(reachable, async (db) => {
          const made = await databasesOf(db, run);
          if (!keep) return dropAll(db, made);
          for (const name of made) await db.query(`comment on database ${pg.escapeIdentifier(name)} is '${KEPT}'`);
          return { databases: made, notDropped: [] };
        }),
    });
  });
}

/** Which cluster it is. */
export async function systemIdentifierOf(settings: ConnectionSettings): Promise<string> {
  return withMaintenanceConnection(await startedIfEmbedded(settings), async (db) => {
    const { rows } = await db.query<{ id: string }>(
      'select system_identifier::text as id from pg_catalog.pg_control_system()',
    );
    return rows[0]?.id ?? '';
  });
}

/** Why the login cannot make databases there; `null` when it can. */
export async function whyNoDatabases(settings: ConnectionSettings): Promise<string | null> {
  return withMaintenanceConnection(await startedIfEmbedded(settings), async (db) => {
    const { rows } = await db.query<{ login: string; may: boolean }>(
      'select rolname::text as login, rolcreatedb or rolsuper as may from pg_catalog.pg_roles where rolname = current_user',
    );
    const [found] = rows;
    return found?.may === true
      ? null
      : `${found?.login ?? 'The login'} may not create databases there (as a superuser: alter role ${pg.escapeIdentifier(found?.login ?? '…')} createdb)`;
  });
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

async function dropAll(db: Queryable, names: readonly string[]): Promise<Finished> {
  const databases: string[] = [];
  const notDropped: NotDropped[] = [];
  for (const name of names) {
    await db.query(`drop database ${pg.escapeIdentifier(name)} with (force)`).then(
      () => databases.push(name),
      (error: unknown) => {
        // another run was quicker, and says so
        if (!isServerError(error) || error.code !== UNDEFINED_DATABASE)
          notDropped.push({ name, reason: messageOf(error) });
      },
    );
  }
  return { databases, notDropped };
}
