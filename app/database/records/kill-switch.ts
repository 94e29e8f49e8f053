import type { Queryable } from '../queryable.js';

/** One time that somebody has engaged the kill switch. Times in ISO. */
export interface Engagement {
  readonly id: string;
  readonly engagedAt: string;
  /** The login. */
  readonly engagedBy: string;
  readonly actor: string;
  readonly reason: string;
  /** `null`: until it is released. */
  readonly expiresAt: string | null;
}

/** The engagements that block now, the longest first. */
export async function readOpenEngagements(db: Queryable): Promise<readonly Engagement[]> {
  const { rows } = await db.query<{ [Key in keyof Engagement]: Engagement[Key] }>(
    // the table, not the function: whoever could replace that would have it executed with our rights
    `select ${COLUMNS} from manage_db.kill_switch k
     where k.released_at is null and (k.expires_at is null or k.expires_at > pg_catalog.clock_timestamp())
     order by k.expires_at desc nulls first, k.engaged_at`,
  );
  return rows;
}

/**
 * Engages the kill switch, by the function that checks the level of the login. Returns the engagement's id.
 *
 * @param expiresInMs milliseconds by the clock of the server; `null`: until it is released
 */
export async function engage(
  db: Queryable,
  { actor, reason, expiresInMs }: { actor: string; reason: string; expiresInMs: number | null },
): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `select manage_db.engage_kill_switch($1, $2,
      pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3::double precision / 1000))::text as id`,
    [actor, reason, expiresInMs],
  );
  return rows[0]?.id ?? '';
}

/** Releases every open engagement, and returns them. */
export async function release(
  db: Queryable,
  { actor, reason }: { actor: string; reason: string },
): Promise<readonly Engagement[]> {
  const { rows } = await db.query<{ [Key in keyof Engagement]: Engagement[Key] }>(
    `select ${COLUMNS} from manage_db.release_kill_switch($1, $2) k`,
    [actor, reason],
  );
  return rows;
}

const COLUMNS = `k.id::text as id, ${iso('k.engaged_at')} as "engagedAt", k.engaged_by as "engagedBy", k.actor, k.reason,
  ${iso('k.expires_at')} as "expiresAt"`;

function iso(column: string): string {
  return `pg_catalog.to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}
