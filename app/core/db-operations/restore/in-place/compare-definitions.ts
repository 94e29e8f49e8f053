import {
  type ColumnDifference,
  type ColumnInWords,
  readColumnDifferences,
} from '../../../../database/catalog/column-differences.js';
import type { RelationInPlace } from '../../../../database/catalog/tables-in-place.js';
import { inSavepoint, inUndoneSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { errorCodeOf, isServerError } from '../../../../services/database-errors.js';
import { PermissionError } from '../../../errors.js';
import { isOfSearchPath, underSearchPath } from '../../database-state/search-path.js';
import { qualified } from '../../inspection/find-relation.js';
import type { ChosenTable } from './choose-tables.js';

/** A table that is in the backup and in the live database. */
export interface PresentTable {
  readonly table: ChosenTable;
  readonly live: RelationInPlace;
}

/** By table and column: `a` always, `d` by default. */
export type Identities = readonly {
  readonly schema: string;
  readonly name: string;
  readonly column: string;
  readonly kind: string;
}[];

export interface Comparison {
  /** Why rows of the backup do not fit, in sentences. */
  readonly differences: readonly string[];
  /** Columns that the backup does not know, by table: they get their defaults. */
  readonly added: readonly { readonly table: ChosenTable; readonly columns: readonly string[] }[];
}

export interface Comparing {
  readonly present: readonly PresentTable[];
  readonly identities: Identities;
  /** What functions of generated columns find things by. */
  readonly searchPath: string;
}

/**
 * Compares the definitions of tables with those in the backup. The server is asked: each is made as the backup made it, as
 * a temporary table, and both are looked at in the catalog; then they are gone again.
 *
 * @param db in a transaction
 * @throws ManageDbError `PERMISSION_DENIED` without the right to make temporary tables
 */
export async function compareDefinitions(
  db: Queryable,
  { present, identities, searchPath }: Comparing,
): Promise<Comparison> {
  return inUndoneSavepoint(db, async () => {
    const made: PresentTable[] = [];
    const differences: string[] = [];
    for (const one of present) {
      const problem = await make(db, one, { index: made.length, searchPath });
      if (problem === null) made.push(one);
      else differences.push(problem);
    }
    const found = await readColumnDifferences(db, await pairsOf(db, made));
    const added: { table: ChosenTable; columns: string[] }[] = [];
    for (const [index, { table }] of made.entries()) {
      const own = found.filter(({ position }) => position === index + 1);
      const extra = own.filter(isHarmless).map(({ name }) => name);
      if (extra.length > 0) added.push({ table, columns: extra });
      differences.push(...own.filter((one) => !isHarmless(one)).map((one) => inWords(one, qualified(table))));
    }
    return { differences: [...differences, ...(await identityDifferences(db, made, identities))], added };
  });
}

async function make(
  db: Queryable,
  { table }: PresentTable,
  { index, searchPath }: { readonly index: number; readonly searchPath: string },
): Promise<string | null> {
  const definition = `create temporary table pg_temp.${nameOf(index)}${table.definition}`;
  try {
    await inSavepoint(db, () => underSearchPath(db, searchPath, () => db.query(definition)));
    return null;
  } catch (error) {
    // with the right search_path there may be no difference at all
    if (!isServerError(error) || (searchPath === '' && isOfSearchPath(error))) throw error;
    if (errorCodeOf(error.code) === 'PERMISSION_DENIED' && /temporary/.test(error.message)) {
      throw new PermissionError('The login may not make temporary tables, which definitions are compared by.', {
        hint: 'As the owner of the database: grant temporary on database <database> to <login>;',
        cause: error,
      });
    }
    return `${qualified(table)} cannot be made as it was: ${error.message}`;
  }
}

function nameOf(index: number): string {
  return `manage_db_definition_${index}`;
}

async function pairsOf(db: Queryable, made: readonly PresentTable[]): Promise<{ first: number; second: number }[]> {
  const { rows } = await db.query<{ name: string; oid: number }>(
    `select c.relname::text as name, c.oid from pg_catalog.pg_class c
     where c.relnamespace = pg_catalog.pg_my_temp_schema() and c.relname like 'manage\\_db\\_definition\\_%'`,
  );
  const oids = new Map(rows.map(({ name, oid }) => [name, oid]));
  return made.map(({ live }, index) => ({ first: oids.get(nameOf(index)) ?? 0, second: live.oid }));
}

function isHarmless({ first, second }: ColumnDifference): boolean {
  return first === null && second?.isOptional === true;
}

function inWords({ name, first, second }: ColumnDifference, table: string): string {
  const column = `${table}.${name}`;
  if (second === null) return `${column} (${described(first)}) is not there any more`;
  if (first === null) return `${column} (${described(second)}) is new, and needs a value`;
  return `${column} is ${described(second)}, and was ${described(first)}`;
}

function described(column: ColumnInWords | null): string {
  if (column === null) return 'nothing';
  return column.generated === null ? column.type : `${column.type} generated as ${column.generated.slice(1)}`;
}

async function identityDifferences(
  db: Queryable,
  present: readonly PresentTable[],
  identities: Identities,
): Promise<string[]> {
  const { rows } = await db.query<{ oid: number; column: string; kind: string }>(
    `select a.attrelid as oid, a.attname::text as column, a.attidentity::text as kind from pg_catalog.pg_attribute a
     where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped and a.attidentity <> ''`,
    [present.map(({ live }) => live.oid)],
  );
  return present.flatMap(({ table, live }) => {
    // a partition has them from its parent, and the archive does not say them again
    if (live.parent !== null) return [];
    const then = identities.filter(({ schema, name }) => schema === table.schema && name === table.name);
    const now = rows.filter(({ oid }) => oid === live.oid);
    const kindThen = (column: string) => then.find((one) => one.column === column)?.kind ?? null;
    const kindNow = (column: string) => now.find((one) => one.column === column)?.kind ?? null;
    const columns = new Set([...then, ...now].map(({ column }) => column));
    return [...columns]
      .filter((column) => kindThen(column) !== kindNow(column) && kindThen(column) !== null)
      .map(
        (column) =>
          `${qualified(table)}.${column} is ${identity(kindNow(column))}, and was ${identity(kindThen(column))}`,
      );
  });
}

function identity(kind: string | null): string {
  if (kind === null) return 'no identity column';
  return `generated ${kind === 'a' ? 'always' : 'by default'} as identity`;
}
