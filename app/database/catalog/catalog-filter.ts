/** Which part of the catalog a reader reads. Names are exact, as the catalog spells them (unquoted, case kept). */
export interface CatalogFilter {
  /** Only this schema. Without it, all of the users' schemas; `manage_db` is read only when it is named here. */
  readonly schema?: string;
  /** Only this relation of {@link CatalogFilter.schema}. */
  readonly relation?: string;
}

/** The values of `$1` and `$2` in every reader's query. */
export function filterValues(filter: CatalogFilter): [schema: string | null, relation: string | null] {
  return [filter.schema ?? null, filter.relation ?? null];
}

/**
 * The condition that keeps the users' schemas, and of these the one in `$1` when that is not null.
 *
 * PostgreSQL reserves the prefix `pg_`, so it covers pg_catalog, pg_toast and every pg_temp_N and pg_toast_temp_N.
 */
export function inUserSchema(namespace: string): string {
  return `
    pg_catalog.left(${namespace}.nspname, 3) <> 'pg_' and ${namespace}.nspname <> 'information_schema'
    and case when $1::text is null then ${namespace}.nspname <> 'manage_db' else ${namespace}.nspname = $1::text end`;
}

/** The condition that leaves out what came with an extension. `catalog` is the system catalog that `row` is from. */
export function notFromExtension(row: string, catalog: 'pg_class' | 'pg_proc'): string {
  return `
    not exists (
      select from pg_catalog.pg_depend member
      where member.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and member.objid = ${row}.oid
        and member.objsubid = 0 and member.deptype = 'e'
    )`;
}
