import type { Readable } from 'node:stream';
import { escapeLiteral } from 'pg';
import { dumpPieces, OBJECT } from './dump-pieces.js';

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
  for await (const { kind, bytes } of dumpPieces(dump as AsyncIterable<Buffer>)) {
    const line = kind === 'line' ? bytes.toString('latin1').replace(/\n$/, '') : null;
    if (line === null) yield bytes;
    else if (lines.isSearchPath(line)) yield searchPathStatement(filter.searchPath ?? '');
    else if (lines.isKept(line)) yield bytes;
  }
}

function searchPathStatement(searchPath: string): Buffer {
  return Buffer.from(`SELECT pg_catalog.set_config('search_path', ${escapeLiteral(searchPath)}, false);\n`);
}

const OUR_GRANTS = /^-- Name: (?:.*; Type: ACL; Schema: manage_db;|SCHEMA manage_db; Type: ACL; Schema: -;)/;
const GRANT = /^(?:GRANT|REVOKE) .* manage_db[. ].*;$/;

/** Which lines outside of rows belong to what is left out. */
class DumpLines {
  private isBeforeObjects = true;
  private isInOurGrants = false;

  constructor(private readonly filter: PlainDumpFilter) {}

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
