import { escapeIdentifier } from 'pg';
import { type ManageDbError, PermissionError } from '../../core/errors.js';
import { TRIGGER_FUNCTIONS, TRIGGERS, type TriggerFields, type TriggerMode } from '../catalog/live-triggers.js';
import { argumentsSql } from '../catalog/trigger-sql.js';
import type { Queryable } from '../queryable.js';
import { isTrustedOwner } from './trusted-owner.js';

/** A trigger that manage_db answers for, as it was installed. Times in ISO. */
export interface RegisteredTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly version: number;
  readonly declaredMode: TriggerMode;
  /** `declaredMode`, until somebody has enabled or disabled it on purpose. */
  readonly wantedMode: TriggerMode;
  /** What was declared; `null` where nothing was. */
  readonly declaration: Readonly<Record<string, unknown>> | null;
  readonly checksum: string | null;
  readonly fields: TriggerFields;
  readonly args: readonly string[];
  readonly definition: string;
  readonly functionSchema: string;
  readonly functionName: string;
  /** By a server of this major version; another one prints conditions and functions in its own way. */
  readonly isSameMajor: boolean;
  readonly source: 'dsl' | 'generated' | 'manual_sql' | 'adopted';
  readonly pack: string | null;
  readonly environment: string;
  readonly installedAt: string;
  readonly installedBy: string;
  readonly lastVerifiedAt: string;
  /** Its table still exists. */
  readonly hasTable: boolean;
}

export interface RegisteredFunction {
  readonly schema: string;
  readonly name: string;
  readonly definition: string;
  readonly owner: string;
  readonly isSecurityDefiner: boolean;
  /** SHA-256 of its file; `null`: it has none. */
  readonly fileChecksum: string | null;
  /** As in {@link RegisteredTrigger}. */
  readonly isSameMajor: boolean;
}

export interface TriggerRecords {
  readonly triggers: readonly RegisteredTrigger[];
  readonly functions: readonly RegisteredFunction[];
}

/**
 * What is registered in this database, or of it what is about `tables`; nothing where there is no registry.
 *
 * @param ifUnreadable `nothing`: for whom what is registered is only one thing among others
 * @throws ManageDbError `PERMISSION_DENIED` where there is a registry that may not be read, or that cannot be trusted
 */
export async function readTriggerRecords(
  db: Queryable,
  tables: readonly { readonly schema: string; readonly name: string }[] | null,
  ifUnreadable: 'fail' | 'nothing' = 'fail',
): Promise<TriggerRecords> {
  const registry = await findRegistry(db);
  if (registry === 'missing') return NOTHING;
  if (registry !== 'readable') {
    if (ifUnreadable === 'nothing') return NOTHING;
    throw registry;
  }
  const triggers = await db.query<RegisteredTrigger>(
    `
    select r.schema_name as schema, r.table_name as "table", r.trigger_name as name, r.version,
      r.declared_mode as "declaredMode", r.wanted_mode as "wantedMode", r.declaration, r.declaration_checksum as checksum,
      r.fields, coalesce(r.declaration -> 'args', ${argumentsSql(`(r.fields ->> 'args')`)}) as args, r.definition, r.function_schema as "functionSchema", r.function_name as "functionName",
      ${IS_SAME_MAJOR} as "isSameMajor", r.source, r.pack, r.environment, ${iso('r.installed_at')} as "installedAt",
      r.installed_by as "installedBy", ${iso('r.last_verified_at')} as "lastVerifiedAt", c.oid is not null as "hasTable"
    from manage_db.trigger_registry r
    left join pg_catalog.pg_namespace n on n.nspname = r.schema_name
    left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.table_name
      and c.relkind in ('r', 'p', 'v', 'f')
    where $1::text[] is null or (r.schema_name, r.table_name) in (
      select w.s, w.t from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as w (s, t))
    order by r.schema_name, r.table_name, r.trigger_name`,
    [tables?.map(({ schema }) => schema) ?? null, tables?.map(({ name }) => name) ?? null],
  );
  const functions = await db.query<RegisteredFunction>(`
    select schema_name as schema, function_name as name, definition, owner::text as owner,
      is_security_definer as "isSecurityDefiner", file_checksum as "fileChecksum", ${IS_SAME_MAJOR} as "isSameMajor"
    from manage_db.trigger_functions r`);
  return { triggers: triggers.rows, functions: functions.rows };
}

