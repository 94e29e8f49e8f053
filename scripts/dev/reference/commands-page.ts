// docs/reference/commands.md: every command as its table entry, its module and the table of operations say it.
import type { Options, PositionalOptions } from 'yargs';
import {
  commandOf,
  OPERATIONS,
  type OperationDefinition,
  type OperationName,
} from '../../../app/core/safety/operations.js';
import { COMMANDS, type CommandEntry, GROUPS } from '../../command-table.js';
import { commandUsage } from '../../help.js';
import { GLOBAL_FLAGS } from '../../parse-line.js';
import { type DeclaredFlag, type DeclaredFlags, declaredBy } from './command-flags.js';
import { anchor, code, madeFrom, table, withCode } from './markdown.js';

export async function commandsPage(): Promise<string> {
  const sections = await Promise.all(COMMANDS.map(sectionOf));
  const groups = GROUPS.map((group) => {
    const own = COMMANDS.flatMap((entry, index) => (entry.group === group ? [sections[index] ?? ''] : []));
    return [`## ${group}`, ...own].join('\n\n');
  });
  return [
    '# Every command',
    madeFrom('scripts/command-table.ts, scripts/commands/ and app/core/safety/operations.ts'),
    'What `manage_db <command> --help` says, on one page, with what each command does to a database and what it takes to be allowed.',
    ...GROUPS.map((group) =>
      [
        `**[${group}](#${anchor(group)})**`,
        COMMANDS.filter((entry) => entry.group === group)
          .map(link)
          .join(' · '),
      ].join('  \n'),
    ),
    '## Global flags',
    'Every command takes these.',
    flagTable(Object.entries(GLOBAL_FLAGS).map(([name, options]) => ({ name, options }))),
    '`--version` prints the version, `--help` (`-h`) explains a command, and `manage_db completion` prints a script that completes commands and flags in bash or zsh.',
    '## What the lines about safety mean',
    [
      '- **reads**: nothing in the database is changed; **writes**: it adds or replaces; **destroys**: what was there can be lost',
      '- **level**: the least that the login must have in the database: viewer, operator or admin ([levels](../safety.md#levels))',
      '- **consent**: *by protection*: what the database demands ([what it takes](../safety.md#what-it-takes)); *ceremony*: all of it, everywhere; *reason*: `--reason` is enough',
      '- **kill switch**: whether an engaged switch, or one that is on by configuration, stops it ([the kill switch](../safety.md#the-kill-switch))',
      '- **stamp**: whether it wants to be certain first which database that is ([the stamp](../safety.md#the-stamp))',
      '- **log**: whether it stands in the [operation log](../safety.md#the-operation-log)',
    ].join('\n'),
    'Exit codes are 0 when it is done, and otherwise those of the [error](errors.md); a command that has others says so.',
    ...groups,
  ]
    .join('\n\n')
    .concat('\n');
}

function link({ name }: CommandEntry): string {
  return `[${code(name)}](#${anchor(name)})`;
}

async function sectionOf(entry: CommandEntry): Promise<string> {
  const { command } = await entry.load();
  const declared = declaredBy(command.builder);
  return [
    `### ${entry.name}`,
    `${withCode(entry.summary)}.`,
    ['```text', commandUsage(entry), '```'].join('\n'),
    ...(entry.aliases.length === 0 ? [] : [`Also: ${entry.aliases.map(code).join(', ')}`]),
    ...(declared.positionals.length === 0 ? [] : [positionalTable(declared)]),
    ...(declared.flags.length === 0 ? [] : [flagTable(declared.flags, command.repeatable)]),
    safetyOf(entry),
    ...(command.exitCodes === undefined
      ? []
      : [
          `Exit codes of its own: ${Object.entries(command.exitCodes)
            .map(([exitCode, when]) => `**${exitCode}** ${withCode(when)}`)
            .join('; ')}.`,
        ]),
    ...(command.examples.length === 0 ? [] : [examplesOf(command.examples)]),
  ].join('\n\n');
}

