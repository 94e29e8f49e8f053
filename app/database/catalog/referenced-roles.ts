import type { Queryable } from '../queryable.js';

/**
 * The roles that a restore of this database needs: owners, grantees and grantors, those of policies, of user mappings, of
 * default privileges, and those with settings in this database. Ordered by name.
 */
export async function readReferencedRoles(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(REFERENCED_ROLES);
  return rows.map(({ name }) => name);
}

/** Objects of users, by the column that holds their owner. Built-in roles own and get things that pg_shdepend leaves out. */
const OWNED: readonly (readonly [catalog: string, owner: string])[] = [
  ['pg_class', 'relowner'],
  ['pg_proc', 'proowner'],
  ['pg_namespace', 'nspowner'],
  ['pg_type', 'typowner'],
  ['pg_operator', 'oprowner'],
  ['pg_opclass', 'opcowner'],
  ['pg_opfamily', 'opfowner'],
  ['pg_collation', 'collowner'],
  ['pg_conversion', 'conowner'],
  ['pg_ts_dict', 'dictowner'],
  ['pg_ts_config', 'cfgowner'],
  ['pg_language', 'lanowner'],
  ['pg_statistic_ext', 'stxowner'],
  ['pg_foreign_data_wrapper', 'fdwowner'],
  ['pg_foreign_server', 'srvowner'],
  ['pg_event_trigger', 'evtowner'],
  ['pg_publication', 'pubowner'],
  ['pg_largeobject_metadata', 'lomowner'],
];

const GRANTED: readonly (readonly [catalog: string, grants: string])[] = [
  ['pg_class', 'relacl'],
  ['pg_proc', 'proacl'],
  ['pg_namespace', 'nspacl'],
  ['pg_type', 'typacl'],
  ['pg_language', 'lanacl'],
  ['pg_foreign_data_wrapper', 'fdwacl'],
  ['pg_foreign_server', 'srvacl'],
  ['pg_largeobject_metadata', 'lomacl'],
  ['pg_default_acl', 'defaclacl'],
];

/** The first oid that is not PostgreSQL's own; the schema public is everybody's. */
const OF_USERS = `(o.oid >= 16384 or o.oid = 2200)`;

const REFERENCED_ROLES = `
  with here as (select d.oid, d.datdba, d.datacl from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()),
  referenced (role) as (
    select s.refobjid from pg_catalog.pg_shdepend s, here
    where s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
      and (s.dbid = here.oid or (s.classid = 'pg_catalog.pg_database'::pg_catalog.regclass and s.objid = here.oid))
    union select here.datdba from here
    union select g.role from here, pg_catalog.aclexplode(here.datacl) a, lateral (values (a.grantee), (a.grantor)) g (role)
    union select s.setrole from pg_catalog.pg_db_role_setting s, here where s.setdatabase = here.oid
    union select pg_catalog.unnest(p.polroles) from pg_catalog.pg_policy p
    ${OWNED.map(([catalog, owner]) => `union select o.${owner} from pg_catalog.${catalog} o where ${OF_USERS}`).join('\n    ')}
    ${GRANTED.map(
      ([catalog, grants]) => `union select g.role from pg_catalog.${catalog} o, pg_catalog.aclexplode(o.${grants}) a,
      lateral (values (a.grantee), (a.grantor)) g (role) where ${OF_USERS}`,
    ).join('\n    ')}
    union select g.role from pg_catalog.pg_attribute o, pg_catalog.aclexplode(o.attacl) a,
      lateral (values (a.grantee), (a.grantor)) g (role) where o.attrelid >= 16384
  )
  select r.rolname::text as name
  from pg_catalog.pg_roles r
  join referenced on referenced.role = r.oid
  -- the owner of the schema public, and in every server
  where r.rolname <> 'pg_database_owner'
  order by 1`;
