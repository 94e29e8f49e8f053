import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

/** As much as a busy server writes in some hours; where nobody fetches it, the disk is full in the end. */
const MUCH_WAL_BYTES = 10 * 1024 ** 3;

interface Slot {
  readonly name: string;
  readonly isActive: boolean;
  readonly isLost: boolean;
  /** Bytes of WAL that are kept for it. */
  readonly retained: number;
  readonly size: string;
  readonly fix: string;
}

export const checkReplicationSlots: RunCheck = async (db) => {
  const { rows } = await db.query<Slot>(SLOTS);
  const bad = rows.filter(({ isActive, isLost, retained }) => isLost || !isActive || retained >= MUCH_WAL_BYTES);
  if (bad.length === 0) {
    return ok(rows.length, rows.length === 0 ? 'There are no replication slots.' : 'Every replication slot is in use.');
  }
  const isCritical = bad.some(({ isLost, isActive, retained }) => isLost || (!isActive && retained >= MUCH_WAL_BYTES));
  return {
    status: isCritical ? 'critical' : 'warning',
    value: bad.length,
    detail: `The server keeps WAL, and dead rows, for who does not fetch it: ${listed(bad.map(words))}. Start its consumer, or drop the slot.`,
    fix: statements(bad.map(({ fix }) => fix)),
  };
};

function words({ name, isActive, isLost, size }: Slot): string {
  if (isLost) return `${name} (what it needs is gone: its consumer has to be built anew)`;
  return `${name} (${isActive ? 'behind' : 'not in use'}, ${size})`;
}

/*
 * Slots belong to the whole server. One that has never reserved anything keeps nothing. Since PostgreSQL 17 a standby may have
 * copies of its primary's, which nobody uses or drops there.
 */
const SLOTS = `
  select s.slot_name::text as name, s.active as "isActive", coalesce(s.wal_status = 'lost', false) as "isLost",
    coalesce(r.retained, 0)::float8 as retained, pg_catalog.pg_size_pretty(coalesce(r.retained, 0)) as size,
    case when s.active then pg_catalog.format('select * from pg_stat_replication where pid = %s', s.active_pid)
      else pg_catalog.format('select pg_drop_replication_slot(%L)', s.slot_name) end as fix
  from pg_catalog.pg_replication_slots s
  cross join lateral (
    select pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery()
      then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn) as retained
  ) r
  where not s.temporary
    and not (pg_catalog.pg_is_in_recovery() and coalesce((pg_catalog.to_jsonb(s) ->> 'synced')::boolean, false))
    and (s.active or s.restart_lsn is not null or s.catalog_xmin is not null or s.wal_status = 'lost')
  order by r.retained desc nulls last, 1`;
