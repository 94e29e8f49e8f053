import type { Readable } from 'node:stream';
import { escapeLiteral } from 'pg';

export interface PlainDumpFilter {
  /** A statement that the server does not know, on a line of its own before the first object. */
  readonly unknownStatement: string | null;
  /** What the dump is restored under instead of an empty search_path; `null`: as it is written. */
  readonly searchPath?: string | null;
}

/** What pg_dump and pg_restore write before the first object: everything in a dump is named with its schema. */
const EMPTY_SEARCH_PATH = `SELECT pg_catalog.set_config('search_path', '', false);`;

/**
 * Gives a plain dump without the grants in the schema manage_db: they name roles that this server need not have, and are
 * made anew for the database that it becomes. And without `unknownStatement`, under `searchPath`. Rows pass as they are, and are never held in
 * memory.
 *
 * @example Readable.from(filterPlainDump(createReadStream('dump.sql'), { unknownStatement: null }))
 */
export async function* filterPlainDump(dump: Readable, filter: PlainDumpFilter): AsyncGenerator<Buffer> {
  const lines = new DumpLines(filter);
  let rest: Buffer = Buffer.alloc(0);
  let isInRows = false;
  for await (const chunk of dump as AsyncIterable<Buffer>) {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (isInRows) {
        const end = data.indexOf(END_OF_ROWS);
        // the end of the rows may begin with the last bytes
        const length = end === -1 ? Math.max(0, data.length - END_OF_ROWS.length + 1) : end + END_OF_ROWS.length;
        if (length > 0) yield data.subarray(0, length);
        data = data.subarray(length);
        if (end === -1) break;
        isInRows = false;
      }
      const newline = data.indexOf(NEWLINE);
      if (newline === -1) break;
      // latin1 keeps every byte as it is
      const line = data.toString('latin1', 0, newline);
      isInRows = lines.isBeginOfRows(line);
      // where there are rows, their end is looked for from this very newline on: there may be none at all
      const length = isInRows ? newline : newline + 1;
      if (lines.isSearchPath(line)) yield searchPathStatement(filter.searchPath ?? '');
      else if (lines.isKept(line)) yield data.subarray(0, length);
      data = data.subarray(length);
    }
    rest = data;
  }
  if (rest.length > 0) yield rest;
}

function searchPathStatement(searchPath: string): Buffer {
  return Buffer.from(`SELECT pg_catalog.set_config('search_path', ${escapeLiteral(searchPath)}, false);\n`);
}

const NEWLINE = 0x0a;
const COPY = /^COPY /;
const FROM_STDIN = / FROM stdin;$/;
const END_OF_ROWS = Buffer.from('\n\\.\n');

/** pg_dump writes a comment before each object: `-- Name: TABLE t; Type: ACL; Schema: s; Owner: -`. */
const OBJECT = /^-- (?:Data for )?Name: /;
const OUR_GRANTS = /^-- Name: (?:.*; Type: ACL; Schema: manage_db;|SCHEMA manage_db; Type: ACL; Schema: -;)/;
const GRANT = /^(?:GRANT|REVOKE) .* manage_db[. ].*;$/;

/** Which lines outside of rows belong to what is left out. */
class DumpLines {
  private isBeforeObjects = true;
  private isInOurGrants = false;
  private isInCopy = false;

  constructor(private readonly filter: PlainDumpFilter) {}

  /** The names of a table and its columns may have line breaks. */
  isBeginOfRows(line: string): boolean {
    if (OBJECT.test(line)) this.isInCopy = false;
    if (COPY.test(line)) this.isInCopy = true;
    if (!this.isInCopy || !FROM_STDIN.test(line)) return false;
    this.isInCopy = false;
    return true;
  }

  isSearchPath(line: string): boolean {
    return this.isBeforeObjects && typeof this.filter.searchPath === 'string' && line === EMPTY_SEARCH_PATH;
  }

  isKept(line: string): boolean {
    if (OBJECT.test(line)) {
      this.isBeforeObjects = false;
      this.isInOurGrants = OUR_GRANTS.test(line);
    }
    if (this.isBeforeObjects && line === this.filter.unknownStatement) return false;
    return !(this.isInOurGrants && GRANT.test(line));
  }
}
