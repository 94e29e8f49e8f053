import { parseTree } from '../../../services/sql-script.js';

/** What stands in an SQL expression. */
export interface ReadExpression {
  /** Names of columns, with what stands before them: `['new', 'status']`. */
  readonly columns: readonly (readonly string[])[];
  readonly texts: readonly string[];
  readonly numbers: readonly string[];
  /** Regular expressions. */
  readonly patterns: readonly string[];
}

const NOTHING: ReadExpression = { columns: [], texts: [], numbers: [], patterns: [] };
const MATCHING = ['~', '~*'];
const LIKE = ['~~', '~~*'];

/** The columns and constants of an expression; nothing of one that the parser does not know. */
export async function readExpression(expression: string): Promise<ReadExpression> {
  const outcome = await parseTree(`select ${expression}`);
  if (outcome.kind !== 'tree') return NOTHING;
  const found = { columns: [], texts: [], numbers: [], patterns: [] };
  collect(outcome.statements, found);
  return found;
}

interface Found {
  readonly columns: (readonly string[])[];
  readonly texts: string[];
  readonly numbers: string[];
  readonly patterns: string[];
}

function collect(node: unknown, found: Found): void {
  if (Array.isArray(node)) {
    for (const each of node) collect(each, found);
    return;
  }
  if (!isObject(node)) return;
  if (isObject(node.ColumnRef)) found.columns.push(stringsOf(node.ColumnRef.fields));
  if (isObject(node.A_Const)) collectConstant(node.A_Const, found);
  if (isObject(node.A_Expr)) collectPattern(node.A_Expr, found);
  for (const value of Object.values(node)) collect(value, found);
}

/** The parser leaves out what is zero, empty or false. */
function collectConstant(constant: Record<string, unknown>, { texts, numbers }: Found): void {
  const { sval, ival, fval } = constant;
  if (isObject(sval)) texts.push(typeof sval.sval === 'string' ? sval.sval : '');
  if (isObject(ival)) numbers.push(String(ival.ival ?? 0));
  if (isObject(fval) && typeof fval.fval === 'string') numbers.push(fval.fval);
}

function collectPattern({ name, rexpr }: Record<string, unknown>, found: Found): void {
  const operator = stringsOf(name).at(-1) ?? '';
  const constants: Found = { columns: [], texts: [], numbers: [], patterns: [] };
  if (MATCHING.includes(operator)) {
    collect(rexpr, constants);
    found.patterns.push(...constants.texts);
  }
  if (LIKE.includes(operator)) {
    collect(rexpr, constants);
    found.patterns.push(...constants.texts.map(asRegularExpression));
  }
}

function asRegularExpression(like: string): string {
  return like
    .replaceAll(/\\(.)|[.*+?^${}()|[\]]/gs, (all, escaped?: string) => `\\${escaped ?? all}`)
    .replaceAll('%', '.*')
    .replaceAll('_', '.');
}

function stringsOf(nodes: unknown): string[] {
  if (!Array.isArray(nodes)) return [];
  return nodes.flatMap((node) =>
    isObject(node) && isObject(node.String) && typeof node.String.sval === 'string' ? [node.String.sval] : [],
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
