import type { Queryable } from '../queryable.js';
import { inUserSchema, notFromExtension } from './catalog-filter.js';

/** A table that a diagram shows. */
export interface Entity {
  readonly schema: string;
  readonly name: string;
  readonly comment: string | null;
}

/** The users' tables of every kind, without partitions and what came with an extension. */
export async function readEntities(db: Queryable): Promise<readonly Entity[]> {
  const { rows } = await db.query<Entity>(ENTITIES, [null]);
  return rows;
}

const ENTITIES = `
  select n.nspname::text as schema, c.relname::text as name, pg_catalog.obj_description(c.oid, 'pg_class') as comment
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f') and not c.relispartition
    and ${inUserSchema('n')}
    and ${notFromExtension('c', 'pg_class')}
  order by 1, 2`;
