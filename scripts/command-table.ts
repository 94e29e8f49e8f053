import type { CommandModule } from './command.js';

export interface CommandEntry {
  readonly name: string;
  /** Positionals in yargs' notation, for usage lines. */
  readonly positionals?: string;
  readonly summary: string;
  readonly group: CommandGroup;
  /** Its other names; with underscores for hyphens among them, as the scripts that it comes from were called. */
  readonly aliases: readonly string[];
  /** `--json FILE` writes its report there; `--json` alone is the switch of every command. */
  readonly hasJsonFile?: boolean;
  /** Imported only when the command runs or its own help is asked for: the others cost nothing. */
  readonly load: () => Promise<{ readonly command: CommandModule }>;
}

export const GROUPS = [
  'Getting started',
  'Environment',
  'Database',
  'Migrations',
  'Triggers',
  'Backup and restore',
  'Copy',
  'Safety',
] as const;
export type CommandGroup = (typeof GROUPS)[number];

type Listed = Omit<CommandEntry, 'aliases'> & Partial<Pick<CommandEntry, 'aliases'>>;

const LISTED: readonly Listed[] = [
  {
    name: 'init',
    summary: 'Make this folder a workspace: config, .env files, migrations, backups, a first trigger',
    group: 'Getting started',
    load: () => import('./commands/init.js'),
  },
  {
    name: 'doctor',
    summary: 'Check node, client tools, servers, folders and every environment, each with its fix',
    group: 'Getting started',
    load: () => import('./commands/doctor.js'),
  },
  {
    name: 'test-db-features',
    summary: 'Test this installation: every feature, on scratch databases, and what is yours, only looking',
    group: 'Getting started',
    hasJsonFile: true,
    load: () => import('./commands/test-db-features.js'),
  },
  {
    name: 'embedded-db',
    positionals: '<action>',
    summary: 'Start, stop or show the embedded server of development and testing',
    group: 'Getting started',
    load: () => import('./commands/embedded-db.js'),
  },
  {
    name: 'switch-env',
    positionals: '[name]',
    summary: 'Choose the active environment, or show which one it is and why',
    group: 'Environment',
    load: () => import('./commands/switch-env.js'),
  },
  {
    name: 'show-config',
    summary: "Show an environment's settings and where each comes from, secrets masked",
    group: 'Environment',
    load: () => import('./commands/show-config.js'),
  },
  {
    name: 'initialize-db',
    summary: 'Create the database where it is missing, apply migrations and base triggers, optionally seed',
    group: 'Database',
    load: () => import('./commands/initialize-db.js'),
  },
  {
    name: 'inspect-db',
    summary: 'Show tables, triggers, functions, one schema or one table; draw a diagram',
    group: 'Database',
    load: () => import('./commands/inspect-db.js'),
  },
  {
    name: 'check-database',
    summary: "Check the database's health; every finding with the command that fixes it",
    group: 'Database',
    aliases: ['check-db'],
    load: () => import('./commands/check-database.js'),
  },
  {
    name: 'reset-database',
    summary: 'Drop everything and initialize again',
    group: 'Database',
    load: () => import('./commands/reset-database.js'),
  },
  {
    name: 'drop-all-tables',
    summary: 'Drop all tables, views, types and functions of every schema',
    group: 'Database',
    load: () => import('./commands/drop-all-tables.js'),
  },
  {
    name: 'lint-db-migration',
    positionals: '[files..]',
    summary: 'Say what migrations destroy, lock and keep waiting, and how it is done safely',
    group: 'Migrations',
    load: () => import('./commands/lint-db-migration.js'),
  },
  {
    name: 'apply-db-migration',
    summary: 'Apply pending migrations, each once, whole and recorded or not at all',
    group: 'Migrations',
    aliases: ['migrate'],
    load: () => import('./commands/apply-db-migration.js'),
  },
  {
    name: 'rollback-db-migration',
    summary: 'Roll the last migrations back; says first what will be lost',
    group: 'Migrations',
    load: () => import('./commands/rollback-db-migration.js'),
  },
  {
    name: 'redo-db-migration',
    summary: 'Roll the last migration back and apply it again',
    group: 'Migrations',
    load: () => import('./commands/redo-db-migration.js'),
  },
  {
    name: 'show-all-migrations',
    summary: 'Show which migrations are applied, pending, edited, missing or out of order; --all-envs compares',
    group: 'Migrations',
    load: () => import('./commands/show-all-migrations.js'),
  },
  {
    name: 'baseline-db-migration',
    summary: 'Record migrations as applied without executing them, for a database that has what they make',
    group: 'Migrations',
    load: () => import('./commands/baseline-db-migration.js'),
  },
  {
    name: 'test-db-migration',
    positionals: '[versions..]',
    summary: 'Try migrations out on a scratch database: up, down, up again, and their test files',
    group: 'Migrations',
    load: () => import('./commands/test-db-migration.js'),
  },
  {
    name: 'create-db-migration',
    positionals: '<name>',
    summary: 'Write a new migration: an empty one, or what was changed in a database by hand',
    group: 'Migrations',
    load: () => import('./commands/create-db-migration.js'),
  },
  {
    name: 'apply-db-triggers',
    summary: 'Create or update the declared triggers; what is unchanged is not touched',
    group: 'Triggers',
    aliases: ['apply_triggers'],
    load: () => import('./commands/apply-db-triggers.js'),
  },
  {
    name: 'list-db-triggers',
    summary: "List every trigger with its state: as installed, changed, disabled, missing, or somebody else's",
    group: 'Triggers',
    aliases: ['list_triggers'],
    load: () => import('./commands/list-db-triggers.js'),
  },
  {
    name: 'verify-db-triggers',
    summary: 'Compare triggers with their declarations and with what was installed; --fix heals',
    group: 'Triggers',
    aliases: ['verify_triggers'],
    load: () => import('./commands/verify-db-triggers.js'),
  },
  {
    name: 'diff-db-triggers',
    positionals: '[name]',
    summary: 'Show, line by line, what triggers and functions should be and what they are',
    group: 'Triggers',
    aliases: ['diff_triggers'],
    load: () => import('./commands/diff-db-triggers.js'),
  },
  {
    name: 'test-db-triggers',
    summary: 'Make every trigger fire, with rows that fit, in transactions that are rolled back',
    group: 'Triggers',
    aliases: ['test_triggers'],
    load: () => import('./commands/test-db-triggers.js'),
  },
  {
    name: 'show-audit-coverage',
    summary: 'Show which tables are not audited, or not wholly',
    group: 'Triggers',
    aliases: ['audit_coverage'],
    load: () => import('./commands/show-audit-coverage.js'),
  },
  {
    name: 'verify-audit-log',
    summary: 'Check that nobody has changed what the audit triggers have logged',
    group: 'Triggers',
    load: () => import('./commands/verify-audit-log.js'),
  },
  {
    name: 'enable-db-trigger',
    positionals: '<name>',
    summary: 'Let a trigger fire again: in ordinary sessions, always, or only when replicating',
    group: 'Triggers',
    load: () => import('./commands/enable-db-trigger.js'),
  },
  {
    name: 'disable-db-trigger',
    positionals: '<name>',
    summary: 'Keep a trigger from firing, for a reason that is logged',
    group: 'Triggers',
    load: () => import('./commands/disable-db-trigger.js'),
  },
  {
    name: 'drop-db-trigger',
    positionals: '<name>',
    summary: 'Drop a trigger, and print what creates it again',
    group: 'Triggers',
    load: () => import('./commands/drop-db-trigger.js'),
  },
  {
    name: 'create-backup',
    summary: 'Back the database up into a folder with a manifest',
    group: 'Backup and restore',
    load: () => import('./commands/create-backup.js'),
  },
  {
    name: 'list-all-backups',
    summary: 'List the backups of every environment',
    group: 'Backup and restore',
    load: () => import('./commands/list-all-backups.js'),
  },
  {
    name: 'show-backup',
    positionals: '<id>',
    summary: 'Show what is in a backup, what was left out, and whether it was verified',
    group: 'Backup and restore',
    load: () => import('./commands/show-backup.js'),
  },
  {
    name: 'verify-backup',
    positionals: '<id>',
    summary: 'Check that a backup is what was backed up, or with --deep that it restores',
    group: 'Backup and restore',
    load: () => import('./commands/verify-backup.js'),
  },
  {
    name: 'prune-backups',
    summary: 'Remove old backups; says first which ones go, which ones stay, and why',
    group: 'Backup and restore',
    load: () => import('./commands/prune-backups.js'),
  },
  {
    name: 'restore-backup',
    positionals: '<id>',
    summary: 'Restore a backup beside the live database, check it, then swap them',
    group: 'Backup and restore',
    load: () => import('./commands/restore-backup.js'),
  },
  {
    name: 'list-previous-databases',
    summary: 'List the databases that restores have put aside, and how long each is kept',
    group: 'Backup and restore',
    load: () => import('./commands/list-previous-databases.js'),
  },
  {
    name: 'undo-restore',
    positionals: '[name]',
    summary: 'Put the database that a restore has replaced in its place again',
    group: 'Backup and restore',
    load: () => import('./commands/undo-restore.js'),
  },
  {
    name: 'copy-db',
    summary: 'Copy the database of one environment into another, masked where it has to be',
    group: 'Copy',
    load: () => import('./commands/copy-db.js'),
  },
  {
    name: 'undo-copy',
    positionals: '[name]',
    summary: 'Put the database that a copy has replaced in its place again',
    group: 'Copy',
    load: () => import('./commands/undo-copy.js'),
  },
  {
    name: 'masking',
    positionals: '<action>',
    summary: 'Propose the rules by which copies are masked, or check them against a database',
    group: 'Copy',
    load: () => import('./commands/masking.js'),
  },
  {
    name: 'compare-db',
    summary: 'Compare the databases of two environments: definitions, and with --data rows',
    group: 'Copy',
    load: () => import('./commands/compare-db.js'),
  },
  {
    name: 'stamp-database',
    summary: 'Say which environment a database is, so that no other is mistaken for it',
    group: 'Safety',
    load: () => import('./commands/stamp-database.js'),
  },
  {
    name: 'kill-switch',
    positionals: '<action>',
    summary: 'Show, engage or release what blocks every change',
    group: 'Safety',
    load: () => import('./commands/kill-switch.js'),
  },
  {
    name: 'show-operation-log',
    summary: 'Show what was attempted, by whom, and what came of it',
    group: 'Safety',
    load: () => import('./commands/show-operation-log.js'),
  },
  {
    name: 'verify-operation-log',
    summary: 'Check that nobody has changed the record of what was done',
    group: 'Safety',
    load: () => import('./commands/verify-operation-log.js'),
  },
  {
    name: 'setup-db-roles',
    summary: 'Create the roles that carry the levels of a database: viewer, operator, admin',
    group: 'Safety',
    load: () => import('./commands/setup-db-roles.js'),
  },
  {
    name: 'grant-db-role',
    positionals: '<level> <login>',
    summary: 'Give a login one of the levels viewer, operator and admin',
    group: 'Safety',
    load: () => import('./commands/grant-db-role.js'),
  },
  {
    name: 'revoke-db-role',
    positionals: '<login>',
    summary: 'Take the level of a login away',
    group: 'Safety',
    load: () => import('./commands/revoke-db-role.js'),
  },
  {
    name: 'whoami',
    summary: 'Show which login this is, its level, why, and what it may do',
    group: 'Safety',
    load: () => import('./commands/whoami.js'),
  },
];

/** Every command of the CLI, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = LISTED.map(({ aliases = [], ...entry }) => ({
  ...entry,
  aliases: [...aliases, ...(entry.name.includes('-') ? [entry.name.replaceAll('-', '_')] : [])],
}));

/** The command that `word` names, by its name or an older spelling. */
export function findCommand(word: string): CommandEntry | undefined {
  return COMMANDS.find(({ name, aliases }) => name === word || aliases.includes(word));
}
