/** A variable that counts in the environment of the process: no file is asked for it, but `.env` for some. */
export interface ProcessVariable {
  /** For people: docs/reference/settings.md is made of it. Markdown, in one line. */
  readonly describe: string;
  /** It is another program's convention, and no part of `.env.example`. */
  readonly isCommon?: true;
  /** It is also read from the shared `.env`, where the process does not have it. */
  readonly isInSharedFile?: true;
}

/** All of them. Settings of an environment, which can stand in files, are in setting-names.ts. */
export const PROCESS_VARIABLES: Readonly<Record<string, ProcessVariable>> = {
  MANAGE_DB_ENV: { describe: 'The active environment; outranks the choice of `manage_db switch-env`.' },
  APP_ENV: { describe: 'The same under a common name; weaker than `MANAGE_DB_ENV`.' },
  MANAGE_DB_WORKSPACE: { describe: "The project's folder, instead of looking upwards from the current one." },
  MANAGE_DB_LEGACY_VARIABLES: {
    describe:
      'Names of variables of older systems that may also choose the environment, by comma: `FLASK_ENV,NODE_ENV`. `NODE_ENV` never selects production.',
    isInSharedFile: true,
  },
  KILL_SWITCH_OVERRIDE: { describe: 'Exactly `true`: changes behind the kill switch are meant.' },
  KILL_SWITCH_OVERRIDE_UNTIL: {
    describe: 'When the override ends by itself, such as `2026-11-21T18:00:00Z`, in a shell that stays open.',
  },
  CONFIRMATION_TEXT: { describe: 'The typed text that protected databases ask for, instead of `--confirm`.' },
  ALLOW_UNSAFE_MIGRATIONS: {
    describe: 'Exactly `true`: a migration may drop and create again what it could replace (`UNSAFE_MIGRATION`).',
  },
  PGSERVICEFILE: { describe: 'The file with the sections for `PGSERVICE`; `~/.pg_service.conf` otherwise.' },
  PGSYSCONFDIR: { describe: 'The folder of a `pg_service.conf` that is read after that file.' },
  MANAGE_DB_EXPORTED_FOR: {
    describe:
      'Set by `setupEnvironment()`, not by you: for which environment it has put a connection into the process.',
  },
  NO_COLOR: { describe: 'Set to anything: no colours.' },
  FORCE_COLOR: { describe: 'Colours also where there is no terminal.' },
  PGHOSTADDR: { describe: 'Ignored, with a warning: the connection goes to the host that is shown.', isCommon: true },
  NODE_ENV: { describe: 'Ignored, unless `MANAGE_DB_LEGACY_VARIABLES` names it.', isCommon: true },
  CI: { describe: 'Set, and neither `0` nor `false`: nobody is asked anything.', isCommon: true },
  TERM: { describe: '`dumb`: no colours, and nobody is asked anything.', isCommon: true },
  TMPDIR: { describe: 'Where temporary files go, instead of `/tmp`.', isCommon: true },
  PATH: { describe: 'Where `pg_dump`, `pg_restore` and `psql` are looked for first.', isCommon: true },
};
