import type { Queryable } from '../../../database/queryable.js';
import { type LogHead, readHead, readLogState } from '../../../database/records/operation-log.js';
import { readHash } from '../../../database/records/operation-log-chain.js';
import { ManageDbError } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import { inheritMirror, mirrorHead } from './heads.js';

/** Entries of one statement: their JSON is held in memory, at most half a megabyte each. */
const BATCH = 100;

/**
 * Makes the log of `to` that of `from`, every entry as it is: ids, times and hashes; with what this workspace remembers
 * of its end. Returns how many there are.
 *
 * @param to a scratch database that is ours, with the schema manage_db in place and no transaction open
 */
export async function carryOperationLog(from: Queryable, to: Queryable): Promise<number> {
  await inheritMirror(from, to);
  if ((await readLogState(from)) !== 'readable') return 0;
  return unguarded(to, async () => {
    await to.query('truncate manage_db.operation_log');
    return copyAfter(0, from, to);
  });
}

/**
 * Empties the log of `to`, which came with contents that were another database's.
 *
 * @param to a scratch database that is ours, with the schema manage_db in place and no transaction open
 */
export async function emptyOperationLog(to: Queryable): Promise<void> {
  await unguarded(to, async () => {
    await to.query('truncate manage_db.operation_log');
    return 0;
  });
}

/**
 * Adds what was written into the log of `from` after {@link carryOperationLog}. The head of the new log is remembered in
 * the workspace.
 *
 * @throws ManageDbError `DATABASE_IN_USE` when the new log went on by itself meanwhile: both have entries then that the
 *   other has not, and neither may be dropped
 */
export async function carryLateEntries(from: Queryable, to: Queryable): Promise<number> {
  if ((await readLogState(from)) !== 'readable') return 0;
  const [old, present] = [await readHead(from), await readHead(to)];
  const count = (await leadsTo(to, old)) ? 0 : await copyLate(from, to, present);
  await mirrorHead(to);
  return count;
}

/** Whether everything that `from` has logged stands in the log of `to` as well; what cannot be read does not count as known. */
export async function hasWholeLog(to: Queryable, from: Queryable): Promise<boolean> {
  const state = await readLogState(from);
  if (state === 'absent') return true;
  if (state !== 'readable') return false;
  const head = await readHead(from);
  return head === null || ((await readLogState(to)) === 'readable' && (await leadsTo(to, head)));
}

async function copyLate(from: Queryable, to: Queryable, carried: LogHead | null): Promise<number> {
  if (!(await leadsTo(from, carried))) throw wentOn();
  return unguarded(to, async () => {
    if ((await readHead(to))?.id !== carried?.id) throw wentOn();
    return copyAfter(carried?.id ?? 0, from, to);
  });
}

/** Whether the log of `db` has that entry, hence all those before it. */
async function leadsTo(db: Queryable, head: LogHead | null): Promise<boolean> {
  return head === null || (await readHash(db, head.id)) === head.hash;
}

function wentOn(): ManageDbError {
  return new ManageDbError('DATABASE_IN_USE', 'Both databases have logged operations since the log was carried over.', {
    hint: `Keep both, and compare them with ${nextCommand('show-operation-log')}.`,
  });
}

/** The triggers that protect the log are off for exactly this transaction. */
async function unguarded(to: Queryable, work: () => Promise<number>): Promise<number> {
  await to.query('begin');
  try {
    await to.query('lock table manage_db.operation_log, manage_db.operation_log_head in access exclusive mode');
    await to.query('alter table manage_db.operation_log disable trigger user');
    await to.query('alter table manage_db.operation_log_head disable trigger user');
    const count = await work();
    await to.query(`
      update manage_db.operation_log_head h set id = coalesce(n.id, 0), hash = n.hash
      from (select pg_catalog.max(l.id) as newest from manage_db.operation_log l) m
      left join manage_db.operation_log n on n.id = m.newest`);
    await to.query(`
      alter table manage_db.operation_log enable always trigger chain_operation, enable always trigger refuse_change`);
    await to.query('alter table manage_db.operation_log_head enable always trigger refuse_change');
    await to.query('commit');
    return count;
  } catch (error) {
    await to.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function copyAfter(start: number, from: Queryable, to: Queryable): Promise<number> {
  let last = start;
  for (let count = 0; ; ) {
    const { rows } = await from.query<{ entries: string; size: number; last: number }>(BATCH_OF, [last, BATCH]);
    const [batch] = rows;
    if (batch === undefined || batch.size === 0) return count;
    await to.query(
      `insert into manage_db.operation_log
       select * from pg_catalog.jsonb_populate_recordset(null::manage_db.operation_log, $1::jsonb)`,
      [batch.entries],
    );
    last = batch.last;
    count += batch.size;
  }
}

const BATCH_OF = `
  select coalesce(pg_catalog.jsonb_agg(l), '[]')::text as entries, pg_catalog.count(*)::integer as size,
    pg_catalog.max(l.id)::double precision as last
  from (select * from manage_db.operation_log where id > $1::bigint order by id limit $2::integer) l`;
