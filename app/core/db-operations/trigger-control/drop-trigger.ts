import { escapeIdentifier } from 'pg';
import { forgetTrigger } from '../../../database/records/trigger-registry.js';
import { type ManageDbError, PermissionError } from '../../errors.js';
import type { OperationOptions, Target } from '../../safety/gate.js';
import { withLockErrors } from '../../triggers/locks.js';
import { type FoundTrigger, findTrigger, type TriggerName } from './find-trigger.js';
import type { TriggerMode } from './switch-trigger.js';
import { withTriggerLock } from './with-trigger-lock.js';

export interface DroppedTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly before: TriggerMode;
  readonly after: null;
  /** What creates it again; the mode that it had is `before`. */
  readonly definition: string;
}

/** The work of `drop-db-trigger`, without the gate: with the rights of the login, which must own the table. */
export function dropNamedTrigger(
  target: Target,
  options: TriggerName & Pick<OperationOptions, 'signal'>,
): Promise<DroppedTrigger> {
  return withTriggerLock({ target, signal: options.signal, lock: 'everything' }, async (db) => {
    const found = await findTrigger(db, options);
    const { relation, trigger } = found;
    if (relation.schema === 'manage_db') throw protecting(found);
    const table = `${escapeIdentifier(relation.schema)}.${escapeIdentifier(relation.name)}`;
    await withLockErrors([relation], () => db.query(`drop trigger ${escapeIdentifier(trigger.name)} on ${table}`));
    await forgetTrigger(db, { schema: relation.schema, table: relation.name, name: trigger.name });
    return {
      schema: relation.schema,
      table: relation.name,
      name: trigger.name,
      before: trigger.enabled,
      after: null,
      definition: trigger.definition,
    };
  });
}

function protecting({ relation, trigger }: FoundTrigger): ManageDbError {
  return new PermissionError(
    `${trigger.name} of ${relation.schema}.${relation.name} protects the records of manage_db and is not dropped.`,
    { hint: 'See what is recorded: manage_db inspect-db --schema manage_db' },
  );
}
