import type { Node, RawStmt } from 'libpg-query';
import { parseTree } from './parse-tree.js';
import { type Place, placeReader } from './place.js';
import type { SqlSource } from './source.js';

/** The tree of one statement, and where it stands. */
export interface StatementNode extends Place {
  readonly node: Node;
  /** From its first word to before its semicolon. */
  readonly text: string;
  /** Index of the text in the SQL of the source. */
  readonly offset: number;
  /** The byte of the source at which it begins: from there count the places in the tree. */
  readonly byte: number;
}

/** The statements of `source` as trees; `null` for what the parser cannot read. */
export async function readStatementNodes(source: SqlSource): Promise<readonly StatementNode[] | null> {
  const outcome = await parseTree(source.sql);
  return outcome.kind === 'tree' ? statementNodes(source, outcome.statements) : null;
}

export function statementNodes(source: SqlSource, statements: readonly RawStmt[]): StatementNode[] {
  // the parser counts bytes of UTF-8
  const bytes = Buffer.from(source.sql);
  const readPlace = placeReader(source);
  let byte = 0;
  let offset = 0;
  return statements.flatMap(({ stmt, stmt_location = 0, stmt_len }) => {
    if (stmt === undefined) return [];
    offset += bytes.toString('utf8', byte, stmt_location).length;
    byte = stmt_location;
    // the last statement needs no semicolon and has no length then
    const end = stmt_len === undefined ? bytes.length : stmt_location + stmt_len;
    return {
      ...readPlace(offset),
      offset,
      byte,
      text: bytes.toString('utf8', stmt_location, end).trimEnd(),
      node: stmt,
    };
  });
}
