import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { RESTORE_LOCK_SPACE } from '../../../database/advisory-locks.js';
import { readDatabasePlace } from '../../../database/catalog/database-place.js';
import type { Queryable } from '../../../database/queryable.js';
import { errorCodeOf } from '../../../services/database-errors.js';
import { codeOf, ManageDbError, PermissionError } from '../../errors.js';
import { commentStatement, createDatabaseStatement, setStatements } from '../database-state/database-properties.js';
import { searchPathSettings } from '../database-state/search-path.js';
import { compactTime } from '../manifest/backup-id.js';
import type { DatabaseProperties } from '../manifest/manifest.js';

/** `manage_db_scratch_20261121t033400_ab12cd` */
const PREFIX = 'manage_db_scratch_';
const SCRATCH_NAME = `^${PREFIX}[0-9]{8}t[0-9]{6}_[0-9a-f]{6}$`;
const COMMENT = 'manage_db: scratch database';
export const SCRATCH_COMMENT = `${COMMENT} of a restore`;

/**
 * Creates an empty scratch database. `db` is the session that owns it: an advisory lock says that it lives, and when it
 * is gone, however it went, the next restore drops the database.
 *
 * @throws ManageDbError `PERMISSION_DENIED` for a login without CREATEDB
 */
export async function createScratchDatabase(
  db: Queryable,
  properties: DatabaseProperties,
  serverMajor: number,
  tablespace: string | null = null,
): Promise<string> {
  return adoptScratchDatabase(db, async (name) => {
    await db.query(`${createDatabaseStatement(name, properties, serverMajor)}${inTablespace(tablespace)}`);
  });
}

/** The end of CREATE DATABASE. */
export function inTablespace(tablespace: string | null): string {
  return tablespace === null ? '' : ` tablespace ${escapeIdentifier(tablespace)}`;
}

/**
 * {@link createScratchDatabase} where `create` makes the database of the name that it is given.
 *
 * @throws ManageDbError `PERMISSION_DENIED` for a login without CREATEDB, and what `create` throws
 */
export async function adoptScratchDatabase(db: Queryable, create: (name: string) => Promise<void>): Promise<string> {
  const name = `${PREFIX}${compactTime(new Date()).toLowerCase()}_${randomBytes(3).toString('hex')}`;
  // locked before it exists: there is no moment in which it looks abandoned
  await db.query('select pg_catalog.pg_advisory_lock($1, pg_catalog.hashtext($2))', [RESTORE_LOCK_SPACE, name]);
  try {
    await create(name);
  } catch (error) {
    if (errorCodeOf(codeOf(error)) !== 'PERMISSION_DENIED') throw error;
    throw new PermissionError('The login may not create the scratch database that this needs.', {
      hint: 'As a superuser: alter role <login> createdb',
      cause: error,
    });
  }
  await markAsScratch(db, name);
  return name;
}

async function markAsScratch(db: Queryable, name: string): Promise<void> {
  await db.query(commentStatement(name, SCRATCH_COMMENT));
  // pg_restore commits after each object. What is not on disk when the server crashes would be dropped anyway, and the commit
  // that gives it its new name writes everything before it
  await db.query(`alter database ${escapeIdentifier(name)} set synchronous_commit = off`);
}

/** Makes a scratch database of the session `db` empty again, with the search_path of `properties` for what works in it. */
export async function renewScratchDatabase(
  db: Queryable,
  name: string,
  { properties, serverMajor }: { readonly properties: DatabaseProperties; readonly serverMajor: number },
): Promise<void> {
  const { tablespace } = await readDatabasePlace(db, name);
  await dropDatabase(db, name);
  await db.query(`${createDatabaseStatement(name, properties, serverMajor)}${inTablespace(tablespace)}`);
  await markAsScratch(db, name);
  for (const statement of setStatements(`database ${escapeIdentifier(name)}`, searchPathSettings(properties)))
    await db.query(statement);
}

/** Drops a database together with the sessions in it. */
export async function dropDatabase(db: Queryable, name: string): Promise<void> {
  const drop = `drop database if exists ${escapeIdentifier(name)}`;
  try {
    await db.query(`${drop} with (force)`);
  } catch (error) {
    if (errorCodeOf(codeOf(error)) !== 'PERMISSION_DENIED') throw error;
    // an autovacuum worker is a superuser's process to FORCE; without it, the server ends workers and waits for others
    await db.query(END_SESSIONS, [name]);
    await db.query(drop);
  }
}

const END_SESSIONS = `
  select pg_catalog.pg_terminate_backend(a.pid)
  from pg_catalog.pg_stat_activity a
  join pg_catalog.pg_roles r on r.oid = a.usesysid
  where a.datname = $1 and not r.rolsuper and pg_catalog.pg_has_role(r.oid, 'usage')`;

/**
 * Drops the scratch databases whose restores were killed: those whose owner's session is gone. Age says nothing, a
 * large restore takes hours. Returns their names; what this login may not drop stays.
 */
export async function dropAbandonedScratchDatabases(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(ABANDONED, [SCRATCH_NAME, `${COMMENT}%`, RESTORE_LOCK_SPACE]);
  const dropped: string[] = [];
  for (const { name } of rows) {
    const isDropped = await dropDatabase(db, name).then(
      () => true,
      () => false,
    );
    if (isDropped) dropped.push(name);
  }
  return dropped;
}

/**
 * Lets only one operation at a time replace or empty a database, until the session ends, or the transaction: behind a
 * pooler, a session is given to others with the locks that it has.
 *
 * @throws ManageDbError `DATABASE_IN_USE`
 */
export async function lockRestoreOf(
  db: Queryable,
  database: string,
  until: 'session' | 'transaction' = 'session',
): Promise<void> {
  const take = until === 'session' ? 'pg_try_advisory_lock' : 'pg_try_advisory_xact_lock';
  const { rows } = await db.query<{ locked: boolean }>(
    `select pg_catalog.${take}($1, pg_catalog.hashtext($2)) as locked`,
    [RESTORE_LOCK_SPACE, `restore of ${database}`],
  );
  if (rows[0]?.locked) return;
  throw new ManageDbError('DATABASE_IN_USE', `Another restore, copy, drop or reset of ${database} is running.`, {
    hint: 'Wait until it has ended.',
    details: { database },
  });
}

/**
 * pg_locks shows the advisory locks of every database of the server: the owner may have used another maintenance
 * database than we do. No comment yet, or none any more, are moments of a restore as well.
 */
const ABANDONED = `
  select d.datname::text as name
  from pg_catalog.pg_database d
  left join pg_catalog.pg_shdescription c
    on c.objoid = d.oid and c.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
  where d.datname ~ $1
    and (c.description is null or c.description like $2)
    and not exists (
      select from pg_catalog.pg_locks l
      where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid::bigint = $3::bigint
        and l.objid = (pg_catalog.hashtext(d.datname)::bigint & 4294967295)::pg_catalog.oid)`;
