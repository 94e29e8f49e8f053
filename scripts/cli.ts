import { distance } from 'fastest-levenshtein';
import type { Argv } from 'yargs';
import { EXIT, type ExitCode, ManageDbError, messageOf } from '../app/core/errors.js';
import { packageVersion } from '../app/services/package-root.js';
import type { CommandModule } from './command.js';
import { COMMANDS, type CommandEntry, findCommand } from './command-table.js';
import { commandUsage, rootHelp } from './help.js';
import { type GlobalFlags, Presentation } from './presentation.js';

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
  const flagsOnly = args.slice(0, args.includes('--') ? args.indexOf('--') : undefined);
  if (word === undefined || word === 'help') {
    const topic = word === 'help' ? args[args.indexOf('help') + 1] : undefined;
    if (topic !== undefined && findCommand(topic) !== undefined) return runLine([topic, '--help']);
    if (flagsOnly.includes('--version')) return printed(packageVersion());
    if (!flagsOnly.includes('--get-yargs-completions'))
      return word === undefined && hasUnknownFlag(args)
        ? await parseAndRun(args)
        : printed(await rootHelp(packageVersion()));
  }
  return parseAndRun(args);
}

async function parseAndRun(args: readonly string[]): Promise<ExitCode> {
  const word = commandWord(args);
  const presentation = new Presentation({
    command: word === undefined ? null : (findCommand(word)?.name ?? null),
    isJson: args.includes('--json'),
    isVerbose: args.includes('--verbose'),
    isQuiet: args.includes('--quiet'),
    hasColor: !args.includes('--no-color'),
  });
  try {
    const line = await parseLine(args, word);
    if (line === null) return EXIT.done;
    const { runCommand } = await import('./run-command.js');
    return await runCommand(line.entry, line.command, line.parsed, presentation);
  } catch (error) {
    return presentation.fail(asUsageError(error));
  }
}

interface ParsedLine {
  readonly entry: CommandEntry;
  readonly command: CommandModule;
  readonly parsed: GlobalFlags;
}

/** Parses the line strictly; `null` when yargs has answered it itself (help, completion). */
async function parseLine(args: readonly string[], word: string | undefined): Promise<ParsedLine | null> {
  const { default: yargs } = await import('yargs');
  const parser = yargs([...args])
    .scriptName('manage_db')
    .locale('en')
    .parserConfiguration({ 'duplicate-arguments-array': false, 'dot-notation': false, 'strip-aliased': true })
    .completion('completion', 'Print a script that completes commands and flags in bash or zsh')
    .version(false)
    .help()
    .showHelpOnFail(false)
    .strict()
    .exitProcess(false)
    .fail(false);
  const width = process.stdout.columns;
  parser.wrap(width === undefined ? 100 : Math.min(width, 120));
  addGlobalFlags(parser);

  const entry = word === undefined ? undefined : findCommand(word);
  if (word !== undefined && entry === undefined && word !== 'completion') throw unknownCommand(word);
  const command = entry === undefined ? null : (await entry.load()).command;
  let parsed: GlobalFlags | null = null;
  for (const { name, positionals, aliases, summary } of COMMANDS) {
    const names = [positionals === undefined ? name : `${name} ${positionals}`, ...(aliases ?? [])];
    const isMeant = name === entry?.name && command !== null;
    parser.command(
      names,
      summary,
      (own) => (isMeant ? declareFlags(own, command) : own),
      (flags) => {
        parsed = flags as unknown as GlobalFlags;
      },
    );
  }
  try {
    await parser.parseAsync();
  } catch (error) {
    throw usageError(
      error,
      entry,
      command,
      command === null ? parser : declareFlags(addGlobalFlags(yargs([])), command),
    );
  }
  return entry === undefined || command === null || parsed === null ? null : { entry, command, parsed };
}

