/** A piece of what pg_dump and pg_restore write as SQL; together they are all of it. */
export type DumpPiece =
  /** A line outside of rows, with its end. */
  | { readonly kind: 'line'; readonly bytes: Buffer }
  /** A line of the statement that rows follow. `statement` is all of it, with the last one. */
  | { readonly kind: 'copy'; readonly bytes: Buffer; readonly statement: string | null }
  /** Some bytes of rows. */
  | { readonly kind: 'rows'; readonly bytes: Buffer }
  /** What ends the rows of a statement. */
  | { readonly kind: 'end'; readonly bytes: Buffer };

const NEWLINE = 0x0a;
const END_OF_ROWS = Buffer.from('\n\\.\n');

/** pg_dump writes a comment before each object: `-- Name: TABLE t; Type: ACL; Schema: s; Owner: -`. */
export const OBJECT = /^-- (?:Data for )?Name: /;
const COPY = /^COPY /;
const FROM_STDIN = / FROM stdin;$/;

/**
 * Takes the text of a dump apart. Rows pass as they come: no more than a chunk of them is in memory. The names of a table and
 * its columns may have line breaks, and so its statement may have several lines.
 */
export async function* dumpPieces(dump: AsyncIterable<Buffer>): AsyncGenerator<DumpPiece> {
  let data: Buffer = Buffer.alloc(0);
  let statement: Buffer[] | null = null;
  let isInRows = false;
  for await (const chunk of dump) {
    data = data.length === 0 ? chunk : Buffer.concat([data, chunk]);
    for (;;) {
      if (isInRows) {
        // the first byte has been given already: the newline before the next row, which the end begins with
        const end = data.indexOf(END_OF_ROWS);
        const given = end === -1 ? Math.max(0, data.length - END_OF_ROWS.length) : end;
        if (given > 0) yield { kind: 'rows', bytes: data.subarray(1, given + 1) };
        data = data.subarray(given);
        if (end === -1) break;
        yield { kind: 'end', bytes: END_OF_ROWS.subarray(1) };
        data = data.subarray(END_OF_ROWS.length);
        isInRows = false;
      }
      const newline = data.indexOf(NEWLINE);
      if (newline === -1) break;
      const bytes = data.subarray(0, newline + 1);
      // latin1 keeps every byte as it is
      const line = data.toString('latin1', 0, newline);
      if (COPY.test(line)) statement = [];
      // no statement goes on behind another object
      if (OBJECT.test(line)) statement = null;
      statement?.push(bytes);
      if (statement === null) yield { kind: 'line', bytes };
      else if (!FROM_STDIN.test(line)) yield { kind: 'copy', bytes, statement: null };
      else {
        yield { kind: 'copy', bytes, statement: Buffer.concat(statement).toString().trimEnd() };
        statement = null;
        isInRows = true;
      }
      data = data.subarray(isInRows ? newline : newline + 1);
    }
  }
  if (data.length > (isInRows ? 1 : 0)) yield { kind: 'line', bytes: data.subarray(isInRows ? 1 : 0) };
}
