import type { Fact, FactBase } from '@supabase/pg-delta';
import { parseTree } from '../../../services/sql-script.js';
import type { Part } from './part.js';

/** Since this version the server writes `select name from users` where older ones write `select users.name from users`. */
const WRITES_SHORT_NAMES = 16;

/** TO, with the views that are written differently by servers of two versions, and are the same query, written as in FROM. */
export async function alignQueries(
  from: FactBase,
  to: FactBase,
  { oldestMajor, newestMajor }: Part,
): Promise<FactBase> {
  if (oldestMajor >= WRITES_SHORT_NAMES || newestMajor < WRITES_SHORT_NAMES) return to;
  const { buildFactBase } = await import('@supabase/pg-delta');
  const aligned: Fact[] = [];
  for (const fact of to.facts()) {
    const { kind } = fact.id;
    const wanted = kind === 'view' || kind === 'materializedView' ? from.get(fact.id)?.payload.def : undefined;
    const isSame = typeof wanted === 'string' && (await isSameQuery(wanted, String(fact.payload.def)));
    aligned.push(isSame ? { ...fact, payload: { ...fact.payload, def: wanted } } : fact);
  }
  return buildFactBase(aligned, [...to.edges], to.source, to.referenceOnly);
}

async function isSameQuery(one: string, other: string): Promise<boolean> {
  if (one === other) return true;
  const [ours, theirs] = [await treeOf(one), await treeOf(other)];
  return ours !== null && ours === theirs;
}

/** The parse tree as text, with columns called by their bare names where there is one table to take them from. */
async function treeOf(sql: string): Promise<string | null> {
  const outcome = await parseTree(sql);
  return outcome.kind === 'tree' ? JSON.stringify(shortened(outcome.statements, null)) : null;
}

function shortened(node: unknown, table: string | null): unknown {
  if (Array.isArray(node)) return node.map((item) => shortened(item, table));
  if (!isObject(node)) return node;
  const entries = Object.entries(node)
    .filter(([key]) => key !== 'location' && !key.startsWith('stmt_'))
    .map(([key, value]): [string, unknown] => {
      if (key === 'ColumnRef') return [key, bareColumn(value, table)];
      // the two halves of a union are queries without a tag
      const isSelect = key === 'SelectStmt' || key === 'larg' || key === 'rarg';
      return [key, shortened(value, isSelect ? onlyTableOf(value) : table)];
    });
  return Object.fromEntries(entries);
}

function bareColumn(column: unknown, table: string | null): unknown {
  if (!isObject(column) || !Array.isArray(column.fields)) return column;
  const [first, ...rest] = column.fields;
  return { fields: rest.length > 0 && table !== null && nameIn(first) === table ? rest : column.fields };
}

/** What the one item of a FROM clause is called there. */
function onlyTableOf(select: unknown): string | null {
  if (!isObject(select) || !Array.isArray(select.fromClause) || select.fromClause.length !== 1) return null;
  const [item] = select.fromClause;
  const [body] = isObject(item) ? Object.values(item) : [];
  if (!isObject(body)) return null;
  const alias = isObject(body.alias) ? body.alias.aliasname : undefined;
  const name = alias ?? body.relname;
  return typeof name === 'string' ? name : null;
}

function nameIn(node: unknown): unknown {
  return isObject(node) && isObject(node.String) ? node.String.sval : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
