import Table from 'cli-table3';
import type { Paint } from './paint.js';

const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export type Cell = string | number | null;

/**
 * Rows in columns, without frames, so that they can be read, grepped and pasted. `null` is printed as `-`.
 *
 * @param numeric the columns (from 0) that are aligned to the right
 */
export function renderTable(
  paint: Paint,
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  numeric: readonly number[] = [],
): string {
  const table = new Table({
    head: head.map((title) => paint.bold(title)),
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, index) => (numeric.includes(index) ? 'right' : 'left')),
  });
  for (const row of rows) table.push(row.map((cell) => (cell === null ? paint.dim('-') : String(cell))));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
