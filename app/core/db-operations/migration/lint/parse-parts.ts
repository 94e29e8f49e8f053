import {
  blockStatements,
  innerStatements,
  type NamedRelation,
  type ParsedStatement,
  parseStatementTrees,
  type StatementLock,
  shownPath,
  statementLocks,
  statementObjects,
} from '../../../../services/sql-script.js';
import { ManageDbError } from '../../../errors.js';
import type { LintPart } from './lint-parts.js';

export interface ReadStatement {
  readonly statement: ParsedStatement;
  readonly locks: readonly StatementLock[];
  /** It is not itself in the file but executed by a DO block of it, or is a part of another statement. */
  readonly isInBlock: boolean;
}

export interface ParsedPart extends LintPart {
  /** In the order of the file. */
  readonly statements: readonly ReadStatement[];
  /** Why there are none. */
  readonly problem: { readonly line: number; readonly column: number; readonly message: string } | null;
}

/** Takes a part apart, DO blocks too. What cannot be read is the part's problem, and no error. */
export async function parsePart(part: LintPart, warn: (warning: string) => void): Promise<ParsedPart> {
  try {
    const statements: ReadStatement[] = [];
    for (const statement of await parseStatementTrees(part.source)) {
      statements.push(read(statement, false), ...innerStatements(statement).map((one) => read(one, true)));
      const inner = await blockStatements(part.source, statement);
      if (inner === null) {
        warn(`${shownPath(part.source.path)}:${statement.line}: what the DO block executes could not be read.`);
      }
      statements.push(...(inner ?? []).flatMap((one) => [one, ...innerStatements(one)]).map((one) => read(one, true)));
    }
    return { ...part, statements, problem: null };
  } catch (error) {
    if (!(error instanceof ManageDbError) || error.code !== 'SQL_FAILED') throw error;
    const { line, column } = error.details;
    return {
      ...part,
      statements: [],
      problem: {
        line: typeof line === 'number' ? line : part.source.firstLine,
        column: typeof column === 'number' ? column : 1,
        message: (error.message.split('\n')[0] ?? '').replace(/^.*?:\d+:\d+: /, ''),
      },
    };
  }
}

function read(statement: ParsedStatement, isInBlock: boolean): ReadStatement {
  return { statement, locks: statementLocks(statement.node), isInBlock };
}

/** Every relation that a part names. */
export function namesIn({ statements }: ParsedPart): readonly NamedRelation[] {
  return statements.flatMap(({ statement, locks }) => [
    ...locks,
    ...statementObjects(statement.node).flatMap((object) => (object.type === 'part of table' ? [object.table] : [])),
  ]);
}
