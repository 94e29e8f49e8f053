import type { Queryable } from '../queryable.js';

export interface LargeObjectContent {
  readonly oid: number;
  readonly owner: string;
  /** One text a privilege, sorted. The owner is called so, whoever it is. */
  readonly grants: readonly string[] | null;
  readonly comment: string | null;
  /** SHA-256 of the SHA-256 of each of its pieces; `null` where the login may not read it. */
  readonly checksum: string | null;
}

/** Large objects of one answer. */
const BATCH = 200;

/** Bytes of a large object that the server has in memory at a time. */
const PIECE = 4 * 1024 * 1024;

/**
 * Every large object by its oid, in batches, with a checksum of its content that the server computes. To be read in a
 * transaction, whose snapshot it sees. An empty batch is the last one.
 *
 * @param name of the cursor
 */
export async function openLargeObjects(db: Queryable, name: string): Promise<() => Promise<LargeObjectContent[]>> {
  await db.query(`declare ${name} no scroll cursor for ${CONTENTS}`);
  return async () => {
    const { rows } = await db.query<{ [Key in keyof LargeObjectContent]: LargeObjectContent[Key] }>(
      `fetch ${BATCH} from ${name}`,
    );
    return rows;
  };
}

/* PostgreSQL 18 has has_largeobject_privilege. A piece that is shorter than it could be is the last one. */
const CONTENTS = `
  select m.oid, pg_catalog.pg_get_userbyid(m.lomowner)::text as owner,
    (
      select pg_catalog.jsonb_agg(pg_catalog.format('%s to %s%s', a.privilege_type,
          case a.grantee when 0 then 'public' when m.lomowner then '(owner)' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
          case when a.is_grantable then ' with grant option' else '' end)
        order by a.privilege_type, a.grantee = m.lomowner, a.grantee = 0, pg_catalog.pg_get_userbyid(a.grantee))
      from pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a) as grants,
    pg_catalog.obj_description(m.oid, 'pg_largeobject') as comment,
    case when r.may then (
      with recursive piece as (
        select 0::bigint as start, pg_catalog.length(p.data) as bytes, pg_catalog.sha256(p.data) as checksum
        from (select pg_catalog.lo_get(m.oid, 0, ${PIECE}) as data offset 0) p
        union all
        select p.start, pg_catalog.length(p.data), pg_catalog.sha256(p.data)
        from (
          select b.start + ${PIECE} as start, pg_catalog.lo_get(m.oid, b.start + ${PIECE}, ${PIECE}) as data
          from piece b where b.bytes = ${PIECE} offset 0) p
      )
      select pg_catalog.encode(pg_catalog.sha256(pg_catalog.string_agg(piece.checksum, '' order by piece.start)), 'hex')
      from piece) end as checksum
  from pg_catalog.pg_largeobject_metadata m
  cross join lateral (
    select pg_catalog.pg_has_role(m.lomowner, 'usage')
      or pg_catalog.current_setting('lo_compat_privileges')::boolean
      or exists (
        select from pg_catalog.aclexplode(m.lomacl) a
        where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'usage'))) as may) r
  order by m.oid`;
