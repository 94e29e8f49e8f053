import type { Queryable } from '../queryable.js';

/** What a server says of itself and of the login, where the database in question is not there. */
export interface ServerAccess {
  readonly systemIdentifier: string;
  /** By the clock of the server. */
  readonly now: Date;
  readonly login: string;
  readonly mayCreateDatabases: boolean;
  /** Why it may or may not: a part of a sentence. */
  readonly why: string;
}

/** Asks the server that `db` is connected to, whatever the database. */
export async function readServerAccess(db: Queryable): Promise<ServerAccess> {
  const { rows } = await db.query<{ [Key in keyof ServerAccess]: ServerAccess[Key] }>(SERVER_ACCESS);
  const [row] = rows;
  if (row === undefined) throw new Error('pg_roles does not list the login');
  return row;
}

const SERVER_ACCESS = `
  select c.system_identifier::text as "systemIdentifier", pg_catalog.clock_timestamp() as now, r.rolname::text as login,
    r.rolsuper or r.rolcreatedb as "mayCreateDatabases",
    case when r.rolsuper then 'superuser' when r.rolcreatedb then 'may create databases'
      else 'may not create databases' end as why
  from pg_catalog.pg_roles r
  cross join pg_catalog.pg_control_system() c
  where r.rolname = session_user`;
