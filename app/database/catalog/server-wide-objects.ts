import type { Queryable } from '../queryable.js';

export interface ServerWideObject {
  /** Changes with it, and is not to be shown. */
  readonly state: string;
  /** Others make and drop such things all the time: only a change of one that stays says something. */
  readonly comesAndGoes: boolean;
}

/**
 * What belongs to the server and not to one of its databases, by what it is called: roles with what they may, who is a member of
 * whom, what is set for roles and for the database `database`, and databases with who may connect.
 */
export async function readServerWideObjects(
  db: Queryable,
  database: string,
): Promise<ReadonlyMap<string, ServerWideObject>> {
  const { rows } = await db.query<ServerWideObject & { line: string }>(SERVER_WIDE, [database]);
  return new Map(rows.map(({ line, ...object }) => [line, object]));
}

const SERVER_WIDE = `
  select pg_catalog.concat('the role ', r.rolname) as line, false as "comesAndGoes",
    pg_catalog.md5((row(r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
      r.rolinherit, r.rolconnlimit, r.rolvaliduntil))::text) as state
  from pg_catalog.pg_roles r
  union all
  select pg_catalog.format('the membership of %s in %s', pg_catalog.pg_get_userbyid(m.member), pg_catalog.pg_get_userbyid(m.roleid)),
    false, pg_catalog.bool_or(m.admin_option)::text
  from pg_catalog.pg_auth_members m
  group by m.member, m.roleid
  union all
  select pg_catalog.format('the setting %s of %s%s', pg_catalog.split_part(c.setting, '=', 1),
    case when s.setrole <> 0 then 'the role ' || pg_catalog.pg_get_userbyid(s.setrole) else 'the database ' || $1 end,
    case when s.setrole <> 0 and s.setdatabase <> 0 then ' in the database ' || $1 end), false, pg_catalog.md5(c.setting)
  from pg_catalog.pg_db_role_setting s
  cross join lateral pg_catalog.unnest(s.setconfig) c (setting)
  where s.setdatabase = 0 or s.setdatabase = (select d.oid from pg_catalog.pg_database d where d.datname = $1)
  union all
  select pg_catalog.concat('the database ', d.datname), true,
    pg_catalog.md5((row(d.datdba, d.datacl, d.datconnlimit, d.datallowconn, d.datistemplate, d.dattablespace))::text)
  from pg_catalog.pg_database d
  where d.datname not like 'manage\\_db\\_scratch\\_%'
  union all
  select pg_catalog.concat('the tablespace ', t.spcname), false, pg_catalog.md5((row(t.spcowner, t.spcacl, t.spcoptions))::text)
  from pg_catalog.pg_tablespace t`;
