import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { escapeLiteral } from 'pg';
import {
  countLargeObjects,
  readDatabaseObjects,
  UNLINK_LARGE_OBJECTS,
} from '../../../database/catalog/database-objects.js';
import { readDroppableSchemas } from '../../../database/catalog/droppable-schemas.js';
import { readLockHolders } from '../../../database/catalog/lock-holders.js';
import { readUserObjects } from '../../../database/catalog/user-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import { type ClientTools, findClientTools, runClientTool } from '../../../services/client-tools.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { DUMP_NAMES } from '../backup/dump.js';
import { FIRST_MAJOR_THAT_KNOWS_IT, UNKNOWN_SETTING } from '../backup/load.js';
import type { Manifest, TableRows } from '../backup/manifest.js';
import { tableProgress } from '../backup/table-progress.js';
import { countTableRows } from '../backup/table-rows.js';
import { together } from '../backup/together.js';
import { dropStatements } from '../maintenance/drop-statements.js';
import { notOwned } from '../maintenance/not-owned.js';
import { withoutTransaction } from './restore-script.js';

export interface TransactionRestore {
  readonly target: Target;
  /** Of the backup. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly serverMajor: number;
  readonly controls: OperationControls;
}

/** Milliseconds that it waits for a table that somebody works with; everything behind it waits as long. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Restores a backup inside the live database, in one transaction: everything of the users is dropped, the archive is
 * loaded, and the rows are counted; only if they are those of the manifest is it committed. Whatever fails or dies before
 * that, nothing has happened. What is kept: what manage_db knows about
 * the database itself, extensions, and subscriptions.
 *
 * Readers wait from the first DROP to the end. Returns the tables.
 *
 * @throws ManageDbError `USAGE` for a plain dump, `PERMISSION_DENIED` naming what belongs to others, `LOCK_TIMEOUT`,
 *   `BACKUP_INVALID` when the counts differ, `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function restoreInTransaction(restore: TransactionRestore): Promise<TableRows[]> {
  const { target, manifest, serverMajor, controls } = restore;
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
  const plan = await withConnection(settings, { signal: controls.signal }, (db) => dropping(db, target));
  controls.onProgress?.({ step: 'restoring in one transaction' });
  const xid = await execute(restore, tools, plan).catch(async (error: unknown) => {
    throw await named(error, restore);
  });
  return withConnection(settings, { signal: controls.signal }, async (db) => {
    await requireCommitted(db, xid);
    controls.onProgress?.({ step: 'analyzing' });
    await db.query('analyze');
    return (await countTableRows(db, controls)).filter(isUsers);
  });
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
  if (!/canceling statement due to lock timeout/.test(text)) return error;
  const { settings } = target;
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
  /** What has to go first, in order. */
  readonly statements: readonly string[];
  /** What stays because an extension lives in it, besides public. */
  readonly keptSchemas: readonly string[];
}

/** Nothing is dropped yet. */
async function dropping(db: Queryable, target: Target): Promise<Dropping> {
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
  const { rows } = await db.query<{ name: string }>(SCHEMAS);
  const droppable = new Set(schemas.map(({ name }) => name));
  const statements = [
    ...outside.map(({ kind, identity }) => `drop ${WORDS[kind] ?? kind} if exists ${identity} cascade`),
    ...dropStatements(inside, schemas).map(({ sql }) => sql),
    ...(large.all > 0 ? [UNLINK_LARGE_OBJECTS] : []),
    ...OF_CONTENTS.map((table) => `delete from manage_db.${table}`),
  ];
  return { statements, keptSchemas: rows.map(({ name }) => name).filter((name) => !droppable.has(name)) };
}

/** manage_db's records of what is in a database; the others are of the database itself, and stay. */
const OF_CONTENTS = ['trigger_registry', 'trigger_functions', 'migrations'];

const SCHEMAS = `
  select n.nspname::text as name from pg_catalog.pg_namespace n
  where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'public')`;

/** What DROP calls the kinds that the catalog names otherwise. */
const WORDS: Readonly<Record<string, string>> = { 'foreign-data wrapper': 'foreign data wrapper' };

