import type { Column } from '../../../database/catalog/columns.js';
import type { Constraint } from '../../../database/catalog/constraints.js';
import type { DatabaseFacts } from '../../../database/catalog/database-facts.js';
import type { FunctionSignature } from '../../../database/catalog/functions.js';
import type { Index } from '../../../database/catalog/indexes.js';
import type { Partition } from '../../../database/catalog/partitions.js';
import type { Policy } from '../../../database/catalog/policies.js';
import type { ReferencingKey } from '../../../database/catalog/referencing-keys.js';
import type { Relation } from '../../../database/catalog/relations.js';
import type { Schema } from '../../../database/catalog/schemas.js';
import type { Trigger } from '../../../database/catalog/triggers.js';

/** What to show. */
export interface InspectSelection {
  readonly tables?: boolean;
  readonly triggers?: boolean;
  readonly functions?: boolean;
  /** Only this schema, by its exact name. Alone it shows the schema's tables, triggers and functions. */
  readonly schema?: string;
  /** `schema.table`, or a bare name that only one schema has. Quoted names are accepted. */
  readonly table?: string;
}

/** Holds exactly what was asked for; without any flag, `database`, `schemas` and `tables`. */
export interface InspectResult {
  readonly database?: InspectedDatabase;
  readonly schemas?: readonly Schema[];
  readonly tables?: readonly InspectedRelation[];
  readonly triggers?: readonly InspectedTrigger[];
  readonly functions?: readonly FunctionSignature[];
  readonly table?: InspectedTable;
}

export interface InspectedDatabase extends DatabaseFacts {
  /** The database's identity record; null until databases are stamped. */
  readonly stamp: null;
}

/** What the JSON of `inspect-db` says of a relation. */
export type InspectedRelation = Omit<Relation, 'comment'>;

/** What the JSON of `inspect-db` says of a trigger. */
export interface InspectedTrigger extends Trigger {
  /** Whether it is in the trigger registry. */
  readonly managed: boolean;
}

/** One relation in full. */
export interface InspectedTable extends Relation {
  readonly columns: readonly Part<Column>[];
  readonly constraints: readonly Part<Constraint>[];
  readonly indexes: readonly Part<Index>[];
  readonly policies: readonly Part<Policy>[];
  readonly triggers: readonly InspectedTrigger[];
  /** Foreign keys of other tables, and of the table itself, that point here. */
  readonly referencedBy: readonly ReferencingKey[];
  readonly partitions: readonly Partition[];
}

/** A part of one table need not repeat whose it is. */
export type Part<Row> = Omit<Row, 'schema' | 'table'>;

export function asInspectedRelation({ schema, name, kind, rowEstimate, sizeBytes }: Relation): InspectedRelation {
  return { schema, name, kind, rowEstimate, sizeBytes };
}

/** @param managed what is in the trigger registry */
export function asInspectedTriggers(
  triggers: readonly Trigger[],
  managed: readonly { readonly schema: string; readonly table: string; readonly name: string }[],
): readonly InspectedTrigger[] {
  const keyOf = ({ schema, table, name }: (typeof managed)[number]): string => JSON.stringify([schema, table, name]);
  const keys = new Set(managed.map(keyOf));
  return triggers.map(({ definition, ...trigger }) => ({ ...trigger, managed: keys.has(keyOf(trigger)), definition }));
}

export function asPart<Row extends { schema: string; table: string }>({ schema, table, ...part }: Row): Part<Row> {
  return part;
}
