import { qualified } from '../../inspection/find-relation.js';
import { literalLines } from './literals/literal-lines.js';
import type { UnacknowledgedLiterals } from './literals/plan-literals.js';
import type { Proposal } from './propose.js';
import type { Rule } from './rules.js';
import { yamlScalar } from './yaml-scalar.js';

/** A column that nobody has decided about, and what could become of it. */
export interface Undecided {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  readonly type: string;
  readonly proposal: Proposal;
}

/** Columns with their proposals, as they stand in `masking.yaml` below `tables:`. */
export async function ruleLines(columns: readonly Undecided[]): Promise<string[]> {
  const scalar = await yamlScalar();
  const tables = new Map<string, Undecided[]>();
  for (const one of columns) {
    const name = qualified({ schema: one.schema, name: one.table });
    tables.set(name, [...(tables.get(name) ?? []), one]);
  }
  return [...tables].flatMap(([table, own]) => {
    const texts = own.map(
      ({ column, proposal: { rule } }) => `    ${scalar(column)}:${rule === null ? '' : ` ${ruleText(rule, scalar)}`}`,
    );
    const width = Math.max(...texts.map((text) => text.length));
    return [
      `  ${scalar(table)}:`,
      ...own.map(({ proposal }, place) => `${(texts[place] ?? '').padEnd(width)} # ${oneLine(proposal.why)}`),
    ];
  });
}

/** A rules file for all columns and definitions, for people to go through. */
export async function rulesText(
  columns: readonly Undecided[],
  literals: readonly UnacknowledgedLiterals[],
  source: string,
): Promise<string> {
  return `${[
    `# What becomes of each column when ${oneLine(source)} is copied with --mask. Proposed from names, types and statistics: go through`,
    '# it line by line. A column with nothing behind its colon is undecided; so is one that is not listed, and both refuse the copy.',
    '#',
    '#   keep  null  email  name  phone  free-text  id-hash  { date-shift: <key column> }  { fixed: <value> }  { sql: <expression> }',
    '#',
    '# Check it, also after each migration: manage_db masking check',
    'tables:',
    ...(await ruleLines(columns)),
    '',
    '# Definitions come along as they are, and so does what they say. Look at each, and take the # away where it is nothing to hide;',
    '# what stays behind its # refuses the copy. "comments: none" leaves all comments out.',
    'literals:',
    ...(await literalLines(literals)).map((line) => `#${line}`),
  ].join('\n')}\n`;
}

function ruleText(rule: Rule, scalar: (text: string) => string): string {
  switch (rule.kind) {
    case 'date-shift':
      return `{ date-shift: ${scalar(rule.by)} }`;
    case 'fixed':
      return `{ fixed: ${scalar(String(rule.value))} }`;
    case 'sql':
      return `{ sql: ${scalar(rule.expression)} }`;
    default:
      return rule.kind;
  }
}

/** A comment ends with its line, whatever a name contains. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}|\u2028|\u2029/gu, ' ');
}
