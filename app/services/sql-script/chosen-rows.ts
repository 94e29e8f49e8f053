import type { DeleteStmt, Node, WithClause } from 'libpg-query';
import { escapeIdentifier } from 'pg';
import { parseTree } from './parse-tree.js';
import { isSameTree } from './same-tree.js';
import type { StatementNode } from './statement-nodes.js';
import { tokensOf } from './tokens.js';

/** The rows that a DELETE or UPDATE would choose, as the parts of a SELECT. */
export interface ChosenRows {
  /** `with … `, or empty. */
  readonly with: string;
  readonly from: string;
  /** `where …`, or empty. */
  readonly where: string;
  /** What a row of the table is called in it, quoted. */
  readonly row: string;
}

/** What a DELETE and an UPDATE have in common. */
type Choosing = Pick<DeleteStmt, 'relation' | 'whereClause' | 'withClause'>;

/**
 * The rows that `choosing`, which is `statement` or stands in it, chooses. Its words are cut out where PostgreSQL's scanner
 * finds them, and what they make is read again: `null` where that is not the very same tree.
 *
 * @param others of USING or FROM
 */
export async function chosenRows(
  { text, byte }: Pick<StatementNode, 'text' | 'byte'>,
  choosing: Choosing,
  others: readonly Node[] = [],
): Promise<ChosenRows | null> {
  const { relation, withClause } = choosing;
  const tokens = relation?.relname === undefined ? null : await tokensOf(text);
  if (tokens === null || relation === undefined) return null;
  const bytes = Buffer.from(text);
  const words = tokens.map(({ start, end }) => ({
    start,
    end,
    word: bytes.toString('utf8', start, end).toLowerCase(),
  }));
  const start = (relation.location ?? 0) - byte;
  const clauses = clausesOf(bytes, words, start);
  const table = `${relation.inh === true ? '' : 'only '}${clauses.table}`;
  const chosen: ChosenRows = {
    with: withClause === undefined ? '' : withText(bytes, words, start, firstOf(withClause) - byte),
    from: others.length === 0 ? table : `${table}\n, ${clauses.others}`,
    where: clauses.where === '' ? '' : `where ${clauses.where}`,
    row: escapeIdentifier(relation.alias?.aliasname ?? relation.relname ?? ''),
  };
  return (await isTheSame(chosen, choosing, others)) ? chosen : null;
}

interface Word {
  readonly start: number;
  readonly end: number;
  readonly word: string;
}

async function isTheSame(
  chosen: ChosenRows,
  { relation, whereClause, withClause }: Choosing,
  others: readonly Node[],
): Promise<boolean> {
  const outcome = await parseTree(`${chosen.with}select from ${chosen.from}\n${chosen.where}`);
  if (outcome.kind !== 'tree' || outcome.statements.length !== 1) return false;
  const node = outcome.statements[0]?.stmt;
  if (node === undefined || !('SelectStmt' in node)) return false;
  const { targetList: _none, limitOption: _limit, op: _op, ...read } = node.SelectStmt;
  return isSameTree(sorted(read), sorted({ fromClause: [{ RangeVar: relation }, ...others], whereClause, withClause }));
}

function sorted(parts: Readonly<Record<string, unknown>>): readonly (readonly [string, unknown])[] {
  return Object.entries(parts)
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

type Part = 'table' | 'set' | 'others' | 'where' | 'returning';

/** What stands between the words that divide the statement, from its table on, outside of all parentheses. */
function clausesOf(bytes: Buffer, words: readonly Word[], start: number): Readonly<Record<Part, string>> {
  const parts: Record<Part, string> = { table: '', set: '', others: '', where: '', returning: '' };
  let part: Part = 'table';
  let [from, end, depth, before] = [start, start, 0, ''];
  for (const token of words) {
    if (token.start < start) continue;
    const { word } = token;
    if (word === '(' || word === '[') depth += 1;
    if (word === ')' || word === ']') depth -= 1;
    if (depth < 0) break;
    const next: Part | null = depth === 0 && before !== '.' ? partAfter(part, word, before) : null;
    if (next !== null) {
      parts[part] = bytes.toString('utf8', from, end);
      part = next;
      from = token.end;
    }
    end = token.end;
    before = word;
  }
  parts[part] = bytes.toString('utf8', from, end);
  return parts;
}

function partAfter(part: Part, word: string, before: string): Part | null {
  if (word === 'returning') return 'returning';
  if (part === 'where' || part === 'returning') return null;
  if (word === 'where') return 'where';
  if (part === 'table' && word === 'set') return 'set';
  if (part === 'table' && word === 'using') return 'others';
  return part === 'set' && word === 'from' && before !== 'distinct' ? 'others' : null;
}

/** From WITH to the DELETE or UPDATE before the table. */
function withText(bytes: Buffer, words: readonly Word[], table: number, firstName: number): string {
  const verb = words.findLast(({ start, word }) => start < table && (word === 'delete' || word === 'update'));
  const first = words.findLast(({ start, word }) => start < firstName && word === 'with');
  return verb === undefined || first === undefined ? '' : `${bytes.toString('utf8', first.start, verb.start)}\n`;
}

/** The tree says where the names stand, and not always where WITH does. */
function firstOf({ ctes = [] }: WithClause): number {
  const [first] = ctes;
  return first !== undefined && 'CommonTableExpr' in first ? (first.CommonTableExpr.location ?? 0) : 0;
}
