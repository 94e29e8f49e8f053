import type {
  ComparedContents,
  ComparedDatabases,
  DdlScript,
  DefinitionDifference,
  DifferenceState,
} from '../../app/core/db-operations/compare.js';
import { qualified } from '../../app/core/db-operations/inspection/find-relation.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';
import type { Style } from './style.js';
import { formatCount, formatCounted, formatDuration } from './units.js';

/** Characters of a value beside its property; longer ones are in the DDL and in the JSON. */
const LONGEST_VALUE = 60;

/** What differs between two databases, grouped by where it is and by its kind; then what was compared. */
export function renderComparison(compared: ComparedDatabases, { paint, isVerbose }: Style): string {
  const { from, to, definitions, contents } = compared;
  const [ours, theirs] = [from.environment, to.environment];
  const groups: readonly (readonly [DifferenceState, string])[] = [
    ['only_in_from', `Only in ${ours}`],
    ['only_in_to', `Only in ${theirs}`],
    ['different', `Different (${ours} → ${theirs})`],
  ];
  return [
    ...groups.flatMap(([state, title]) => definitionLines(definitions.differences, state, paint.bold(title))),
    ...(contents === null ? [] : contentLines(contents, compared, paint)),
    ...(isVerbose ? ddlLines(compared, paint) : []),
    summary(compared, paint),
  ].join('\n');
}

/** What is there, or not, with what it belongs to goes without saying. */
function definitionLines(
  differences: readonly DefinitionDifference[],
  state: DifferenceState,
  title: string,
): string[] {
  const listed = differences.filter((one) => one.state === state && !one.isPart);
  if (listed.length === 0) return [];
  const width = Math.max(...listed.map(({ kind }) => kind.length));
  return [
    title,
    ...listed.map(({ kind, name, changes }) => {
      const words = changes.map(({ property, from, to }) => changeWords(property, from, to));
      const what = words.length === 0 ? '' : `  ${words.join('; ')}`;
      return `  ${kind.padEnd(width)}  ${printable(name)}${printable(what)}`;
    }),
  ];
}

function changeWords(property: string, from: unknown, to: unknown): string {
  const [one, other] = [valueWords(from), valueWords(to)];
  if (one === other || [one, other].some((words) => words.length > LONGEST_VALUE || words.includes('\n')))
    return property;
  return `${property}: ${one} → ${other}`;
}

function valueWords(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(valueWords).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function contentLines(contents: ComparedContents, { from, to }: ComparedDatabases, paint: Paint): string[] {
  const [ours, theirs] = [from.environment, to.environment];
  const tables = contents.tables.filter(({ state }) => state === 'different');
  const sequences = contents.sequences.filter(({ state }) => state === 'different');
  const { differences = [], different = 0 } = contents.largeObjects ?? {};
  const position = (one: (typeof sequences)[number]['from']) =>
    one === null ? 'unknown' : `${one.lastValue}${one.isCalled ? '' : ' (not given yet)'}`;
  return [
    ...titled(paint.bold('Other rows'), tables, (table) => {
      const [one, other] = [table.from?.rows ?? 0, table.to?.rows ?? 0];
      const words =
        one === other
          ? `${formatCounted(one, 'row')} each, other contents`
          : `${formatCount(one)} in ${ours}, ${formatCount(other)} in ${theirs}`;
      return `${printable(qualified(table))}  ${words}`;
    }),
    ...titled(paint.bold(`Other positions (${ours} → ${theirs})`), sequences, (sequence) => {
      return `${printable(qualified(sequence))}  ${position(sequence.from)} → ${position(sequence.to)}`;
    }),
    ...titled(paint.bold('Other large objects'), differences, ({ oid, state, changes }) => {
      if (state === 'different') return `${oid}  ${changes.join(', ')}`;
      return `${oid}  only in ${state === 'only_in_from' ? ours : theirs}`;
    }),
    ...(different > differences.length ? [`  and ${formatCount(different - differences.length)} more`] : []),
  ];
}

function titled<T>(title: string, items: readonly T[], line: (item: T) => string): string[] {
  return items.length === 0 ? [] : [title, ...items.map((item) => `  ${line(item)}`)];
}

function ddlLines({ from, to, definitions }: ComparedDatabases, paint: Paint): string[] {
  const { ddl, differences } = definitions;
  if (differences.length === 0) return [];
  const uncovered = differences.filter(({ hasDdl }) => !hasDdl);
  return [
    paint.bold(`DDL that makes ${to.environment} like ${from.environment}`),
    ...scriptLines(ddl),
    ...uncovered.map(({ kind, name }) =>
      paint.dim(`-- no statement for ${kind} ${printable(name)}, or not for all of it`),
    ),
    ...(ddl.problem === null ? [] : [paint.yellow(`-- cannot be planned: ${printable(ddl.problem)}`)]),
  ];
}

function scriptLines({ settings, statements }: DdlScript): string[] {
  return [
    ...settings.map(({ name, value }) => `set ${name} = ${value};`),
    ...statements.map(({ sql, isDestructive, isTransactional }) => {
      const notes = [...(isDestructive ? ['destroys rows'] : []), ...(isTransactional ? [] : ['not in a transaction'])];
      return `${notes.length === 0 ? '' : `-- ${notes.join(', ')}:\n`}${sql.trimEnd().replace(/;$/, '')};`;
    }),
  ];
}

/** What was compared, so that nobody takes it for more. */
function summary({ from, to, isEqual, definitions, contents, durationMs }: ComparedDatabases, paint: Paint): string {
  const parts = [formatCounted(definitions.compared, 'definition')];
  if (contents !== null) {
    const tables = contents.tables.filter(({ state }) => state === 'equal' || state === 'different');
    const rows = tables.reduce((sum, table) => sum + (table.from?.rows ?? 0), 0);
    const sequences = contents.sequences.filter(({ state }) => state !== 'not_compared');
    parts.push(`${formatCounted(tables.length, 'table')} with ${formatCounted(rows, 'row')}`);
    parts.push(formatCounted(sequences.length, 'sequence'));
    if (contents.largeObjects !== null) parts.push(formatCounted(contents.largeObjects.compared, 'large object'));
  }
  const compared = `${parts.join(', ')} compared in ${formatDuration(durationMs)}`;
  const rows = contents === null ? '; rows were not compared (--data)' : '';
  if (!isEqual) return paint.dim(`${compared}${rows}`);
  return `${paint.green('✓')} ${paint.bold(from.environment)} and ${paint.bold(to.environment)} are equal: ${compared}${rows}`;
}
