import { parseTree } from '../../../../services/sql-script.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { type Family, familyOf, isTextual, valueType } from './column-family.js';
import { SHORTEST_EMAIL_LENGTH } from './maskers/email.js';
import type { MaskingProblem, RuledColumn, RuledTable } from './resolve-rules.js';
import type { NamedMasker, Rule } from './rules.js';

const TEXTS: readonly Family[] = ['text', 'char', 'citext'];
const FAMILIES: Readonly<Record<NamedMasker | 'date-shift', readonly Family[]>> = {
  email: TEXTS,
  name: TEXTS,
  phone: TEXTS,
  'free-text': [...TEXTS, 'json'],
  'id-hash': [...TEXTS, 'integer', 'uuid', 'bytea'],
  'date-shift': ['date', 'date range'],
};

/** Rules that cannot be for their column: by its type, its length, or because it may not be empty. */
export async function problemsOfRules(ruled: RuledTable): Promise<readonly MaskingProblem[]> {
  const problems: MaskingProblem[] = [];
  for (const one of ruled.columns) {
    const message = one.rule === null ? null : await whyNot(ruled, one, one.rule);
    if (message !== null) {
      problems.push({ table: qualified(ruled.table), column: one.column.column, message, place: one.place });
    }
  }
  return problems;
}

async function whyNot({ columns }: RuledTable, { column }: RuledColumn, rule: Rule): Promise<string | null> {
  if (rule.kind === 'keep') return null;
  if (column.isPartitionKey) return 'it decides in which partition a row is: only keep fits';
  switch (rule.kind) {
    case 'null':
      return column.isNullable ? null : 'null does not fit: the column is NOT NULL';
    case 'fixed':
      return fixedProblem(column.limit, rule.value);
    case 'sql':
      return expressionProblem(rule.expression);
    default:
      break;
  }
  const family = familyOf(column);
  if (!FAMILIES[rule.kind].includes(family)) {
    const fitting = Object.entries(FAMILIES).filter(([, families]) => families.includes(family));
    const others = ['keep', ...(column.isNullable ? ['null'] : []), 'fixed', 'sql', ...fitting.map(([kind]) => kind)];
    return `${rule.kind} does not fit the type ${column.declared}: use ${others.join(', ')}`;
  }
  const { limit } = valueType(column);
  if (rule.kind === 'email' && limit !== null && limit < SHORTEST_EMAIL_LENGTH) {
    return `email needs ${SHORTEST_EMAIL_LENGTH} characters, and ${column.declared} has ${limit}`;
  }
  if (rule.kind !== 'date-shift') return null;
  const key = columns.find((other) => other.column.column === rule.by);
  if (key === undefined) return `date-shift goes by ${quotedWhereNeeded(rule.by)}, which is no column of the table`;
  return key.column.isArray || (!isTextual(familyOf(key.column)) && !['integer', 'uuid'].includes(familyOf(key.column)))
    ? `date-shift goes by a column of texts, whole numbers or uuids; ${quotedWhereNeeded(rule.by)} is ${key.column.declared}`
    : null;
}

function fixedProblem(limit: number | null, value: unknown): string | null {
  if (typeof value === 'number' && !Number.isSafeInteger(value) && Number.isInteger(value)) {
    return 'so large a number is not read exactly: write it in quotes';
  }
  if (limit === null || typeof value === 'object') return null;
  const { length } = Array.from(String(value));
  return length > limit ? `the fixed value has ${length} characters, and the column takes ${limit}` : null;
}

/** One expression, and nothing that would end the statement which it is put into. */
async function expressionProblem(expression: string): Promise<string | null> {
  const alone = await parseTree(`select ${expression}`);
  const inside = await parseTree(`select (\n${expression}\n)::text from only t`);
  for (const outcome of [alone, inside]) {
    if (outcome.kind === 'syntax error') return `the expression cannot be read: ${outcome.message}`;
    if (outcome.kind === 'too much') return `the expression cannot be read: ${outcome.reason}`;
    const [statement, ...others] = outcome.statements;
    const select =
      statement?.stmt !== undefined && 'SelectStmt' in statement.stmt ? statement.stmt.SelectStmt : undefined;
    const hasMore =
      Object.keys(select ?? {}).some((part) => !EXPECTED.has(part)) || (outcome === alone && select?.fromClause);
    if (select === undefined || others.length > 0 || select.targetList?.length !== 1 || hasMore) {
      return 'sql takes one expression over the columns of the table';
    }
  }
  return null;
}

/** What a plain SELECT of one expression from one table has in its parse tree. */
const EXPECTED: ReadonlySet<string> = new Set(['targetList', 'fromClause', 'limitOption', 'op', 'groupDistinct']);
