import type { Node, ObjectType, RangeVar } from 'libpg-query';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { readServerWideObjects } from '../../../../database/catalog/server-wide-objects.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import {
  blockStatements,
  type NodeReaders,
  type ParsedStatement,
  readNode,
  readScript,
  type SqlSource,
  sqlScriptError,
  walkTree,
} from '../../../../services/sql-script.js';
import { withMaintenanceConnection } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import type { MigrationStep } from '../runner.js';

/**
 * Refuses files with statements that reach beyond the database that they run in: what they do to roles, settings of databases and
 * the like would be done to the server, in earnest and for everybody, though the database is only a scratch one.
 *
 * What a function or a DO block makes up when it runs nobody sees beforehand: {@link watchServer} tells of it.
 *
 * @throws ManageDbError `SQL_FAILED` with the place
 */
export async function refuseServerWide(settings: ConnectionSettings, sources: readonly SqlSource[]): Promise<void> {
  for (const source of sources) await refuseIn(settings, source);
}

/** What the steps execute, as far as it is SQL. */
export function sourcesOf(steps: readonly MigrationStep[]): readonly SqlSource[] {
  return steps.flatMap(({ migration, direction }) => {
    const part = direction === 'up' ? migration.up : migration.down;
    return part?.kind === 'sql' ? [part.source] : [];
  });
}

async function refuseIn(settings: ConnectionSettings, source: SqlSource): Promise<void> {
  for (const statement of await statementsOf(settings, source)) {
    for (const { node, offset } of [statement, ...((await blockStatements(source, statement)) ?? [])]) {
      const what = reachOf(node);
      if (what === null) continue;
      throw sqlScriptError(source, {
        message: `This reaches beyond the database, to ${what}: it would be done in earnest, though the database is a scratch one. Nothing was executed.`,
        hint: 'Do it outside of the migrations, or say that it may be done: --allow-server-wide',
        offset,
      });
    }
  }
}

/** What only the server can read may hold anything. Of what is no SQL, whoever runs it says so, and executes nothing. */
async function statementsOf(settings: ConnectionSettings, source: SqlSource): Promise<readonly ParsedStatement[]> {
  const outcome = await readScript(source).catch((error: unknown) => {
    if (error instanceof ManageDbError && error.code === 'SQL_FAILED') return null;
    throw error;
  });
  if (outcome?.isRead) return outcome.statements;
  if (outcome === null || !(outcome.isTooMuch || (await isUnderstood(settings, source.sql)))) return [];
  const how = outcome.isTooMuch ? 'Make several files of it' : 'Write it as PostgreSQL 18 reads it';
  throw new ManageDbError(
    'SQL_FAILED',
    `${outcome.error.message}\nSo nobody can tell whether it reaches beyond the database. Nothing was executed.`,
    { hint: `${how}, or say that it may: --allow-server-wide`, details: outcome.error.details, cause: outcome.error },
  );
}

/**
 * Whether the server takes `sql` for SQL, which is not executed: what follows makes several statements of it, and those no server
 * prepares. Their error has no place, as that of a syntax error has.
 */
async function isUnderstood(settings: ConnectionSettings, sql: string): Promise<boolean> {
  const text = `${sql}\n;\nselect 1;\nselect 2`;
  return withMaintenanceConnection(settings, async (db) => {
    const error: unknown = await db.query({ name: 'manage_db_parsed_only', text }).catch((thrown: unknown) => thrown);
    return isServerError(error) && error.code === SYNTAX_ERROR && error.position === undefined;
  });
}

const SYNTAX_ERROR = '42601';

/** Also of what is within it: what EXPLAIN analyzes, what WITH changes. What is only defined is not executed. */
function reachOf(node: Node): string | null {
  if (readNode(node, ONLY_DEFINED) === true) return null;
  let found: string | null = null;
  walkTree(node, (tag, body) => {
    // the tag says which node it is, and what is no node has no reader
    found ??= readNode({ [tag]: body } as Node, SERVER_WIDE) ?? null;
  });
  return found;
}

const ONLY_DEFINED: NodeReaders<boolean> = {
  CreateFunctionStmt: () => true,
  ViewStmt: () => true,
  RuleStmt: () => true,
  CreatePolicyStmt: () => true,
  CreateTrigStmt: () => true,
};

/** Tables that all databases of the server share. */
const SHARED_TABLES =
  /^pg_(?:database|db_role_setting|authid|auth_members|tablespace|shdepend|shdescription|shseclabel|parameter_acl|replication_origin|subscription)$/;

function sharedTable(relation: RangeVar | undefined): string | null {
  const { schemaname, relname = '' } = relation ?? {};
  if (schemaname !== undefined && schemaname !== 'pg_catalog') return null;
  return SHARED_TABLES.test(relname) ? `${relname}, which all databases of the server share` : null;
}

