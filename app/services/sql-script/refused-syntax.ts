import type { Node, RawStmt } from 'libpg-query';
import { parseTree, readNode } from './parse-tree.js';

/** What only psql understands, at the place where the parser stopped. */
export interface RefusedSyntax {
  readonly message: string;
  readonly hint: string;
  /** Index into the SQL. */
  readonly offset: number;
}

/**
 * Whether the parser stopped at `offset` because the file is made for psql: at one of its commands, at a variable, or
 * within the rows below a COPY … FROM STDIN. No server would take any of these, so they are refused by name.
 */
export async function refusedSyntax(sql: string, offset: number): Promise<RefusedSyntax | null> {
  return (await copyFromStdin(sql, offset)) ?? metaCommand(sql, offset) ?? variable(sql, offset);
}

/** A COPY … FROM STDIN without rows below it reads as SQL, and would wait for rows that never come. */
export function refusedStatement(sql: string, statements: readonly RawStmt[]): RefusedSyntax | null {
  const copy = statements.find(({ stmt }) => stmt !== undefined && isCopyFromStdin(stmt));
  if (copy === undefined) return null;
  const offset = Buffer.from(sql).toString('utf8', 0, copy.stmt_location ?? 0).length;
  return {
    message: 'COPY … FROM STDIN takes its rows from psql. Nothing of the file was executed.',
    hint: ROWS,
    offset,
  };
}

const ROWS = 'Write the rows as INSERT … VALUES, have them dumped so (pg_dump --inserts), or load the file with psql.';

function isCopyFromStdin(node: Node): boolean {
  return (
    readNode(node, {
      CopyStmt: ({ is_from, is_program, filename }) =>
        is_from === true && is_program !== true && filename === undefined,
    }) ?? false
  );
}

/** The rows are no SQL, and the parser stops anywhere in them: so what ends with the COPY is read by itself. */
async function copyFromStdin(sql: string, offset: number): Promise<RefusedSyntax | null> {
  const before = sql.slice(0, offset);
  for (const { index, 0: end } of before.matchAll(/\bfrom\s+stdin\b[^;]*;/gi)) {
    const outcome = await parseTree(before.slice(0, index + end.length));
    const refused = outcome.kind === 'tree' ? refusedStatement(before, outcome.statements) : null;
    if (refused !== null) return refused;
  }
  return null;
}

/** A backslash outside of a string is no SQL anywhere. */
function metaCommand(sql: string, offset: number): RefusedSyntax | null {
  const [command, name] = /^\\([a-z_]+|\S)?/i.exec(sql.slice(offset, offset + 40)) ?? [];
  if (command === undefined) return null;
  return {
    message: `${command} is a command of psql and no SQL. Nothing of the file was executed.`,
    hint: HINTS.find(([names]) => names.includes(name ?? ''))?.[1] ?? 'Take it out: only SQL can be executed here.',
    offset,
  };
}

function variable(sql: string, offset: number): RefusedSyntax | null {
  const [name] = /^:(?:[a-z_]\w*|'[^'\n]+'|"[^"\n]+"|\{\?\w+\})/i.exec(sql.slice(offset, offset + 80)) ?? [];
  if (name === undefined) return null;
  return {
    message: `${name} is a variable of psql, and nobody replaces it here. Nothing of the file was executed.`,
    hint: 'Write the value itself.',
    offset,
  };
}

const HINTS: readonly (readonly [names: readonly string[], hint: string])[] = [
  [
    ['i', 'ir', 'include', 'include_relative'],
    'Put the statements of that file into this one, or make it a file of its own: files run in the order of their names.',
  ],
  [['copy'], 'Write the rows as INSERT … VALUES, or use COPY … FROM with a file on the server.'],
  [['c', 'connect'], 'Take it out: --env decides which database the file is executed in.'],
  [['restrict', 'unrestrict'], 'pg_dump wrote it for psql: take \\restrict and \\unrestrict out.'],
  [['gexec', 'gset', 'if', 'elif', 'else', 'endif'], 'Say it in a DO block: do $$ begin … end $$;'],
  [['g', 'gx', 'gdesc', 'watch', 'bind', 'parse'], 'End the statement with a semicolon.'],
  [['set', 'prompt', 'unset', 'getenv', 'setenv'], 'Write the values themselves into the statements.'],
  [['!'], 'Run the program yourself, before or after.'],
  [['.'], ROWS],
];