/** Returns the id of the transaction. */
async function execute(restore: TransactionRestore, tools: ClientTools, plan: Dropping): Promise<string> {
  const { target, folder, manifest, controls } = restore;
  const { settings } = target;
  const temporary = await mkdtemp(join(tmpdir(), 'manage-db-restore-'));
  let xid = '';
  try {
    const list = join(temporary, 'list');
    const archive = join(folder, DUMP_NAMES[manifest.format]);
    await writeFile(list, await contentsOf(archive, { tools, restore, plan }));
    const loaded = new PassThrough();
    const whole = latch();
    await together(
      controls.signal,
      async (signal) => {
        const args = [`--use-list=${list}`, '--single-transaction', '--file=-', archive];
        await runClientTool(tools.pgRestore, args, { settings, signal, stdout: loaded });
        whole.open();
      },
      async (signal) => {
        const stdin = Readable.from(script(loaded, { restore, drops: plan.statements, whole: whole.opened }));
        const progress = tableProgress({
          onProgress: controls.onProgress,
          verb: 'restoring',
          jobs: 1,
          total: manifest.tables.length,
        });
        await runClientTool(tools.psql, ['--set=ON_ERROR_STOP=1', '--quiet', '--output=/dev/null', '--file=-'], {
          settings,
          signal,
          stdin,
          onStderr: (line) => {
            xid = /manage_db transaction (\d+)/.exec(line)?.[1] ?? xid;
            progress(line);
          },
        });
      },
    );
    return xid;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Everything but manage_db's own records, which are those of the live database, and what is kept in it. */
async function contentsOf(
  archive: string,
  { tools, plan, restore: { target, controls } }: { tools: ClientTools; plan: Dropping; restore: TransactionRestore },
): Promise<string> {
  const { stdout } = await runClientTool(tools.pgRestore, ['--list', archive], {
    settings: target.settings,
    signal: controls.signal,
  });
  return stdout
    .split('\n')
    .filter((line) => OURS.test(line) || !KEPT.test(line))
    .filter((line) => !plan.keptSchemas.some((name) => line.includes(` SCHEMA - ${name} `)))
    .join('\n');
}

/** `3347; 2615 16386 SCHEMA - manage_db postgres`: kind in capitals, schema, name, owner. */
const KEPT =
  /^\d+; \d+ \d+ (?:[A-Z ]+ manage_db |SCHEMA - manage_db |(?:ACL|COMMENT|SECURITY LABEL) - (?:SCHEMA manage_db|SUBSCRIPTION|EXTENSION) |SUBSCRIPTION(?: TABLE)? )/;

const OURS = new RegExp(`^\\d+; \\d+ \\d+ TABLE DATA manage_db (?:${OF_CONTENTS.join('|')}) `);

interface Script {
  readonly restore: TransactionRestore;
  readonly drops: readonly string[];
  /** The archive has been read to its end without an error. */
  readonly whole: Promise<void>;
}

/** What psql executes. Without its last line nothing has happened. */
async function* script(loaded: Readable, { restore, drops, whole }: Script): AsyncGenerator<Buffer | string> {
  const { manifest, serverMajor } = restore;
  yield `begin;
set local lock_timeout = ${LOCK_TIMEOUT_MS};
set local statement_timeout = 0;
set local client_min_messages = notice;
do $$ begin raise notice 'manage_db transaction %', pg_catalog.pg_current_xact_id(); end $$;
set local client_min_messages = error;
`;
  yield `${drops.join(';\n')};\n`;
  yield* withoutTransaction(loaded, {
    unknownStatement: serverMajor < FIRST_MAJOR_THAT_KNOWS_IT ? UNKNOWN_SETTING : null,
  });
  // what it writes ends before it has ended, and before it has said whether all was well
  await whole;
  yield `${comparing(manifest)};\ncommit;\n`;
}

/** Fails with what is not as it was backed up. */
function comparing(manifest: Manifest): string {
  const expected = JSON.stringify(manifest.tables.filter(isUsers));
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

function isUsers({ schema }: TableRows): boolean {
  return schema !== 'manage_db';
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

/** psql may have lost its connection after the commit had arrived, or before: the server knows. */
async function requireCommitted(db: Queryable, xid: string): Promise<void> {
  const { rows } = await db.query<{ status: string | null }>(
    'select pg_catalog.pg_xact_status($1::text::xid8) as status',
    [xid],
  );
  if (rows[0]?.status === 'committed') return;
  throw new ManageDbError('CONNECTION_LOST', `The transaction ${xid} of the restore was not committed.`);
}
