import type { Queryable } from '../queryable.js';

/** What a server says about a database that it could copy by itself. */
export interface TemplateSource {
  /** Whether this login may do that: the owner may, and superusers, and everybody where it is a template. */
  readonly mayUse: boolean;
  readonly login: string;
  readonly preparedTransactions: number;
}

/** Asks about a database of the server; nobody may use one that is not there. */
export async function readTemplateSource(db: Queryable, database: string): Promise<TemplateSource> {
  const { rows } = await db.query<{ [Key in keyof TemplateSource]: TemplateSource[Key] }>(TEMPLATE_SOURCE, [database]);
  return rows[0] ?? { mayUse: false, login: '', preparedTransactions: 0 };
}

const TEMPLATE_SOURCE = `
  select (r.rolsuper or r.rolcreatedb) and coalesce((
      select d.datistemplate or pg_catalog.pg_has_role(d.datdba, 'usage')
      from pg_catalog.pg_database d where d.datname = $1), false) as "mayUse",
    r.rolname::text as login,
    (select pg_catalog.count(*)::integer from pg_catalog.pg_prepared_xacts p where p.database = $1) as "preparedTransactions"
  from pg_catalog.pg_roles r where r.rolname = current_user`;
