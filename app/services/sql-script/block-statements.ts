import { type ParsedStatement, parseStatementTrees } from './parse-script.js';
import { readNode } from './parse-tree.js';
import { placeReader } from './place.js';
import type { SqlSource } from './source.js';

/**
 * What a DO block executes, each with its place in the file: its statements, and those of EXECUTE that are written out as one
 * string. Whether they are executed at all is up to the block. `null` for a block that cannot be read; nothing for all
 * that is no DO block.
 */
export async function blockStatements(
  source: SqlSource,
  block: ParsedStatement,
): Promise<readonly ParsedStatement[] | null> {
  const body = plpgsqlBody(block);
  if (body === null) return [];
  const { parsePlPgSQL } = await import('libpg-query');
  const parsed = await parsePlPgSQL(block.text).catch(() => null);
  if (parsed === null) return null;
  const start = block.offset + Math.max(0, block.text.indexOf(body));
  const found: (ParsedStatement | null)[] = [];
  for (const { line, sql } of queriesOf(parsed, 1)) {
    found.push(await parsedAt(source, offsetOf(source.sql, { start, line, sql }), sql));
  }
  const readPlace = placeReader(source);
  return found
    .filter((one) => one !== null)
    .sort((a, b) => a.offset - b.offset)
    .map((one) => ({ ...one, ...readPlace(one.offset) }));
}

/** The code of a DO block, unless it is in another language. */
function plpgsqlBody({ node }: ParsedStatement): string | null {
  return (
    readNode(node, {
      DoStmt: ({ args = [] }) => {
        const texts = new Map(
          args.flatMap((one) => {
            const arg = 'DefElem' in one ? one.DefElem.arg : undefined;
            return 'DefElem' in one && arg !== undefined && 'String' in arg
              ? [[one.DefElem.defname, arg.String.sval ?? ''] as const]
              : [];
          }),
        );
        return (texts.get('language') ?? 'plpgsql') === 'plpgsql' ? (texts.get('as') ?? null) : null;
      },
    }) ?? null
  );
}

interface Query {
  /** Of the block, from 1. */
  readonly line: number;
  readonly sql: string;
}

/** Every expression that is executed as a statement, wherever it stands in the block. */
function queriesOf(value: unknown, line: number): Query[] {
  if (Array.isArray(value)) return value.flatMap((one) => queriesOf(one, line));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([tag, body]) => {
    const own = hasLine(body) ? body.lineno : line;
    const query = queryIn(tag, body);
    return [...(query === null ? [] : [{ line: own, sql: query }]), ...queriesOf(body, own)];
  });
}

/** Of an execute, only what is written out: `execute 'drop table visits'`. */
function queryIn(tag: string, body: unknown): string | null {
  if (tag === 'PLpgSQL_stmt_execsql') return expressionOf(body, 'sqlstmt');
  if (tag === 'PLpgSQL_stmt_perform') return expressionOf(body, 'expr');
  if (tag === 'PLpgSQL_stmt_fors') return expressionOf(body, 'query');
  if (tag === 'PLpgSQL_stmt_dynexecute' || tag === 'PLpgSQL_stmt_dynfors')
    return writtenOut(expressionOf(body, 'query'));
  return null;
}

function writtenOut(expression: string | null): string | null {
  const [, quoted] = /^\s*'((?:[^']|'')*)'\s*$/.exec(expression ?? '') ?? [];
  const [, , dollar] = /^\s*(\$\w*\$)([\s\S]*)\1\s*$/.exec(expression ?? '') ?? [];
  return quoted?.replaceAll("''", "'") ?? dollar ?? null;
}

function expressionOf(body: unknown, field: string): string | null {
  if (typeof body !== 'object' || body === null) return null;
  const expression: unknown = Reflect.get(body, field);
  if (typeof expression !== 'object' || expression === null || !('PLpgSQL_expr' in expression)) return null;
  const { PLpgSQL_expr: inner } = expression;
  const query: unknown = typeof inner === 'object' && inner !== null ? Reflect.get(inner, 'query') : null;
  return typeof query === 'string' ? query : null;
}

function hasLine(body: unknown): body is { readonly lineno: number } {
  return typeof body === 'object' && body !== null && 'lineno' in body && typeof body.lineno === 'number';
}

/** PL/pgSQL knows the line; within it the text is looked for. PERFORM has been made a SELECT. */
function offsetOf(sql: string, { start, line, sql: query }: Query & { readonly start: number }): number {
  let at = start;
  for (let passed = 1; passed < line; passed += 1) at = sql.indexOf('\n', at) + 1;
  for (const text of [query, query.replace(/^SELECT /, ''), query.replaceAll("'", "''")]) {
    const found = sql.indexOf(text, at);
    if (found !== -1) return found;
  }
  return at;
}

/** With names of variables in it the text may be no SQL by itself. */
async function parsedAt(source: SqlSource, offset: number, sql: string): Promise<ParsedStatement | null> {
  const [statement] = await parseStatementTrees({ ...source, sql }).catch(() => []);
  return statement === undefined ? null : { ...statement, offset: offset + statement.offset };
}
