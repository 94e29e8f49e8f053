import { EXIT, type ExitCode, ManageDbError, messageOf } from '../app/core/errors.js';
import { packageVersion } from '../app/services/package-root.js';
import { findCommand } from './command-table.js';
import { COMPLETION_FLAG } from './completion-flag.js';
import { rootHelp } from './help.js';
import { Presentation } from './presentation.js';

/**
 * Runs one command line and ends the process with its exit code. What goes wrong is rendered, never thrown.
 *
 * @param args without node and the script
 */
export async function main(args: readonly string[]): Promise<void> {
  // `manage_db … | head` closes our output early: that is an end, not an error
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) =>
      process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed),
    );
  }
  const exitCode = await runLine(args);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(exitCode);
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

async function parseAndRun(args: readonly string[], word: string | undefined): Promise<ExitCode> {
  const presentation = new Presentation({
    command: word === undefined ? null : (findCommand(word)?.name ?? null),
    isJson: args.includes('--json'),
    isVerbose: args.includes('--verbose'),
    isQuiet: args.includes('--quiet'),
    hasColor: !args.includes('--no-color'),
  });
  try {
    const { parseLine } = await import('./parse-line.js');
    const line = await parseLine(args, word);
    if (line === null) return EXIT.done;
    const { runCommand } = await import('./run-command.js');
    return await runCommand(line.entry, line.command, line.parsed, presentation);
  } catch (error) {
    return presentation.fail(asUsageError(error));
  }
}

/** The command on the line: its first word that is neither a flag nor the value of one. */
function commandWord(args: readonly string[]): string | undefined {
  const takesValue = ['--env', '--workspace', '--confirm', '--reason'];
  // completion: `--get-yargs-completions manage_db create-backup --l`
  const words = args[0] === COMPLETION_FLAG ? args.slice(2) : args;
  return words.find((arg, index) => !arg.startsWith('-') && !takesValue.includes(words[index - 1] ?? ''));
}

function hasUnknownFlag(args: readonly string[]): boolean {
  const known =
    /^(--help|-h|--version|--no-color|--json|--quiet|--verbose|--yes|--(env|workspace|confirm|reason)(=.*)?)$/;
  return args.some((arg) => arg.startsWith('-') && !known.test(arg));
}

function asUsageError(error: unknown): ManageDbError {
  if (error instanceof ManageDbError) return error;
  return new ManageDbError('INTERNAL', `Something that should not happen did: ${messageOf(error)}`, {
    hint: 'Run it again with --verbose and report what it prints.',
    cause: error,
  });
}

function printed(text: string): ExitCode {
  process.stdout.write(`${text}\n`);
  return EXIT.done;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}
