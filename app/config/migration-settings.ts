import * as z from '../core/schema.js';

/** How migrations are applied in one environment. */
export interface MigrationSettings {
  /** How long one attempt waits for a lock, in milliseconds: so long the application may have to wait behind it. */
  readonly lockTimeoutMs: number;
  /** How long it tries to get the locks of one migration, all attempts together, in milliseconds. */
  readonly lockBudgetMs: number;
  /** Whether migrations are applied that are older than one that is. */
  readonly allowOutOfOrder: boolean;
  /** Whether it goes on although files of applied migrations are not there. */
  readonly allowMissing: boolean;
  /** Whether a migration may drop and create again what it could replace. */
  readonly allowUnsafe: boolean;
  /** Where the schema is written after each run, relative to the workspace; `null`: nowhere. */
  readonly schemaFile: string | null;
  /** Whether only what was rehearsed is applied. */
  readonly requireRehearsal: boolean;
}

export const DEFAULT_MIGRATION_SETTINGS: MigrationSettings = {
  lockTimeoutMs: 2_000,
  lockBudgetMs: 60_000,
  allowOutOfOrder: false,
  allowMissing: false,
  allowUnsafe: false,
  schemaFile: null,
  requireRehearsal: false,
};

/** What PostgreSQL takes for `lock_timeout`, in milliseconds: 24 days. */
export const LONGEST_LOCK_TIMEOUT_MS = 2_147_483_647;

const milliseconds = z.int().check(z.minimum(1), z.maximum(LONGEST_LOCK_TIMEOUT_MS));

/** `migrations` in a section of `environments` in the configuration file. */
export const migrationsSchema = z.strictObject({
  lockTimeoutMs: z.optional(
    milliseconds.check(
      about(
        'lockTimeoutMs',
        'How long one attempt waits for a lock, in milliseconds: so long the application may have to wait behind it.',
      ),
    ),
  ),
  lockBudgetMs: z.optional(
    milliseconds.check(
      about(
        'lockBudgetMs',
        'How long it tries to get the locks of one migration, all attempts together, in milliseconds.',
      ),
    ),
  ),
  allowOutOfOrder: z.optional(
    z.boolean().check(about('allowOutOfOrder', 'Whether migrations are applied that are older than one that is.')),
  ),
  allowMissing: z.optional(
    z.boolean().check(about('allowMissing', 'Whether it goes on although files of applied migrations are not there.')),
  ),
  allowUnsafe: z.optional(
    z.boolean().check(about('allowUnsafe', 'Whether a migration may drop and create again what it could replace.')),
  ),
  schemaFile: z.optional(
    z
      .nullable(z.string().check(z.minLength(1)))
      .check(
        about('schemaFile', 'Where the schema is written after each run, relative to the workspace; `null`: nowhere.'),
      ),
  ),
  requireRehearsal: z.optional(
    z.boolean().check(about('requireRehearsal', 'Whether only what was rehearsed is applied.')),
  ),
});

function about(name: keyof MigrationSettings, description: string) {
  return z.meta({ description, default: DEFAULT_MIGRATION_SETTINGS[name] });
}
