import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import type { DatabaseProperties } from '../manifest/manifest.js';

/**
 * What belongs to a database but neither to its dump nor to a rename: owner, encoding and locale, grants, settings,
 * connection limit, comment. `null` when there is no such database.
 */
export async function readDatabaseProperties(db: Queryable, database: string): Promise<DatabaseProperties | null> {
  const { rows } = await db.query<{ properties: DatabaseProperties }>(PROPERTIES, [database]);
  return rows[0]?.properties ?? null;
}

/** The statement that creates an empty database with the encoding and locale of `properties`. */
export function createDatabaseStatement(
  name: string,
  { encoding, locale }: DatabaseProperties,
  serverMajor: number,
): string {
  const options = [
    'template template0',
    `encoding ${escapeLiteral(encoding)}`,
    `lc_collate ${escapeLiteral(locale.collate)}`,
    `lc_ctype ${escapeLiteral(locale.ctype)}`,
  ];
  // PostgreSQL 14 has no providers; later ones take the template's, which need not be this database's
  if (serverMajor >= 15) {
    options.push(`locale_provider ${locale.provider}`);
    if (locale.name !== null) options.push(`${locale.provider}_locale ${escapeLiteral(locale.name)}`);
    if (locale.rules !== null) options.push(`icu_rules ${escapeLiteral(locale.rules)}`);
  }
  return `create database ${escapeIdentifier(name)} ${options.join(' ')}`;
}

/** The statements that give the database `name` everything of `properties` that can be changed after its creation. */
export function propertyStatements(name: string, properties: DatabaseProperties): string[] {
  const database = `database ${escapeIdentifier(name)}`;
  const { comment, connectionLimit, owner } = properties;
  return [
    `alter ${database} owner to ${escapeIdentifier(owner)}`,
    `alter ${database} connection limit ${connectionLimit}`,
    commentStatement(name, comment),
    ...grantStatements(database, properties),
    ...settingStatements(database, properties),
  ];
}

export function commentStatement(name: string, comment: string | null): string {
  return `comment on database ${escapeIdentifier(name)} is ${comment === null ? 'null' : escapeLiteral(comment)}`;
}

/** The statements that leave nothing of what `present` says and make the database `name` as `wanted` says. */
export function replacingStatements(name: string, present: DatabaseProperties, wanted: DatabaseProperties): string[] {
  const database = `database ${escapeIdentifier(name)}`;
  const grantees = [present.owner, ...(present.grants ?? []).flatMap(({ grantee }) => grantee ?? [])];
  return [
    ...present.settings.map(({ role }) =>
      role === null ? `alter ${database} reset all` : `alter role ${escapeIdentifier(role)} in ${database} reset all`,
    ),
    `revoke all on ${database} from public, ${[...new Set(grantees)].map(escapeIdentifier).join(', ')}`,
    ...propertyStatements(name, wanted),
    ...(wanted.grants === null
      ? [
          `grant connect, temporary on ${database} to public`,
          `grant all on ${database} to ${escapeIdentifier(wanted.owner)}`,
        ]
      : []),
  ];
}

function grantStatements(database: string, { grants, owner }: DatabaseProperties): string[] {
  if (grants === null) return [];
  return [
    `revoke all on ${database} from public, ${escapeIdentifier(owner)}`,
    ...grants.map(({ grantee, privilege, isGrantable }) => {
      const to = grantee === null ? 'public' : escapeIdentifier(grantee);
      return `grant ${privilege} on ${database} to ${to}${isGrantable ? ' with grant option' : ''}`;
    }),
  ];
}

function settingStatements(database: string, { settings }: DatabaseProperties): string[] {
  return settings.flatMap(({ role, settings: pairs }) =>
    setStatements(role === null ? database : `role ${escapeIdentifier(role)} in ${database}`, pairs),
  );
}

/** `target` is a database or a role, as ALTER takes it; the pairs are `name=value`, as the catalog holds them. */
export function setStatements(target: string, pairs: readonly string[]): string[] {
  return pairs.map((pair) => {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals);
    return `alter ${target} set ${name.split('.').map(escapeIdentifier).join('.')} to ${settingValue(name, pair.slice(equals + 1))}`;
  });
}

/** Settings that hold a list of names: the catalog stores them as it wants to read them, quoted one by one. */
const LISTS_OF_NAMES = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function settingValue(name: string, value: string): string {
  if (!LISTS_OF_NAMES.has(name.toLowerCase())) return escapeLiteral(value);
  const names = [...value.matchAll(/"((?:[^"]|"")*)"|[^,\s]+/g)].map(
    ([word, quoted]) => quoted?.replaceAll('""', '"') ?? word,
  );
  return names.length === 0 ? "''" : names.map(escapeLiteral).join(', ');
}

/** Columns that only some versions have are read through to_jsonb: a missing one is null, not an error. */
const PROPERTIES = `
  select pg_catalog.jsonb_build_object(
    'owner', pg_catalog.pg_get_userbyid(d.datdba),
    'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
    'locale', pg_catalog.jsonb_build_object(
      'provider', case coalesce(j.columns ->> 'datlocprovider', 'c') when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
      'collate', d.datcollate,
      'ctype', d.datctype,
      'name', coalesce(j.columns ->> 'datlocale', j.columns ->> 'daticulocale'),
      'rules', j.columns ->> 'daticurules'),
    'connectionLimit', d.datconnlimit,
    'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
    'grants', case when d.datacl is not null then (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'grantee', case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
        'privilege', a.privilege_type, 'isGrantable', a.is_grantable)), '[]')
      from pg_catalog.aclexplode(d.datacl) a) end,
    'settings', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'role', case s.setrole when 0 then null else pg_catalog.pg_get_userbyid(s.setrole) end,
        'settings', pg_catalog.to_jsonb(s.setconfig)) order by s.setrole), '[]')
      from pg_catalog.pg_db_role_setting s where s.setdatabase = d.oid)
  ) as properties
  from pg_catalog.pg_database d
  cross join lateral (select pg_catalog.to_jsonb(d) as columns) j
  where d.datname = $1`;
