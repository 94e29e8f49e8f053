import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { previousName } from '../swap/swap.js';

/** A database that a restore has put aside. Times in ISO, by the clock of the server. */
export interface PreviousDatabase {
  readonly name: string;
  /** The name that it had. */
  readonly database: string;
  readonly since: string;
  /** It is not dropped before. */
  readonly until: string;
  /** Its time is over: the next restore of the database drops it. */
  readonly isOver: boolean;
  /** `null`: the login may not ask. */
  readonly sizeBytes: number | null;
  /** The comment that it had. */
  readonly comment: string | null;
}

export interface NewPreviousDatabase {
  readonly name: string;
  readonly since: Date;
  readonly until: Date;
}

/** A free name for what is about to be replaced, and until when it is kept. */
export async function planPrevious(db: Queryable, database: string, keepMs: number): Promise<NewPreviousDatabase> {
  const { rows } = await db.query<{ now: Date; names: string[] }>(
    `select pg_catalog.clock_timestamp() as now,
      (select pg_catalog.array_agg(d.datname::text) from pg_catalog.pg_database d) as names`,
  );
  const { now = new Date(), names = [] } = rows[0] ?? {};
  const until = new Date(Math.min(now.getTime() + keepMs, LAST_MOMENT));
  // two that are replaced within the same second
  for (let at = now; ; at = new Date(at.getTime() + 1000)) {
    const name = previousName(database, at);
    if (!names.includes(name)) return { name, since: now, until };
  }
}

/** The end of the year 9999: what comes after it is written differently. */
const LAST_MOMENT = 253_402_300_799_000;

/** Writes down what it is, where everybody can see it; the comment that was there is kept in the lines below. */
export function previousStatement(
  { name, since, until }: NewPreviousDatabase,
  { database, comment }: Pick<PreviousDatabase, 'database' | 'comment'>,
): string {
  const what = `manage_db: previous database of ${database} until ${until.toISOString()} (since ${since.toISOString()})`;
  const text = comment === null ? what : `${what}\n${comment}`;
  return `comment on database ${escapeIdentifier(name)} is ${escapeLiteral(text)}`;
}

/** The databases of the server that restores have put aside, the newest first. */
export async function listPrevious(db: Queryable): Promise<PreviousDatabase[]> {
  const { rows } = await db.query<{ name: string; comment: string; sizeBytes: number | null; now: Date }>(
    COMMENTED_DATABASES,
    [`${MARK}%`],
  );
  const found = rows.flatMap(({ name, comment, sizeBytes, now }) => {
    const parsed = COMMENT.exec(comment);
    // somebody who has renamed one has made it theirs
    if (parsed === null || !NAME.test(name)) return [];
    const [, database = '', until = '', since = '', original = null] = parsed;
    const isOver = Date.parse(until) <= now.getTime();
    return [{ name, database, since, until, isOver, sizeBytes, comment: original }];
  });
  return found.sort((a, b) => b.since.localeCompare(a.since) || b.name.localeCompare(a.name));
}

/** The comment that is its own, of a database that may be a previous one. */
export function ownComment(comment: string | null): string | null {
  if (comment === null) return null;
  const parsed = COMMENT.exec(comment);
  return parsed === null ? comment : (parsed[4] ?? null);
}

const NAME = /_previous_\d{8}t\d{6}$/;
const MARK = 'manage_db: previous database of ';
const TIME = String.raw`(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)`;
const COMMENT = new RegExp(String.raw`^${MARK}([\s\S]*?) until ${TIME} \(since ${TIME}\)(?:\n([\s\S]*))?$`);

const COMMENTED_DATABASES = `
  select d.datname::text as name, c.description as comment, pg_catalog.clock_timestamp() as now,
    case when pg_catalog.has_database_privilege(d.oid, 'connect')
        or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
      then pg_catalog.pg_database_size(d.oid)::double precision end as "sizeBytes"
  from pg_catalog.pg_database d
  join pg_catalog.pg_shdescription c
    on c.objoid = d.oid and c.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
  where c.description like $1`;
