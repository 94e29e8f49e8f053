import type { Queryable } from '../queryable.js';

export interface DatabaseFacts {
  readonly name: string;
  /** `15.18`, without the packager's words. */
  readonly serverVersion: string;
  readonly serverMajor: number;
  readonly sizeBytes: number;
}

/** The database's name and size, and the server's version. */
export async function readDatabaseFacts(db: Queryable): Promise<DatabaseFacts> {
  const { rows } = await db.query<DatabaseFacts>(DATABASE_FACTS);
  const [facts] = rows;
  if (facts === undefined) throw new Error('current_database() is not in pg_database.');
  return facts;
}

const DATABASE_FACTS = `
  select d.datname::text as name,
    pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) as "serverVersion",
    pg_catalog.current_setting('server_version_num')::int / 10000 as "serverMajor",
    pg_catalog.pg_database_size(d.oid)::float8 as "sizeBytes"
  from pg_catalog.pg_database d
  where d.datname = pg_catalog.current_database()`;
