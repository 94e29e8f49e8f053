import type { Queryable } from '../queryable.js';

export interface LargeObject {
  readonly oid: number;
  readonly owner: string;
  readonly comment: string | null;
  /** In their order; `null`: nothing was granted, and nothing taken from the owner. */
  readonly grants: readonly LargeObjectGrant[] | null;
}

export interface LargeObjectGrant {
  /** `null`: everybody. */
  readonly grantee: string | null;
  readonly grantor: string;
  readonly privilege: string;
  readonly isGrantable: boolean;
}

/** The next ones after the oid `after`, at most `count`. */
export async function readLargeObjects(
  db: Queryable,
  { after, count }: { readonly after: number; readonly count: number },
): Promise<readonly LargeObject[]> {
  const { rows } = await db.query<{ [Key in keyof LargeObject]: LargeObject[Key] }>(NEXT, [after, count]);
  return rows;
}

const NEXT = `
  select m.oid, pg_catalog.pg_get_userbyid(m.lomowner)::text as owner,
    pg_catalog.obj_description(m.oid, 'pg_largeobject') as comment,
    case when m.lomacl is not null then (
      select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'grantee', case a.grantee when 0 then null else pg_catalog.pg_get_userbyid(a.grantee) end,
        'grantor', pg_catalog.pg_get_userbyid(a.grantor), 'privilege', a.privilege_type,
        'isGrantable', a.is_grantable) order by a.ordinality), '[]')
      from pg_catalog.aclexplode(m.lomacl) with ordinality a) end as grants
  from pg_catalog.pg_largeobject_metadata m
  where m.oid > $1::oid
  order by m.oid
  limit $2`;