function positionalTable({ positionals }: DeclaredFlags): string {
  return table(
    ['argument', 'value', 'what'],
    positionals.map(({ name, options }) => [
      code(name),
      [
        takes(options),
        ...(options.array === true ? ['several'] : []),
        ...(options.demandOption ? ['required'] : []),
      ].join('; '),
      withCode(String(options.describe ?? '')),
    ]),
  );
}

function flagTable(flags: readonly DeclaredFlag[], repeatable: readonly string[] = []): string {
  const rows = flags.map(({ name, options }) => {
    const isSwitch = options.type === 'boolean';
    return {
      // of a switch that is on by default, the other half is what people type
      flag: code(isSwitch && options.default === true ? `--no-${name}` : `--${name}`),
      value: [
        takes(options),
        ...(options.array === true || repeatable.includes(name) ? ['repeatable'] : []),
        ...(options.demandOption ? ['required'] : []),
        ...(typeof options.implies === 'string' ? [`with ${code(`--${options.implies}`)}`] : []),
      ].join('; '),
      fallback: options.default === undefined || isSwitch ? '' : code(String(options.default)),
      what: withCode(String(options.describe ?? '')),
    };
  });
  const hasDefaults = rows.some(({ fallback }) => fallback !== '');
  return table(
    ['flag', 'value', ...(hasDefaults ? ['default'] : []), 'what'],
    rows.map(({ flag, value, fallback, what }) => [flag, value, ...(hasDefaults ? [fallback] : []), what]),
  );
}

function takes({ type, choices }: Pick<Options | PositionalOptions, 'type' | 'choices'>): string {
  if (choices !== undefined) return choices.map((choice) => code(String(choice))).join(', ');
  if (type === 'boolean') return 'switch';
  return type === 'number' ? 'number' : 'text';
}

function examplesOf(examples: readonly (readonly [command: string, what: string])[]): string {
  return ['```sh', ...examples.flatMap(([line, what]) => [`# ${what}`, `manage_db ${line}`]), '```'].join('\n');
}

/** The operations that a command can be, each with what the gate asks of it. */
function safetyOf({ name }: CommandEntry): string {
  const operations = (Object.keys(OPERATIONS) as OperationName[]).filter(
    (operation) => commandOf(operation).split(' ')[0] === name,
  );
  if (operations.length === 0)
    return 'Safety: it is no operation on the database of an environment, and passes no gate itself.';
  const lines = operations.map((operation) => {
    const what = safetyLine(OPERATIONS[operation]);
    const asked = commandOf(operation);
    return operations.length === 1 && asked === name ? `Safety: ${what}` : `- ${code(asked)}: ${what}`;
  });
  return operations.length === 1 && lines[0]?.startsWith('Safety')
    ? (lines[0] ?? '')
    : ['Safety:', '', ...lines].join('\n');
}

function safetyLine(definition: OperationDefinition): string {
  const { effect, level, isKillSwitched, needsStamp, isLogged, canDryRun, isForOpenOnly, mayCreateDatabase } =
    definition;
  const changes = effect !== 'read';
  return [
    `**${{ read: 'reads', write: 'writes', destroy: 'destroys' }[effect]}**`,
    `level ${level}`,
    ...(changes
      ? [`consent ${{ ceremony: 'by protection', full: 'ceremony', reason: 'reason' }[definition.consent]}`]
      : []),
    ...(changes ? [isKillSwitched ? 'kill switch' : 'not behind the kill switch'] : []),
    ...(changes ? [needsStamp ? 'stamp' : 'no stamp needed'] : []),
    isLogged ? 'log' : 'not logged',
    ...(changes && canDryRun ? ['dry run as operator'] : []),
    ...(isForOpenOnly ? ['never where it is protected'] : []),
    ...(changes && mayCreateDatabase ? ['also where the database is missing'] : []),
  ].join(' · ');
}
