import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeLiteral } from 'pg';
import { codeOf, errorWith, ManageDbError, messageOf, PermissionError } from '../../core/errors.js';
import { nextCommand } from '../../core/next-command.js';
import { errorCodeOf } from '../../services/database-errors.js';
import { packageRoot, packageVersion } from '../../services/package-root.js';
import { ADVISORY_LOCKS } from '../advisory-locks.js';
import type { Queryable } from '../queryable.js';
import { isTrustedOwner } from '../records/trusted-owner.js';

/** One numbered file of this folder. */
interface SchemaVersion {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

let shipped: readonly SchemaVersion[] | undefined;

/**
 * Creates or upgrades the schema `manage_db` in the database of `client`; one cheap query when it is current.
 *
 * Works inside a transaction (it then belongs to it) and outside (it is one by itself), under any search_path, and when
 * many processes do it at once.
 *
 * @throws ManageDbError `SCHEMA_TOO_NEW` when a newer manage_db has been here, `PERMISSION_DENIED`, `LOCK_TIMEOUT`,
 *   `SQL_FAILED`
 * @example await getDbSession((session) => ensureSchema(session));
 */
export async function ensureSchema(client: Queryable): Promise<void> {
  const versions = shippedVersions();
  const newest = versions.at(-1)?.version ?? 0;
  const { installed, database } = await readInstalledVersion(client);
  if (installed === newest) return;
  if (installed !== null && installed > newest) throw tooNew(database, installed, newest);
  try {
    await client.query(upgradeStatement(versions));
  } catch (error) {
    throw explain(error, database, newest);
  }
}

/**
 * The installed version, as the comment of manage_db.schema_versions repeats it: the catalog can be asked whether or
 * not the table exists and may be read, where reading a missing table would abort the caller's transaction. `null`: look closer.
 */
async function readInstalledVersion(client: Queryable): Promise<{ installed: number | null; database: string }> {
  const { rows } = await client.query<{ database: string; installed: string | null }>(`
    select pg_catalog.current_database() as database,
      (select pg_catalog.obj_description(c.oid, 'pg_class')
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'manage_db' and c.relname = 'schema_versions') as installed
  `);
  const match = /^version (\d+)$/.exec(rows[0]?.installed ?? '');
  return { installed: match === null ? null : Number(match[1]), database: rows[0]?.database ?? '' };
}

/**
 * One DO statement, hence atomic with and without a surrounding transaction. The history is read after the lock was
 * taken. search_path is emptied meanwhile, and put back.
 */
function upgradeStatement(versions: readonly SchemaVersion[]): string {
  const newest = versions.at(-1)?.version ?? 0;
  const steps = versions.map(
    ({ version, name, sql }) => `
      if installed < ${version} then
        execute ${escapeLiteral(sql)};
        insert into manage_db.schema_versions (version, name, tool_version)
        values (${version}, ${escapeLiteral(name)}, ${escapeLiteral(packageVersion())});
      end if;`,
  );
  const body = `
    declare
      path_before constant text := pg_catalog.current_setting('search_path');
      installed integer := 0;
    begin
      perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
      perform pg_catalog.pg_advisory_xact_lock(${ADVISORY_LOCKS.schema});
      if exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'manage_db' and c.relname = 'schema_versions'
      ) then
        select coalesce(max(version), 0) into installed from manage_db.schema_versions;
      end if;
      if exists (
        select from pg_catalog.pg_namespace n where n.nspname = 'manage_db' and not ${isTrustedOwner('n.nspowner')}
      ) then
        raise exception using errcode = 'MDB03', message = 'the schema manage_db belongs to somebody else';
      end if;
      if installed > ${newest} then
        raise exception using errcode = 'MDB01', message = installed::text;
      end if;
      ${steps.join('')}
      if exists (
        select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'manage_db' and p.proname = 'grant_access'
      ) then
        perform manage_db.grant_access();
      end if;
      comment on table manage_db.schema_versions is 'version ${newest}';
      perform pg_catalog.set_config('search_path', path_before, true);
    end`;
  return `do ${escapeLiteral(body)}`;
}

function explain(error: unknown, database: string, newest: number): ManageDbError {
  const code = codeOf(error);
  if (code === 'MDB01') return tooNew(database, Number(messageOf(error)), newest);
  if (code === 'MDB03') {
    return new PermissionError(
      `The schema manage_db of ${database} belongs to somebody who neither owns the database nor may act for its owner: nothing in it is used. Nothing was changed.`,
      {
        hint: `Look at it (\\dn+ manage_db); let a superuser drop it or give it to the owner of the database.`,
        cause: error,
      },
    );
  }
  if (errorCodeOf(code) === 'PERMISSION_DENIED') {
    return new PermissionError(
      `manage_db keeps its records in the schema manage_db of ${database}, and this login may not create or upgrade it: ${messageOf(error)}. Nothing was changed.`,
      {
        hint: `Let the owner of the database run: ${nextCommand('initialize-db')}, or: grant create on database ${JSON.stringify(database)} to <this login>;`,
        cause: error,
      },
    );
  }
  return errorWith(
    errorCodeOf(code),
    `The schema manage_db of ${database} could not be brought to version ${newest}: ${messageOf(error)}. Nothing was changed.`,
    {
      hint:
        code === '25006'
          ? 'This session or server is read-only; connect to the primary.'
          : 'Run the command again with --verbose; if a schema manage_db of your own exists there, rename it.',
      cause: error,
    },
  );
}

function tooNew(database: string, installed: number, newest: number): ManageDbError {
  return new ManageDbError(
    'SCHEMA_TOO_NEW',
    `The records of manage_db in ${database} have version ${installed}; this program knows versions up to ${newest}. A newer manage_db has been used there. Nothing was changed.`,
    { hint: 'Install the newer program: npm install manage_db@latest', details: { installed, newest } },
  );
}

/**
 * The body of one of manage_db's functions as we ship it, in its newest version.
 *
 * @throws Error where there is no such function
 */
export function shippedBody(name: string): string {
  const pattern = new RegExp(`create (?:or replace )?function manage_db\\.${name}\\([^$]*as \\$\\$([^$]*)\\$\\$`, 'g');
  const bodies = shippedVersions().flatMap(({ sql }) => [...sql.matchAll(pattern)].map(([, body]) => body ?? ''));
  const newest = bodies.at(-1);
  if (newest === undefined) throw new Error(`manage_db ships no function ${name}.`);
  return newest;
}

function shippedVersions(): readonly SchemaVersion[] {
  if (shipped !== undefined) return shipped;
  const folder = join(packageRoot(), 'app', 'database', 'schema');
  shipped = readdirSync(folder)
    .map((file) => /^(\d{3})_(.+)\.sql$/.exec(file))
    .filter((match) => match !== null)
    .map((match) => ({
      version: Number(match[1]),
      name: match[2] ?? '',
      sql: readFileSync(join(folder, match[0]), 'utf8'),
    }))
    .sort((a, b) => a.version - b.version);
  return shipped;
}
