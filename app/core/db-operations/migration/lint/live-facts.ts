import { escapeIdentifier } from 'pg';
import {
  findRelationOids,
  type NamedRelationFacts,
  readNamedRelations,
} from '../../../../database/catalog/named-relations.js';
import type { Queryable } from '../../../../database/queryable.js';
import { readTriggerRecords } from '../../../../database/records/trigger-registry.js';
import type { NamedRelation } from '../../../../services/sql-script.js';

/** A relation that a statement names, as it is in the database; of an index, the table it belongs to. */
export type LiveRelation = NamedRelationFacts;

export interface ManagedTrigger {
  readonly name: string;
  /** `null`: declared for many tables. */
  readonly table: NamedRelation | null;
  /** What it calls. */
  readonly function: NamedRelation;
}

/** What is known of the database that the migrations are for. */
export interface LiveFacts {
  readonly relation: (name: NamedRelation) => LiveRelation | null;
  readonly triggers: readonly ManagedTrigger[];
}

export const NOTHING_KNOWN: LiveFacts = { relation: () => null, triggers: [] };

/** The database that is asked, in two ways. */
export interface LiveDatabase {
  /** With the search_path of the application, which decides what a bare name means, and may put operators before PostgreSQL's. */
  readonly application: Queryable;
  /** With the search_path pinned, for all that is asked for ourselves. */
  readonly catalog: Queryable;
}

export async function readLiveFacts(
  { application, catalog }: LiveDatabase,
  names: readonly NamedRelation[],
): Promise<LiveFacts> {
  const key = ({ schema, name }: NamedRelation) => JSON.stringify([schema, name]);
  const wanted = [...new Map(names.map((one) => [key(one), one])).values()];
  const found = await readNamedRelations(catalog, await findRelationOids(application, wanted.map(written)));
  const byName = new Map(wanted.map((one, place) => [key(one), found[place] ?? null]));
  const { triggers } = await readTriggerRecords(catalog, null, 'nothing');
  return {
    relation: (name) => byName.get(key(name)) ?? null,
    triggers: triggers.map(({ schema, table, name, functionSchema, functionName }) => ({
      name,
      table: { schema, name: table },
      function: { schema: functionSchema, name: functionName },
    })),
  };
}

function written({ schema, name }: NamedRelation): string {
  return schema === null ? escapeIdentifier(name) : `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}
