import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { switchConstraintTriggers } from '../../../database/catalog/constraint-trigger-modes.js';
import {
  countLargeObjects,
  readDatabaseObjects,
  UNLINK_LARGE_OBJECTS,
} from '../../../database/catalog/database-objects.js';
import { readDroppableSchemas } from '../../../database/catalog/droppable-schemas.js';
import { readExtensions } from '../../../database/catalog/extensions.js';
import { readLockHolders } from '../../../database/catalog/lock-holders.js';
import { readUserObjects } from '../../../database/catalog/user-objects.js';
import { readResetStatements } from '../../../database/catalog/what-stays.js';
import type { Queryable } from '../../../database/queryable.js';
import { type ClientTools, findClientTools, runClientTool } from '../../../services/client-tools.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import { withConnection } from '../../../services/with-connection.js';
import { withTemporaryFile } from '../../../services/work-folder.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { DUMP_NAMES } from '../backup/dump.js';
import { type Manifest, type TableRows, usersTables } from '../backup/manifest.js';
import { isOfSearchPath, searchPathOf, underSearchPath } from '../backup/search-path.js';
import { tableProgress } from '../backup/table-progress.js';
import { countTableRows } from '../backup/table-rows.js';
import { unknownStatementFor } from '../backup/unknown-setting.js';
import { isCommitted } from '../commit-outcome.js';
import { dropStatements } from '../maintenance/drop-statements.js';
import { notOwned } from '../maintenance/not-owned.js';
import { inLargeChunks, withoutTransaction } from './restore-script.js';
import { tooManyObjects } from './too-many-objects.js';

export interface TransactionRestore {
  readonly target: Target;
  /** Of the backup. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly serverMajor: number;
  readonly controls: OperationControls;
  /** Backs up what is there: called when nobody writes any more, and before anything is dropped. */
  readonly backUp: (signal: AbortSignal) => Promise<void>;
  /** Says in the same transaction what the database is by that; `null`: what it was. */
  readonly stamp: string | null;
  /** From here on the database is the restored one, whatever fails. */
  readonly onCommitted: () => void;
}

/** Milliseconds that it waits for a table that somebody works with; everything behind it waits as long. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Restores a backup inside the live database, in one transaction: everything of the users is dropped, the archive is
 * loaded, and the rows are counted; only if they are those of the manifest is it committed. Whatever fails or dies before
 * that, nothing has happened. What is kept: what manage_db knows about the database itself, extensions, and subscriptions.
 *
 * Readers wait from the first DROP to the end. Returns the tables.
 *
 * @throws ManageDbError `USAGE` for a plain dump, `PERMISSION_DENIED` naming what belongs to others, `LOCK_TIMEOUT`,
 *   `BACKUP_INVALID` when the counts differ, `CLIENT_TOOL_FAILED`, `INTERRUPTED`; UnknownOutcome
 */
export async function restoreInTransaction(restore: TransactionRestore): Promise<TableRows[]> {
  const { target, manifest, serverMajor, controls, onCommitted } = restore;
  if (manifest.format === 'plain') {
    throw new ManageDbError(
      'USAGE',
      `${manifest.id} is a plain dump, which cannot be restored inside ${target.database}.`,
      {
        hint: 'Choose a backup of another format, or give the login CREATEDB and restore by --method swap.',
      },
    );
  }
  const tools = await findClientTools({ serverMajor, binDir: target.settings.pgBinDir });
  const { settings } = target;
  const plan = await withConnection(settings, { signal: controls.signal }, (db) => dropping(db, restore));
  controls.onProgress?.({ step: 'restoring in one transaction' });
  const searchPath = searchPathOf(manifest.properties);
  let { xid, failure } = await execute(restore, tools, plan);
  if (failure !== null && isOfSearchPath(failure.error) && !(await wasCommitted(settings, xid))) {
    controls.onProgress?.({ step: `restoring again, under the search_path ${searchPath} that its functions rely on` });
    ({ xid, failure } = await execute(restore, tools, { ...plan, searchPath }));
  }
  if (failure !== null && !(await wasCommitted(settings, xid))) throw await named(failure.error, restore);
  onCommitted();
  return withConnection(settings, { signal: controls.signal }, async (db) => {
    controls.onProgress?.({ step: 'analyzing' });
    await underSearchPath(db, searchPath, () => db.query('analyze'));
    return usersTables(await countTableRows(db, { ...controls, searchPath }));
  });
}

