import type { Node } from 'libpg-query';
import type { ParsedStatement } from './parse-script.js';
import { isOn, type NodeReaders, readNode, tagOf, walkTree } from './parse-tree.js';
import { statementKind } from './statement-kind.js';
import { statementObjects } from './statement-objects.js';

/**
 * Statements that another one executes, or prepares: what WITH changes, what EXPLAIN analyzes, what PREPARE keeps. At the place of
 * the outer one, with its text.
 *
 * @example innerStatements(statement) // of WITH d AS (DELETE FROM notes RETURNING 1) SELECT …: the DELETE
 */
export function innerStatements(statement: ParsedStatement): readonly ParsedStatement[] {
  const { node } = statement;
  const inner = readNode(node, CARRIERS);
  if (inner !== undefined) {
    if (inner === null) return [];
    const carried = described(statement, inner);
    return [carried, ...innerStatements(carried)];
  }
  if (!EXECUTED.test(tagOf(node))) return [];
  const found: ParsedStatement[] = [];
  walkTree(node, (tag, body) => {
    if (tag !== 'CommonTableExpr') return;
    const query: unknown = Reflect.get(body, 'ctequery');
    if (isChange(query)) found.push(described(statement, query));
  });
  return found;
}

/** A view or a function that is created executes nothing yet. */
const EXECUTED = /^(?:SelectStmt|InsertStmt|UpdateStmt|DeleteStmt|MergeStmt|CopyStmt|CreateTableAsStmt)$/;

const CARRIERS: NodeReaders<Node | null> = {
  ExplainStmt: ({ query, options }) => (isOn(options, 'analyze') ? (query ?? null) : null),
  PrepareStmt: ({ query }) => query ?? null,
};

function isChange(query: unknown): query is Node {
  return (
    typeof query === 'object' &&
    query !== null &&
    ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].some((tag) => tag in query)
  );
}

function described(statement: ParsedStatement, node: Node): ParsedStatement {
  return { ...statement, node, kind: statementKind(node), objects: statementObjects(node), body: null };
}
