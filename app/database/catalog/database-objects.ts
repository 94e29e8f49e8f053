import type { Queryable } from '../queryable.js';

/** Something that belongs to a database, and to none of its schemas. */
export interface DatabaseObject {
  /** In PostgreSQL's words: `publication`, `event trigger`, `cast`, `server`, `foreign-data wrapper`, `language`, … */
  readonly kind: string;
  /** Quoted, as DROP wants it. */
  readonly identity: string;
  readonly owner: string;
  /** Whether this login may drop it. */
  readonly droppable: boolean;
}

/**
 * Those that users have made, without subscriptions, what came with an extension, and what is a part of something else (the
 * cast of a range to its multirange), since it goes with it.
 */
export async function readDatabaseObjects(db: Queryable): Promise<readonly DatabaseObject[]> {
  const { rows } = await db.query<DatabaseObject>(DATABASE_OBJECTS);
  return rows;
}

export async function countLargeObjects(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ all: number }>(
    'select pg_catalog.count(*)::integer as all from pg_catalog.pg_largeobject_metadata',
  );
  return rows[0]?.all ?? 0;
}

/** The large objects of one owner. */
export interface OwnedLargeObjects {
  readonly owner: string;
  /** Whether this login may drop them. */
  readonly droppable: boolean;
  /** In order. */
  readonly oids: readonly number[];
}

export async function readOwnedLargeObjects(db: Queryable): Promise<readonly OwnedLargeObjects[]> {
  const { rows } = await db.query<OwnedLargeObjects>(`
    select pg_catalog.pg_get_userbyid(m.lomowner)::text as owner,
      pg_catalog.pg_has_role(m.lomowner, 'USAGE') as droppable,
      pg_catalog.array_agg(m.oid order by m.oid) as oids
    from pg_catalog.pg_largeobject_metadata m
    group by m.lomowner
    order by 1`);
  return rows;
}

/** Drops these large objects, in the caller's transaction. */
export function unlinkLargeObjects(oids: readonly number[]): string {
  return `select pg_catalog.lo_unlink(o.oid) from pg_catalog.unnest('{${oids.join(',')}}'::pg_catalog.oid[]) o (oid)`;
}

/* FirstNormalObjectId is 16384: what has a smaller oid came with the server. */
const DATABASE_OBJECTS = `
  select address.type as kind, coalesce(o.identity, (pg_catalog.pg_identify_object(o.classid, o.objid, 0)).identity) as identity,
    pg_catalog.pg_get_userbyid(o.owner)::text as owner,
    pg_catalog.pg_has_role(o.owner, 'USAGE') or pg_catalog.pg_has_role(o.other_owner, 'USAGE') as droppable
  from (
    select 'pg_catalog.pg_publication'::pg_catalog.regclass as classid, p.oid as objid, p.pubowner as owner, p.pubowner as other_owner,
      null::text as identity, 1 as place
    from pg_catalog.pg_publication p
    union all
    select 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, e.oid, e.evtowner, e.evtowner, null, 2 from pg_catalog.pg_event_trigger e
    union all
    select 'pg_catalog.pg_transform'::pg_catalog.regclass, t.oid, y.typowner, l.lanowner,
      pg_catalog.format('for %s language %I', pg_catalog.format_type(t.trftype, null), l.lanname), 3
    from pg_catalog.pg_transform t join pg_catalog.pg_type y on y.oid = t.trftype
    join pg_catalog.pg_language l on l.oid = t.trflang
    union all
    select 'pg_catalog.pg_cast'::pg_catalog.regclass, c.oid, y.typowner, z.typowner, null, 4
    from pg_catalog.pg_cast c join pg_catalog.pg_type y on y.oid = c.castsource
    join pg_catalog.pg_type z on z.oid = c.casttarget
    union all
    select 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, s.oid, s.srvowner, s.srvowner, null, 5 from pg_catalog.pg_foreign_server s
    union all
    select 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, w.fdwowner, w.fdwowner, null, 6
    from pg_catalog.pg_foreign_data_wrapper w
    union all
    select 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, l.lanowner, l.lanowner, null, 7 from pg_catalog.pg_language l
    union all
    -- only superusers have made them
    select 'pg_catalog.pg_am'::pg_catalog.regclass, m.oid, 10, 10, null, 8 from pg_catalog.pg_am m
  ) o
  cross join lateral pg_catalog.pg_identify_object_as_address(o.classid, o.objid, 0) address
  where o.objid >= 16384 and not exists (
    select from pg_catalog.pg_depend d where d.classid = o.classid and d.objid = o.objid and d.deptype in ('e', 'i'))
  order by o.place, 2`;
