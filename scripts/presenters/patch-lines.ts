import type { Paint } from './paint.js';

/** A line of a unified patch in its colour. */
export function patchLine(line: string, paint: Paint): string {
  if (line.startsWith('@@')) return paint.cyan(line);
  if (line.startsWith('-')) return paint.red(line);
  return line.startsWith('+') ? paint.green(line) : line;
}
