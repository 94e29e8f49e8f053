import type { Paint } from './paint.js';
import { printable } from './printable.js';
import { type Cell, renderTable } from './table.js';

export interface Section {
  readonly title: string;
  readonly head: readonly string[];
  /** What others have chosen must be harmless already, see {@link cell}. */
  readonly rows: readonly (readonly Cell[])[];
  /** As of {@link renderTable}. */
  readonly numeric?: readonly number[];
}

/** A table under its title, with the number of its rows; of none, the title alone. */
export function renderSection({ title, head, rows, numeric }: Section, paint: Paint): string {
  const heading = `${paint.bold(title)} (${rows.length})`;
  return rows.length === 0 ? heading : `${heading}\n${renderTable(paint, head, rows, numeric)}`;
}

/** A text that others have chosen, in one line of a table. */
export function cell(text: string | null): string | null {
  return text === null ? null : printable(text);
}
