import type { OperationOptions } from '../safety/gate.js';
import { guarded } from '../safety/gate.js';
import { type DroppedTrigger, dropNamedTrigger } from './trigger-control/drop-trigger.js';
import { type SwitchedTrigger, switchTrigger } from './trigger-control/switch-trigger.js';

export type { DroppedTrigger } from './trigger-control/drop-trigger.js';
export type { SwitchedTrigger, TriggerMode } from './trigger-control/switch-trigger.js';

export interface TriggerOptions extends OperationOptions {
  /** `'clinic.users'`, or `'users'` where only one schema has it. */
  readonly table: string;
  readonly name: string;
}

export interface EnableTriggerOptions extends TriggerOptions {
  /** In which sessions it shall fire: `origin` in ordinary ones (the default), `replica` only when replicating, `always`. */
  readonly mode?: 'origin' | 'replica' | 'always' | undefined;
}

/**
 * Lets a trigger fire again, on partitions of the table too. Operators need not own the table.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE`, `PERMISSION_DENIED`, `KILL_SWITCH`, `LOCK_TIMEOUT` naming the
 *   session in the way, `SQL_FAILED`, and what the gate and connecting throw
 * @example await enableTrigger({ env: 'staging', table: 'clinic.users', name: 'update_timestamp' });
 */
export function enableTrigger(options: EnableTriggerOptions): Promise<SwitchedTrigger> {
  const { mode = 'origin' } = options;
  return guarded('enable-db-trigger', options, (target, permit) => switchTrigger(target, { ...options, mode }, permit));
}

/**
 * Keeps a trigger from firing, on partitions of the table too.
 *
 * @throws ManageDbError as {@link enableTrigger}
 * @example await disableTrigger({ table: 'clinic.users', name: 'note_email', consent: { reason: 'mails are sent twice' } });
 */
export function disableTrigger(options: TriggerOptions): Promise<SwitchedTrigger> {
  return guarded('disable-db-trigger', options, (target, permit) =>
    switchTrigger(target, { ...options, mode: 'disabled' }, permit),
  );
}

/**
 * Drops a trigger. The result has its definition, for creating it again.
 *
 * @throws ManageDbError as {@link enableTrigger}; only the owner of the table may
 * @example const { definition } = await dropTrigger({ table: 'users', name: 'note_email', consent: { yes: true } });
 */
export function dropTrigger(options: TriggerOptions): Promise<DroppedTrigger> {
  return guarded('drop-db-trigger', options, (target) => dropNamedTrigger(target, options));
}
