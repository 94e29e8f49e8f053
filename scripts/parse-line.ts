import type yargsFactory from 'yargs';
import type { Argv, Options } from 'yargs';
import { ManageDbError } from '../app/core/errors.js';
import type { CommandModule } from './command.js';
import { COMMANDS, type CommandEntry, findCommand } from './command-table.js';
import { COMPLETION_FLAG } from './completion-flag.js';
import type { GlobalFlags } from './presentation.js';
import { gatherRepeated } from './repeated-flags.js';
import { unknownCommand, usageError } from './usage-errors.js';

type Yargs = typeof yargsFactory;

/** A line that was understood: which command, and its flags. */
export interface ParsedLine {
  readonly entry: CommandEntry;
  readonly command: CommandModule;
  readonly parsed: GlobalFlags;
}

/**
 * Parses the line strictly; `null` when yargs has answered it itself (help, completion).
 *
 * @param args `--json FILE` is `--json-file FILE` by now
 * @throws ManageDbError `UNKNOWN_COMMAND`, `USAGE`
 */
export async function parseLine(args: readonly string[], word: string | undefined): Promise<ParsedLine | null> {
  const { default: yargs } = await import('yargs');
  if (word === 'completion' || args[0] === COMPLETION_FLAG) return complete(newParser(yargs, args), word);
  const entry = word === undefined ? undefined : findCommand(word);
  if (word !== undefined && entry === undefined) throw unknownCommand(word);
  if (entry === undefined) return refuseAll(newParser(yargs, args));

  const { command } = await entry.load();
  const at = args.indexOf(word ?? '');
  const own = [...args.slice(0, at), ...args.slice(at + 1)];
  const parser = newParser(yargs, gatherRepeated(own, command.repeatable ?? []));
  let parsed: GlobalFlags | null = null;
  // As yargs' default command: for any other one it lays out the whole help before it runs, 15 ms at every start.
  parser.scriptName(`manage_db ${entry.name}`).command(
    ['$0', ...(entry.positionals === undefined ? [] : [entry.positionals])].join(' '),
    entry.summary,
    (builder) => declareFlags(builder, command),
    (flags) => {
      parsed = flags as unknown as GlobalFlags;
    },
  );
  try {
    await parser.parseAsync();
  } catch (error) {
    throw usageError(error, entry, declareFlags(newParser(yargs, []), command));
  }
  if (parsed !== null) refuseTwice(parsed, entry, command.repeatable ?? []);
  return parsed === null ? null : { entry, command, parsed };
}

/** Of `--to testing --to production` nobody can say what is meant. */
function refuseTwice(parsed: GlobalFlags, { name: command }: CommandEntry, repeatable: readonly string[]): void {
  const twice = Object.entries(parsed).find(
    ([name, value]) => name !== '_' && Array.isArray(value) && !repeatable.includes(kebab(name)),
  );
  if (twice === undefined) return;
  const [name, values] = twice;
  throw new ManageDbError('USAGE', `--${kebab(name)} was given more than once: ${values.join(', ')}.`, {
    hint: `Give it once. See: manage_db ${command} --help`,
  });
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function newParser(yargs: Yargs, args: readonly string[]): Argv {
  const width = process.stdout.columns;
  const parser = yargs([...args])
    .scriptName('manage_db')
    .locale('en')
    .parserConfiguration({ 'duplicate-arguments-array': true, 'dot-notation': false, 'strip-aliased': true })
    .version(false)
    .help()
    .showHelpOnFail(false)
    .strict()
    .exitProcess(false)
    .fail(false)
    .wrap(width === undefined ? 100 : Math.min(width, 120));
  return addGlobalFlags(parser);
}

/** yargs prints the completion script, or what can follow on the line; it has to know all commands for that. */
async function complete(parser: Argv, word: string | undefined): Promise<null> {
  const entry = word === undefined ? undefined : findCommand(word);
  const command = entry === undefined ? null : (await entry.load()).command;
  for (const { name, positionals, summary } of COMMANDS) {
    const isMeant = name === entry?.name && command !== null;
    parser.command([name, positionals].join(' ').trim(), summary, (own) =>
      isMeant ? declareFlags(own, command) : own,
    );
  }
  parser.completion('completion', 'Print a script that completes commands and flags in bash or zsh');
  if (word === 'completion') parser.showCompletionScript();
  else await parser.parseAsync();
  return null;
}

/** A line of flags without a command: there is at least one that does not exist. */
async function refuseAll(parser: Argv): Promise<null> {
  try {
    await parser.parseAsync();
  } catch (error) {
    throw usageError(error, undefined, parser);
  }
  return null;
}

/** What every command takes. */
export const GLOBAL_FLAGS = {
  env: { type: 'string', requiresArg: true, describe: 'The environment, for this command only' },
  workspace: { type: 'string', requiresArg: true, describe: "The project's folder" },
  json: { type: 'boolean', describe: 'Print one JSON object on standard output' },
  yes: { type: 'boolean', describe: 'Confirm, where nothing is protected' },
  confirm: { type: 'string', requiresArg: true, describe: 'The typed text that protected databases ask for' },
  reason: { type: 'string', requiresArg: true, describe: 'Why, for the record' },
  verbose: { type: 'boolean', describe: 'Also statements, steps and stack traces, on standard error' },
  quiet: { type: 'boolean', describe: 'Only results and errors' },
  color: { type: 'boolean', default: true, describe: 'Colours; --no-color (or NO_COLOR) turns them off' },
} as const satisfies Readonly<Record<string, Options>>;

function addGlobalFlags(parser: Argv): Argv {
  const group = 'Global flags:';
  for (const [name, options] of Object.entries(GLOBAL_FLAGS)) parser.option(name, { ...options, group });
  return parser.alias('help', 'h').group(['help'], group);
}

function declareFlags(parser: Argv, command: CommandModule): Argv {
  command.builder(parser);
  for (const [line, what] of command.examples) parser.example(`manage_db ${line}`, what);
  const exitCodes = Object.entries(command.exitCodes ?? {}).map(([code, when]) => `${code} ${when}`);
  if (exitCodes.length > 0) parser.epilogue(`Exit codes of its own: ${exitCodes.join('; ')}.`);
  return parser;
}
