import type { Client } from 'pg';
import { readLockHolders } from '../../../../database/catalog/lock-holders.js';
import { asManageDbError, errorCodeOf, isServerError } from '../../../../services/database-errors.js';
import { lockTimeoutError } from '../../../../services/lock-timeout-error.js';
import { withConnection } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { SafetyBackup } from '../../backup/safety-backup.js';
import { isCommitted, UnknownOutcome } from '../../commit-outcome.js';
import { isOfSearchPath, searchPathOf } from '../../database-state/search-path.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { StillAlone } from '../../scratch/keep-others-out.js';
import { type Planning, planInPlace } from './plan.js';
import { LOCK_TIMEOUT_MS, type Replaced, replaceInPlace } from './replace.js';

export interface Committing {
  readonly planning: Omit<Planning, 'searchPath'>;
  readonly manifest: Manifest;
  readonly controls: OperationControls;
  readonly safety: SafetyBackup;
  /** What the same transaction executes at its end; `null`: nothing. */
  readonly stamp: string | null;
  readonly stillAlone: StillAlone;
}

/**
 * Replaces the tables and commits; or nothing has happened, and the safety backup is gone.
 *
 * @throws UnknownOutcome; ManageDbError as `restoreInPlace`
 */
export async function replaceAndCommit(committing: Committing): Promise<Replaced> {
  const { manifest, planning, controls, safety } = committing;
  const searchPath = searchPathOf(manifest.properties);
  try {
    return await attempt(committing, { ...planning, searchPath: '' }).catch((error: unknown) => {
      if (!isOfSearchPath(error)) throw error;
      controls.onProgress?.({
        step: `restoring again, under the search_path ${searchPath} that its functions rely on`,
      });
      return attempt(committing, { ...planning, searchPath });
    });
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error;
    throw await safety.discard(await inWords(error, planning.target));
  }
}

async function attempt(committing: Committing, planning: Planning): Promise<Replaced> {
  const { settings } = planning.target;
  const { controls } = committing;
  // before anybody has to wait
  await withConnection(settings, { signal: controls.signal }, (client) => rehearse(client, planning));
  let replaced: Replaced | null = null;
  try {
    return await withConnection(settings, { signal: controls.signal }, async (client) => {
      const done = await replace(client, committing, planning);
      controls.onProgress?.({ step: 'committing' });
      // from here on only the server knows
      replaced = done;
      await client.query('commit');
      return done;
    });
  } catch (error) {
    if (replaced === null || !(await wasCommitted(committing, replaced))) throw error;
    return replaced;
  }
}

async function rehearse(client: Client, planning: Planning): Promise<void> {
  await client.query('begin');
  await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    await planInPlace(client, planning);
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

async function replace(client: Client, committing: Committing, planning: Planning): Promise<Replaced> {
  const { manifest, controls, stamp, safety, stillAlone } = committing;
  const backUp = (tables: readonly string[]) => safety.make({ tables });
  try {
    return await replaceInPlace(client, { planning, manifest, controls, backUp, stamp, stillAlone });
  } catch (error) {
    // whoever is asked then who holds locks must not name us
    if (isServerError(error)) await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** @throws UnknownOutcome */
async function wasCommitted({ planning: { target }, safety }: Committing, { xid }: Replaced): Promise<boolean> {
  try {
    return await isCommitted({ xid, what: 'the restore', anew: (work) => withConnection(target.settings, {}, work) });
  } catch (unknown) {
    if (!(unknown instanceof UnknownOutcome)) throw unknown;
    throw safety.id === null ? unknown : unknown.saying(`What the tables were is backup ${safety.id}.`);
  }
}

/** What failed, as somebody has to know it who wanted tables back. */
async function inWords(error: unknown, { settings, database }: Target): Promise<unknown> {
  if (!isServerError(error)) return error;
  if (error.code === '23503') {
    const { constraint, table, schema, detail } = error;
    return new ManageDbError(
      'SQL_FAILED',
      `A row would point at nothing: the foreign key ${constraint} of ${schema}.${table} does not hold. ${detail ?? ''}`.trim(),
      {
        hint: 'Restore the other table with it (one more --table), or change those rows first.',
        details: { sqlState: error.code, constraint, schema, table, detail },
        cause: error,
      },
    );
  }
  if (errorCodeOf(error.code) !== 'LOCK_TIMEOUT') return asManageDbError(error);
  const holders = await withConnection(settings, {}, (db) => readLockHolders(db)).catch(() => []);
  return lockTimeoutError({
    wanted: `the tables of ${database}`,
    waitedMs: LOCK_TIMEOUT_MS,
    holders,
    unchanged: 'Nothing was restored.',
    cause: error,
  });
}
