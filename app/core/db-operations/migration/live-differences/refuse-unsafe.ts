import { sqlScriptError } from '../../../../services/sql-script.js';
import { ManageDbError } from '../../../errors.js';
import type { UnsafeReplacement } from './live-difference.js';

/** Whether somebody has said that a run may drop what it could replace: the process environment, never a file, or the setting. */
export function isUnsafeAllowed(setting: boolean): boolean {
  return setting || process.env.ALLOW_UNSAFE_MIGRATIONS === 'true';
}

/**
 * Refuses a run that drops what is there and makes it again, where OR REPLACE would do: with the DROP go grants, comments,
 * the owner, the mode of a trigger, and whatever CASCADE takes along.
 *
 * @throws ManageDbError `UNSAFE_MIGRATION` with the place of the first DROP and the safe rewrite
 */
export function refuseUnsafe(
  unsafe: readonly UnsafeReplacement[],
  { isAllowed }: { readonly isAllowed: boolean },
): void {
  const [first, ...others] = unsafe;
  if (first === undefined || isAllowed) return;
  const { source, offset, statement, kind, object, made, rewrite } = first;
  const isSameFile = made.file === source.path;
  const again = isSameFile ? `in line ${made.line}` : `in line ${made.line} of ${made.file}`;
  const error = sqlScriptError(source, {
    code: 'UNSAFE_MIGRATION',
    message: `The ${kind} ${object}, which is there, is dropped and made again ${again}. ${LOST[kind]} Nothing was applied.`,
    offset,
    statement,
    more: others.map((one) => `Likewise the ${one.kind} ${one.object}.`),
    hint: `Take the DROP out, and write: ${firstLine(rewrite)}`,
  });
  throw new ManageDbError('UNSAFE_MIGRATION', error.message, {
    hint: `${error.hint ?? ''}\nIf it is meant: ALLOW_UNSAFE_MIGRATIONS=true`,
    details: {
      ...error.details,
      unsafe: unsafe.map((one) => ({ kind: one.kind, object: one.object, rewrite: one.rewrite })),
    },
  });
}

const LOST: Readonly<Record<UnsafeReplacement['kind'], string>> = {
  function: 'Its grants, comment and owner are lost by that, and what is built on it is in the way.',
  procedure: 'Its grants, comment and owner are lost by that.',
  view: 'Its grants, comment and owner are lost by that, and what is built on it is in the way.',
  trigger: 'Its comment and mode are lost by that, and the table is locked against everybody, readers too.',
};

function firstLine(text: string): string {
  const [line = '', ...more] = text.trim().split('\n');
  return more.length === 0 ? `${line};` : `${line} …`;
}
