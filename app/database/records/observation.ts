import type { Queryable } from '../queryable.js';
import { ownTables } from './own-tables.js';
import { isTrustedOwner } from './trusted-owner.js';

/** What a database is, whoever asks: nothing of it needs a privilege or our own schema. */
export interface Observation {
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  readonly database: string;
  /** By the clock of the server. */
  readonly now: Date;
  /** No table, view, sequence, function or large object of users: nothing can be lost. */
  readonly isEmpty: boolean;
  /** What is in it comes into every database that is created. */
  readonly isTemplate: boolean;
  /** Whether the stamp and the kill switch can be asked for: their tables are there, and this login may read them. */
  readonly hasRecords: boolean;
  /** Tables of that name are there, and this login may not read them, or not trust them. */
  readonly hasHiddenRecords: boolean;
}

/** Looks at the database that `db` is connected to. */
export async function readObservation(db: Queryable): Promise<Observation> {
  const { rows } = await db.query<{ [Key in keyof Observation]: Observation[Key] }>(OBSERVATION, [ownTables()]);
  const [row] = rows;
  if (row === undefined) throw new Error('pg_database does not list the current database');
  return row;
}

/* By oid throughout: functions that take a name fail where the login may not use the schema. */
const OBSERVATION = `
  with own_schema as (
    select n.oid from pg_catalog.pg_namespace n
    where n.nspname in ('manage_db', 'information_schema') or n.nspname ~ '^pg_'),
  member as (
    select e.classid, e.objid from pg_catalog.pg_depend e
    where e.deptype = 'e' and e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)
  select d.datistemplate as "isTemplate",
    (select c.system_identifier::text from pg_catalog.pg_control_system() c) as "systemIdentifier",
    d.oid as "databaseOid", d.datname::text as database, pg_catalog.clock_timestamp() as now,
    not exists (
      select from pg_catalog.pg_class c
      where c.relnamespace not in (select oid from own_schema) and c.oid >= 16384
        and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and not exists (select from member m where m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objid = c.oid))
    and not exists (
      select from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'manage_db' and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname::text <> all ($1::text[]))
    and not exists (
      select from pg_catalog.pg_proc p
      where p.pronamespace not in (select oid from own_schema) and p.oid >= 16384
        and not exists (select from member m where m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and m.objid = p.oid))
    and not exists (select from pg_catalog.pg_largeobject_metadata) as "isEmpty",
    r.usable = 2 as "hasRecords", r.found > 0 and r.usable < 2 as "hasHiddenRecords"
  from pg_catalog.pg_database d
  cross join (
    select pg_catalog.count(*) as found,
      pg_catalog.count(*) filter (where ${isTrustedOwner('n.nspowner')} and ${isTrustedOwner('c.relowner')}
        and pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select')) as usable
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relname in ('identity', 'kill_switch') and c.relkind = 'r') r
  where d.datname = pg_catalog.current_database()`;
