import { redact } from '../../app/config/redaction.js';
import { type ManageDbError, messageOf } from '../../app/core/errors.js';
import type { Paint } from './paint.js';
import { printableLines } from './printable.js';

/** An error for people: what happened, PostgreSQL's code for it, then what to type. The stack only under `--verbose`. */
export function renderError(error: ManageDbError, paint: Paint, isVerbose: boolean): string {
  const lines = [`${paint.red(paint.bold(`✗ ${error.code}`))}  ${shown(error.message)}`];
  const { sqlState } = error.details;
  if (typeof sqlState === 'string' && !error.message.includes(sqlState))
    lines.push(paint.dim(`SQLSTATE ${shown(sqlState)}`));
  if (error.hint !== null) lines.push(`${paint.cyan('→')} ${shown(error.hint)}`);
  if (isVerbose) lines.push(paint.dim(redact(stackOf(error))));
  return lines.join('\n');
}

/** Without secrets, and without what a terminal would obey; lines and indentation stay. */
function shown(text: string): string {
  return printableLines(redact(text));
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`;
}
