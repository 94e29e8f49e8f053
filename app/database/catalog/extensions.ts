import type { Queryable } from '../queryable.js';

export interface Extension {
  readonly name: string;
  readonly version: string;
  readonly schema: string;
}

/** The installed extensions. */
export async function readExtensions(db: Queryable): Promise<readonly Extension[]> {
  const { rows } = await db.query<Extension>(EXTENSIONS);
  return rows;
}

const EXTENSIONS = `
  select e.extname::text as name, e.extversion as version, n.nspname::text as schema
  from pg_catalog.pg_extension e
  join pg_catalog.pg_namespace n on n.oid = e.extnamespace
  order by 1`;
