import { UNDECIDED } from '../undecided.js';
import type { PlannedStatement } from './destructive.js';
import type { PlannedChange, PlannedDirection } from './plan-changes.js';

/**
 * The text of a migration. What loses rows or values is commented out, under what it loses.
 *
 * @param remarks lines above everything
 */
export function renderMigration({ up, down }: PlannedChange, remarks: readonly string[]): string {
  return [
    ...remarks.map(comment),
    '',
    '-- migrate:up',
    '',
    sqlOf(up) || NOTHING,
    '-- migrate:down',
    '',
    sqlOf(down) || NOTHING,
  ].join('\n');
}

/** A part without a statement is taken for one that was forgotten. */
const NOTHING = 'select; -- nothing has to be done\n';

/** @param decided whether what loses something is meant */
export function sqlOf(direction: PlannedDirection, decided = false): string {
  const { statements } = direction;
  if (statements.length === 0) return '';
  const isExecuted = statements.some(
    ({ loss, isBehindLoss, problem }) => problem === null && (decided || (loss === null && !isBehindLoss)),
  );
  return [
    ...(isExecuted ? settingsOf(direction).map((setting) => `${setting};`) : []),
    ...statements.map((statement) =>
      decided && statement.problem === null ? ended(statement.sql) : written(statement),
    ),
  ]
    .map((block) => `${block}\n`)
    .join('\n');
}

/** Everything is named with its schema, and functions that are called by the way rely on the search_path of the application. */
export function settingsOf({ settings }: PlannedDirection): string[] {
  return settings.filter(({ name }) => name !== 'search_path').map(({ name, value }) => `set local ${name} = ${value}`);
}

function written({ sql, loss, isBehindLoss, problem }: PlannedStatement): string {
  if (loss === null && !isBehindLoss && problem === null) return ended(sql);
  const waits = 'This waits for what is commented out beside it, and cannot be done without.';
  const destroys = loss === null ? waits : `DESTRUCTIVE: ${loss} If that is meant, take "${UNDECIDED.trim()}" away.`;
  const words =
    problem === null
      ? destroys
      : `BY HAND: ${loss === null ? '' : `${loss} `}As it is, PostgreSQL refuses it: ${problem}.`;
  const lines = ended(sql).split('\n');
  return [comment(words), ...lines.map((line) => `${UNDECIDED}${line}`.trimEnd())].join('\n');
}

/** Behind a comment in its last line, a semicolon would be part of that. */
function ended(sql: string): string {
  const text = sql.trim();
  if (text.endsWith(';')) return text;
  return text.slice(text.lastIndexOf('\n') + 1).includes('--') ? `${text}\n;` : `${text};`;
}

/** Names may have line ends in them. */
function comment(words: string): string {
  return words === '' ? '--' : `-- ${words.replace(/\s+/g, ' ')}`;
}
