import type { SwitchedTrigger } from '../../app/core/db-operations/trigger-control.js';
import type { Paint } from './paint.js';

/** What `enable-db-trigger` and `disable-db-trigger` did. */
export function renderSwitchedTrigger({ schema, table, name, before, after }: SwitchedTrigger, paint: Paint): string {
  const trigger = `${schema}.${table}  ${paint.bold(name)}`;
  return before === after
    ? `${trigger}  was ${after} already`
    : `${paint.green('✓')} ${trigger}  ${before} → ${paint.bold(after)}`;
}