function addGlobalFlags(parser: Argv): Argv {
  const group = 'Global flags:';
  return parser
    .option('env', { type: 'string', requiresArg: true, group, describe: 'The environment, for this command only' })
    .option('workspace', { type: 'string', requiresArg: true, group, describe: "The project's folder" })
    .option('json', { type: 'boolean', group, describe: 'Print one JSON object on standard output' })
    .option('yes', { type: 'boolean', group, describe: 'Confirm, where nothing is protected' })
    .option('confirm', {
      type: 'string',
      requiresArg: true,
      group,
      describe: 'The typed text that protected databases ask for',
    })
    .option('reason', { type: 'string', requiresArg: true, group, describe: 'Why, for the record' })
    .option('verbose', {
      type: 'boolean',
      group,
      describe: 'Also statements, steps and stack traces, on standard error',
    })
    .option('quiet', { type: 'boolean', group, describe: 'Only results and errors' })
    .option('color', {
      type: 'boolean',
      default: true,
      group,
      describe: 'Colours; --no-color (or NO_COLOR) turns them off',
    })
    .alias('help', 'h')
    .group(['help'], group);
}

function declareFlags(parser: Argv, command: CommandModule): Argv {
  command.builder(parser);
  for (const [line, what] of command.examples) parser.example(`manage_db ${line}`, what);
  return parser;
}

/** The command on the line: its first word that is neither a flag nor the value of one. */
function commandWord(args: readonly string[]): string | undefined {
  const takesValue = ['--env', '--workspace', '--confirm', '--reason'];
  return args.find((arg, index) => !arg.startsWith('-') && !takesValue.includes(args[index - 1] ?? ''));
}

function hasUnknownFlag(args: readonly string[]): boolean {
  const known =
    /^(--help|-h|--version|--no-color|--json|--quiet|--verbose|--yes|--(env|workspace|confirm|reason)(=.*)?)$/;
  return args.some((arg) => arg.startsWith('-') && !known.test(arg));
}

function unknownCommand(word: string): ManageDbError {
  const names = COMMANDS.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]);
  const suggestion = nearest(word, names);
  return new ManageDbError('UNKNOWN_COMMAND', `There is no command "${word}".`, {
    hint:
      suggestion === null
        ? 'See all commands: manage_db --help'
        : `Did you mean: manage_db ${findCommand(suggestion)?.name ?? suggestion}`,
  });
}

function usageError(
  error: unknown,
  entry: CommandEntry | undefined,
  command: CommandModule | null,
  parser: Argv,
): ManageDbError {
  if (error instanceof ManageDbError) return error;
  const said = messageOf(error).trim();
  const help = entry === undefined ? 'manage_db --help' : `manage_db ${entry.name} --help`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(said)?.[1]?.split(', ') ?? [];
  const flags = flagsOf(parser);
  const suggestion = unknown.map((name) => nearest(name, flags)).find((name) => name !== null) ?? null;
  const message =
    unknown.length === 0 ? said.replaceAll(/\s*\n\s*/g, ' ') : `Unknown: ${unknown.map(spell).join(', ')}.`;
  return new ManageDbError('USAGE', message.endsWith('.') ? message : `${message}.`, {
    hint:
      suggestion === null
        ? `${command === null || entry === undefined ? '' : `Usage: ${commandUsage(entry)}. `}See: ${help}`
        : `Did you mean --${suggestion}? See: ${help}`,
  });
}

function spell(name: string): string {
  return /^[a-z0-9-]+$/i.test(name) && name.length > 1 ? `"${name}"` : JSON.stringify(name);
}

/** yargs has the list of declared flags, but not in its types. */
function flagsOf(parser: Argv): readonly string[] {
  const { key } = (
    parser as unknown as { getOptions(): { readonly key: Readonly<Record<string, unknown>> } }
  ).getOptions();
  return Object.keys(key);
}

function nearest(word: string, names: readonly string[]): string | null {
  const ranked = names.map((name) => [distance(word, name), name] as const).sort((a, b) => a[0] - b[0]);
  const [best] = ranked;
  if (best !== undefined && best[0] <= Math.max(2, Math.floor(word.length / 3))) return best[1];
  return names.find((name) => word.length >= 3 && name.includes(word)) ?? null;
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
