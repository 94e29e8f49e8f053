import type { CountedRows } from './count-rows.js';

/** `1,204 rows`, `about 1,204 rows`, `rows that were not counted (the table is locked)`. */
export function amount({ rows, isEstimate, because }: CountedRows, noun: string): string {
  if (rows === null) return `${noun}s that were not counted${because === null ? '' : ` (${because})`}`;
  const number = rows.toLocaleString('en-US');
  return `${isEstimate ? 'about ' : ''}${number} ${noun}${rows === 1 ? '' : 's'}`;
}

/** How it comes that a statement takes something that it does not name. */
export function takenBy(cause: string | null): string {
  return cause === null ? '' : `, by CASCADE of ${cause}`;
}
