import { type DroppableSchema, readDroppableSchemas } from '../../../database/catalog/droppable-schemas.js';
import { readExtensions } from '../../../database/catalog/extensions.js';
import { readUserObjects, type UserObject } from '../../../database/catalog/user-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import { errorCodeOf } from '../../../services/database-errors.js';
import { getOperationSession } from '../../../services/database-service.js';
import { codeOf, ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import { dropStatements } from './drop-statements.js';
import { lockTimeout } from './lock-timeout.js';
import { notOwned } from './not-owned.js';
import { tooManyLocks } from './too-many-locks.js';

export interface DroppedObject {
  readonly kind: string;
  readonly schema: string;
  /** Of routines and operators with the types of their arguments. */
  readonly name: string;
}

/** Without a lockTimeoutMs setting: a DROP that waits makes every later query on the table wait behind it. */
const LOCK_TIMEOUT_MS = 10_000;
const OUT_OF_LOCKS = '53200';

/**
 * Drops every user object of the target in one transaction; it is the raw work of `drop-all-tables`, without the gate.
 *
 * Extensions and what came with them stay, and so does the schema `public`. The schema `manage_db` stays too, but its
 * record of applied migrations is emptied, because what they made is gone.
 *
 * @throws ManageDbError `PERMISSION_DENIED`, `LOCK_TIMEOUT`, `SQL_FAILED`; in each case nothing is dropped
 */
export async function dropAllObjects(target: Target, options: OperationControls): Promise<readonly DroppedObject[]> {
  const { signal } = options;
  try {
    return await getOperationSession((session) => dropWithin(session, target, options), {
      env: target.environment,
      signal,
    });
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (errorCodeOf(code) === 'LOCK_TIMEOUT') throw await lockTimeout(target, lockTimeoutMs(target), error);
    if (code === OUT_OF_LOCKS) throw await tooManyLocks(target, error);
    if (error instanceof ManageDbError) throw error;
    throw explained(error, 'Nothing was dropped.', signal);
  }
}

async function dropWithin(
  db: Queryable,
  target: Target,
  options: OperationControls,
): Promise<readonly DroppedObject[]> {
  await db.query(LIMITS, [String(lockTimeoutMs(target))]);
  const objects = await readUserObjects(db);
  const schemas = await readDroppableSchemas(db);
  refuseForeignObjects(target, objects, schemas);
  const extensions = await readExtensions(db);
  const total = objects.length + schemas.length;
  let done = 0;
  for (const { kind, count, sql } of dropStatements(objects, schemas)) {
    options.signal?.throwIfAborted();
    options.onProgress?.({ step: `dropping ${kind}`, done, total });
    await db.query(sql);
    done += count;
  }
  await requireExtensions(db, target, extensions);
  await forgetMigrations(db);
  return [
    ...objects.map(({ kind, schema, name }) => ({ kind, schema, name })),
    ...schemas.map(({ name }) => ({ kind: 'schema', schema: name, name })),
  ];
}

function lockTimeoutMs({ settings }: Target): number {
  return settings.pool.lockTimeoutMs > 0 ? settings.pool.lockTimeoutMs : LOCK_TIMEOUT_MS;
}

/* Thousands of notices about what a CASCADE took along, and statement timeouts meant for queries, have no place here. */
const LIMITS = `
  select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('statement_timeout', '0', true),
    pg_catalog.set_config('client_min_messages', 'error', true)`;

function refuseForeignObjects(
  target: Target,
  objects: readonly UserObject[],
  schemas: readonly DroppableSchema[],
): void {
  const foreign = [...objects, ...schemas.map((schema) => ({ kind: 'schema', ...schema }))].filter(
    ({ droppable }) => !droppable,
  );
  if (foreign.length > 0) throw notOwned(target, foreign);
}

/** A CASCADE that reaches a part of an extension would take the whole extension: nobody asked for that. */
async function requireExtensions(db: Queryable, target: Target, before: readonly { name: string }[]): Promise<void> {
  const after = new Set((await readExtensions(db)).map(({ name }) => name));
  const lost = before.map(({ name }) => name).filter((name) => !after.has(name));
  if (lost.length === 0) return;
  throw new ManageDbError(
    'SQL_FAILED',
    `Extensions of ${target.database} are built on objects that would be dropped: ${lost.join(', ')}. Nothing was dropped.`,
    { hint: `Drop them first: drop extension ${lost.join(', ')} cascade;`, details: { extensions: lost } },
  );
}

/** initialize-db applies everything again afterwards. */
async function forgetMigrations(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ present: boolean }>(
    `select pg_catalog.to_regclass('manage_db.migrations') is not null as present`,
  );
  if (rows[0]?.present) await db.query('delete from manage_db.migrations');
}
