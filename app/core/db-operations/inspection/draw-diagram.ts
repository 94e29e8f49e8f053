import { type Column, readColumns } from '../../../database/catalog/columns.js';
import { type Entity, readEntities } from '../../../database/catalog/entities.js';
import { type EntityKey, readEntityKeys } from '../../../database/catalog/entity-keys.js';
import { type EntityReference, readEntityReferences } from '../../../database/catalog/entity-references.js';
import { readPartitionRoot } from '../../../database/catalog/partitions.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import { shellQuote } from '../../shell-quote.js';
import { asMermaid, type DrawnEntity, type DrawnRelationship } from './as-mermaid.js';
import { findRelation, qualified } from './find-relation.js';
import type { InspectedDiagram } from './inspected.js';

/** What Mermaid draws unless its user has raised the limits. */
const LONGEST_TEXT = 50_000;
const MOST_EDGES = 500;

/**
 * The tables with their columns and keys, and what refers to what. Partitions are drawn as the table that they are parts of; views
 * are not drawn. Of one schema, what lies beyond it is drawn by its name; a table is drawn with its neighbours in full.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE` (the name is in more than one schema, or of a view)
 */
export async function drawDiagram(
  db: Queryable,
  { schema, table }: { readonly schema?: string | undefined; readonly table?: string | undefined },
): Promise<InspectedDiagram> {
  const drawable = await readEntities(db);
  const references = await readEntityReferences(db);
  const centre = table === undefined ? null : await centreOf(db, drawable, table, schema);
  const names = new Set(
    centre === null
      ? drawable.filter((entity) => schema === undefined || entity.schema === schema).map(keyOf)
      : [centre, ...references.flatMap((reference) => neighbours(reference, centre))],
  );
  const drawn = references.filter((reference) => {
    const isDrawn = endsOf(reference).map((end) => names.has(end));
    return centre === null ? isDrawn.includes(true) : !isDrawn.includes(false);
  });
  const entities = drawable.filter((entity) => names.has(keyOf(entity)));
  return asDiagram(entities, drawn, {
    columns: await readColumns(db, centre === null && schema !== undefined ? { schema } : {}),
    keys: await readEntityKeys(db),
  });
}

async function centreOf(
  db: Queryable,
  drawable: readonly Entity[],
  typed: string,
  schema: string | undefined,
): Promise<string> {
  const found = await findRelation(db, typed, schema);
  const root = (await readPartitionRoot(db, found.oid)) ?? found;
  if (drawable.some((entity) => keyOf(entity) === keyOf(root))) return keyOf(root);
  throw new ManageDbError(
    'USAGE',
    `${qualified(found)} is not drawn: a diagram shows tables and what refers to what.`,
    {
      hint: `See what it is: ${nextCommand(`inspect-db --table ${shellQuote(qualified(found))}`)}`,
      details: { table: qualified(found) },
    },
  );
}

function asDiagram(
  entities: readonly Entity[],
  references: readonly EntityReference[],
  { columns, keys }: { readonly columns: readonly Column[]; readonly keys: readonly EntityKey[] },
): InspectedDiagram {
  const columnsOf = byTable(columns);
  const keysOf = byTable(keys);
  const referring = byTable(references);
  const drawnEntities = entities.map((entity): DrawnEntity => {
    const own = keysOf.get(keyOf(entity)) ?? [];
    return {
      ...entity,
      columns: columnsOf.get(keyOf(entity)) ?? [],
      primary: own.find(({ isPrimary }) => isPrimary)?.columns ?? [],
      unique: own.filter(({ isPrimary }) => !isPrimary).map((key) => key.columns),
      foreign: (referring.get(keyOf(entity)) ?? []).map((reference) => reference.columns),
    };
  });
  const relationships = references.map((reference): DrawnRelationship => {
    const own = keysOf.get(keyOfPart(reference)) ?? [];
    const isIn = (key: EntityKey): boolean => key.columns.every((column) => reference.columns.includes(column));
    const primary = own.find(({ isPrimary }) => isPrimary)?.columns ?? [];
    return {
      from: { schema: reference.targetSchema, name: reference.targetTable },
      to: { schema: reference.schema, name: reference.table },
      columns: reference.columns,
      isMandatory: reference.isMandatory,
      isAtMostOne: own.some(isIn),
      isIdentifying: reference.columns.every((column) => primary.includes(column)),
    };
  });
  const mermaid = asMermaid(drawnEntities, relationships);
  return {
    mermaid,
    tables: entities.length,
    relationships: references.length,
    path: null,
    warnings: warningsOf(mermaid, references.length),
  };
}

function warningsOf(mermaid: string, relationships: number): readonly string[] {
  if (mermaid.length <= LONGEST_TEXT && relationships <= MOST_EDGES) return [];
  return [
    `The diagram is large (${mermaid.length} characters, ${relationships} relationships): Mermaid draws ${LONGEST_TEXT} and ${MOST_EDGES} unless its settings maxTextSize and maxEdges say more. --schema or --table make it smaller.`,
  ];
}

function byTable<Part extends { readonly schema: string; readonly table: string }>(
  parts: readonly Part[],
): ReadonlyMap<string, readonly Part[]> {
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const key = keyOfPart(part);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [part]);
    else group.push(part);
  }
  return groups;
}

function neighbours(reference: EntityReference, centre: string): readonly string[] {
  const ends = endsOf(reference);
  return ends.includes(centre) ? ends : [];
}

function endsOf(reference: EntityReference): readonly string[] {
  return [keyOfPart(reference), JSON.stringify([reference.targetSchema, reference.targetTable])];
}

function keyOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}

function keyOfPart({ schema, table }: { readonly schema: string; readonly table: string }): string {
  return JSON.stringify([schema, table]);
}
