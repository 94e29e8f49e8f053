import { Console } from 'node:console';
import { EXIT, type ExitCode } from '../app/core/errors.js';
import { asManageDbError } from '../app/services/database-errors.js';
import { packageVersion } from '../app/services/package-root.js';
import { findCommand } from './command-table.js';
import { COMPLETION_FLAG } from './completion-flag.js';
import { rootHelp } from './help.js';
import { separateJsonFile } from './json-file.js';
import { Presentation } from './presentation.js';
import { readSwitch } from './raw-switch.js';
import { watchForUntimelyExit } from './untimely-exit.js';

/**
 * Runs one command line and ends the process with its exit code. What goes wrong is rendered, never thrown.
 *
 * @param args without node and the script
 */
export async function main(args: readonly string[]): Promise<void> {
  // `manage_db … 2>&1 | head` closes our output early: the work goes on to its end, only nobody reads it
  let hasFailed = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') hasFailed = true;
    });
  }
  const exitCode = await runLine(args);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(exitCode === EXIT.done && hasFailed ? EXIT.failed : exitCode);
}

async function runLine(args: readonly string[]): Promise<ExitCode> {
  const word = commandWord(args);
  if (args[0] === COMPLETION_FLAG) return parseAndRun(args, word);
  if (word === 'help') {
    const topic = args[args.indexOf('help') + 1];
    return topic === undefined || topic.startsWith('-')
      ? printed(rootHelp(packageVersion()))
      : runLine([topic, '--help']);
  }
  if (word !== undefined || hasUnknownFlag(args)) return parseAndRun(args, word);
  return printed(args.includes('--version') ? packageVersion() : rootHelp(packageVersion()));
}

async function parseAndRun(given: readonly string[], word: string | undefined): Promise<ExitCode> {
  const entry = word === undefined ? undefined : findCommand(word);
  const args = word !== undefined && entry?.hasJsonFile === true ? separateJsonFile(given, word) : given;
  const presentation = new Presentation({
    command: entry?.name ?? null,
    isJson: readSwitch(args, 'json') ?? false,
    isVerbose: readSwitch(args, 'verbose') ?? false,
    isQuiet: readSwitch(args, 'quiet') ?? false,
    hasColor: readSwitch(args, 'color') ?? true,
  });
  const unwatch = watchForUntimelyExit(presentation);
  try {
    const { parseLine } = await import('./parse-line.js');
    const line = await parseLine(args, word);
    if (line === null) return EXIT.done;
    // what files of the workspace print is prose, and standard output is for results
    globalThis.console = new Console(process.stderr);
    const { runCommand } = await import('./run-command.js');
    return await runCommand(line.entry, line.command, line.parsed, presentation);
  } catch (error) {
    return presentation.fail(asManageDbError(error));
  } finally {
    unwatch();
  }
}

/** The command on the line: its first word that is neither a flag nor the value of one. */
function commandWord(args: readonly string[]): string | undefined {
  const takesValue = ['--env', '--workspace', '--confirm', '--reason'];
  // completion: `--get-yargs-completions manage_db create-backup --l`
  const words = args[0] === COMPLETION_FLAG ? args.slice(2) : args;
  const candidates = words.filter((arg, index) => !arg.startsWith('-') && !takesValue.includes(words[index - 1] ?? ''));
  // `--label nightly create-backup`: the first word is a command's own flag's value
  return (
    candidates.find((arg) => findCommand(arg) !== undefined || arg === 'help' || arg === 'completion') ?? candidates[0]
  );
}

function hasUnknownFlag(args: readonly string[]): boolean {
  const known =
    /^(--help|-h|--version|--no-color|--json|--quiet|--verbose|--yes|--(env|workspace|confirm|reason)(=.*)?)$/;
  return args.some((arg) => arg.startsWith('-') && !known.test(arg));
}

function printed(text: string): ExitCode {
  process.stdout.write(`${text}\n`);
  return EXIT.done;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
