import type { Argv } from 'yargs';
import type { CommandModule } from './command.js';
import { COMMANDS, type CommandEntry, findCommand } from './command-table.js';
import { COMPLETION_FLAG } from './completion-flag.js';
import type { GlobalFlags } from './presentation.js';
import { unknownCommand, usageError } from './usage-errors.js';

/** A line that was understood: which command, and its flags. */
export interface ParsedLine {
  readonly entry: CommandEntry;
  readonly command: CommandModule;
  readonly parsed: GlobalFlags;
}

/**
 * Parses the line strictly; `null` when yargs has answered it itself (help, completion).
 *
 * @throws ManageDbError `UNKNOWN_COMMAND`, `USAGE`
 */
export async function parseLine(args: readonly string[], word: string | undefined): Promise<ParsedLine | null> {
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
  const isOfYargs = word === 'completion' || args.includes(COMPLETION_FLAG);
  if (word !== undefined && entry === undefined && !isOfYargs) throw unknownCommand(word);
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
