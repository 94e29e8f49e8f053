import type { Argv } from 'yargs';
import { ManageDbError, messageOf } from '../app/core/errors.js';
import { nearest } from '../app/core/nearest.js';
import { COMMANDS, type CommandEntry, findCommand } from './command-table.js';
import { commandUsage } from './help.js';

/** A command that does not exist, with the one that was probably meant. */
export function unknownCommand(word: string): ManageDbError {
  const names = COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]);
  const suggestion = nearest(word, names);
  return new ManageDbError('UNKNOWN_COMMAND', `There is no command "${word}".`, {
    hint:
      suggestion === null
        ? 'See all commands: manage_db --help'
        : `Did you mean: manage_db ${findCommand(suggestion)?.name ?? suggestion}`,
  });
}

/** What yargs refused, in our words, with a suggestion or the usage line. */
export function usageError(error: unknown, entry: CommandEntry | undefined, parser: Argv): ManageDbError {
  if (error instanceof ManageDbError) return error;
  const said = messageOf(error).trim();
  const help = entry === undefined ? 'manage_db --help' : `manage_db ${entry.name} --help`;
  const unknown = /^Unknown arguments?: (.*)$/.exec(said)?.[1]?.split(', ') ?? [];
  const flags = flagsOf(parser);
  const suggestion = unknown.map((name) => nearest(name, flags)).find((name) => name !== null) ?? null;
  const message =
    unknown.length > 0
      ? `Unknown: ${unknown.map(spell).join(', ')}.`
      : (missing(said, entry) ?? said.replaceAll(/\s*\n\s*/g, ' '));
  return new ManageDbError('USAGE', message.endsWith('.') ? message : `${message}.`, {
    hint:
      suggestion === null
        ? `${entry === undefined ? '' : `Usage: ${commandUsage(entry)}. `}See: ${help}`
        : `Did you mean --${suggestion}? See: ${help}`,
  });
}

/** What has to be given and was not: `--to is missing.`, `restore-backup needs <id>.` */
function missing(said: string, entry: CommandEntry | undefined): string | null {
  const flags = /^Missing required arguments?: (.*)$/.exec(said)?.[1]?.split(', ') ?? [];
  if (flags.length > 0)
    return `${flags.map((flag) => `--${flag}`).join(' and ')} ${flags.length === 1 ? 'is' : 'are'} missing.`;
  if (!said.startsWith('Not enough non-option arguments') || entry?.positionals === undefined) return null;
  return `${entry.name} needs ${entry.positionals}.`;
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
