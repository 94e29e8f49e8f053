import type { Queryable } from '../queryable.js';

/** Where a database lies, and whether others may be made from it: neither comes with a rename. */
export interface DatabasePlace {
  /** `null`: the server's default one, or one in which this login may not create anything. */
  readonly tablespace: string | null;
  readonly isTemplate: boolean;
}

/** Of a database of the server; the default where there is none. */
export async function readDatabasePlace(db: Queryable, database: string): Promise<DatabasePlace> {
  const { rows } = await db.query<{ [Key in keyof DatabasePlace]: DatabasePlace[Key] }>(
    `select case when t.spcname <> 'pg_default' and pg_catalog.has_tablespace_privilege(t.oid, 'create')
      then t.spcname::text end as tablespace, d.datistemplate as "isTemplate"
     from pg_catalog.pg_database d join pg_catalog.pg_tablespace t on t.oid = d.dattablespace where d.datname = $1`,
    [database],
  );
  return rows[0] ?? { tablespace: null, isTemplate: false };
}
