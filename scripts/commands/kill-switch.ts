import type { KillSwitchStatus } from '../../app/core/db-operations/kill-switch.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import { durationMs } from '../duration.js';
import type { Paint } from '../presenters/paint.js';

interface Args {
  readonly action: 'status' | 'engage' | 'release';
  readonly for?: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['kill-switch status --env production', 'whether changes are possible now, and why not'],
    [
      'kill-switch engage --env production --for 2h --reason "corrupt invoices"',
      'no operation begins to change anything for two hours',
    ],
    [
      'kill-switch release --env production --confirm "EXECUTE RELEASE_KILL_SWITCH ON clinic" --reason "repaired"',
      'before that time',
    ],
  ],
  builder: (yargs) =>
    yargs
      .positional('action', {
        choices: ['status', 'engage', 'release'] as const,
        demandOption: true,
        describe: 'What to do with it',
      })
      .option('for', { type: 'string', requiresArg: true, describe: 'engage: how long, such as 30m, 2h or 3d' }),
  async run({ action, for: lasting }, context) {
    if (lasting !== undefined && action !== 'engage') {
      throw new ManageDbError('USAGE', `--for belongs to engage, not to ${action}.`, {
        hint: 'See: manage_db kill-switch --help',
      });
    }
    if (action === 'engage') return engage(lasting, context);
    return action === 'release' ? release(context) : status(context);
  },
});

async function status({ operation }: CommandContext): Promise<CommandOutcome> {
  const { killSwitchStatus } = await import('../../app/core/db-operations/kill-switch.js');
  const found = await killSwitchStatus(operation);
  return { data: found, text: (paint) => describe(found, paint) };
}

async function engage(lasting: string | undefined, { operation }: CommandContext): Promise<CommandOutcome> {
  const expiresInMs = lasting === undefined ? undefined : durationMs(lasting, '--for');
  const { engageKillSwitch } = await import('../../app/core/db-operations/kill-switch.js');
  const result = await engageKillSwitch({ ...operation, expiresInMs });
  const { expiresAt } = result.engagement;
  return {
    data: result,
    text: (paint) =>
      [
        `${paint.red('■')} engaged ${expiresAt === null ? 'until it is released' : `until ${expiresAt}`}: no operation of manage_db begins to change anything`,
        'Restores, copies, drops and resets that run stop before they replace or drop anything; other changes that run go on to their end.',
      ].join('\n'),
  };
}

async function release({ operation }: CommandContext): Promise<CommandOutcome> {
  const { releaseKillSwitch } = await import('../../app/core/db-operations/kill-switch.js');
  const result = await releaseKillSwitch(operation);
  return {
    data: result,
    text: (paint) =>
      result.released.length === 0 ? 'It was not engaged.' : `${paint.green('✓')} released: changes are possible again`,
  };
}

function describe(found: KillSwitchStatus, paint: Paint): string {
  const engaged = found.engagements.map(
    ({ actor, engagedAt, reason, expiresAt }) =>
      `${paint.red('■')} engaged by ${actor} at ${engagedAt}, ${expiresAt === null ? 'until it is released' : `until ${expiresAt}`}: ${reason}`,
  );
  const locked = found.window === null ? [] : [`${paint.red('■')} ${found.window}`];
  const verdict = found.isLocked
    ? `Nothing can be changed on ${found.environment} now; no override passes.`
    : found.isOn
      ? `${paint.yellow('●')} on: changes of ${found.environment} need KILL_SWITCH_OVERRIDE=true and the typed text`
      : `${paint.green('○')} off: ${found.environment} is not behind the kill switch`;
  return [...engaged, ...locked, verdict].join('\n');
}
