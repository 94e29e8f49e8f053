import { type RowConstraint, readRowConstraints } from '../../../database/catalog/row-constraints.js';
import { readValueTypes, type ValueType } from '../../../database/catalog/value-types.js';
import {
  readWritableRelations,
  type WritableColumn,
  type WritableRelation,
} from '../../../database/catalog/writable-relations.js';
import type { Queryable } from '../../../database/queryable.js';

export interface Condition {
  readonly expression: string;
  /** Those that the catalog knows to be in it. */
  readonly columns: readonly string[];
}

export type ForeignKey = Extract<RowConstraint, { kind: 'foreign key' }>;

/** A relation with all that is known of the rows it accepts. */
export interface RelationModel {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: WritableRelation['kind'];
  readonly columns: ReadonlyMap<string, WritableColumn>;
  readonly conditions: readonly Condition[];
  readonly routes: readonly string[];
  /** Those with most columns first: what they take decides about the others. */
  readonly foreignKeys: readonly ForeignKey[];
  readonly uniqueColumns: ReadonlySet<string>;
}

export interface Models {
  readonly relations: ReadonlyMap<number, RelationModel>;
  readonly types: ReadonlyMap<number, ValueType>;
}

/** Reads everything about the relations `oids`, and those on which they depend, in three queries. */
export async function readModels(db: Queryable, oids: readonly number[]): Promise<Models> {
  const relations = await readWritableRelations(db, oids);
  const constraints = await readRowConstraints(
    db,
    relations.map(({ oid }) => oid),
  );
  const typeOids = relations.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid));
  const types = await readValueTypes(db, [...new Set(typeOids)]);
  const byRelation = new Map<number, RowConstraint[]>();
  for (const constraint of constraints) {
    const known = byRelation.get(constraint.relationOid);
    if (known === undefined) byRelation.set(constraint.relationOid, [constraint]);
    else known.push(constraint);
  }
  const tables = new Map(relations.map((relation) => [relation.oid, relation]));
  return {
    relations: new Map(
      relations.map((relation) => [
        relation.oid,
        relation.kind === 'v'
          ? modelOfView(relation, { tables, constraints: byRelation })
          : modelOf(relation, byRelation.get(relation.oid) ?? []),
      ]),
    ),
    types: new Map(types.map((type) => [type.oid, type])),
  };
}

function modelOf(relation: WritableRelation, constraints: readonly RowConstraint[]): RelationModel {
  const { oid, schema, name, kind, columns, conditions, routes } = relation;
  return {
    oid,
    schema,
    name,
    kind,
    columns: new Map(columns.map((column) => [column.name, column])),
    conditions: [
      ...constraints.filter((constraint) => constraint.kind === 'check'),
      ...conditions.map((expression) => ({ expression, columns: [] })),
    ],
    routes,
    foreignKeys: constraints
      .filter((constraint) => constraint.kind === 'foreign key')
      .sort((a, b) => b.columns.length - a.columns.length),
    uniqueColumns: new Set(
      constraints.flatMap((constraint) => (constraint.kind === 'unique' ? constraint.columns : [])),
    ),
  };
}

/** What a view's triggers do with a row is their own affair; most write it into a table below, as far as names agree. */
function modelOfView(
  view: WritableRelation,
  {
    tables,
    constraints,
  }: {
    readonly tables: ReadonlyMap<number, WritableRelation>;
    readonly constraints: ReadonlyMap<number, readonly RowConstraint[]>;
  },
): RelationModel {
  const sources = view.sources.flatMap((oid) => tables.get(oid) ?? []);
  const below = (column: WritableColumn): WritableColumn | undefined => {
    const matches = sources
      .flatMap((source) => source.columns)
      .filter(({ name, typeOid }) => name === column.name && typeOid === column.typeOid);
    return matches.length === 1 ? matches[0] : undefined;
  };
  const columns = view.columns.map((column) => {
    const { isNullable, identity, generated } = below(column) ?? column;
    const hasDefault = below(column)?.default !== null && below(column) !== undefined;
    // what the table below fills in by itself need not come through the view
    return { ...column, identity, generated, isNullable: isNullable || hasDefault };
  });
  const known = new Set(columns.filter((column) => below(column) !== undefined).map(({ name }) => name));
  const applicable = sources
    .flatMap(({ oid }) => constraints.get(oid) ?? [])
    .filter((constraint) => constraint.columns.every((column) => known.has(column)));
  return modelOf({ ...view, columns }, applicable);
}
