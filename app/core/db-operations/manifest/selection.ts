import { escapeIdentifier } from 'pg';
import { readPartitionsBelow } from '../../../database/catalog/partitions.js';
import type { RelationName } from '../../../database/catalog/relation-names.js';
import { readSchemas } from '../../../database/catalog/schemas.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { findRelation, qualified, quotedWhereNeeded } from '../inspection/find-relation.js';
import { requireSchema } from '../inspection/require-schema.js';
import type { Manifest } from './manifest.js';

/** What somebody wants to have in a backup, as they type it; nothing at all is everything. */
export interface WantedSelection {
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
  readonly excludedData: readonly string[];
}

/** The same, found in the catalog; the partitions of a table are with it. */
export interface Selection {
  readonly said: Manifest['selection'];
  readonly schemas: readonly string[];
  readonly tables: readonly RelationName[];
  readonly excludedData: readonly RelationName[];
}

type Named = Pick<RelationName, 'schema' | 'name'>;

/**
 * Looks up what is to be dumped. pg_dump takes patterns, and a missing name is nothing to it; so it gets names that exist.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE` for a table that several schemas have
 */
export async function resolveSelection(db: Queryable, wanted: WantedSelection): Promise<Selection> {
  const schemas: string[] = [];
  for (const typed of wanted.schemas) schemas.push(await findSchema(db, typed));
  const tables = await findTables(db, wanted.tables);
  const excludedData = await findTables(db, wanted.excludedData);
  return {
    said: {
      schemas: [...new Set(schemas)].map(quotedWhereNeeded),
      tables: tables.map(qualified),
      excludedData: excludedData.map(qualified),
    },
    schemas: [...new Set(schemas)],
    tables: [...tables, ...(await readPartitionsBelow(db, oidsOf(tables)))],
    excludedData: [...excludedData, ...(await readPartitionsBelow(db, oidsOf(excludedData)))],
  };
}

/** Whether a table is dumped, and whether its rows are. */
export function isSelected({ schemas, tables }: Selection, table: Named): boolean {
  if (tables.length > 0) return tables.some((one) => isSame(one, table));
  return schemas.length === 0 || schemas.includes(table.schema);
}

export function isDataExcluded({ excludedData }: Selection, table: Named): boolean {
  return excludedData.some((one) => isSame(one, table));
}

/** The patterns of pg_dump that mean exactly these names: what is in quotes is taken as it is. */
export function patternsOf({ schemas, tables, excludedData }: Selection) {
  const pattern = ({ schema, name }: Named) => `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
  return {
    schemas: schemas.map((schema) => escapeIdentifier(schema)),
    tables: tables.map(pattern),
    excludedData: excludedData.map(pattern),
  };
}

/** What such a backup leaves out, in words. */
export function leftOutOf({ said }: Selection): string[] {
  const { schemas, tables, excludedData } = said;
  return [
    ...(schemas.length > 0 ? [`everything but the schemas ${schemas.join(', ')}`] : []),
    ...(tables.length > 0 ? [`everything but the tables ${tables.join(', ')}`] : []),
    ...(excludedData.length > 0 ? [`the rows of ${excludedData.join(', ')}`] : []),
  ];
}

async function findSchema(db: Queryable, typed: string): Promise<string> {
  const names = (await readSchemas(db)).map(({ name }) => name);
  const isMeant = (word: string) => (name: string) => name === word || escapeIdentifier(name) === word;
  const found = names.find(isMeant(typed)) ?? names.find(isMeant(typed.toLowerCase()));
  if (found === undefined) await requireSchema(db, typed);
  return found ?? typed;
}

async function findTables(db: Queryable, typed: readonly string[]): Promise<RelationName[]> {
  const found = new Map<number, RelationName>();
  for (const name of typed) {
    if (name === '')
      throw new ManageDbError('USAGE', 'A table has a name.', { hint: 'See: manage_db create-backup --help' });
    const relation = await findRelation(db, name);
    found.set(relation.oid, relation);
  }
  return [...found.values()];
}

function oidsOf(relations: readonly RelationName[]): number[] {
  return relations.map(({ oid }) => oid);
}

function isSame(one: Named, other: Named): boolean {
  return one.schema === other.schema && one.name === other.name;
}