async function wasCommitted(settings: ConnectionSettings, xid: string | null): Promise<boolean> {
  if (xid === null) return false;
  return isCommitted({ xid, what: 'the restore', anew: (work) => withConnection(settings, {}, work) });
}

/** What psql said, under the name that it has elsewhere. */
async function named(error: unknown, { target, manifest }: TransactionRestore): Promise<unknown> {
  const text = error instanceof ManageDbError ? `${error.message}\n${String(error.details.stderr ?? '')}` : '';
  const differences = new RegExp(`${NOT_AS_BACKED_UP}(.*)`).exec(text)?.[1];
  if (differences !== undefined) {
    return new ManageDbError(
      'BACKUP_INVALID',
      `What was restored from ${manifest.id} is not what was backed up: ${differences}.`,
      {
        hint: 'Choose another backup: manage_db list-all-backups',
        details: { id: manifest.id },
        cause: error,
      },
    );
  }
  const { settings } = target;
  if (/out of shared memory/.test(text)) return tooManyObjects(settings, error);
  if (!/canceling statement due to lock timeout/.test(text)) return error;
  const holders = await withConnection(settings, {}, (db) => readLockHolders(db)).catch(() => []);
  return lockTimeoutError({
    wanted: `the tables of ${target.database}`,
    waitedMs: LOCK_TIMEOUT_MS,
    holders,
    unchanged: 'Nothing was restored.',
    cause: error,
  });
}

/** What the comparison at the end fails with, before the differences. */
const NOT_AS_BACKED_UP = 'manage_db: not what was backed up: ';

interface Dropping {
  /** What keeps writers out, while readers still read. */
  readonly locks: readonly string[];
  /** What has to go first, in order. */
  readonly statements: readonly string[];
  /** What stays because an extension lives in it, besides public. */
  readonly keptSchemas: readonly string[];
  /** What is restored under instead of an empty one. */
  readonly searchPath?: string;
}

/** Nothing is dropped yet. */
async function dropping(db: Queryable, { target, manifest }: TransactionRestore): Promise<Dropping> {
  const inside = await readUserObjects(db);
  const schemas = await readDroppableSchemas(db);
  const outside = await readDatabaseObjects(db);
  const large = await countLargeObjects(db);
  const foreign = [
    ...inside,
    ...schemas.map((schema) => ({ kind: 'schema', ...schema })),
    ...outside,
    ...(large.foreign > 0
      ? [{ kind: 'large object', identity: `(${large.foreign})`, owner: 'others', droppable: false }]
      : []),
  ].filter(({ droppable }) => !droppable);
  if (foreign.length > 0) throw notOwned(target, foreign);
  await refuseMovedExtensions(db, manifest);
  const { rows } = await db.query<{ name: string }>(SCHEMAS);
  const droppable = new Set(schemas.map(({ name }) => name));
  const keptSchemas = rows.map(({ name }) => name).filter((name) => !droppable.has(name));
  const drop = ({ kind, identity }: { kind: string; identity: string }): string =>
    `drop ${WORDS[kind] ?? kind} if exists ${identity} cascade`;
  // tables may be of an access method
  const [last, first] = [
    outside.filter(({ kind }) => kind === 'access method'),
    outside.filter(({ kind }) => kind !== 'access method'),
  ];
  const statements = [
    ...(await readResetStatements(db, ['public', ...keptSchemas.filter((name) => name !== 'manage_db')])),
    ...first.map(drop),
    ...dropStatements(inside, schemas).map(({ sql }) => sql),
    ...last.map(drop),
    ...(large.all > 0 ? [UNLINK_LARGE_OBJECTS] : []),
    ...OF_CONTENTS.map((table) => `delete from manage_db.${table}`),
  ];
  const tables = inside.filter(({ kind }) => kind === 'table').map(({ identity }) => identity);
  return { locks: tables.map((table) => `lock table ${table} in exclusive mode`), statements, keptSchemas };
}

/** Extensions stay where they are, and what is restored looks for them where they were. */
async function refuseMovedExtensions(db: Queryable, { id, extensions }: Manifest): Promise<void> {
  const live = new Map((await readExtensions(db)).map(({ name, schema }) => [name, schema]));
  const moved = extensions.filter(({ name, schema }) => live.has(name) && live.get(name) !== schema);
  const [first] = moved;
  if (first === undefined) return;
  const list = moved.map(({ name, schema }) => `${name} (${schema}, now ${live.get(name)})`).join(', ');
  throw new ManageDbError('USAGE', `Extensions are in another schema than when ${id} was made: ${list}.`, {
    hint: `Move them back first: alter extension ${escapeIdentifier(first.name)} set schema ${escapeIdentifier(first.schema)};`,
  });
}

