import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, escapeIdentifier } from 'pg';
import { type HeldLock, readLocksOfOthers, readOwnLocks } from '../../../../database/catalog/relation-locks.js';
import { readStoredRelations, type StoredRelation } from '../../../../database/catalog/stored-relations.js';
import { readTransactionRows, type TransactionRows } from '../../../../database/catalog/transaction-rows.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { withConnection } from '../../../../services/with-connection.js';
import { messageOf } from '../../../errors.js';
import type { MigrationStep } from '../runner.js';
import { type StepTrial, type Trying, tryStep } from '../trial/try-step.js';
import { blockedBy, strengthOf } from './lock-words.js';
import type { RehearsedMigration } from './report.js';

export type Observed = StepTrial &
  Pick<RehearsedMigration, 'locks' | 'areLocksSampled' | 'rewritten' | 'indexes' | 'changedRows'> & {
    /** What could not be seen, in sentences. */
    readonly warnings: readonly string[];
  };

/** Milliseconds between two looks at the locks of a migration that is not one transaction. */
const LOOK_EVERY_MS = 20;

/**
 * Executes a step, and finds out what it does to what was there before it: which locks it takes, what it writes anew.
 *
 * @param watcher a session of its own in the scratch database
 * @throws ManageDbError as {@link tryStep}
 */
export async function observeStep(watcher: Client, step: MigrationStep, trying: Trying): Promise<Observed> {
  const before = await readStoredRelations(watcher);
  const part = step.direction === 'up' ? step.migration.up : step.migration.down;
  const isTransactional = part?.isTransactional ?? true;
  const seen = isTransactional ? await observed(step, trying) : await sampled(step, trying);
  const after = await readStoredRelations(watcher);
  const known = new Map(before.map((relation) => [relation.oid, relation]));
  return {
    ...seen.trial,
    locks: strongest(seen.locks, known),
    areLocksSampled: !isTransactional,
    rewritten: await rewrittenTables(watcher, after, known),
    indexes: builtIndexes(after, known),
    changedRows: seen.rows?.flatMap((rows) => named(rows, [...after, ...before])) ?? null,
    warnings: seen.warnings,
  };
}

interface Seen {
  readonly trial: StepTrial;
  readonly locks: readonly HeldLock[];
  readonly rows: readonly TransactionRows[] | null;
  readonly warnings: readonly string[];
}

/** Asked just before the commit: a transaction gives no lock back before that. */
async function observed(step: MigrationStep, trying: Trying): Promise<Seen> {
  let locks: readonly HeldLock[] = [];
  let rows: readonly TransactionRows[] = [];
  const beforeRecord = async (client: Client): Promise<void> => {
    await client.query(AS_OURSELVES);
    locks = await readOwnLocks(client);
    rows = await readTransactionRows(client);
    await client.query('rollback to savepoint looking; release savepoint looking');
  };
  const trial = await tryStep(step, { ...trying, beforeRecord });
  return { trial, locks, rows, warnings: [] };
}

/** The file may have left a search_path with operators of its own, a role, and a limit: whoever commits finds them as they were. */
const AS_OURSELVES = `savepoint looking; set local session authorization default; set local role none; ${PIN_TRANSACTION};
  set local statement_timeout = 0`;

/** In a session that nothing else depends on: without it there are fewer locks to tell of, and still a rehearsal. */
async function sampled(step: MigrationStep, trying: Trying): Promise<Seen> {
  const { settings, database, controls } = trying;
  const locks: HeldLock[] = [];
  const warnings: string[] = [];
  let isRunning = true;
  const looking = withConnection(settings, { database, signal: controls.signal }, async (db) => {
    while (isRunning) {
      locks.push(...(await readLocksOfOthers(db)));
      await sleep(LOOK_EVERY_MS);
    }
  }).catch((error: unknown) => {
    const { version, name } = step.migration;
    warnings.push(
      `The locks of ${version}_${name} could not be looked at until its end, so some may be missing: ${messageOf(error)}.`,
    );
  });
  let trial: StepTrial;
  try {
    trial = await tryStep(step, trying);
  } finally {
    isRunning = false;
    await looking;
  }
  return { trial, locks, rows: null, warnings };
}

/** Of an index that is locked, its table says more; of what is new, nobody else knows. */
function strongest(
  locks: readonly HeldLock[],
  known: ReadonlyMap<number, StoredRelation>,
): RehearsedMigration['locks'] {
  const found = new Map<number, HeldLock>();
  for (const one of locks) {
    const kind = known.get(one.oid)?.kind;
    if (kind === undefined || kind === 'i' || kind === 'I') continue;
    const other = found.get(one.oid);
    if (other === undefined || strengthOf(one.lock) > strengthOf(other.lock)) found.set(one.oid, one);
  }
  return [...found.values()]
    .sort((a, b) => strengthOf(b.lock) - strengthOf(a.lock))
    .flatMap(({ oid, lock }) => {
      const relation = known.get(oid);
      return relation === undefined
        ? []
        : [{ schema: relation.schema, name: relation.name, lock, blocks: blockedBy(lock) }];
    });
}

async function rewrittenTables(
  watcher: Client,
  after: readonly StoredRelation[],
  known: ReadonlyMap<number, StoredRelation>,
): Promise<RehearsedMigration['rewritten']> {
  const rewritten = [];
  for (const { oid, kind, file, schema, name, bytes, isPopulated } of after) {
    const before = known.get(oid);
    if (before === undefined || before.file === file || (kind !== 'r' && kind !== 'm')) continue;
    rewritten.push({ schema, name, rows: isPopulated ? await countRows(watcher, schema, name) : 0, bytes });
  }
  return rewritten;
}

async function countRows(watcher: Client, schema: string, name: string): Promise<number> {
  const table = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
  const { rows } = await watcher.query<{ count: number }>(
    `select pg_catalog.count(*)::double precision as count from only ${table}`,
  );
  return rows[0]?.count ?? 0;
}

function builtIndexes(
  after: readonly StoredRelation[],
  known: ReadonlyMap<number, StoredRelation>,
): RehearsedMigration['indexes'] {
  const names = new Map(after.map((relation) => [relation.oid, relation.name]));
  // that of a column whose type is changed is dropped and made anew
  const keyOf = ({ tableOid, name }: StoredRelation) => `${tableOid} ${name}`;
  const before = new Set([...known.values()].filter(({ kind }) => kind === 'i').map(keyOf));
  return after.flatMap((index) => {
    const { oid, kind, tableOid, file, schema, name, bytes } = index;
    if (kind !== 'i' || !known.has(tableOid) || known.get(oid)?.file === file) return [];
    return [{ schema, name, table: names.get(tableOid) ?? '', bytes, isAgain: before.has(keyOf(index)) }];
  });
}

function named({ oid, ...counts }: TransactionRows, relations: readonly StoredRelation[]) {
  const relation = relations.find((one) => one.oid === oid);
  return relation === undefined ? [] : [{ schema: relation.schema, name: relation.name, ...counts }];
}
