import { statSync } from 'node:fs';
import { currentEnv, withEnvironment } from '../app/core/environment.js';
import { normalizeEnv } from '../app/core/environment-names.js';
import { type ExitCode, ManageDbError } from '../app/core/errors.js';
import { LONGEST_OVERRIDE_MS, withKillSwitchOverride } from '../app/core/safety/override.js';
import { withWorkspaceRoot, workspaceRoot } from '../app/core/workspace-root.js';
import { closeEngines } from '../app/services/connection/open-engines.js';
import { asManageDbError } from '../app/services/database-errors.js';
import type { CommandContext, CommandModule } from './command.js';
import type { CommandEntry } from './command-table.js';
import { envFlag } from './env-flag.js';
import type { GlobalFlags, Presentation } from './presentation.js';
import { askerFor, passphraseAskerFor } from './prompts.js';

/**
 * Runs a parsed command: workspace and environment are set for it, its target is announced, Ctrl-C stops it cleanly,
 * its outcome is presented, and every pool is closed afterwards.
 */
export async function runCommand(
  entry: CommandEntry,
  command: CommandModule,
  flags: GlobalFlags,
  presentation: Presentation,
): Promise<ExitCode> {
  const interruption = listenForInterruption(presentation);
  try {
    const root = chosenWorkspace(flags);
    return await withWorkspaceRoot(root, async () => {
      const inEnvironment = <T>(fn: () => Promise<T>): Promise<T> =>
        flags.env === undefined ? fn() : withEnvironment(normalizeEnv(flags.env), fn, '--env');
      return await inEnvironment(async () => {
        presentation.environment = activeEnvironment();
        if (flags.verbose) await reportStatements(presentation);
        const context = contextOf(command, flags, root, presentation, interruption.signal);
        return presentation.finish(await underOverride(presentation, () => command.run(flags, context)));
      });
    });
  } catch (error) {
    return presentation.fail(
      asInterruption(error, interruption.signal, { entry, env: flags.env }) ?? asManageDbError(error),
    );
  } finally {
    interruption.stop();
    await closeEngines();
  }
}

/**
 * `KILL_SWITCH_OVERRIDE=true` counts from the process environment only: in a file it would be on for everybody and for
 * ever. `KILL_SWITCH_OVERRIDE_UNTIL` ends it also in a shell that stays open.
 */
async function underOverride<T>(presentation: Presentation, run: () => Promise<T>): Promise<T> {
  const { KILL_SWITCH_OVERRIDE: override, KILL_SWITCH_OVERRIDE_UNTIL: until } = process.env;
  if (override !== 'true') return run();
  const endsAt = until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
  if (Number.isNaN(endsAt)) {
    throw new ManageDbError('USAGE', `KILL_SWITCH_OVERRIDE_UNTIL is no time: ${JSON.stringify(until)}.`, {
      hint: 'Write it as 2026-11-21T18:00:00Z.',
    });
  }
  const rest = endsAt - Date.now();
  if (rest > 0) return withKillSwitchOverride({ expiresInMs: Math.min(rest, LONGEST_OVERRIDE_MS) }, run);
  presentation.say(`KILL_SWITCH_OVERRIDE has expired at ${until}: it does not count any more.`);
  return run();
}

/** `null` where it cannot be told: the command itself says why, or mends it. */
function activeEnvironment(): string | null {
  try {
    return currentEnv();
  } catch {
    return null;
  }
}

function contextOf(
  command: CommandModule,
  flags: GlobalFlags,
  workspace: string,
  presentation: Presentation,
  signal: AbortSignal,
): CommandContext {
  const ask = askerFor(presentation);
  const isMutating = typeof command.isMutating === 'function' ? command.isMutating(flags) : command.isMutating;
  return {
    env: flags.env,
    workspace,
    isJson: presentation.isJson,
    isVerbose: presentation.isVerbose,
    signal,
    askPassphrase: passphraseAskerFor(presentation, signal),
    say: (line) => presentation.say(line),
    operation: {
      ...(flags.env === undefined ? {} : { env: flags.env }),
      consent: {
        ...(flags.yes === undefined ? {} : { yes: flags.yes }),
        // the typed text may also come from the process environment, never from a file
        ...(confirmation(flags) === undefined ? {} : { confirm: confirmation(flags) }),
        ...(flags.reason === undefined ? {} : { reason: flags.reason }),
      },
      ...(ask === undefined ? {} : { ask }),
      signal,
      onTarget: (target) => presentation.announce(target, isMutating),
      // what only looks is quick: its steps are noise
      onProgress: (event) => (isMutating || flags.verbose ? presentation.step(event) : undefined),
    },
  };
}

function confirmation(flags: GlobalFlags): string | undefined {
  return flags.confirm ?? process.env.CONFIRMATION_TEXT;
}

function chosenWorkspace(flags: GlobalFlags): string {
  if (flags.workspace === undefined) return workspaceRoot();
  if (statSync(flags.workspace, { throwIfNoEntry: false })?.isDirectory()) return flags.workspace;
  throw new ManageDbError('USAGE', `The workspace ${JSON.stringify(flags.workspace)} is not a folder.`, {
    hint: 'Give --workspace the folder of your project, or leave it away to use the current one.',
  });
}

async function reportStatements(presentation: Presentation): Promise<void> {
  const { setDebugMode } = await import('../app/services/debug-mode.js');
  setDebugMode(true, (line) => presentation.debug(line));
}

/** The first Ctrl-C stops the work in order, a second one at once. */
function listenForInterruption(presentation: Presentation): {
  readonly signal: AbortSignal;
  readonly stop: () => void;
} {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    presentation.say('Stopping … (again to stop at once)');
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, interrupt);
  return {
    signal: controller.signal,
    stop: () => {
      for (const name of signals) process.off(name, interrupt);
    },
  };
}

function asInterruption(
  error: unknown,
  signal: AbortSignal,
  { entry, env }: { readonly entry: CommandEntry; readonly env: string | undefined },
): ManageDbError | null {
  if (!signal.aborted) return null;
  if (error instanceof ManageDbError && error.code === 'INTERRUPTED') return error;
  return new ManageDbError(
    'INTERRUPTED',
    `${entry.name} was interrupted before it was done; what was open has been rolled back.`,
    {
      hint: `Look at the state: manage_db check-database${envFlag(env)}. Then run ${entry.name} again.`,
      cause: error,
    },
  );
}