/** manage_db's records of what is in a database; the others are of the database itself, and stay. */
const OF_CONTENTS = ['trigger_registry', 'trigger_functions', 'migrations'];

const SCHEMAS = `
  select n.nspname::text as name from pg_catalog.pg_namespace n
  where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'public')`;

/** What DROP calls the kinds that the catalog names otherwise. */
const WORDS: Readonly<Record<string, string>> = { 'foreign-data wrapper': 'foreign data wrapper' };

interface Executed {
  /** The id of the transaction; `null`: its COMMIT was not sent, so that it will be rolled back. */
  readonly xid: string | null;
  /** Psql may have failed after its COMMIT had arrived. */
  readonly failure: { readonly error: unknown } | null;
}

async function execute(restore: TransactionRestore, tools: ClientTools, plan: Dropping): Promise<Executed> {
  const archive = join(restore.folder, DUMP_NAMES[restore.manifest.format]);
  const contents = await contentsOf(archive, { tools, restore, plan });
  return withTemporaryFile('list', contents.list, (list) =>
    executeList(restore, { tools, plan, archive, contents, list }),
  );
}

interface Execution {
  readonly tools: ClientTools;
  readonly plan: Dropping;
  readonly archive: string;
  readonly contents: Contents;
  /** The path of the file that has `contents.list`. */
  readonly list: string;
}

async function executeList(
  restore: TransactionRestore,
  { tools, plan, archive, contents, list }: Execution,
): Promise<Executed> {
  const { target, manifest, controls } = restore;
  const { settings } = target;
  let xid = '';
  let isCommitting = false;
  let failure: { readonly error: unknown } | null = null;
  try {
    const loaded = new PassThrough();
    const [whole, locked] = [latch(), latch()];
    // psql: without it nobody says that all is locked, and what it was is backed up for nothing
    const gone = new AbortController();
    const backUp = async (signal: AbortSignal): Promise<void> => {
      await restore.backUp(AbortSignal.any([signal, gone.signal])).catch((error: unknown) => {
        if (!gone.signal.aborted) failure = { error };
        throw error;
      });
    };
    await inOrder(
      controls.signal,
      async (signal) => {
        const { owners } = contents;
        const parts = {
          restore,
          plan,
          owners,
          onCommit: () => {
            isCommitting = true;
          },
          whole: whole.opened,
          locked: locked.opened.then(() => !gone.signal.aborted),
          backUp: () => backUp(signal),
        };
        const progress = tableProgress({
          onProgress: controls.onProgress,
          verb: 'restoring',
          jobs: 1,
          total: manifest.tables.length,
        });
        await runClientTool(tools.psql, ['--set=ON_ERROR_STOP=1', '--quiet', '--output=/dev/null', '--file=-'], {
          settings,
          signal,
          stdin: Readable.from(script(loaded, parts)),
          onEnd: () => {
            gone.abort();
            locked.open();
          },
          onStderr: (line) => {
            xid = /manage_db transaction (\d+)/.exec(line)?.[1] ?? xid;
            if (line.includes(LOCKED)) locked.open();
            progress(line);
          },
        });
      },
      async (signal) => {
        const args = [`--use-list=${list}`, '--single-transaction', '--file=-', archive];
        await runClientTool(tools.pgRestore, args, { settings, signal, stdout: loaded });
        whole.open();
      },
    );
    return { xid, failure: null };
  } catch (error) {
    return { xid: isCommitting ? xid : null, failure: failure ?? { error } };
  }
}

/**
 * Runs both at the same time; the end of one aborts the other. What `first` has failed with is thrown before what has
 * become of the other one by that.
 */
async function inOrder(
  signal: AbortSignal | undefined,
  first: (signal: AbortSignal) => Promise<void>,
  second: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController();
  const either = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
  const guarded = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      controller.abort();
      throw error;
    });
  const [a, b] = await Promise.allSettled([guarded(first(either)), guarded(second(either))]);
  const isOwn = (result: PromiseSettledResult<void>): result is PromiseRejectedResult =>
    result.status === 'rejected' && !(result.reason instanceof ManageDbError && result.reason.code === 'INTERRUPTED');
  for (const result of [a, b]) if (isOwn(result)) throw result.reason;
  for (const result of [a, b]) if (result.status === 'rejected') throw result.reason;
}

