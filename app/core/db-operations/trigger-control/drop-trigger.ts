import { escapeIdentifier } from 'pg';
import { forgetTrigger } from '../../../database/records/trigger-registry.js';
import { type ManageDbError, PermissionError } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import type { OperationOptions, Target } from '../../safety/gate.js';
import { withLockErrors } from '../../triggers/locks.js';
import { inTriggerTransaction, lockPatience } from '../trigger-work/in-trigger-transaction.js';
import { type FoundTrigger, findTrigger, type TriggerName } from './find-trigger.js';
import type { TriggerMode } from './switch-trigger.js';

export interface DroppedTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly before: TriggerMode;
  readonly after: null;
  /** What creates it again; the mode that it had is `before`. */
  readonly definition: string;
}

/**
 * The work of `drop-db-trigger`, without the gate: with the rights of the login, which must own the table.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `PERMISSION_DENIED`, and `LOCK_TIMEOUT` naming the sessions in the way
 */
export function dropNamedTrigger(
  target: Target,
  options: TriggerName & Pick<OperationOptions, 'signal'>,
): Promise<DroppedTrigger> {
  const work = { target, signal: options.signal, advice: 'none', ...lockPatience({}) } as const;
  return inTriggerTransaction(work, async (db) => {
    const found = await findTrigger(db, options);
    const { relation, trigger } = found;
    if (relation.schema === 'manage_db') throw protecting(found);
    const table = `${escapeIdentifier(relation.schema)}.${escapeIdentifier(relation.name)}`;
    await withLockErrors({ tables: [relation], waitsFor: 'everybody' }, () =>
      db.query(`drop trigger ${escapeIdentifier(trigger.name)} on ${table}`),
    );
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
    { hint: `See what is recorded: ${nextCommand('inspect-db --schema manage_db')}` },
  );
}
