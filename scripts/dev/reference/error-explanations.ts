import type { ErrorCode } from '../../../app/core/errors.js';

/** What a code means, for docs/reference/errors.md. Single errors say more: to which object, and what to type. */
export interface ErrorExplanation {
  readonly topic: ErrorTopic;
  /** One sentence. */
  readonly meaning: string;
  /** The usual ones, the most frequent first; each the end of "This happens when". */
  readonly causes: readonly string[];
  /** What to do, in sentences; Markdown. */
  readonly remedy: string;
}

/** The parts of the page, in its order. */
export const ERROR_TOPICS = {
  usage: 'Usage and configuration',
  gate: 'Refused by the gate',
  connection: 'The server, and the way to it',
  machine: 'The machine',
  backup: 'Backups and storage',
  migration: 'Migrations',
  work: 'The work itself',
} as const;
export type ErrorTopic = keyof typeof ERROR_TOPICS;

/** Every code has its entry: without one this file does not compile. */
export const ERROR_EXPLANATIONS: Readonly<Record<ErrorCode, ErrorExplanation>> = {
  USAGE: {
    topic: 'usage',
    meaning: 'The line, or the call of the library, cannot be meant like this. Nothing was attempted.',
    causes: [
      'a flag does not exist, is given twice, lacks its value, or does not go together with another one',
      'a name is not unique: a table in several schemas, the beginning of several ids of backups',
      'a file that would be written is there already (`masking init`)',
      'in the library: a session is used after its end, or an option has a value that it cannot have',
    ],
    remedy: 'The message says what is wrong with it; `manage_db <command> --help` shows how it is written.',
  },
  UNKNOWN_COMMAND: {
    topic: 'usage',
    meaning: 'There is no command of this name.',
    causes: ['it is misspelt', 'an older version of manage_db is installed than the one you read about'],
    remedy: 'The hint names the nearest command; `manage_db --help` lists all of them.',
  },
  UNKNOWN_ENVIRONMENT: {
    topic: 'usage',
    meaning: 'The environment that was named does not exist in this workspace, or cannot be the name of one.',
    causes: [
      'it is misspelt',
      'a custom environment is neither declared in the configuration file, nor has an `.env.<name>` file or a `<NAME>_DATABASE_URL`',
      'the command runs in another folder than the workspace',
      '`MANAGE_DB_ENV`, `APP_ENV` or `.manage_db/environment` holds nonsense',
    ],
    remedy:
      '`manage_db switch-env --status` shows every place that was looked at. Declare a custom environment under `environments` in the configuration file, or give it an `.env.<name>`.',
  },
  INVALID_CONFIGURATION: {
    topic: 'usage',
    meaning: 'Something that was configured or declared is not valid; all problems of a file are listed at once.',
    causes: [
      'the configuration file has an unknown key, a wrong type or a circle of `extends`, or fails when it is loaded',
      'a variable is no number, out of its limits, or set in two ways (`NAME` and `NAME_FILE`) or spellings (`DEV_` and `DEVELOPMENT_`)',
      'a trigger file, a masking rule, the header of a migration or a quarantine rule says something impossible',
    ],
    remedy:
      'Correct the file or the variable that the message names, then look at the result: `manage_db show-config`. What can be set: [settings](settings.md).',
  },
  MISSING_SETTING: {
    topic: 'usage',
    meaning: 'A setting that is needed is not set. Nothing falls back to another environment.',
    causes: [
      'a protected or custom environment has no database: only development and testing have an embedded server',
      'a connection is set without the prefix of a protected environment, and is not used for it',
      'its variable is misspelt in an `.env` file: the message says which one was found',
      'the section that `PGSERVICE` names is not in the service file',
      'a masked copy has no `MASKING_SALT`, or a bucket no credentials or region',
      'a secret (`_FILE`, `_COMMAND`) is empty',
    ],
    remedy: 'Set what the message names, for instance in `.env.<environment>`; check with `manage_db show-config`.',
  },
  INVALID_DATABASE_URL: {
    topic: 'usage',
    meaning: 'A database URL cannot be read, or names no database or no user.',
    causes: [
      'special characters of the password are not encoded (`@` is `%40`)',
      'the part behind the last slash is missing',
    ],
    remedy: 'Write it as `postgresql://user:password@host:5432/database`; the message names the variable it stands in.',
  },
  UNREADABLE_FILE: {
    topic: 'usage',
    meaning: 'A file or a folder cannot be read, written or removed, or is not what it should be.',
    causes: [
      'its permissions or its owner do not let this user in',
      'it is missing, or is a folder where a file should be',
      'an SQL file is not UTF-8, or larger than files of SQL may be',
    ],
    remedy: 'Look at it with `ls -ld`, correct the path or its permissions, and run the same again.',
  },
  NOT_FOUND: {
    topic: 'usage',
    meaning: 'What was named is not there. Nothing was changed.',
    causes: [
      'the name is misspelt, or of another environment',
      'a table, schema, trigger, login, migration, backup or previous database of that name does not exist',
      'the server lacks something that is needed: an extension, a role, a locale',
      'the folder of the migrations, or the file with the masking rules, is not there',
    ],
    remedy:
      'The hint names the command that lists what there is: `manage_db inspect-db`, `list-all-backups`, `show-all-migrations`, `list-db-triggers` or `list-previous-databases`.',
  },
  DRIFT: {
    topic: 'work',
    meaning: 'Two things that should agree do not; each difference is listed.',
    causes: [
      'triggers are not as they were declared or installed (`verify-db-triggers`), or do not work (`--behaviour`)',
      'two databases are defined differently, or hold other rows (`compare-db`, `copy-db --data-only`, `--schema-only`)',
      'columns or literals have no masking rule, or a rule does not fit (`masking check`, `copy-db --mask`)',
    ],
    remedy:
      'Decide which side is right: `manage_db verify-db-triggers --fix` heals triggers, `manage_db copy-db --schema-only` makes definitions equal, and the lines that are printed complete the masking rules.',
  },

  CONFIRMATION_REQUIRED: {
    topic: 'gate',
    meaning: 'It would destroy data, or change something protected, and nobody has agreed to that.',
    causes: [
      'there is no terminal to ask at, or the question was answered with no',
      'a protected database wants the typed text: `--yes` is not enough there',
      'a reason is required and was not given',
    ],
    remedy:
      'The hint is what to add: `--yes`, or `--env`, `--confirm` with the text, and `--reason`. See [Safety](../safety.md#what-it-takes).',
  },
  CONFIRMATION_MISMATCH: {
    topic: 'gate',
    meaning: 'The text that was typed or given is not the one for this operation on this database.',
    causes: [
      'it was copied from another operation or another database',
      '`CONFIRMATION_TEXT` is still set from an earlier command',
    ],
    remedy: 'Check that the database is the one that is meant; the hint has the text.',
  },
  PROTECTED_ENVIRONMENT: {
    topic: 'gate',
    meaning: 'A protected environment is in the way, whatever is confirmed.',
    causes: [
      'a protected environment was active, and not named by `--env` on the line',
      'an open environment has the database of a protected one in its settings',
      'what a protected environment holds would come into an open one unmasked',
      'the operation is for open environments only (`test-db-triggers`)',
      'a missing protected database would be made from the backup of another environment',
    ],
    remedy:
      'Name the environment by `--env` if it is meant; correct the settings otherwise. Copies come masked (`--mask`), or with `--unmasked` and the ceremony.',
  },
  PERMISSION_DENIED: {
    topic: 'gate',
    meaning:
      'The login may not do that: it lacks a level of manage_db, or a privilege of PostgreSQL or of the storage.',
    causes: [
      'the login has the level viewer or operator, and the operation needs a higher one',
      'the login does not own the object, or may not create databases',
      'the login has no `CONNECT` on the database, or on `postgres`, from where restores and copies replace others',
      'the schema `manage_db` belongs to somebody else, or cannot be created by this login',
      'the policy of the bucket does not allow it',
    ],
    remedy:
      '`manage_db whoami` shows login, level and why. An admin grants a level (`manage_db grant-db-role`), the owner a privilege. In the library it is a `PermissionError`.',
  },
  STAMP_REQUIRED: {
    topic: 'gate',
    meaning: 'It is not certain which database that is, and what is asked for needs to know.',
    causes: [
      'a database that is not empty was never stamped',
      'it is a copy of a stamped one, or answers at another host than expected',
      'it has come through `pg_upgrade`, so that the identifier of its cluster is another one',
      'it is a template, from which new databases are made',
    ],
    remedy: 'Look at it (`manage_db inspect-db`), then say what it is: `manage_db stamp-database --env <environment>`.',
  },
  STAMP_MISMATCH: {
    topic: 'gate',
    meaning: 'The database is stamped for another environment than the selected one, or was stamped in this moment.',
    causes: [
      'the settings of an environment point at the database of another one',
      'the wrong environment is active',
      'somebody else has stamped it since the question was asked, or while a restore or copy was running',
    ],
    remedy:
      'Compare `manage_db switch-env --status` with `manage_db show-config`; choose the environment that the stamp says, or correct the settings.',
  },
  KILL_SWITCH: {
    topic: 'gate',
    meaning: 'The kill switch stops every change of this database.',
    causes: [
      'the environment is behind it by default, and `KILL_SWITCH_OVERRIDE=true` is not set',
      'somebody has engaged it: then no override passes',
      'the time is outside of the open windows, or inside a locked one',
    ],
    remedy:
      '`manage_db kill-switch status` says which of these it is, who engaged it and why. See [the kill switch](../safety.md#the-kill-switch).',
  },
  REHEARSAL_REQUIRED: {
    topic: 'gate',
    meaning: 'The environment applies only migrations that were rehearsed, and these were not.',
    causes: [
      'there is no report of a rehearsal of this environment, or none with the checksum that was given',
      'the files or the database have changed since, or the report is too old',
      'the report was changed after it was written',
    ],
    remedy: 'Rehearse, look at the report, then apply: `manage_db apply-db-migration --rehearse`.',
  },

  CONNECTION_REFUSED: {
    topic: 'connection',
    meaning: 'Nobody answers at this host and port, or the server ended the connection before it was made.',
    causes: [
      'the server does not run, or listens at another port or address',
      'a firewall is in between, or the socket is not there',
      'the embedded server has crashed: it is started again by the next command',
    ],
    remedy:
      'Ask with `pg_isready -h host -p port`, and see which address is meant: `manage_db show-config`. For the embedded server: `manage_db embedded-db status`.',
  },
  CONNECTION_TIMEOUT: {
    topic: 'connection',
    meaning: 'The server, or the storage, did not answer in time.',
    causes: [
      'a firewall drops the packets',
      'the server is overloaded or hangs',
      'the time is short for a slow network: `DATABASE_CONNECT_TIMEOUT_MS`',
    ],
    remedy: 'Check the network to the address that the message names; raise the time if it is only slow.',
  },
  CONNECTION_LOST: {
    topic: 'connection',
    meaning: 'A connection that was in use has ended. What was not committed is rolled back by the server.',
    causes: [
      'the server was stopped or has crashed, or an administrator has ended the session',
      'the network or a connection pooler has closed it',
      'it broke during COMMIT: then the message says that the outcome is not known, and how to ask for it',
    ],
    remedy: "Look into the server's log. Where the outcome is not known, look before you repeat it.",
  },
  HOST_NOT_FOUND: {
    topic: 'connection',
    meaning: 'The name of the host cannot be resolved.',
    causes: [
      'it is misspelt',
      'the DNS of this network does not know it: a VPN is off, or a container has another network',
    ],
    remedy: 'Correct the host (`manage_db show-config` says where it comes from), or mend the name resolution.',
  },
  SSL_FAILED: {
    topic: 'connection',
    meaning: 'An encrypted connection, as `sslmode` demands it, could not be made.',
    causes: [
      'the server offers no TLS, and `sslmode` demands it',
      'the certificate is not signed by the authority in `sslrootcert`, has expired, or is of another host (`verify-full`)',
      '`verify-ca` or `verify-full` is set, and there is no root certificate',
    ],
    remedy:
      'Give the certificate of the authority by `PGSSLROOTCERT` (or `system`). Do not lower `sslmode` on the way to production.',
  },
  AUTHENTICATION_FAILED: {
    topic: 'connection',
    meaning: 'The server, or the storage, does not accept the credentials.',
    causes: [
      'user or password are wrong, or there is no password at all',
      '`pg_hba.conf` has no line for this user, database and address',
      'the keys of the bucket are wrong or have expired',
    ],
    remedy:
      '`manage_db show-config` says which user it is and where the password comes from. `~/.pgpass` is read with mode 0600 only.',
  },
  DATABASE_MISSING: {
    topic: 'connection',
    meaning: 'The server is there, and the database is not.',
    causes: ['it was never created', 'its name is misspelt', 'somebody has dropped or renamed it, also in this moment'],
    remedy:
      'Create it with `manage_db initialize-db`, or correct the name. What was replaced by a restore or a copy may still be there: `manage_db list-previous-databases`.',
  },
  TOO_MANY_CONNECTIONS: {
    topic: 'connection',
    meaning: 'There is no connection left: on the server, or in the pool of this process.',
    causes: [
      '`max_connections` of the server, or the limit of the database or the role, is reached',
      'sessions inside of sessions need more than `DATABASE_POOL_MAX` at the same time',
    ],
    remedy:
      'End idle sessions (`manage_db check-database` shows them), or raise the limit. In the library, `useNestedTransactions(true)` makes a savepoint of an inner session.',
  },
  SERVER_TOO_OLD: {
    topic: 'connection',
    meaning: 'The server runs a PostgreSQL that is older than 14.',
    causes: ['it was not upgraded', 'the settings point at an old server'],
    remedy: 'Upgrade the server, or point the environment elsewhere.',
  },
  SERVER_UNAVAILABLE: {
    topic: 'connection',
    meaning: 'The server, or the storage, is there and cannot serve now.',
    causes: ['the server is starting, stopping or recovering', 'the storage answers with an error of its own (5xx)'],
    remedy: 'Try again in a moment; if it stays, look into the log of the server.',
  },
  TARGET_SESSION_ATTRS: {
    topic: 'connection',
    meaning: 'No host is what `target_session_attrs` asks for.',
    causes: [
      'only a standby answers where `read-write` or `primary` is wanted',
      'after a failover the list of hosts is old',
    ],
    remedy: 'List all hosts in the URL (`host1,host2`), or change `PGTARGETSESSIONATTRS`.',
  },

  CLIENT_TOOLS_MISSING: {
    topic: 'machine',
    meaning: '`pg_dump`, `pg_restore` and `psql` are not on this machine, or are older than the server.',
    causes: [
      'the client package of PostgreSQL is not installed',
      'the server was upgraded, and the tools were not: older ones cannot dump it',
      '`PG_BIN_DIR` points at another folder',
    ],
    remedy: 'The hint has the command that installs them here; `manage_db doctor` shows what was found where.',
  },
  CLIENT_TOOL_FAILED: {
    topic: 'machine',
    meaning: '`pg_dump`, `pg_restore`, `psql` or squawk has ended with an error; the message has what it said.',
    causes: [
      'the login may not read or create something',
      'a backup cannot be restored on this server, for instance for want of an extension',
      'the tool was killed, or its connection was lost',
    ],
    remedy: 'Read what the tool says; run the same with `--verbose` to see more.',
  },
  DISK_FULL: {
    topic: 'machine',
    meaning: 'There is no room left, here or on the disk of the server. What was unfinished is removed.',
    causes: [
      'the folder of the backups, or of temporary files, is on a full disk',
      'a copy has filled the disk of the server',
    ],
    remedy: 'Make room: `manage_db prune-backups` and `manage_db list-previous-databases` show what could go.',
  },
  EMBEDDED_SERVER_FAILED: {
    topic: 'machine',
    meaning: 'The PostgreSQL that manage_db brings along cannot be prepared, started or stopped.',
    causes: [
      'the folder of its data belongs to another user, or cannot be written',
      'its data were made by another major version',
      'no port is free, or the one that was asked for is taken',
      'its programs do not run on this machine, or were not installed (optional packages left out)',
    ],
    remedy:
      '`manage_db embedded-db status` and `manage_db doctor` say what is wrong. Any other server does as well: set `DEVELOPMENT_DATABASE_URL`.',
  },
  SECRET_COMMAND_FAILED: {
    topic: 'machine',
    meaning: 'The command that prints a secret (`NAME_COMMAND`) has failed, or did not answer within 15 seconds.',
    causes: [
      'you are not signed in to the secret manager',
      'its program is not on the PATH',
      'it waits for an answer at a terminal',
    ],
    remedy: 'Run the command by hand in the folder of the workspace, and see what it says.',
  },

  BACKUP_INVALID: {
    topic: 'backup',
    meaning:
      'A backup is damaged, incomplete or not what its manifest says; or what came of it is not what was backed up.',
    causes: [
      'files of it were changed, cut off or lost after it was made',
      'it was never finished: the process was killed, or the disk was full',
      'what was restored has other rows, triggers or another stamp than the manifest says',
      'a file that should be encrypted is damaged, or not encrypted in the age format',
    ],
    remedy:
      'Choose another one: `manage_db list-all-backups` shows their states, `manage_db verify-backup` what is wrong with one. The live database was not changed.',
  },
  DECRYPTION_FAILED: {
    topic: 'backup',
    meaning: 'A backup is encrypted, and what was given does not open it.',
    causes: [
      'no identity or passphrase was given',
      'the passphrase is wrong',
      'the identity is not one of those that it was encrypted for',
    ],
    remedy:
      'Give the right one by `--identity-file` or `--passphrase-file`, or set `BACKUP_IDENTITY_FILE` or `BACKUP_PASSPHRASE_FILE`.',
  },
  STORAGE_FAILED: {
    topic: 'backup',
    meaning:
      'The place where backups are kept could not store or give something, for a reason that has no code of its own.',
    causes: [
      'the folder cannot be written',
      'the bucket, the region or the endpoint is another one',
      'a file has more parts than the storage takes',
    ],
    remedy: 'Check `--storage` and the `AWS_…` settings; the message has what the storage said.',
  },

  MIGRATION_EDITED: {
    topic: 'migration',
    meaning: 'A file of a migration is not any more what was applied.',
    causes: [
      'it was edited after it was applied here, instead of making a new migration',
      'a migration that is half done was changed in statements that have run already',
    ],
    remedy:
      'Put the file back as it was (`git checkout`), and make the change a new migration: `manage_db create-db-migration`.',
  },
  MIGRATION_MISSING: {
    topic: 'migration',
    meaning: 'A migration was applied to the database, and its file is not in the folder.',
    causes: ['the folder is older than the database: another branch, no `git pull`', 'the file was removed or renamed'],
    remedy:
      'Get the file back (`git log --all -- migrations`). `--allow-missing` applies others without it; rolling it back needs the file.',
  },
  MIGRATION_OUT_OF_ORDER: {
    topic: 'migration',
    meaning: 'A migration that is not applied is older than one that is.',
    causes: ['two branches were merged, and the younger migration was applied first'],
    remedy: 'Give it a later version (rename the file), or apply it as it is with `--allow-out-of-order`.',
  },
  MIGRATION_UNFINISHED: {
    topic: 'migration',
    meaning:
      'A migration that runs outside of a transaction was begun and is not finished; nothing else is begun before it is.',
    causes: [
      'a run was killed, or a statement of it has failed',
      'nobody can tell from the catalog whether the statement that was running has been finished',
    ],
    remedy:
      'Run `manage_db apply-db-migration` again (or `manage_db rollback-db-migration`, as the hint says): it goes on where it ended. Where it cannot tell, `--unknown-statement done` or `--unknown-statement again` decides.',
  },
  MIGRATION_IRREVERSIBLE: {
    topic: 'migration',
    meaning: 'A migration cannot be rolled back. Nothing was rolled back.',
    causes: [
      'it has no way down',
      'its way down has lines that nobody has decided on yet',
      'it is part of the baseline, and was never applied by manage_db',
    ],
    remedy:
      'Make a new migration that undoes it, or restore a backup. `manage_db test-db-migration --strict` finds those without a way down early.',
  },
  UNSAFE_MIGRATION: {
    topic: 'migration',
    meaning:
      'A migration drops a function, procedure, view or trigger that is there and makes it again, where replacing it would do.',
    causes: ['it was written as DROP and CREATE: grants, comments, the owner and what depends on it would be lost'],
    remedy:
      'Write what the hint says, mostly CREATE OR REPLACE. If it is meant: `ALLOW_UNSAFE_MIGRATIONS=true`, or `migrations.allowUnsafe`. See [what is lost](../migrations-losses.md).',
  },

  SQL_FAILED: {
    topic: 'work',
    meaning:
      'The server has refused a statement; its message, SQLSTATE, detail and hint are kept, with the place in the file.',
    causes: [
      'the SQL of a migration, a seed, a hook or a trigger function is wrong, or meets rows that it cannot be done with',
      'in the library: a statement of a session had failed, and its error was ignored',
      'an object depends on what should be dropped, or the server has not enough locks for the transaction',
      'triggers or migrations that were tested did not work (`test-db-triggers`, `test-db-migration`, `--rehearse`)',
    ],
    remedy:
      'Correct the statement. What ran in the transaction was rolled back; the message says so where that is not all.',
  },
  HOOK_FAILED: {
    topic: 'work',
    meaning:
      'A function of `afterCopy` in the configuration file has failed, or has ended the transaction it was given.',
    causes: [
      'the function throws',
      'it goes on although one of its statements failed',
      'it runs BEGIN, COMMIT or ROLLBACK',
    ],
    remedy: 'Correct the function. The copy was not put in place. See [hooks](../copy.md#quarantine-and-hooks).',
  },
  FEATURE_TEST_FAILED: {
    topic: 'work',
    meaning:
      'A test of `test-db-features` has failed: a feature does not work here, or something of yours is not in order.',
    causes: [
      'a setting is broken, a backup damaged, a trigger or a stamp changed, or the history of migrations not that of the files',
      'the server, the login or the client tools lack what a feature needs',
    ],
    remedy:
      'Every failed test says what is wrong and what to type. See [testing an installation](../testing-an-installation.md).',
  },
  CHECK_FAILED: {
    topic: 'work',
    meaning:
      '`check-database --fail-on` or `lint-db-migration --fail-on` has found something of the severity it was told to fail on, or worse.',
    causes: ['the worst of the findings is in the message, and all of them are in `data`'],
    remedy:
      'Each finding has its fix beside it. See [what is checked](../maintenance.md#what-is-checked) and [what is linted](../migrations-lint.md#rules).',
  },
  DATABASE_IN_USE: {
    topic: 'work',
    meaning:
      'Somebody uses the database, or has changed it since it was looked at, so that it cannot be replaced or changed now.',
    causes: [
      'sessions of applications or people are open',
      'it has a logical replication slot, a subscription, pg_cron or a prepared transaction',
      'another restore, copy, drop, reset or runner of migrations is at work, or has been since the plan was shown',
      'somebody made, changed or dropped objects while what is to be dropped was backed up',
    ],
    remedy:
      'End the sessions, or let them be ended by `--disconnect-users`. Where a plan was shown, look at the new one and run it again.',
  },
  SCHEMA_TOO_NEW: {
    topic: 'work',
    meaning:
      'A newer manage_db has kept its records in this database; this one does not know them. Nothing was changed.',
    causes: ['a colleague or a server has a newer version installed'],
    remedy: 'Install the newer one: `npm install manage_db@latest`.',
  },
  OPERATION_LOG_BROKEN: {
    topic: 'work',
    meaning: 'The operation log is not as it was written: entries were changed, removed or added past manage_db.',
    causes: [
      'somebody with the rights of its owner, or a superuser, has changed it',
      'the triggers that protect it are not there any more',
      'the database was replaced past manage_db, so that the end that this workspace remembers is missing',
    ],
    remedy:
      "Compare with the log in a backup and with the server's own log. What a finding means is told under [the operation log](../safety.md#the-operation-log).",
  },
  AUDIT_LOG_BROKEN: {
    topic: 'work',
    meaning: 'What the audit triggers have logged was changed or removed afterwards.',
    causes: ['somebody with the rights of its owner, or a superuser, has changed it'],
    remedy: 'Compare with the audit log in a backup.',
  },
  LOCK_TIMEOUT: {
    topic: 'work',
    meaning:
      'A lock was not to be had in time, or a deadlock was ended at our cost. What the message says is unchanged.',
    causes: [
      'another session has a table locked, often one that is idle in a transaction; the message names it',
      'another runner of migrations, or another command of this workspace, is at work',
      'the operation log of a protected database is held by an open transaction',
    ],
    remedy:
      'Wait for the session that is named, or end it; `manage_db check-database` shows who blocks whom. `--lock-timeout` and `--lock-budget` say how long migrations wait.',
  },
  INTERRUPTED: {
    topic: 'work',
    meaning: 'It was stopped by Ctrl-C, a signal or an AbortSignal; the message says what was done and what was not.',
    causes: ['somebody pressed Ctrl-C, also at a question', 'the shell or a CI system has ended the process'],
    remedy: 'Look at the state (`manage_db check-database`), then run it again.',
  },
  INTERNAL: {
    topic: 'work',
    meaning: 'Something happened that manage_db has not foreseen.',
    causes: [
      'a mistake in manage_db',
      'a table or column was made while a masked copy was running: then the same again will do',
    ],
    remedy: 'Run it again with `--verbose`, and report what it prints.',
  },
};
