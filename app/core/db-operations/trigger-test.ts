import { guarded, type OperationOptions } from '../safety/gate.js';
import { exerciseTriggers, type TestTriggersResult, type TriggerSelection } from './trigger-test/test-triggers.js';

export type { FunctionCheck } from './trigger-test/function-check.js';
export type { TestedEvent, TestState } from './trigger-test/outcomes.js';
export type { TestedTrigger, TestTriggersResult } from './trigger-test/test-triggers.js';

export type TestTriggersOptions = OperationOptions & TriggerSelection;

/**
 * Makes every trigger fire: each event of each one, by statements on its own table with rows that are made to fit, in a
 * transaction for each table that is always rolled back. PostgreSQL itself says which triggers it has called. Sequences
 * advance; nothing else remains, unless a trigger works outside of the transaction.
 *
 * Where no row can be made, or a condition cannot be met, the result says so; nothing but the connection fails the whole.
 * Refused where the database is protected.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE`, `INTERRUPTED`, and what the gate and connecting throw
 * @example
 * const { triggers, counts } = await testTriggers({ env: 'testing', table: 'clinic.users' });
 */
export function testTriggers(options: TestTriggersOptions = {}): Promise<TestTriggersResult> {
  return guarded('test-db-triggers', options, (target) => exerciseTriggers(target, options));
}
