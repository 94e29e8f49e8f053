import type { DriftState, TriggerReport } from '../../app/core/triggers/trigger-report.js';
import type { Paint } from './paint.js';

/** A state in its colour: green for what is in order, dim for what is nobody's business, red for what does not work. */
export function renderState({ state, isDrift }: Pick<TriggerReport, 'state' | 'isDrift'>, paint: Paint): string {
  if (state === 'in_sync') return paint.green(state);
  if (!isDrift) return paint.dim(state);
  const broken: readonly DriftState[] = ['dropped', 'disabled'];
  return broken.includes(state) ? paint.red(state) : paint.yellow(state);
}
