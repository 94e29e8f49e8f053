import type { Readable } from 'node:stream';
import { escapeLiteral } from 'pg';
import { switchConstraintTriggers } from '../../../../database/catalog/constraint-trigger-modes.js';
import { unknownStatementFor } from '../../backup/dump/unknown-setting.js';
import { type Manifest, usersTables } from '../../manifest/manifest.js';
import { inLargeChunks, withoutTransaction } from '../restore-script.js';
import type { Dropping } from './dropping.js';
import type { TransactionRestore } from './request.js';

/** Milliseconds that it waits for a table that somebody works with; everything behind it waits as long. */
export const LOCK_TIMEOUT_MS = 10_000;

/** Said when every table is locked. */
export const LOCKED = 'manage_db: nobody writes any more';

/** Said when what was there is dropped. */
export const DROPPED = 'manage_db: nothing is there any more';

/** Said when everything is loaded. */
export const LOADED = 'manage_db: all is loaded';

/** What the comparison at the end fails with, before the differences. */
export const NOT_AS_BACKED_UP = 'manage_db: not what was backed up: ';

export interface Script {
  readonly restore: TransactionRestore;
  readonly plan: Dropping;
  /** What is restored under instead of an empty one. */
  readonly searchPath: string | null;
  readonly owners: readonly string[];
  /** Nobody writes any more; `false`: nobody will ever say so. */
  readonly locked: Promise<boolean>;
  readonly backUp: () => Promise<void>;
  /** The archive has been read to its end without an error. */
  readonly whole: Promise<void>;
  /** Psql has done all but the end; `false`: nobody will ever say so. */
  readonly loaded: Promise<boolean>;
  readonly beforeCommit: () => Promise<void>;
  /** Told before the last line is given away. */
  readonly onCommit: () => void;
}

/** What psql executes. Without its last line nothing has happened. */
export async function* script(
  contents: Readable,
  { restore, plan, searchPath, owners, locked, backUp, whole, loaded, beforeCommit, onCommit }: Script,
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
  yield `${plan.statements.join(';\n')};\n${notice(`${DROPPED}'`)}`;
  const unknownStatement = unknownStatementFor(serverMajor);
  yield* inLargeChunks(withoutTransaction(contents, { unknownStatement, searchPath }));
  // what it writes ends before it has ended, and before it has said whether all was well
  await whole;
  yield notice(`${LOADED}'`);
  if (!(await loaded)) return;
  await beforeCommit();
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

function dollarQuoted(text: string): string {
  for (let index = 0; ; index += 1) {
    const tag = `$manage_db_${index}$`;
    if (!text.includes(tag)) return `${tag}${text}${tag}`;
  }
}
