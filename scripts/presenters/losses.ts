import { relative } from 'node:path';
import type { Loss } from '../../app/core/db-operations/migration/losses/read-losses.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';

/** What will be lost, one line each, with the place of the statement; nothing where nothing is. */
export function renderLosses(losses: readonly Loss[], paint: Paint): string[] {
  if (losses.length === 0) return [];
  return [
    paint.bold('Will be lost'),
    ...losses.map((loss) => {
      const sentence = printable(loss.sentence);
      const shown = loss.kind === 'unforeseen' ? paint.yellow(sentence) : paint.red(sentence);
      return `  ${shown}  ${paint.dim(printable(placeOf(loss)))}`;
    }),
  ];
}

function placeOf({ file, line }: Loss): string {
  const fromHere = relative(process.cwd(), file);
  const shown = fromHere.startsWith('..') ? file : fromHere;
  return line === null ? shown : `${shown}:${line}`;
}
