import type { ParsedStatement, SqlComment } from '../../../../services/sql-script.js';

/** `-- manage_db:ignore RULE[, RULE] [reason]`, or `ignore-file`. */
export interface IgnoreComment {
  readonly isForFile: boolean;
  readonly rules: readonly string[];
  /** Index into the SQL. */
  readonly offset: number;
  /** The statement it is for; `null` for all, and where there is none below it. */
  readonly statement: ParsedStatement | null;
}

const PATTERN = /^--\s*manage_db:ignore(?<file>-file)?\s+(?<rules>[\w/-]+(?:\s*,\s*[\w/-]+)*)/;

/** @param statements in the order of the file */
export function readIgnores(
  comments: readonly SqlComment[],
  statements: readonly ParsedStatement[],
): readonly IgnoreComment[] {
  return comments.flatMap(({ text, offset }) => {
    const { file, rules = '' } = PATTERN.exec(text)?.groups ?? {};
    if (rules === '') return [];
    const below = statements.find((one) => one.offset + one.text.length > offset);
    return [
      {
        isForFile: file !== undefined,
        rules: rules.split(',').map((rule) => rule.trim()),
        offset,
        statement: file === undefined ? (below ?? null) : null,
      },
    ];
  });
}
