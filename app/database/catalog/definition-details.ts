import type { Queryable } from '../queryable.js';
import { EXTENSIONS, FOREIGN_SERVERS, FUNCTIONS } from './definition-details/extensions-and-servers.js';
import { CATALOG_GRANTS, OTHERS, STATISTICS } from './definition-details/others.js';
import { COLUMNS, IDENTITY_SEQUENCES, INHERITED, RELATIONS, TRIGGERS } from './definition-details/relations.js';
import { TEXT_SEARCH } from './definition-details/text-search.js';
import { CASTS, OPERATORS, TYPES } from './definition-details/types-and-operators.js';

/** What pg-delta does not read: kinds that it does not know, and details of those that it knows. */
export interface DefinitionDetail {
  /** In PostgreSQL's words: `table`, `materialized view`, `text search configuration`, `cast`, … */
  readonly kind: string;
  /** `null`: it belongs to the database, and to none of its schemas. */
  readonly schema: string | null;
  /** The relation that it is, or belongs to; `null` where there is none. */
  readonly relation: string | null;
  /** Of a whole object with its schema, quoted, and with what else tells it from others; else its bare name. */
  readonly name: string;
  /** Whether it is the whole object; `false`: details of one that pg-delta finds, too. */
  readonly isWhole: boolean;
  /** By names in words. What is absent is as it is by default; of what is `(not shown)` there is a checksum. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * Definitions beyond those that pg-delta reads, by kind and identity: operators, casts, text search objects, statistics and
 * their like, and how columns are stored and ordered, what is clustered, populated or switched. Without what came with an
 * extension. Under a pinned search_path, so that every name comes with its schema.
 *
 * @param salt makes what stands for the options of foreign data worthless to others: they may hold secrets
 */
export async function readDefinitionDetails(db: Queryable, salt: string): Promise<DefinitionDetail[]> {
  const { rows } = await db.query<{ [Key in keyof DefinitionDetail]: DefinitionDetail[Key] }>(DETAILS, [salt]);
  return rows;
}

const PARTS = [
  RELATIONS,
  COLUMNS,
  TRIGGERS,
  INHERITED,
  IDENTITY_SEQUENCES,
  FUNCTIONS,
  EXTENSIONS,
  FOREIGN_SERVERS,
  TYPES,
  CASTS,
  OPERATORS,
  TEXT_SEARCH,
  STATISTICS,
  OTHERS,
  CATALOG_GRANTS,
];

/* What has no value is as it is by default, and says nothing; so what is left of most columns is nothing at all. */
const DETAILS = `
  select d.kind, d.schema::text as schema, d.relation::text as relation, d.name::text as name, d.is_whole as "isWhole",
    pg_catalog.jsonb_strip_nulls(d.properties) as properties
  from (${PARTS.join('\nunion all\n')}) d
  where d.is_whole or pg_catalog.jsonb_strip_nulls(d.properties) <> '{}'
  order by 1, 4`;
