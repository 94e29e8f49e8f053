import type { Queryable } from '../queryable.js';

export interface ForeignMaterializedView {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** The materialized views that are populated and read foreign tables, also by way of views, partitions and one another. */
export async function readForeignMaterializedViews(db: Queryable): Promise<readonly ForeignMaterializedView[]> {
  const { rows } = await db.query<ForeignMaterializedView>(FOREIGN);
  return rows;
}

const FOREIGN = `
  with recursive reads (reader, relation) as (
    select r.ev_class, d.refobjid
    from pg_catalog.pg_rewrite r
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> r.ev_class
    union
    select i.inhparent, i.inhrelid from pg_catalog.pg_inherits i
  ),
  elsewhere (oid) as (
    select c.oid from pg_catalog.pg_class c where c.relkind = 'f'
    union
    select reads.reader from reads join elsewhere on elsewhere.oid = reads.relation
  )
  select c.oid, n.nspname::text as schema, c.relname::text as name
  from elsewhere
  join pg_catalog.pg_class c on c.oid = elsewhere.oid and c.relkind = 'm' and c.relispopulated
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  order by 2, 3`;
