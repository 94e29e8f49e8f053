import { setTimeout as sleep } from 'node:timers/promises';
import { readLockHolders } from '../../../../database/catalog/lock-holders.js';
import { readRelationsInPlace } from '../../../../database/catalog/tables-in-place.js';
import type { Queryable } from '../../../../database/queryable.js';
import { errorCodeOf } from '../../../../services/database-errors.js';
import { lockTimeoutError } from '../../../../services/lock-timeout-error.js';
import { withConnection } from '../../../../services/with-connection.js';
import { codeOf, ManageDbError } from '../../../errors.js';
import { isCommitted, UnknownOutcome } from '../../commit-outcome.js';
import { isOfSearchPath } from '../../database-state/search-path.js';
import { explained } from '../../failure.js';
import type { AppliedUpdate, ApplyingUpdate, Attempt } from './applying.js';
import { refusalInWords, StatementRefused } from './execute-statements.js';
import { updateInTransaction } from './update-in-transaction.js';

/** SQLSTATE unsafe_new_enum_value_usage. */
const UNSAFE_LABEL = '55P04';

/**
 * Executes the plan and commits; or nothing has happened but that labels were added, which the error says then.
 *
 * @throws UnknownOutcome; ManageDbError as `applySchemaUpdate`
 */
export async function applyUpdate(applying: ApplyingUpdate): Promise<AppliedUpdate> {
  const { plan, controls } = applying;
  if (plan.statements.length === 0) return { statements: 0, losses: [], remaining: plan.remaining, warnings: [] };
  let part: Attempt['part'] = 'all';
  let searchPath: string | null = null;
  if (plan.labelsFirst) part = await labelsFirst(applying);
  for (;;) {
    try {
      return await patiently(applying, { part, searchPath });
    } catch (error) {
      const refused = error instanceof StatementRefused ? error.cause : null;
      if (part === 'all' && refused?.code === UNSAFE_LABEL) {
        part = await labelsFirst(applying);
      } else if (searchPath === null && refused !== null && isOfSearchPath(refused)) {
        searchPath = `pg_catalog, ${plan.wanted.searchPath}`;
        controls.onProgress?.({ step: `again, under the search_path ${searchPath} that its functions rely on` });
      } else {
        throw inWords(error, applying, part);
      }
    }
  }
}

async function labelsFirst(applying: ApplyingUpdate): Promise<'rest'> {
  try {
    await patiently(applying, { part: 'labels', searchPath: null });
    return 'rest';
  } catch (error) {
    throw inWords(error, applying, 'all');
  }
}

/** Tries again when a table stays locked; in between all locks are given back, so that whoever waits behind us gets on. */
async function patiently(applying: ApplyingUpdate, attempt: Omit<Attempt, 'lockTimeoutMs'>): Promise<AppliedUpdate> {
  const { patience, controls } = applying;
  const began = Date.now();
  let { lockTimeoutMs } = patience;
  for (let tries = 1; ; tries += 1) {
    try {
      return await once(applying, { ...attempt, lockTimeoutMs });
    } catch (error) {
      const cause = error instanceof StatementRefused ? error.cause : error;
      const isLock = !(cause instanceof ManageDbError) && errorCodeOf(codeOf(cause)) === 'LOCK_TIMEOUT';
      if (!isLock) throw error;
      // two that stand in each other's way must not come back at the same moment
      const pause = Math.min(tries * 200, 1000) * (0.5 + Math.random());
      const waitedMs = Date.now() - began;
      const left = Math.floor(patience.lockBudgetMs - waitedMs - pause);
      if (left <= 0 || controls.signal?.aborted) throw await lockError(applying, waitedMs, cause);
      lockTimeoutMs = Math.min(patience.lockTimeoutMs, left);
      await sleep(pause, undefined, { signal: controls.signal }).catch(() => undefined);
    }
  }
}

async function once(applying: ApplyingUpdate, attempt: Attempt): Promise<AppliedUpdate> {
  const { settings } = applying.target;
  const { signal, onProgress } = applying.controls;
  let sent: { readonly xid: string; readonly applied: AppliedUpdate } | null = null;
  try {
    return await withConnection(settings, { signal }, async (client) => {
      const done = await updateInTransaction(client, applying, attempt).catch(async (error: unknown) => {
        // whoever is asked then who holds locks must not name us
        await client.query('rollback').catch(() => undefined);
        throw error;
      });
      onProgress?.({ step: 'committing' });
      // from here on only the server knows
      sent = done;
      await client.query('commit');
      return done.applied;
    });
  } catch (error) {
    if (sent === null) throw error;
    const { xid, applied } = sent as { readonly xid: string; readonly applied: AppliedUpdate };
    const anew = <T>(work: (db: Queryable) => Promise<T>) => withConnection(settings, {}, work);
    if (!(await isCommitted({ xid, what: 'the schema update', anew }))) throw error;
    return applied;
  }
}

async function lockError({ target, plan }: ApplyingUpdate, waitedMs: number, cause: unknown): Promise<ManageDbError> {
  const holders = await withConnection(target.settings, {}, async (db) => {
    const oids = (await readRelationsInPlace(db, plan.locks)).map(({ oid }) => oid);
    const found = await readLockHolders(db, { oids });
    return found.length > 0 ? found : readLockHolders(db);
  }).catch(() => []);
  const [table] = plan.locks;
  const wanted =
    plan.locks.length === 1 && table !== undefined
      ? `${table.schema}.${table.name}`
      : `the tables of ${target.database} that change`;
  const unchanged = `The schema of ${target.database} was not changed.`;
  return lockTimeoutError({ wanted, waitedMs, holders, unchanged, cause });
}

function inWords(error: unknown, { target, plan, controls }: ApplyingUpdate, part: Attempt['part']): unknown {
  if (error instanceof UnknownOutcome) return error;
  const known = error instanceof StatementRefused ? refusalInWords(error) : error;
  if (known instanceof ManageDbError && known.code === 'LOCK_TIMEOUT' && part !== 'rest') return known;
  const labels = plan.statements.filter(({ addsLabel }) => addsLabel).map(({ sql }) => sql);
  const sentence =
    part === 'rest'
      ? `No table of ${target.database} was changed. The new labels of enums were committed before, and stay: ${labels.join('; ')}.`
      : `The schema of ${target.database} was not changed.`;
  return explained(known, sentence, controls.signal);
}
