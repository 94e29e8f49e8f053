import type { ColumnDef } from 'libpg-query';
import { parseTree } from './parse-tree.js';
import { isSameTree } from './same-tree.js';
import type { StatementNode } from './statement-nodes.js';
import { tokensOf } from './tokens.js';

/** The text of the expression after USING in ALTER COLUMN … TYPE; `null` where it cannot be cut out as it was read. */
export async function conversionText(
  { text, byte }: Pick<StatementNode, 'text' | 'byte'>,
  { location = 0, raw_default: expected }: ColumnDef,
): Promise<string | null> {
  const bytes = Buffer.from(text);
  const tokens = (await tokensOf(text)) ?? [];
  let [depth, from, end] = [0, -1, -1];
  for (const token of tokens) {
    if (token.start < location - byte) continue;
    const word = bytes.toString('utf8', token.start, token.end).toLowerCase();
    if (word === '(' || word === '[') depth += 1;
    if (word === ')' || word === ']') depth -= 1;
    if (depth === 0 && word === ',') break;
    if (from === -1 && depth === 0 && word === 'using') from = token.end;
    end = token.end;
  }
  if (from === -1) return null;
  const cut = bytes.toString('utf8', from, end);
  const outcome = await parseTree(`select (${cut}\n)`);
  const node = outcome.kind === 'tree' && outcome.statements.length === 1 ? outcome.statements[0]?.stmt : undefined;
  const [target] = node !== undefined && 'SelectStmt' in node ? (node.SelectStmt.targetList ?? []) : [];
  if (target === undefined || !('ResTarget' in target)) return null;
  return isSameTree(target.ResTarget.val, expected) ? cut : null;
}
