import { escapeLiteral } from 'pg';
import type { Queryable } from '../queryable.js';

/** A stamp that came before, and what became of it. */
export interface Ancestor {
  readonly environment: string;
  readonly protected: boolean;
  readonly database: string;
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  /** `null`: nobody had said what it was. */
  readonly stampedAt: string | null;
  readonly stampedBy: string | null;
  /** How the stamp after it came about. */
  readonly became: 'restored' | 'copied' | 'restamped';
  readonly at: string;
  readonly by: string;
  readonly reason: string | null;
  /** The backup that was restored. */
  readonly backup?: string;
  /** ISO; the moment of it that a copy shows. */
  readonly copiedAt?: string;
  /** SHA-256 of the rules that it was masked with on the way; absent: as it was. */
  readonly masking?: string;
}

/** The identity record of a database. */
export interface Stamp {
  readonly environment: string;
  readonly protected: boolean;
  /** Whether changes need the override of the kill switch. */
  readonly killSwitch: boolean;
  /** With the oid, the fingerprint: of the cluster, and of the database in it. */
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  /** Only shown: a renamed database stays the same one. */
  readonly database: string;
  readonly expectedHosts: readonly string[];
  readonly stampedAt: string;
  readonly stampedBy: string;
  readonly reason: string | null;
  /** The newest first. */
  readonly lineage: readonly Ancestor[];
}

/**
 * The stamp of the database, or `null` where there is none.
 *
 * @param db the schema manage_db is there and may be read, see `readObservation`
 */
export async function readStamp(db: Queryable): Promise<Stamp | null> {
  const { rows } = await db.query<{ [Key in keyof Stamp]: Stamp[Key] }>(READ);
  return rows[0] ?? null;
}

const READ = `
  select i.environment, i.protected, i.kill_switch as "killSwitch", i.system_identifier as "systemIdentifier",
    i.database_oid as "databaseOid", i.database_name as database, i.expected_hosts as "expectedHosts",
    pg_catalog.to_char(i.stamped_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as "stampedAt",
    i.stamped_by as "stampedBy", i.reason, i.lineage
  from manage_db.identity i`;

/** Everything of a stamp but what the database itself knows: its fingerprint, its name, the time. */
export type NewStamp = Pick<
  Stamp,
  'environment' | 'protected' | 'killSwitch' | 'expectedHosts' | 'stampedBy' | 'reason' | 'lineage'
> & {
  /** The name to show, where it is about to change; the present one otherwise. */
  readonly database?: string;
};

/** Writes the stamp of the database that `db` is connected to, in the place of the one before. */
export async function writeStamp(db: Queryable, stamp: NewStamp): Promise<void> {
  await db.query(WRITE, [...valuesOf(stamp)]);
}

/** What {@link writeStamp} executes, for a script that is executed by another program. */
export function stampStatement(stamp: NewStamp): string {
  const values = valuesOf(stamp);
  return WRITE.replace(/\$(\d)/g, (_, place: string) => {
    const value = values[Number(place) - 1];
    if (value === null || value === undefined) return 'null';
    if (typeof value === 'boolean') return String(value);
    return typeof value === 'string'
      ? escapeLiteral(value)
      : `array[${value.map((one) => escapeLiteral(one)).join(', ')}]`;
  });
}

function valuesOf(stamp: NewStamp): readonly (string | boolean | null | readonly string[])[] {
  return [
    stamp.environment,
    stamp.protected,
    stamp.killSwitch,
    stamp.database ?? null,
    stamp.expectedHosts,
    stamp.stampedBy,
    stamp.reason,
    JSON.stringify(stamp.lineage),
  ];
}

const WRITE = `
  insert into manage_db.identity as i (environment, protected, kill_switch, system_identifier, database_oid,
    database_name, expected_hosts, stamped_at, stamped_by, reason, lineage)
  select $1, $2::boolean, $3::boolean, c.system_identifier::text, d.oid, coalesce($4::text, d.datname::text), $5::text[],
    pg_catalog.clock_timestamp(), $6, $7::text, $8::jsonb
  from pg_catalog.pg_database d
  cross join pg_catalog.pg_control_system() c
  where d.datname = pg_catalog.current_database()
  on conflict (is_the_only_row) do update set environment = excluded.environment, protected = excluded.protected,
    kill_switch = excluded.kill_switch, system_identifier = excluded.system_identifier,
    database_oid = excluded.database_oid, database_name = excluded.database_name,
    expected_hosts = excluded.expected_hosts, stamped_at = excluded.stamped_at, stamped_by = excluded.stamped_by,
    reason = excluded.reason, lineage = excluded.lineage`;
