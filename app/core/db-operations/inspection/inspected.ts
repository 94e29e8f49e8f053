import type { Column } from '../../../database/catalog/columns.js';
import type { Constraint } from '../../../database/catalog/constraints.js';
import type { DatabaseFacts } from '../../../database/catalog/database-facts.js';
import type { FunctionSignature } from '../../../database/catalog/functions.js';
import type { Index } from '../../../database/catalog/indexes.js';
import type { Partition } from '../../../database/catalog/partitions.js';
import type { Policy } from '../../../database/catalog/policies.js';
import type { Privilege } from '../../../database/catalog/privileges.js';
import type { ReferencingKey } from '../../../database/catalog/referencing-keys.js';
import type { RelationDetails } from '../../../database/catalog/relation-details.js';
import type { Relation } from '../../../database/catalog/relations.js';
import type { Rule } from '../../../database/catalog/rules.js';
import type { Schema } from '../../../database/catalog/schemas.js';
import type { Trigger, TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Stamp } from '../../../database/records/identity.js';

/** What to show. */
export interface InspectSelection {
  readonly tables?: boolean;
  readonly triggers?: boolean;
  readonly functions?: boolean;
  /** Only this schema, by its exact name. Alone it shows the schema's tables, triggers and functions. */
  readonly schema?: string;
  /** `schema.table`, or a bare name that only one schema has. Quoted names are accepted. */
  readonly table?: string;
  /**
   * A diagram of the tables instead: all of them, those of `schema`, or `table` with its neighbours. A path has it written there
   * as well.
   */
  readonly diagram?: boolean | string;
}

/** Holds exactly what was asked for; without any flag, `database`, `schemas` and `tables`. */
export interface InspectResult {
  readonly database?: InspectedDatabase;
  readonly schemas?: readonly Schema[];
  readonly tables?: readonly InspectedRelation[];
  readonly triggers?: readonly InspectedTrigger[];
  readonly functions?: readonly FunctionSignature[];
  readonly table?: InspectedTable;
  readonly diagram?: InspectedDiagram;
}

export interface InspectedDatabase extends DatabaseFacts {
  /** The database's identity record; null where it is not stamped, or this login may not know. */
  readonly stamp: Stamp | null;
  /** Records of manage_db are there, and this login may not read them. */
  readonly isStampHidden: boolean;
}

/** What the JSON of `inspect-db` says of a relation. */
export type InspectedRelation = Relation;

/** What the JSON of `inspect-db` says of a trigger. */
export interface InspectedTrigger extends Trigger {
  /** Whether it is in the trigger registry. */
  readonly managed: boolean;
}

/** One relation in full. */
export interface InspectedTable extends Relation, RelationDetails {
  readonly columns: readonly Part<Column>[];
  readonly constraints: readonly Part<Constraint>[];
  readonly indexes: readonly Part<Index>[];
  readonly policies: readonly Part<Policy>[];
  readonly rules: readonly Part<Rule>[];
  /** In the order in which they fire; of a partition, also those that it has from its parent. */
  readonly triggers: readonly InspectedTrigger[];
  /** What fires in an ordinary session when the table itself is written to. */
  readonly firingOrder: readonly FiringOrder[];
  readonly privileges: readonly Part<Privilege>[];
  /** Foreign keys of other tables, and of the table itself, that point here. */
  readonly referencedBy: readonly ReferencingKey[];
  readonly partitions: readonly Partition[];
}

/** The triggers that one event calls, by their names, in that order. */
export interface FiringOrder {
  readonly event: TriggerEvent;
  readonly triggers: readonly string[];
}

/** An entity relationship diagram. */
export interface InspectedDiagram {
  /** The diagram itself, as Mermaid reads it. */
  readonly mermaid: string;
  readonly tables: number;
  readonly relationships: number;
  /** The file it was written to, if it was. */
  readonly path: string | null;
  /** Why not every reader of Mermaid may show it. */
  readonly warnings: readonly string[];
}

/** A part of one table need not repeat whose it is. */
export type Part<Row> = Omit<Row, 'schema' | 'table'>;

/** @param managed what is in the trigger registry */
export function asInspectedTriggers(
  triggers: readonly Trigger[],
  managed: readonly { readonly schema: string; readonly table: string; readonly name: string }[],
): readonly InspectedTrigger[] {
  const keyOf = ({ schema, table, name }: (typeof managed)[number]): string => JSON.stringify([schema, table, name]);
  const keys = new Set(managed.map(keyOf));
  return triggers.map(({ definition, ...trigger }) => ({ ...trigger, managed: keys.has(keyOf(trigger)), definition }));
}

const EVENTS: readonly TriggerEvent[] = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'];

/** @param triggers in the order of `readTriggers` */
export function firingOrderOf(triggers: readonly Trigger[]): readonly FiringOrder[] {
  const firing = triggers.filter(({ enabled }) => enabled === 'origin' || enabled === 'always');
  return EVENTS.map((event) => ({
    event,
    triggers: firing.filter(({ events }) => events.includes(event)).map(({ name }) => name),
  })).filter((order) => order.triggers.length > 0);
}

export function asPart<Row extends { schema: string; table: string }>({ schema, table, ...part }: Row): Part<Row> {
  return part;
}
