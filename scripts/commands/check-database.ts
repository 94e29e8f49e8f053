import type { Check, CheckStatus } from '../../app/core/db-operations/maintenance.js';
import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { renderChecks } from '../presenters/checks.js';
import { printable } from '../presenters/printable.js';

interface Args {
  readonly failOn?: FailingStatus;
}

type FailingStatus = Extract<CheckStatus, 'warning' | 'critical'>;

/** The first is the least. */
const LEVELS: readonly FailingStatus[] = ['warning', 'critical'];

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['check-database', 'the active environment'],
    ['check-database --env production --fail-on warning', 'for a scheduled run: exit code 1 when something is wrong'],
    ['check-database --env production --json | jq ".data.checks[] | select(.status != \\"ok\\")"', 'what is not ok'],
  ],
  exitCodes: { 1: 'when a check finds what --fail-on names, or worse' },
  builder: (yargs) =>
    yargs.option('fail-on', {
      choices: LEVELS,
      requiresArg: true,
      describe: 'Exit code 1 when a check finds this or worse',
    }),
  async run({ failOn }, { operation }) {
    const { checkDb } = await import('../../app/core/db-operations/maintenance.js');
    const { checks } = await checkDb(operation);
    const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
    const error = failOn === undefined ? null : failure(checks, { failOn, env: operation.env });
    return {
      data: { checks },
      ...(error === null ? {} : { error }),
      text: (paint) =>
        `${renderChecks(checks.map(onOneLine), paint)}\n\n${checks.length} checks: ${count('critical')} critical, ${count('warning')} warnings, ${count('info')} notes, ${count('ok')} ok`,
    };
  },
});

/** A name of somebody's table must not look like another check. */
function onOneLine<T extends Pick<Check, 'detail' | 'fix'>>(check: T): T {
  return { ...check, detail: printable(check.detail), fix: check.fix === null ? null : printable(check.fix) };
}

/** Names the worst first. */
function failure(
  checks: readonly Check[],
  { failOn, env }: { readonly failOn: FailingStatus; readonly env: string | undefined },
): ManageDbError | null {
  const failed = LEVELS.slice(LEVELS.indexOf(failOn))
    .reverse()
    .flatMap((level) => checks.filter(({ status }) => status === level));
  const [worst] = failed.map(onOneLine);
  if (worst === undefined) return null;
  const others = failed.length === 1 ? '' : ` ${failed.length - 1} more: ${names(failed.slice(1))}.`;
  return new ManageDbError('CHECK_FAILED', `${worst.name} is ${worst.status}: ${worst.detail}${others}`, {
    hint: worst.fix ?? `See all of them: manage_db check-database${envFlag(env)}`,
    details: { failOn, failed: failed.map(({ name, status }) => ({ name, status })) },
  });
}

function names(checks: readonly Check[]): string {
  return checks.map(({ name, status }) => `${name} (${status})`).join(', ');
}