const LOCKED = 'manage_db: nobody writes any more';

/** Everything but manage_db's own records, which are those of the live database, and what is kept in it. */
async function contentsOf(
  archive: string,
  {
    tools,
    plan,
    restore: { target, manifest, controls },
  }: { tools: ClientTools; plan: Dropping; restore: TransactionRestore },
): Promise<Contents> {
  const { stdout } = await runClientTool(tools.pgRestore, ['--list', archive], {
    settings: target.settings,
    signal: controls.signal,
  });
  const lines = stdout.split('\n');
  refuseLookalikes(lines, manifest);
  const owners = lines.flatMap((line) => {
    const { kind, rest = '' } = ENTRY.exec(line)?.groups ?? {};
    const name = kind === 'SCHEMA' ? plan.keptSchemas.find((one) => rest.startsWith(`${one} `)) : undefined;
    if (name === undefined || name === 'manage_db') return [];
    return [`alter schema ${escapeIdentifier(name)} owner to ${escapeIdentifier(rest.slice(name.length + 1))}`];
  });
  return { list: lines.filter((line) => isRestored(line, plan.keptSchemas)).join('\n'), owners };
}

/** In the table of contents nothing separates a name from what follows it: theirs would be taken for ours, and left out. */
function refuseLookalikes(lines: readonly string[], { tables }: Manifest): void {
  const schemas = lines.filter((line) => {
    const { kind, rest = '' } = ENTRY.exec(line)?.groups ?? {};
    return kind === 'SCHEMA' && rest.startsWith('manage_db ');
  });
  const ours = tables.some(({ schema }) => schema === 'manage_db') ? 1 : 0;
  if (schemas.length <= ours) return;
  throw new ManageDbError('USAGE', 'A schema has a name that begins with "manage_db ": it cannot be restored inside.', {
    hint: 'Rename the schema and back up again, or restore by --method swap.',
  });
}

interface Contents {
  /** For `pg_restore --use-list`. */
  readonly list: string;
  /** Gives the schemas that stay to whom they belonged. */
  readonly owners: readonly string[];
}

function isRestored(line: string, keptSchemas: readonly string[]): boolean {
  const { kind, schema, rest } = ENTRY.exec(line)?.groups ?? {};
  if (kind === undefined || rest === undefined) return true;
  if (schema === 'manage_db') return kind === 'TABLE DATA' && OF_CONTENTS.some((table) => rest.startsWith(`${table} `));
  if (kind === 'SCHEMA') return !['manage_db', ...keptSchemas].some((name) => rest.startsWith(`${name} `));
  if (kind.startsWith('SUBSCRIPTION')) return false;
  const isAbout = (what: string) => schema === '-' && rest.startsWith(what);
  return !(isAbout('SCHEMA manage_db ') || isAbout('SUBSCRIPTION ') || isAbout('EXTENSION '));
}

/** What pg_restore calls the kinds of objects, the longer names first: a schema may be called DATA. */
const KINDS = [
  ...['PUBLICATION TABLES IN SCHEMA', 'TEXT SEARCH CONFIGURATION', 'TEXT SEARCH DICTIONARY', 'TEXT SEARCH TEMPLATE'],
  ...[
    'MATERIALIZED VIEW DATA',
    'TEXT SEARCH PARSER',
    'FOREIGN DATA WRAPPER',
    'PROCEDURAL LANGUAGE',
    'SUBSCRIPTION TABLE',
  ],
  ...['PUBLICATION TABLE', 'MATERIALIZED VIEW', 'SEQUENCE OWNED BY', 'CHECK CONSTRAINT', 'OPERATOR FAMILY'],
  ...['OPERATOR CLASS', 'STATISTICS DATA', 'SECURITY LABEL', 'FOREIGN SERVER', 'FK CONSTRAINT', 'EVENT TRIGGER'],
  ...[
    'FOREIGN TABLE',
    'ACCESS METHOD',
    'BLOB COMMENTS',
    'BLOB METADATA',
    'SEQUENCE SET',
    'INDEX ATTACH',
    'TABLE ATTACH',
  ],
  ...['USER MAPPING', 'ROW SECURITY', 'LARGE OBJECT', 'ACL LANGUAGE', 'DEFAULT ACL', 'SHELL TYPE', 'TABLE DATA'],
  ...['SUBSCRIPTION', 'PUBLICATION', 'CONSTRAINT', 'CONVERSION', 'STATISTICS', 'AGGREGATE', 'COLLATION', 'EXTENSION'],
  ...[
    'PROCEDURE',
    'TRANSFORM',
    'SEQUENCE',
    'FUNCTION',
    'OPERATOR',
    'DATABASE',
    'TRIGGER',
    'COMMENT',
    'DEFAULT',
    'DOMAIN',
  ],
  ...['POLICY', 'SCHEMA', 'SERVER', 'BLOBS', 'INDEX', 'TABLE', 'BLOB', 'CAST', 'RULE', 'TYPE', 'VIEW', 'ACL'],
];

