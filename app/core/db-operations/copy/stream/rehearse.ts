import { escapeLiteral } from 'pg';
import { PIN_SESSION } from '../../../../services/catalog-path.js';
import { isServerError } from '../../../../services/database-errors.js';
import { ManageDbError } from '../../../errors.js';
import { dashed } from '../../../listed.js';
import type { Entry } from '../../database-state/contents.js';
import { isOfSearchPath } from '../../database-state/search-path.js';
import type { Definitions } from './definitions.js';
import type { Lane } from './lane.js';
import { nameOf } from './make-entry.js';
import { isOfEventTrigger } from './order.js';
import type { Filling } from './stream-copy.js';

/** What is tried in one transaction: each entry locks something, and the server has room for some thousand locks. */
const BATCH = 500;

const MOST_SHOWN = 10;

interface Failure {
  readonly entry: Entry;
  readonly error: string;
}

/**
 * Makes what comes after the rows on the empty tables, in transactions that are rolled back: what the target's server cannot make
 * is known before hours of copying, and all of it at once. Materialized views are not computed.
 *
 * @throws ManageDbError `NOT_FOUND` with everything that cannot be made
 */
export async function rehearse(
  filling: Filling,
  lane: Lane,
  definitions: Pick<Definitions, 'after' | 'grants' | 'sql'>,
): Promise<void> {
  const { after, grants } = definitions;
  const made = after.filter((entry) => entry.kind !== 'MATERIALIZED VIEW DATA' && !isOfEventTrigger(entry));
  const failures: Failure[] = [];
  for (const batch of [...batchesOf(made), ...chunksOf(grants), after.filter(isOfEventTrigger)]) {
    const known = new Set(failures.map(({ entry }) => entry.id));
    const failed = await tryEntries(lane, batch, definitions.sql);
    failures.push(...failed.filter(({ entry }) => !known.has(entry.id)));
  }
  if (failures.length > 0) throw refusal(filling, failures);
}

/** Each with what its entries need of those before. */
function batchesOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  return chunksOf(entries).map((chunk) => {
    const wanted = new Set<number>();
    const add = (entry: Entry): void => {
      if (wanted.has(entry.id)) return;
      wanted.add(entry.id);
      for (const need of entry.needs) {
        const needed = byId.get(need);
        if (needed !== undefined) add(needed);
      }
    };
    for (const entry of chunk) add(entry);
    return entries.filter(({ id }) => wanted.has(id));
  });
}

function chunksOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  return Array.from({ length: Math.ceil(entries.length / BATCH) }, (_, index) =>
    entries.slice(index * BATCH, (index + 1) * BATCH),
  );
}

async function tryEntries(
  lane: Lane,
  entries: readonly Entry[],
  sql: ReadonlyMap<number, string>,
): Promise<readonly Failure[]> {
  const { target } = lane;
  const failures: Failure[] = [];
  const failed = new Set<number>();
  if (entries.length === 0) return failures;
  await target.query('begin; savepoint rehearsed');
  for (const entry of entries) {
    // what cannot be made is named, and not what cannot be made without it
    if (entry.needs.some((need) => failed.has(need))) {
      failed.add(entry.id);
      continue;
    }
    const error = await tryEntry(lane, sql.get(entry.id) ?? '');
    if (error === null) continue;
    failed.add(entry.id);
    failures.push({ entry, error });
  }
  await target.query('rollback');
  return failures;
}

/** `null`: it can be made. */
async function tryEntry(lane: Lane, sql: string): Promise<string | null> {
  const error = await attempt(lane, sql);
  if (error === null || !isOfSearchPath(error)) return error?.message ?? null;
  const path = `select pg_catalog.set_config('search_path', ${escapeLiteral(lane.searchPath)}, false)`;
  return (await attempt(lane, `${path}; ${sql}; ${PIN_SESSION}`))?.message ?? null;
}

/** In one go: round trips may take longer than the work. What is no SQL for this server fails before any of it is executed. */
async function attempt({ target }: Lane, sql: string): Promise<Error | null> {
  try {
    await target.query(`${sql}\n; release savepoint rehearsed; savepoint rehearsed`);
    return null;
  } catch (error) {
    if (!isAboutObjects(error)) throw error;
    await target.query('rollback to savepoint rehearsed');
    return error;
  }
}

/** Not about the server's own state: what has no room, was ended or was lost is no answer. */
function isAboutObjects(error: unknown): error is Error {
  return isServerError(error) && !/^(08|40|53|55006|55P03|57|58|XX)/.test(error.code ?? '');
}

function refusal({ copy: { target }, blueprint }: Filling, failures: readonly Failure[]): ManageDbError {
  const [address] = target.hosts;
  const lines = failures.map(({ entry, error }) => `${nameOf(entry)}: ${error}`);
  return new ManageDbError(
    'NOT_FOUND',
    `The server ${address?.host}:${address?.port} cannot create what is in ${blueprint.settings.environment}:\n${dashed(lines, MOST_SHOWN)}\nNo row was copied.`,
    {
      hint: 'The first one is often the cause of the others: install on the server what it lacks, create the roles, or copy to one that has them. Without roles: copy --without owners --without grants.',
      details: { failures: lines.slice(0, 100) },
    },
  );
}