const NOTHING: TriggerRecords = { triggers: [], functions: [] };

interface RegistryTable {
  readonly name: string;
  readonly owner: string;
  readonly isTrusted: boolean;
  readonly isReadable: boolean;
  readonly database: string;
  readonly user: string;
}

/** What stands in the way of reading it is an error that says so: an empty answer would say that nothing was ever installed. */
async function findRegistry(db: Queryable): Promise<'missing' | 'readable' | ManageDbError> {
  const { rows } = await db.query<RegistryTable>(`
    select c.relname as name, pg_catalog.current_database() as database, session_user as "user",
      case when ${isTrustedOwner('n.nspowner')} then pg_catalog.pg_get_userbyid(c.relowner)
        else pg_catalog.pg_get_userbyid(n.nspowner) end as owner,
      c.relkind = 'r' and ${isTrustedOwner('n.nspowner')} and ${isTrustedOwner('c.relowner')} as "isTrusted",
      pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select') as "isReadable"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relname in ('trigger_registry', 'trigger_functions')
    order by c.relname desc`);
  const untrusted = rows.find(({ isTrusted }) => !isTrusted);
  if (untrusted !== undefined) return untrustedRegistry(untrusted);
  const unreadable = rows.find(({ isReadable }) => !isReadable);
  if (unreadable !== undefined) return unreadableRegistry(unreadable);
  return rows.length === 2 ? 'readable' : 'missing';
}

function untrustedRegistry({ name, owner, database }: RegistryTable): ManageDbError {
  return new PermissionError(
    `manage_db.${name} of ${database} belongs to ${owner}, who may not decide about this database: what it says about triggers was not read.`,
    {
      hint: `Find out who made it. If it is yours: alter table manage_db.${name} owner to <owner of ${database}>; and the schema likewise.`,
      details: { table: `manage_db.${name}`, owner },
    },
  );
}

function unreadableRegistry({ name, database, user }: RegistryTable): ManageDbError {
  const to = escapeIdentifier(user);
  return new PermissionError(`${user} may not read manage_db.${name} of ${database}, which says what was installed.`, {
    hint: `As its owner: grant usage on schema manage_db to ${to}; grant select on manage_db.trigger_registry, manage_db.trigger_functions to ${to};`,
    details: { table: `manage_db.${name}`, user },
  });
}

/** What is to be registered about an installed trigger; everything else is read from the catalog. */
export interface TriggerRecord {
  readonly tableOid: number;
  readonly name: string;
  readonly version: number;
  readonly declaredMode: TriggerMode;
  readonly wantedMode: TriggerMode;
  readonly declaration: Readonly<Record<string, unknown>>;
  readonly checksum: string;
  readonly pack: string;
}

/** Registers installed triggers as they are now, in the caller's transaction and under its empty search_path. */
export async function registerTriggers(
  db: Queryable,
  records: readonly TriggerRecord[],
  { environment, by }: { environment: string; by: string },
): Promise<void> {
  if (records.length === 0) return;
  await db.query(
    `
    insert into manage_db.trigger_registry (schema_name, table_name, trigger_name, version, declared_mode, wanted_mode,
      declaration, declaration_checksum, fields, definition, function_schema, function_name, server_version_num, source,
      pack, environment, installed_by)
    select l.schema_name, l.table_name, l.trigger_name, w.version, w."declaredMode", w."wantedMode", w.declaration,
      w.checksum, l.fields, l.definition, l.function_schema, l.function_name, ${SERVER_VERSION}, 'dsl', w.pack, $2, $3
    from (${TRIGGERS}) l
    join pg_catalog.jsonb_to_recordset($1::jsonb) as w ("tableOid" oid, name text, version integer,
      "declaredMode" text, "wantedMode" text, declaration jsonb, checksum text, pack text)
      on w."tableOid" = l.table_oid and w.name = l.trigger_name
    on conflict (schema_name, table_name, trigger_name) do update set
      version = excluded.version, declared_mode = excluded.declared_mode, wanted_mode = excluded.wanted_mode,
      declaration = excluded.declaration, declaration_checksum = excluded.declaration_checksum, fields = excluded.fields,
      definition = excluded.definition, function_schema = excluded.function_schema,
      function_name = excluded.function_name, server_version_num = excluded.server_version_num, source = excluded.source,
      pack = excluded.pack, environment = excluded.environment, installed_at = excluded.installed_at,
      installed_by = excluded.installed_by, last_verified_at = excluded.last_verified_at`,
    [JSON.stringify(records), environment, by],
  );
}

