import type { SqlSource } from './source.js';

/** A place in a file, as an editor counts: lines and characters from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** How many characters of a long line are shown on either side of the place. */
const SHOWN = 80;

/** The place of `offset`, an index into `source.sql`. */
export function placeOf(source: SqlSource, offset: number): Place {
  return placeReader(source)(offset);
}

/** {@link placeOf} for many offsets of one source, asked for in ascending order: the text is gone through once. */
export function placeReader({ sql, firstLine }: SqlSource): (offset: number) => Place {
  let at = 0;
  let line = firstLine;
  let column = 1;
  return (offset) => {
    for (; at < offset && at < sql.length; at += unitsAt(sql, at)) {
      const isLineEnd = sql[at] === '\n';
      line += isLineEnd ? 1 : 0;
      column = isLineEnd ? 1 : column + 1;
    }
    return { line, column };
  };
}

/**
 * The index into `sql` of a position that PostgreSQL reports. It counts characters from 1, JavaScript counts UTF-16
 * units: an emoji before the place would move it.
 */
export function offsetOfPosition(sql: string, position: number): number {
  let offset = 0;
  for (let character = 1; character < position && offset < sql.length; character += 1) offset += unitsAt(sql, offset);
  return offset;
}

/** The line around `offset` and a caret below the place; of a very long line the part that matters. */
export function pictureOf({ sql }: SqlSource, offset: number): readonly [line: string, caret: string] {
  const start = lineStart(sql, offset);
  const lineEnd = sql.indexOf('\n', offset);
  const end = lineEnd === -1 ? sql.length : lineEnd;
  // twice as many units as characters: one character is at most two
  const before = Array.from(sql.slice(Math.max(start, offset - 2 * SHOWN), offset))
    .slice(-SHOWN)
    .join('');
  const after = Array.from(sql.slice(offset, Math.min(end, offset + 2 * SHOWN)))
    .slice(0, SHOWN)
    .join('');
  const left = before.length < offset - start ? '…' : '';
  const right = after.length < end - offset ? '…' : '';
  const line = `${left}${before}${after}${right}`.replaceAll('\t', ' ').replace(/\r$/, '');
  return [line, `${' '.repeat(Array.from(left + before).length)}^`];
}

function lineStart(sql: string, offset: number): number {
  return offset === 0 ? 0 : sql.lastIndexOf('\n', offset - 1) + 1;
}

function unitsAt(sql: string, offset: number): 1 | 2 {
  return (sql.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
}
