import { readRelationNames } from '../../database/catalog/relation-names.js';
import type { Queryable } from '../../database/queryable.js';
import { type LockWish, withLockErrors } from './locks.js';
import type { TriggerPack } from './pack.js';

/**
 * Makes the tables of packs that have none yet. What is missing of those that are there is only returned: that was
 * prepared before (see `TriggerPack.preparation`), or will be where this is a dry run.
 *
 * @throws TriggerLockError when a table stays locked
 */
export async function setUpPacks(db: Queryable, packs: readonly TriggerPack[]): Promise<readonly string[]> {
  const done: string[] = [];
  for (const pack of packs) {
    const { setup = [], isNew = false } = pack;
    if (setup.length > 0) done.push(...(isNew ? await executeForPack(db, pack, setup) : setup));
  }
  return done;
}

/**
 * Executes statements about the tables of the pack itself; returns them.
 *
 * @throws TriggerLockError when one of these tables stays locked
 */
export async function executeForPack(
  db: Queryable,
  { name, functionSchema }: TriggerPack,
  statements: readonly string[],
): Promise<readonly string[]> {
  const relations = await readRelationNames(db);
  const wish: LockWish = {
    tables: relations.filter(({ schema }) => schema === functionSchema),
    waitsFor: 'everybody',
    name: `the tables of the ${name} pack (schema ${functionSchema})`,
  };
  for (const statement of statements) await withLockErrors(wish, () => db.query(statement));
  return statements;
}
