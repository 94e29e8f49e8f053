import { messageOf } from '../core/errors.js';

/**
 * `JSON.parse` for a file that may hold secrets: V8's message quotes the text around an error, this one says only where
 * it is.
 *
 * @throws Error `line 3, column 7 is not valid JSON`, without a cause
 * @example parseJson(await readFile(path, 'utf8'))
 */
export function parseJson(text: string): unknown {
  const message = failureOf(text);
  if (message === null) return JSON.parse(text);
  const before = text.slice(0, offsetOf(message, text)).split('\n');
  throw new Error(`line ${before.length}, column ${(before.at(-1) ?? '').length + 1} is not valid JSON`);
}

/** As {@link parseJson}; `undefined` for what is not valid JSON. */
export function parseJsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failureOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Some messages have the position. Without it, the error is where the text may not be cut off any more. */
function offsetOf(message: string, text: string): number {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (failureOf(text.slice(0, middle))?.startsWith('Unexpected token')) bad = middle;
    else good = middle;
  }
  return good;
}
