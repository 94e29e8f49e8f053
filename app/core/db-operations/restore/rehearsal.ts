import type { Client } from 'pg';
import { withMaintenanceConnection } from '../../../services/with-connection.js';
import { codeOf, ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import type { LeftOutParts } from '../backup/left-out-parts.js';
import type { DatabaseProperties, Manifest } from '../manifest/manifest.js';
import { type FreeSpace, readFreeSpace } from './free-space.js';
import { judgeSpace, leastBytesOf, readSizeOf } from './space-needed.js';

/** What a server must have for a database that comes to it. */
export interface Needs
  extends Pick<Manifest, 'extensions' | 'roles' | 'properties' | 'tablespaces' | 'serverMajor' | 'serverVersion'> {
  /** What it is of: `backup 20261121T…`, `the copy of staging`. */
  readonly what: string;
  readonly verb: 'restore' | 'copy';
  /** How large it will be at least. */
  readonly leastBytes: number;
}

/** What a backup needs. */
export function needsOf(manifest: Manifest): Needs {
  return { ...manifest, what: `backup ${manifest.id}`, verb: 'restore', leastBytes: leastBytesOf(manifest) };
}

export interface Rehearsed {
  /** Roles that the backup refers to and the server does not have. */
  readonly missingRoles: readonly string[];
  readonly freeBytes: FreeSpace;
  readonly warnings: readonly string[];
}

/** What the server lacks, and what helps. */
interface Lack {
  readonly what: string;
  readonly remedy: string;
}

/**
 * Looks whether the server of the target has what is needed, before anything is created there: extensions, roles,
 * tablespaces, locale, space.
 *
 * @throws ManageDbError `NOT_FOUND` with everything that is missing, `USAGE` where the space is not enough
 */
export function rehearse(target: Target, needs: Needs, parts: LeftOutParts): Promise<Rehearsed> {
  return withMaintenanceConnection(target.settings, async (db) => {
    const freeBytes = await readFreeSpace(db);
    const liveBytes = await readSizeOf(db, target.database);
    const crowded = judgeSpace(needs, { free: freeBytes, liveBytes });
    const extensions = await judgeExtensions(db, needs, parts);
    const missingRoles = await readMissingRoles(db, needs);
    const lacks = [
      ...extensions.lacks,
      ...lackOfRoles(missingRoles, { needs, parts, exists: target.exists }),
      ...(parts.tablespaces ? [] : await lackOfTablespaces(db, needs)),
      ...(await judgeLocale(db, needs.properties, target)),
    ];
    if (lacks.length > 0) throw refusal(target, needs, lacks);
    const older = target.serverMajor !== null && target.serverMajor < needs.serverMajor;
    const version = older
      ? [
          `${capitalized(needs.what)} is of PostgreSQL ${needs.serverVersion}, and the server is older: ${target.serverVersion}.`,
        ]
      : [];
    return { missingRoles, freeBytes, warnings: [...crowded, ...extensions.warnings, ...version] };
  });
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function refusal({ host, port }: Target, { what }: Needs, lacks: readonly Lack[]): ManageDbError {
  const missing = lacks.map(({ what }) => what);
  return new ManageDbError(
    'NOT_FOUND',
    `The server ${host}:${port} does not have what ${what} needs: ${missing.join('; ')}.`,
    { hint: [...new Set(lacks.map(({ remedy }) => remedy))].join(' '), details: { missing } },
  );
}

async function judgeExtensions(
  db: Client,
  { extensions, verb }: Needs,
  parts: LeftOutParts,
): Promise<{ readonly lacks: Lack[]; readonly warnings: string[] }> {
  const wanted = extensions.filter(({ name }) => !parts.extensions.includes(name));
  const { rows } = await db.query<{ name: string; version: string | null }>(
    `select e.name::text as name, e.default_version as version from pg_catalog.pg_available_extensions e
     where e.name::text = any($1::text[])`,
    [wanted.map(({ name }) => name)],
  );
  const available = new Map(rows.map(({ name, version }) => [name, version]));
  const missing = wanted.filter(({ name }) => !available.has(name));
  const others = wanted.filter(({ name, version }) => available.has(name) && available.get(name) !== version);
  return {
    lacks: missing.map(({ name, version }) => ({
      what: `the extension ${name} (${version})`,
      remedy: `Install the packages of the extensions on the server, or ${verb} --without extension:${name} where nothing needs it.`,
    })),
    warnings: others.map(
      ({ name, version }) => `The extension ${name} will be ${available.get(name)}; it was ${version}.`,
    ),
  };
}

async function readMissingRoles(db: Client, { roles, properties }: Needs): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select w.name from pg_catalog.unnest($1::text[]) w (name)
     where not exists (select from pg_catalog.pg_roles r where r.rolname::text = w.name) order by 1`,
    [[...new Set([...roles, ...rolesOf(properties)])]],
  );
  return rows.map(({ name }) => name);
}

function rolesOf({ owner, grants, settings }: DatabaseProperties): string[] {
  const grantees = (grants ?? []).flatMap(({ grantee }) => grantee ?? []);
  return [owner, ...grantees, ...settings.flatMap(({ role }) => role ?? [])];
}

/**
 * The roles of the levels are granted anew. Where there is a live database, its own owner, grants and settings are kept, and
 * the roles of those in the backup need not be there.
 */
function lackOfRoles(
  missing: readonly string[],
  { needs, parts, exists }: { needs: Needs; parts: LeftOutParts; exists: boolean },
): Lack[] {
  if (parts.owners && parts.grants) return [];
  const unneeded = exists ? rolesOf(needs.properties) : [];
  const needed = missing.filter((role) => !unneeded.includes(role) && !LEVEL_ROLE.test(role));
  // which of them own and which are granted something is not known: one of the two may be all that is in the way
  if (needed.length === 0 || parts.owners || parts.grants) return [];
  const roles = needed.length === 1 ? 'the role' : 'the roles';
  return [
    {
      what: `${roles} ${needed.join(', ')}`,
      remedy: `Create the roles (create role … nologin), or ${needs.verb} --without owners --without grants.`,
    },
  ];
}

const LEVEL_ROLE = /(^|_)manage_db_(viewer|operator|admin)$/;

async function lackOfTablespaces(db: Client, { tablespaces }: Needs): Promise<Lack[]> {
  const { rows } = await db.query<{ name: string }>(
    `select w.name from pg_catalog.unnest($1::text[]) w (name)
     where not exists (select from pg_catalog.pg_tablespace t where t.spcname::text = w.name) order by 1`,
    [tablespaces],
  );
  return rows.map(({ name }) => ({
    what: `the tablespace ${name}`,
    remedy: 'Create the tablespaces, or put everything into the default one: --without tablespaces.',
  }));
}

async function judgeLocale(db: Client, { locale }: DatabaseProperties, { serverMajor }: Target): Promise<Lack[]> {
  const remedy = 'Choose a server that has it.';
  const needed = { libc: 0, icu: 15, builtin: 17 }[locale.provider];
  if (serverMajor !== null && serverMajor < needed)
    return [{ what: `databases with locales of ${locale.provider} (PostgreSQL ${needed})`, remedy }];
  const names = [...new Set([locale.collate, locale.ctype])];
  const lacks: Lack[] = [];
  for (const name of names) {
    if (await isLocaleMissing(db, name))
      lacks.push({
        what: `the locale ${name}`,
        remedy: 'Install the locale on the machine of the server (localedef).',
      });
  }
  return lacks;
}

/** A collation is refused exactly where the server's system does not know the locale; anything else is no answer. */
async function isLocaleMissing(db: Client, name: string): Promise<boolean> {
  await db.query('begin');
  try {
    await db.query(
      `create collation pg_temp.manage_db_rehearsal (provider = libc, locale = ${db.escapeLiteral(name)})`,
    );
    return false;
  } catch (error) {
    return codeOf(error) === '22023';
  } finally {
    await db.query('rollback');
  }
}
