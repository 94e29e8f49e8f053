/** Every advisory lock that manage_db takes: their keys share one space with those of applications. */
export const ADVISORY_LOCKS = {
  /** Upgrading the schema `manage_db`; the bytes of `mngdb` begin here. */
  schema: '470003704930',
  /** Applying migrations and seed data. */
  migrations: '470003704931',
  triggers: '470003704932',
  /** Setting up, granting and revoking the roles of a database. */
  roles: '470003704933',
  /** Held by the session that executes a migration statement by statement: it may work on when its runner was killed. */
  'migration statements': '470003704934',
} as const;

/** The first of the two keys of locks on restores and their scratch databases; the second is the hash of a name. ('mdbr') */
export const RESTORE_LOCK_SPACE = 0x6d646272;
