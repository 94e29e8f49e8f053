import type { MigrationPart } from './migration-files.js';

/** Begins a line of a written migration that nobody has decided on yet, because rows would be lost by it. */
export const UNDECIDED = '--! ';

/** How many such lines a part has. */
export function undecidedLines(part: MigrationPart): number {
  if (part.kind !== 'sql') return 0;
  return part.source.sql.split('\n').filter((line) => line.startsWith(UNDECIDED.trimEnd())).length;
}

/** A written migration as it is when all such lines were taken. */
export function decidedText(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.startsWith(UNDECIDED) ? line.slice(UNDECIDED.length) : line))
    .join('\n');
}