/** A function to register; where it came from a file, with the file's SHA-256. */
export interface FunctionRecord {
  readonly schema: string;
  readonly name: string;
  readonly fileChecksum: string | null;
}

/** Registers trigger functions as they are now; those that are registered so already are not written. */
export async function registerTriggerFunctions(
  db: Queryable,
  records: readonly FunctionRecord[],
  { by }: { by: string },
): Promise<void> {
  if (records.length === 0) return;
  await db.query(
    `
    insert into manage_db.trigger_functions as r (schema_name, function_name, definition, owner, is_security_definer,
      file_checksum, server_version_num, installed_by)
    select l.schema_name, l.function_name, l.definition, l.owner, l.is_security_definer, w."fileChecksum",
      ${SERVER_VERSION}, $2
    from (${TRIGGER_FUNCTIONS}) l
    join pg_catalog.jsonb_to_recordset($1::jsonb) as w (schema text, name text, "fileChecksum" text)
      on w.schema = l.schema_name and w.name = l.function_name
    on conflict (schema_name, function_name) do update set
      definition = excluded.definition, owner = excluded.owner, is_security_definer = excluded.is_security_definer,
      file_checksum = excluded.file_checksum, server_version_num = excluded.server_version_num,
      installed_at = excluded.installed_at, installed_by = excluded.installed_by
    where (r.definition, r.owner, r.is_security_definer, r.file_checksum, r.server_version_num) is distinct from
      (excluded.definition, excluded.owner, excluded.is_security_definer, excluded.file_checksum, excluded.server_version_num)`,
    [JSON.stringify(records), by],
  );
}

/** Forgets the triggers of tables that are gone. */
export async function forgetTriggersOfMissingTables(db: Queryable): Promise<void> {
  await db.query(`
    delete from manage_db.trigger_registry r
    where not exists (
      select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = r.schema_name and c.relname = r.table_name)`);
}

/** Forgets triggers that are neither there nor wanted. */
export async function forgetTriggers(db: Queryable, triggers: readonly TriggerName[]): Promise<void> {
  if (triggers.length === 0) return;
  await db.query(
    `
    delete from manage_db.trigger_registry r
    using ${TRIGGER_NAMES}
    where r.schema_name = w.s and r.table_name = w.t and r.trigger_name = w.n`,
    namesOf(triggers),
  );
}

/** Forgets one trigger that was dropped on purpose, where there is a registry. */
export async function forgetTrigger(db: Queryable, { schema, table, name }: TriggerName): Promise<void> {
  const { rows } = await db.query<{ registry: string | null }>(
    `select pg_catalog.to_regclass('manage_db.trigger_registry')::text as registry`,
  );
  if (rows[0]?.registry === null) return;
  await db.query(
    'delete from manage_db.trigger_registry where schema_name = $1 and table_name = $2 and trigger_name = $3',
    [schema, table, name],
  );
}

/** Notes that these triggers were found as registered, by somebody who was about to mend what is not. */
export async function noteVerified(db: Queryable, triggers: readonly TriggerName[]): Promise<void> {
  await db.query(
    `
    update manage_db.trigger_registry r set last_verified_at = pg_catalog.clock_timestamp()
    from ${TRIGGER_NAMES}
    where r.schema_name = w.s and r.table_name = w.t and r.trigger_name = w.n`,
    namesOf(triggers),
  );
}

interface TriggerName {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
}

const TRIGGER_NAMES =
  'rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) as w (s, t, n)';

function namesOf(triggers: readonly TriggerName[]): string[][] {
  return [triggers.map(({ schema }) => schema), triggers.map(({ table }) => table), triggers.map(({ name }) => name)];
}

const SERVER_VERSION = `pg_catalog.current_setting('server_version_num')::integer`;

const IS_SAME_MAJOR = `r.server_version_num / 10000 = ${SERVER_VERSION} / 10000`;

function iso(column: string): string {
  return `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
