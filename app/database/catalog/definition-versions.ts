import type { Queryable } from '../queryable.js';

/** What the rows of a catalog are known by: another one as soon as a definition was written, also with the words that it had. */
export type DefinitionVersions = Readonly<Record<string, string>>;

/**
 * The versions of everything that users define in a database, by catalog: relations, routines, types, rules, triggers,
 * grants, comments, and what belongs to the database itself. Left out: temporary objects of other sessions, the schema
 * manage_db, what PostgreSQL itself writes (statistics, sizes), and the contents of tables and large objects.
 */
export async function readDefinitionVersions(db: Queryable): Promise<DefinitionVersions> {
  const { rows: present } = await db.query<{ name: string }>(
    `select c.relname::text as name from pg_catalog.pg_class c
    where c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace and c.relname::text = any ($1::text[])`,
    [Object.keys(CATALOGS)],
  );
  const { rows } = await db.query<{ catalog: string; version: string }>(`
    with system_schema as (
      select n.oid from pg_catalog.pg_namespace n
      where pg_catalog.left(n.nspname, 3) = 'pg_' or n.nspname in ('information_schema', 'manage_db')
    ), system_relation as (
      select c.oid from pg_catalog.pg_class c where c.relnamespace in (select oid from system_schema)
    ), written (catalog, xid, written) as (
      ${present.map(({ name }) => rowsOf(name)).join(' union all ')}
      -- others than superusers may not read pg_user_mapping, and see only the options of their own
      union all
      select 'pg_user_mappings', pg_catalog.concat_ws(' ', u.umid, u.umoptions), 1 from pg_catalog.pg_user_mappings u
    )
    select catalog, pg_catalog.md5(pg_catalog.string_agg(xid || ':' || written, ',' order by xid)) as version
    from written group by catalog`);
  return Object.fromEntries(rows.map(({ catalog, version }) => [catalog, version]));
}

/* The id of the transaction that wrote it: freezing a row leaves it as it is (since 9.4). */
function rowsOf(catalog: string): string {
  return `select '${catalog}', x.xmin::text, pg_catalog.count(*) from pg_catalog.${catalog} x
      where ${CATALOGS[catalog] ?? 'true'} group by x.xmin`;
}

const inSchema = (column: string): string => `x.${column} not in (select oid from system_schema)`;
const ofRelation = (column: string): string => `x.${column} not in (select oid from system_relation)`;

const remarkOnRelation = `(x.classoid <> 'pg_catalog.pg_class'::pg_catalog.regclass or ${ofRelation('objoid')})`;

/** Which rows of them are the users'. Not all versions of PostgreSQL have all of them. */
const CATALOGS: Readonly<Record<string, string>> = {
  pg_namespace: `x.oid not in (select oid from system_schema)`,
  pg_class: inSchema('relnamespace'),
  pg_type: inSchema('typnamespace'),
  pg_proc: inSchema('pronamespace'),
  pg_operator: inSchema('oprnamespace'),
  pg_opclass: inSchema('opcnamespace'),
  pg_opfamily: inSchema('opfnamespace'),
  pg_collation: inSchema('collnamespace'),
  pg_conversion: inSchema('connamespace'),
  pg_constraint: inSchema('connamespace'),
  pg_statistic_ext: inSchema('stxnamespace'),
  pg_ts_config: inSchema('cfgnamespace'),
  pg_ts_dict: inSchema('dictnamespace'),
  pg_ts_parser: inSchema('prsnamespace'),
  pg_ts_template: inSchema('tmplnamespace'),
  pg_attribute: ofRelation('attrelid'),
  pg_attrdef: ofRelation('adrelid'),
  pg_index: ofRelation('indrelid'),
  pg_trigger: ofRelation('tgrelid'),
  pg_rewrite: ofRelation('ev_class'),
  pg_policy: ofRelation('polrelid'),
  pg_sequence: ofRelation('seqrelid'),
  pg_inherits: ofRelation('inhrelid'),
  pg_partitioned_table: ofRelation('partrelid'),
  pg_foreign_table: ofRelation('ftrelid'),
  pg_publication_rel: ofRelation('prrelid'),
  pg_enum: 'true',
  pg_range: 'true',
  pg_aggregate: 'true',
  pg_amop: 'true',
  pg_amproc: 'true',
  pg_ts_config_map: 'true',
  pg_cast: 'true',
  pg_transform: 'true',
  pg_language: 'true',
  pg_am: 'true',
  pg_event_trigger: 'true',
  pg_publication: 'true',
  pg_publication_namespace: 'true',
  pg_foreign_data_wrapper: 'true',
  pg_foreign_server: 'true',
  pg_default_acl: 'true',
  pg_description: remarkOnRelation,
  pg_seclabel: remarkOnRelation,
  pg_largeobject_metadata: 'true',
};
