/** FirstNormalObjectId: what has a smaller oid came with the server. */
export const IS_OF_USERS = (catalog: string, oid: string): string => `
  ${oid} >= 16384 and not exists (
    select from pg_catalog.pg_depend part
    where part.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and part.objid = ${oid} and part.objsubid = 0
      and part.deptype in ('e', 'i'))`;

export const IN_USERS_SCHEMA = (namespace: string): string =>
  `pg_catalog.left(${namespace}.nspname, 3) <> 'pg_' and ${namespace}.nspname <> 'information_schema'`;

export const NOT_OF_EXTENSION = `not exists (
  select from pg_catalog.pg_depend member
  where member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and member.objid = c.oid and member.deptype = 'e')`;

export const IDENTITY = (catalog: string, oid: string): string =>
  `(pg_catalog.pg_identify_object('pg_catalog.${catalog}'::pg_catalog.regclass, ${oid}, 0)).identity`;

export const COMMENT = (catalog: string, oid: string): string =>
  `'comment', pg_catalog.obj_description(${oid}, '${catalog}')`;

export const OWNER = (column: string): string => `'owner', pg_catalog.pg_get_userbyid(${column})`;

/** One text a privilege, sorted. The owner is called so, whoever it is. */
export const GRANTS = (acl: string, kind: string, owner: string): string => `(
  select pg_catalog.jsonb_agg(pg_catalog.format('%s to %s%s', a.privilege_type,
      case a.grantee when 0 then 'public' when ${owner} then '(owner)' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
      case when a.is_grantable then ' with grant option' else '' end)
    order by a.privilege_type, a.grantee = ${owner}, a.grantee = 0, pg_catalog.pg_get_userbyid(a.grantee))
  from pg_catalog.aclexplode(coalesce(${acl}, pg_catalog.acldefault('${kind}', ${owner}))) a)`;