/** `3347; 2615 16386 SCHEMA - manage_db postgres`: kind, schema, name, owner. */
const ENTRY = new RegExp(`^\\d+; \\d+ \\d+ (?<kind>${KINDS.join('|')}) (?<schema>\\S+) (?<rest>.*)$`);

interface Script {
  readonly restore: TransactionRestore;
  readonly plan: Dropping;
  readonly owners: readonly string[];
  /** Nobody writes any more; `false`: nobody will ever say so. */
  readonly locked: Promise<boolean>;
  readonly backUp: () => Promise<void>;
  /** The archive has been read to its end without an error. */
  readonly whole: Promise<void>;
  /** Told before the last line is given away. */
  readonly onCommit: () => void;
}

/** What psql executes. Without its last line nothing has happened. */
async function* script(
  loaded: Readable,
  { restore, plan, owners, locked, backUp, whole, onCommit }: Script,
): AsyncGenerator<Buffer | string> {
  const { manifest, serverMajor } = restore;
  const notice = (text: string) => `set local client_min_messages = notice;
do $$ begin raise notice '${text}; end $$;
set local client_min_messages = error;
`;
  yield `begin read write;
set local role none;
set local lock_timeout = ${LOCK_TIMEOUT_MS};
set local statement_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
${notice(`manage_db transaction %', pg_catalog.pg_current_xact_id()`)}`;
  yield `${plan.locks.map((lock) => `${lock};\n`).join('')}${notice(`${LOCKED}'`)}`;
  if (!(await locked)) return;
  await backUp();
  yield `${plan.statements.join(';\n')};\n`;
  const text = withoutTransaction(loaded, {
    unknownStatement: unknownStatementFor(serverMajor),
    searchPath: plan.searchPath ?? null,
  });
  yield* inLargeChunks(text);
  // what it writes ends before it has ended, and before it has said whether all was well
  await whole;
  onCommit();
  const { constraintTriggers = [] } = manifest;
  // the archive has set its own
  const last = [
    "set client_encoding = 'UTF8'",
    ...owners,
    ...(restore.stamp === null ? [] : [restore.stamp]),
    switchConstraintTriggers(constraintTriggers),
    comparing(manifest),
    'commit',
  ];
  yield `${last.join(';\n')};\n`;
}

/** Fails with what is not as it was backed up. */
function comparing(manifest: Manifest): string {
  const expected = JSON.stringify(usersTables(manifest.tables));
  return `do ${dollarQuoted(`
declare
  expected record;
  found bigint;
  differences text[] := '{}';
begin
  perform pg_catalog.set_config('row_security', 'off', true);
  for expected in select * from pg_catalog.jsonb_to_recordset(${escapeLiteral(expected)}::jsonb) as t (schema text, name text, rows bigint) loop
    execute pg_catalog.format('select pg_catalog.count(*) from only %I.%I', expected.schema, expected.name) into found;
    if found is distinct from expected.rows then
      differences := differences || pg_catalog.format('%I.%I has %s rows instead of %s', expected.schema, expected.name, found, expected.rows);
    end if;
  end loop;
  if differences <> '{}' then raise exception '${NOT_AS_BACKED_UP}%', pg_catalog.array_to_string(differences, '; '); end if;
end `)}`;
}

function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

function dollarQuoted(text: string): string {
  for (let index = 0; ; index += 1) {
    const tag = `$manage_db_${index}$`;
    if (!text.includes(tag)) return `${tag}${text}${tag}`;
  }
}

/** What has to be told to subscriptions, which only know the tables that were there before. */
export async function readSubscriptionsToRefresh(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select pg_catalog.quote_ident(s.subname) as name from pg_catalog.pg_subscription s
    join pg_catalog.pg_database d on d.oid = s.subdbid where d.datname = pg_catalog.current_database() order by 1`,
  );
  return rows.map(
    ({ name }) =>
      `The subscription ${name} does not fill the new tables yet: alter subscription ${name} refresh publication with (copy_data = false);`,
  );
}
