import type { Queryable } from '../queryable.js';
import { openLargeObjects } from './large-object-contents.js';

/**
 * What the contents of all large objects are known by: another one as soon as somebody has written into one. Only
 * superusers may see who wrote a page of one; for others the contents are read, which takes as long as backing them up.
 * To be read in a transaction.
 *
 * @param isReader whether the login may read pg_largeobject, see {@link mayReadLargeObjectPages}
 */
export async function readLargeObjectVersion(db: Queryable, isReader: boolean): Promise<string> {
  if (isReader) {
    const { rows } = await db.query<{ version: string }>(`
      select pg_catalog.md5(pg_catalog.string_agg(w.xid || ':' || w.pages, ',' order by w.xid)) as version
      from (select l.xmin::text as xid, pg_catalog.count(*) as pages from pg_catalog.pg_largeobject l group by l.xmin) w`);
    return rows[0]?.version ?? '';
  }
  const checksums: string[] = [];
  const fetch = await openLargeObjects(db, 'large_object_versions');
  for (let batch = await fetch(); batch.length > 0; batch = await fetch()) {
    checksums.push(...batch.map(({ oid, checksum }) => `${oid}:${checksum}`));
  }
  await db.query('close large_object_versions');
  return checksums.join();
}

/** Whether it may read them and keep others from writing them. */
export async function mayReadLargeObjectPages(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ may: boolean }>(
    `select pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'select')
      and pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'update') as may`,
  );
  return rows[0]?.may === true;
}

/** Waits for who works with large objects, and keeps them out until the transaction ends. Only for who may read their pages. */
export async function lockLargeObjects(db: Queryable): Promise<void> {
  await db.query('lock table pg_catalog.pg_largeobject in share row exclusive mode');
}
