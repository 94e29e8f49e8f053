import { RELATION_LOCKS, type RelationLock } from '../../../../database/catalog/relation-locks.js';

/** Who has to wait for a lock, in the words of an application. */
const BLOCKS: Readonly<Record<RelationLock, string>> = {
  AccessShareLock: 'only who takes it for themselves alone (ALTER TABLE, DROP, TRUNCATE)',
  RowShareLock: 'nobody who reads or writes',
  RowExclusiveLock: 'nobody who reads or writes',
  ShareUpdateExclusiveLock: 'nobody who reads or writes; VACUUM, ANALYZE and other changes of the schema',
  ShareLock: 'everybody who writes',
  ShareRowExclusiveLock: 'everybody who writes',
  ExclusiveLock: 'everybody who writes, and SELECT … FOR UPDATE',
  AccessExclusiveLock: 'everybody, also those who only read',
};

/** Who waits for somebody that holds `lock`. */
export function blockedBy(lock: RelationLock): string {
  return BLOCKS[lock];
}

/** Whether the application notices. */
export function isFelt(lock: RelationLock): boolean {
  return strengthOf(lock) >= RELATION_LOCKS.indexOf('ShareLock');
}

/** The more, the stronger. */
export function strengthOf(lock: RelationLock): number {
  return RELATION_LOCKS.indexOf(lock);
}