/** What is no function of PostgreSQL may be one of the workspace's, unless it is one of dblink. */
const SERVER_FUNCTIONS: readonly (readonly [names: RegExp, what: string])[] = [
  [/^pg_(?:terminate|cancel)_backend$/, 'the sessions of others'],
  [/^pg_(?:reload_conf|rotate_logfile|switch_wal|promote|create_restore_point)$/, 'the server'],
  [/^pg_(?:wal_replay_pause|wal_replay_resume|log_backend_memory_contexts)$/, 'the server'],
  [/^(?:pg_start_backup|pg_stop_backup|pg_backup_start|pg_backup_stop)$/, 'the server'],
  [/^pg_(?:create|copy)_(?:logical|physical)_replication_slot$/, 'the replication slots of the server'],
  [/^pg_(?:drop_replication_slot|replication_slot_advance)$/, 'the replication slots of the server'],
  [/^pg_replication_origin_(?:create|drop|advance)$/, 'the replication origins of the server'],
  [/^(?:lo_export|pg_file_write|pg_file_rename|pg_file_unlink|pg_file_sync)$/, 'the files of the server'],
  [/^pg_stat_reset_(?:shared|slru|replication_slot)$/, 'the statistics of the server'],
  [/^dblink(?:_connect|_connect_u|_exec|_send_query|_open)?$/, 'another database'],
];

function calledFunction(name: readonly Node[]): string | null {
  const parts = name.flatMap((part) => ('String' in part ? [part.String.sval ?? ''] : []));
  const last = parts.at(-1) ?? '';
  const [, what] = SERVER_FUNCTIONS.find(([names]) => names.test(last)) ?? [];
  const isAnother = parts.length > 1 && parts[0] !== 'pg_catalog' && last.startsWith('pg_');
  return what === undefined || isAnother ? null : `${what} (${last})`;
}

const OF_SERVER: Readonly<Partial<Record<ObjectType, string>>> = {
  OBJECT_DATABASE: 'a database',
  OBJECT_ROLE: 'a role',
  OBJECT_TABLESPACE: 'a tablespace',
  OBJECT_PARAMETER_ACL: 'a setting of the server',
};

const ofServer = (type: ObjectType | undefined): string | null => (type && OF_SERVER[type]) ?? null;

const SERVER_WIDE: NodeReaders<string | null> = {
  CreateRoleStmt: () => 'a role',
  AlterRoleStmt: () => 'a role',
  AlterRoleSetStmt: () => 'a role',
  DropRoleStmt: () => 'a role',
  GrantRoleStmt: () => 'the members of a role',
  ReassignOwnedStmt: () => 'everything that a role owns',
  DropOwnedStmt: () => 'everything that a role owns',
  CreatedbStmt: () => 'a database',
  DropdbStmt: () => 'a database',
  AlterDatabaseStmt: () => 'a database',
  AlterDatabaseSetStmt: () => 'a database',
  AlterDatabaseRefreshCollStmt: () => 'a database',
  CreateTableSpaceStmt: () => 'a tablespace',
  DropTableSpaceStmt: () => 'a tablespace',
  AlterTableSpaceOptionsStmt: () => 'a tablespace',
  AlterSystemStmt: () => 'the settings of the server',
  InsertStmt: ({ relation }) => sharedTable(relation),
  UpdateStmt: ({ relation }) => sharedTable(relation),
  DeleteStmt: ({ relation }) => sharedTable(relation),
  MergeStmt: ({ relation }) => sharedTable(relation),
  CopyStmt: ({ is_program, is_from, filename, relation }) => {
    if (is_program) return 'a program on the machine of the server';
    if (is_from) return sharedTable(relation);
    return filename === undefined ? null : 'the files of the server';
  },
  FuncCall: ({ funcname = [] }) => calledFunction(funcname),
  CreateSubscriptionStmt: () => 'the server of a publisher',
  RenameStmt: ({ renameType }) => ofServer(renameType),
  AlterOwnerStmt: ({ objectType }) => ofServer(objectType),
  CommentStmt: ({ objtype }) => ofServer(objtype),
  SecLabelStmt: ({ objtype }) => ofServer(objtype),
  GrantStmt: ({ objtype }) => ofServer(objtype),
};

/**
 * Runs `work`, and tells what has changed on the server itself meanwhile, in sentences.
 *
 * @param maintenance on another database than the one that is worked in
 * @param database whose settings are looked at as well
 */
export async function watchServer<T>(
  maintenance: Queryable,
  database: string,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly changes: readonly string[] }> {
  const before = await readServerWideObjects(maintenance, database);
  const result = await work();
  const after = await readServerWideObjects(maintenance, database);
  const changes = [
    ...[...after].flatMap(([line, { state, comesAndGoes }]) => {
      const known = before.get(line);
      if (known === undefined) return comesAndGoes ? [] : [`${line} is there now`];
      return known.state === state ? [] : [`${line} is another one`];
    }),
    ...[...before].flatMap(([line, { comesAndGoes }]) => (after.has(line) || comesAndGoes ? [] : [`${line} is gone`])),
  ];
  return {
    result,
    changes: changes.map((change) => `On the server itself something has changed meanwhile: ${change}.`),
  };
}
