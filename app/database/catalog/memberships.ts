import type { Queryable } from '../queryable.js';

/** That `member` has the rights of `role`, without a role in between. */
export interface Membership {
  readonly role: string;
  /** From PostgreSQL 16 on there may be several, each to be revoked by itself; `null` before. */
  readonly grantor: string | null;
}

/**
 * The memberships of `member` in any of `roles`. The one that PostgreSQL 16 and newer give to whoever creates a role,
 * which confers no rights, is none.
 */
export async function readMemberships(
  db: Queryable,
  member: string,
  roles: readonly string[],
): Promise<readonly Membership[]> {
  const { rows } = await db.query<Membership>(MEMBERSHIPS, [member, roles]);
  return rows;
}

/** inherit_option came with PostgreSQL 16; to_jsonb makes a missing column null. */
const MEMBERSHIPS = `
  select r.rolname::text as role,
    case when j.columns ? 'inherit_option' then pg_catalog.pg_get_userbyid(m.grantor)::text end as grantor
  from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles r on r.oid = m.roleid
  join pg_catalog.pg_roles member on member.oid = m.member
  cross join lateral (select pg_catalog.to_jsonb(m) as columns) j
  where member.rolname = $1 and r.rolname = any ($2::name[])
    and coalesce((j.columns ->> 'inherit_option')::boolean, true)
  order by 1, 2`;
