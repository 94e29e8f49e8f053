import type { Queryable } from '../queryable.js';

export interface DroppableSchema {
  readonly name: string;
  /** Quoted where it must be. */
  readonly identity: string;
  readonly owner: string;
  /** Whether this login may drop it. */
  readonly droppable: boolean;
}

/**
 * The users' schemas that nothing but users' objects live in. `public` and `manage_db` are left out, and so is every
 * schema that came with an extension, that an extension is installed in, or that has a part of one.
 */
export async function readDroppableSchemas(db: Queryable): Promise<readonly DroppableSchema[]> {
  const { rows } = await db.query<DroppableSchema>(DROPPABLE_SCHEMAS);
  return rows;
}

const DROPPABLE_SCHEMAS = `
  select n.nspname::text as name, pg_catalog.quote_ident(n.nspname) as identity,
    pg_catalog.pg_get_userbyid(n.nspowner)::text as owner,
    pg_catalog.pg_has_role(n.nspowner, 'USAGE') as droppable
  from pg_catalog.pg_namespace n
  where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'public', 'manage_db')
    and not exists (select from pg_catalog.pg_extension e where e.extnamespace = n.oid)
    and not exists (
      select from pg_catalog.pg_depend member
      where member.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and member.objid = n.oid
        and member.objsubid = 0 and member.deptype = 'e'
    )
    and not exists (
      select from pg_catalog.pg_depend inside
      join pg_catalog.pg_depend member on member.classid = inside.classid and member.objid = inside.objid
        and member.objsubid = 0 and member.deptype = 'e'
      where inside.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and inside.refobjid = n.oid
    )
  order by 1`;
