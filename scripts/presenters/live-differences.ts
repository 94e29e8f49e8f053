import type { LiveDifference } from '../../app/core/db-operations/migration/live-differences/live-difference.js';
import type { Paint } from './paint.js';
import { patchLine } from './patch-lines.js';
import { printable, printableLines } from './printable.js';

const STATES: Readonly<Record<LiveDifference['state'], string>> = {
  new: 'new',
  unchanged: 'unchanged',
  changed: 'changed',
  changed_by_hand: 'changed by hand, and overwritten',
};

/** What becomes of functions, procedures, triggers and views: each with its lines that change. */
export function renderLiveDifferences(differences: readonly LiveDifference[], paint: Paint): string[] {
  return differences.flatMap(({ kind, object, state, patch, managedBy, remarks }) => {
    const shown = state === 'changed_by_hand' ? paint.yellow(STATES[state]) : paint.dim(STATES[state]);
    const pack = managedBy === null ? '' : paint.dim(`  managed by ${printable(managedBy)}`);
    // its first two lines say which side is which
    const lines = printableLines(patch).trimEnd().split('\n').slice(2);
    return [
      `${kind} ${paint.bold(printable(object))}  ${shown}${pack}`,
      ...lines.map((line) => `  ${patchLine(line, paint)}`),
      ...remarks.map((remark) => `  ${paint.yellow('!')} ${printable(remark)}`),
    ];
  });
}
