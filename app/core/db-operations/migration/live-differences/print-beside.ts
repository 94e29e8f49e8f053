import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import {
  hasEventTriggers,
  type PrintedDefinition,
  type PrintedTrigger,
  readArgumentTypes,
  readPrintedRoutine,
  readPrintedTrigger,
  readPrintedView,
} from '../../../../database/catalog/live-definitions.js';
import type { NamedRelation } from '../../../../database/catalog/named-objects.js';
import { inSavepoint, inUndoneSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import { readDefinitions, type WrittenDefinition } from '../../../../services/sql-script.js';
import { messageOf } from '../../../errors.js';

/** What is there, and what a statement would make of it, printed alike. */
export interface BothSides {
  readonly live: PrintedDefinition | PrintedTrigger | null;
  /** `null`: it could not be made, for the reason in `because`. */
  readonly wanted: string | null;
  readonly because: string | null;
  /** What PostgreSQL says to OR REPLACE; `null`: it does it, or there is nothing to replace. */
  readonly cannotReplace: string | null;
}

export interface Beside {
  readonly definition: WrittenDefinition;
  /** Of a function, procedure or view the one in which it is made. */
  readonly schema: string;
  /** Of a trigger. */
  readonly table: NamedRelation | null;
  /** With which the names in it are found. */
  readonly searchPath: string;
}

/**
 * Makes what `definition` makes under another name in the session's temporary schema, has PostgreSQL print it as it prints
 * what is there, and rolls it back: no text of a file looks like what the catalog gives back. What is there is not touched,
 * and nothing waits for it.
 *
 * @param db in an open transaction that may write, with the search_path pinned
 */
export function printBeside(db: Queryable, beside: Beside): Promise<BothSides> {
  return inUndoneSavepoint(db, () => printed(db, beside));
}

async function printed(db: Queryable, beside: Beside): Promise<BothSides> {
  const { definition, table } = beside;
  const name = `beside_${randomBytes(6).toString('hex')}`;
  const made = (await hasEventTriggers(db))
    ? 'an event trigger would fire'
    : await attempt(db, beside, () => make(db, beside, name));
  await setPath(db, '');
  if (definition.kind === 'trigger') {
    const live =
      table === null
        ? null
        : await readPrintedTrigger(db, { schema: table.schema, table: table.name, name: definition.name.name });
    const wanted =
      made === null
        ? await readPrintedTrigger(db, { schema: 'pg_temp', table: name, name: definition.name.name })
        : null;
    const cannotReplace =
      live !== null && (live.isConstraint || definition.isConstraint)
        ? 'a constraint trigger cannot be replaced'
        : null;
    return { live, wanted: named(definition, wanted, live), because: made, cannotReplace };
  }
  const wanted = made !== null ? null : await readTemporary(db, definition, name);
  const live = await readLive(db, beside, wanted);
  const cannotReplace = live === null || made !== null ? null : await refusalOfReplace(db, beside, live);
  return { live, wanted: named(definition, wanted, live), because: made, cannotReplace };
}

async function make(db: Queryable, { definition, table }: Beside, name: string): Promise<void> {
  const { kind, parts } = definition;
  if (parts === null) throw new Error('its words cannot be taken apart');
  const temporary = `pg_temp.${escapeIdentifier(name)}`;
  if (kind !== 'trigger') {
    await db.query(`create ${kind} ${temporary}${parts.after}`);
    return;
  }
  if (table === null) throw new Error('its table is not there');
  const like = `${escapeIdentifier(table.schema)}.${escapeIdentifier(table.name)}`;
  await db.query(
    table.kind === 'v'
      ? `create temporary view ${escapeIdentifier(name)} as select * from ${like}`
      : `create temporary table ${escapeIdentifier(name)} (like ${like})`,
  );
  await db.query(`${parts.before}${temporary}${parts.after}`);
}

function readTemporary(db: Queryable, { kind }: WrittenDefinition, name: string) {
  return kind === 'view'
    ? readPrintedView(db, { schema: 'pg_temp', name })
    : readPrintedRoutine(db, { schema: 'pg_temp', name, argumentTypes: null });
}

async function readLive(
  db: Queryable,
  { definition, schema, searchPath }: Beside,
  wanted: PrintedDefinition | null,
): Promise<PrintedDefinition | null> {
  const { name } = definition.name;
  if (definition.kind === 'view') return readPrintedView(db, { schema, name });
  if (wanted !== null && 'argumentTypes' in wanted) {
    return readPrintedRoutine(db, { schema, name, argumentTypes: String(wanted.argumentTypes) });
  }
  await setPath(db, searchPath);
  const argumentTypes = await readArgumentTypes(db, definition.argumentTypes);
  await setPath(db, '');
  return argumentTypes === null ? null : readPrintedRoutine(db, { schema, name, argumentTypes });
}

/** Makes what is there under another name too, and lets PostgreSQL say whether the new one may replace it. */
async function refusalOfReplace(db: Queryable, beside: Beside, live: PrintedDefinition): Promise<string | null> {
  const { kind, parts } = beside.definition;
  const [statement] = (await readDefinitions({ path: '', sql: live.definition, firstLine: 1 })) ?? [];
  const own = statement?.definition?.parts ?? null;
  const liveKind = statement?.definition?.kind ?? kind;
  if (own === null || parts === null) return null;
  const name = `pg_temp.${escapeIdentifier(`beside_${randomBytes(6).toString('hex')}`)}`;
  const isCopied =
    (await attempt(db, { searchPath: '' }, () => db.query(`create ${liveKind} ${name}${own.after}`))) === null;
  return isCopied ? attempt(db, beside, () => db.query(`create or replace ${kind} ${name}${parts.after}`)) : null;
}

/** `null`: it worked; otherwise what the server says. */
async function attempt(
  db: Queryable,
  { searchPath }: Pick<Beside, 'searchPath'>,
  work: () => Promise<unknown>,
): Promise<string | null> {
  try {
    await inSavepoint(db, async () => {
      await db.query(
        `select pg_catalog.set_config('check_function_bodies', 'off', true), pg_catalog.set_config('lock_timeout', '1s', true),
           pg_catalog.set_config('statement_timeout', '5s', true), pg_catalog.set_config('client_min_messages', 'error', true)`,
      );
      await setPath(db, searchPath);
      await work();
    });
    return null;
  } catch (error) {
    if (isServerError(error) && error.code.startsWith('57P')) throw error;
    return messageOf(error);
  }
}

async function setPath(db: Queryable, searchPath: string): Promise<void> {
  await db.query(`select pg_catalog.set_config('search_path', $1, true)`, [searchPath]);
}

/** As it would be printed under its own name: that of the live one stands in front of it, or of its table. */
function named(
  { kind }: WrittenDefinition,
  wanted: PrintedDefinition | null,
  live: PrintedDefinition | null,
): string | null {
  if (wanted === null || live === null) return wanted?.definition ?? null;
  const own =
    kind === 'trigger'
      ? live.identity.slice(wanted.identity.lastIndexOf(' on ') + ' on '.length)
      : live.identity.replace(kind === 'view' ? '' : /\([^()]*\)$/, '');
  // the session's own schema is found without being written
  return wanted.definition.replace(/(?:pg_temp(?:_\d+)?\.)?beside_[0-9a-f]{12}/, () => own);
}
