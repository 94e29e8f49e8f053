// docs/reference/errors.md: every code as app/core/errors.ts and scripts/dev/reference/error-explanations.ts say it.
import { type ErrorCode, EXIT, EXIT_CODES } from '../../../app/core/errors.js';
import { ERROR_EXPLANATIONS, ERROR_TOPICS, type ErrorTopic } from './error-explanations.js';
import { anchor, code, madeFrom, table } from './markdown.js';

const CODES = Object.keys(EXIT_CODES) as ErrorCode[];

/** What an exit code of the command line means. */
const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done',
  failed: 'failed; what the message says is unchanged',
  refused: 'wrong usage, or refused by the gate: nothing was attempted',
  pending: 'pending work (`show-all-migrations --exit-code`)',
  drift: 'two things that should agree do not',
  lockTimeout: 'a lock was not to be had in time',
  interrupted: 'interrupted, with a line that says what was done and what was not',
};

export function errorsPage(): string {
  const topics = Object.entries(ERROR_TOPICS) as [ErrorTopic, string][];
  return [
    '# Every error code',
    madeFrom('app/core/errors.ts and scripts/dev/reference/error-explanations.ts'),
    [
      'Every failure is a `ManageDbError`: a code for programs, a message that says what happened, to which object on which database and what is',
      'unchanged, and a hint with the next thing to type. On the command line it looks like this; with `--json` it is `error` in the one object',
      'that is printed, and in the library it is thrown with `code`, `hint`, `exitCode`, `details` and `cause`.',
    ].join('\n'),
    [
      '```text',
      '✗ STAMP_REQUIRED  reset-database on development (clinic_dev) is refused: it is not empty, and nobody has said yet what it is. Nothing was changed.',
      '→ Look at it (manage_db inspect-db --env development), then say so: manage_db stamp-database --env development',
      '```',
    ].join('\n'),
    '## Exit codes',
    table(
      ['exit code', 'meaning', 'codes'],
      (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => {
        const codes = CODES.filter((one) => EXIT_CODES[one] === EXIT[name]);
        // what most of them have says nothing
        return [String(EXIT[name]), EXIT_MEANINGS[name], codes.length > 3 ? 'see below' : codes.map(linkTo).join(', ')];
      }),
    ),
    ...topics.flatMap(([topic, title]) => [
      `## ${title}`,
      ...CODES.filter((one) => ERROR_EXPLANATIONS[one].topic === topic).map(sectionOf),
    ]),
  ]
    .join('\n\n')
    .concat('\n');
}

function linkTo(one: ErrorCode): string {
  return `[${code(one)}](#${anchor(one)})`;
}

function sectionOf(one: ErrorCode): string {
  const { meaning, causes, remedy } = ERROR_EXPLANATIONS[one];
  return [
    `### ${one}`,
    `${meaning} Exit code ${EXIT_CODES[one]}.`,
    ['Usual causes:', '', ...causes.map((cause) => `- ${cause}`)].join('\n'),
    `What to do: ${remedy}`,
  ].join('\n\n');
}
