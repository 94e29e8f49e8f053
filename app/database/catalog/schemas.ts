import type { Queryable } from '../queryable.js';
import { type CatalogFilter, inUserSchema, notFromExtension } from './catalog-filter.js';

export interface Schema {
  readonly name: string;
  readonly owner: string;
  readonly comment: string | null;
  /** Tables of every kind; partitions are not counted beside their parent. */
  readonly tables: number;
  /** Views and materialized views. */
  readonly views: number;
  readonly functions: number;
  readonly triggers: number;
}

/** The users' schemas with how much is in them. What came with an extension is not counted. */
export async function readSchemas(
  db: Queryable,
  filter: Pick<CatalogFilter, 'schema'> = {},
): Promise<readonly Schema[]> {
  const { rows } = await db.query<Schema>(SCHEMAS, [filter.schema ?? null]);
  return rows;
}

const SCHEMAS = `
  with relation_count as (
    select c.relnamespace,
      pg_catalog.count(*) filter (where c.relkind in ('r', 'p', 'f') and not c.relispartition) as tables,
      pg_catalog.count(*) filter (where c.relkind in ('v', 'm')) as views
    from pg_catalog.pg_class c
    where ${notFromExtension('c', 'pg_class')}
    group by c.relnamespace
  ), function_count as (
    select p.pronamespace, pg_catalog.count(*) as functions
    from pg_catalog.pg_proc p
    where ${notFromExtension('p', 'pg_proc')}
    group by p.pronamespace
  ), trigger_count as (
    select c.relnamespace, pg_catalog.count(*) as triggers
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    where not t.tgisinternal and t.tgparentid = 0
    group by c.relnamespace
  )
  select n.nspname::text as name, pg_catalog.pg_get_userbyid(n.nspowner)::text as owner,
    pg_catalog.obj_description(n.oid, 'pg_namespace') as comment,
    coalesce(r.tables, 0)::int as tables, coalesce(r.views, 0)::int as views,
    coalesce(f.functions, 0)::int as functions, coalesce(t.triggers, 0)::int as triggers
  from pg_catalog.pg_namespace n
  left join relation_count r on r.relnamespace = n.oid
  left join function_count f on f.pronamespace = n.oid
  left join trigger_count t on t.relnamespace = n.oid
  where ${inUserSchema('n')}
  order by 1`;
