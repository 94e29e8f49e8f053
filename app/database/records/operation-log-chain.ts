import type { Queryable } from '../queryable.js';

/** A place where the log is not what it was when it was written. */
export interface ChainFinding {
  readonly kind: 'changed' | 'missing' | 'unlinked' | 'head';
  /** The entry that shows it. */
  readonly id: number;
}

export interface ChainReport {
  readonly entries: number;
  readonly findings: readonly ChainFinding[];
}

const MOST_FINDINGS = 100;

/**
 * Computes the hash of every entry anew and compares each with the one before and with the head. By an expression of its
 * own: whoever rewrites entries can also rewrite the function that the database has for it.
 *
 * @param db with a search_path of pg_catalog only: its operators count, not those of somebody's schema
 */
export async function verifyChain(db: Queryable): Promise<ChainReport> {
  const { rows } = await db.query<{ entries: number; findings: ChainFinding[] }>(CHAIN, [MOST_FINDINGS]);
  return rows[0] ?? { entries: 0, findings: [] };
}

const CHAIN = `
  with linked as (
    select l.*, pg_catalog.lag(l.id, 1, 0::bigint) over by_id as id_before, pg_catalog.lag(l.hash) over by_id as hash_before
    from manage_db.operation_log l
    window by_id as (order by l.id)
  ),
  judged as (
    select l.id,
      case
        when l.hash <> pg_catalog.sha256(coalesce(l.previous_hash, '') || pg_catalog.convert_to(
          pg_catalog.jsonb_build_array(l.id, l.entry_id, l.attempt, l.event, l.operation, l.environment, l.database_name,
            l.host, l.port, l.level, l.actor, l.login, l.os_user, l.client_host, l.application, l.tool, l.reason,
            l.arguments, l.details, l.duration_ms, extract(epoch from l.occurred_at), extract(epoch from l.recorded_at),
            l.source)::text, 'UTF8')) then 'changed'
        when l.id <> l.id_before + 1 then 'missing'
        when l.previous_hash is distinct from l.hash_before then 'unlinked'
      end as kind
    from linked l
    union all
    select coalesce(h.id, 0),
      case when h.id is null or (h.id, h.hash) is distinct from (coalesce(n.id, 0), n.hash) then 'head' end
    from (select) the_only_row
    left join manage_db.operation_log_head h on true
    left join (select l.id, l.hash from manage_db.operation_log l order by l.id desc limit 1) n on true
  ),
  found as (select j.kind, j.id::double precision as id from judged j where j.kind is not null order by j.id limit $1)
  select (select pg_catalog.count(*) from manage_db.operation_log)::double precision as entries,
    coalesce((select pg_catalog.jsonb_agg(f) from found f), '[]') as findings`;

/** The hash of one entry in hexadecimal; `null` where there is no such entry. */
export async function readHash(db: Queryable, id: number): Promise<string | null> {
  const { rows } = await db.query<{ hash: string }>(
    `select pg_catalog.encode(l.hash, 'hex') as hash from manage_db.operation_log l where l.id = $1::bigint`,
    [id],
  );
  return rows[0]?.hash ?? null;
}
