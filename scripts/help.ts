import { COMMANDS, type CommandEntry, GROUPS } from './command-table.js';
import { paintFor } from './presenters/paint.js';

/** `manage_db --help`: the commands in groups, from the table alone, so that it costs next to nothing. */
export function rootHelp(version: string): string {
  const paint = paintFor(process.stdout, !process.argv.includes('--no-color'));
  const width = Math.max(...COMMANDS.map((entry) => label(entry).length)) + 2;
  const groups = GROUPS.map((group) => {
    const lines = COMMANDS.filter((entry) => entry.group === group).map(
      (entry) => `  ${paint.cyan(label(entry).padEnd(width))}${entry.summary}`,
    );
    return [paint.bold(`${group}:`), ...lines].join('\n');
  });
  return [
    `${paint.bold('manage_db')} ${version}  PostgreSQL from development to production: safe by default, provable afterwards, undoable.`,
    'Usage: manage_db <command> [flags]',
    ...groups,
    `${paint.bold('Global flags:')}
  --env NAME         The environment, for this command only
  --workspace DIR    The project's folder
  --json             Print one JSON object on standard output
  --yes              Confirm, where nothing is protected
  --confirm TEXT     The typed text that protected databases ask for
  --reason TEXT      Why, for the record
  --verbose, --quiet, --no-color, --version, --help`,
    `${paint.bold('Examples:')}
  manage_db init                               make this folder a workspace
  manage_db initialize-db --seed               a working development database, with no configuration
  manage_db inspect-db --triggers --env prod   look, without changing anything
  manage_db create-backup && manage_db list-all-backups
  eval "$(manage_db switch-env testing --shell)"   another environment for this shell only`,
    'Each command explains itself: manage_db <command> --help. Completion: manage_db completion >> ~/.bashrc',
  ].join('\n\n');
}

/** `manage_db restore-backup <id>` */
export function commandUsage(entry: CommandEntry): string {
  return `manage_db ${label(entry)}`;
}

function label({ name, positionals }: CommandEntry): string {
  return positionals === undefined ? name : `${name} ${positionals}`;
}
