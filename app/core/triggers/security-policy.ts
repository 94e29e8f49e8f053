import { ManageDbError } from '../errors.js';
import * as z from '../schema.js';

/**
 * Formats of hashes that are recognised, also as Django, Werkzeug and passlib write them. `disabled` are `!`, `*` and the
 * like, which say that an account has no password.
 */
const HASH_FORMATS = ['bcrypt', 'argon2', 'scrypt', 'pbkdf2', 'scram', 'disabled'] as const;
export type HashFormat = (typeof HASH_FORMATS)[number];

const column = z.string().check(z.minLength(1), z.regex(/^[^\0]*$/, 'a name has no zero byte'));
const tables = z.array(z.string().check(z.regex(/^[^.]+\..+$/s, "write it as 'schema.table' or 'schema.*'")));

const passwords = z.strictObject({
  columns: z._default(z.array(column).check(z.minLength(1)), ['password_hash']),
  only: z.optional(tables),
  cost: z._default(z.int().check(z.gte(4), z.lte(31)), 12),
  hashes: z._default(z.array(z.enum(HASH_FORMATS)), [...HASH_FORMATS]),
  alsoHashed: z.optional(z.string().check(z.minLength(1))),
});

/** A hundred years; a little more than 290,000 would be no interval at all. */
const LONGEST_MINUTES = 52_596_000;
const minutes = z.number().check(z.positive(), z.lte(LONGEST_MINUTES));

const lockout = z.strictObject({
  failedColumn: z._default(column, 'failed_login_attempts'),
  untilColumn: z._default(column, 'locked_until'),
  loginColumn: z._default(column, 'last_login_at'),
  only: z.optional(tables),
  attempts: z._default(z.int().check(z.gte(1)), 5),
  minutes: z._default(minutes, 15),
});

const sessions = z
  .strictObject({
    only: z._default(tables, ['*.*session', '*.*sessions', '*.*Session', '*.*Sessions']),
    userColumn: z._default(column, 'user_id'),
    expiresColumn: z._default(column, 'expires_at'),
    revokedColumn: z._default(column, 'revoked_at'),
    createdColumn: z._default(column, 'created_at'),
    minutes: z._default(minutes, 720),
    maximumMinutes: z._default(minutes, 43_200),
    limit: z._default(z.nullable(z.int().check(z.gte(1))), 5),
  })
  .check(
    z.refine(
      (session) => session.minutes <= session.maximumMinutes,
      'minutes must not be more than maximumMinutes (43200)',
    ),
  );

const policy = z.strictObject({
  functionSchema: z._default(column, 'public'),
  except: z._default(tables, []),
  passwords: z._default(z.nullable(passwords), () => passwords.parse({})),
  lockout: z._default(z.nullable(lockout), () => lockout.parse({})),
  sessions: z._default(z.nullable(sessions), () => sessions.parse({})),
});

/** The settings of the security pack with everything that was left out filled in. `null`: that part is off. */
export type SecurityPolicy = z.infer<typeof policy>;
export type PasswordPolicy = z.infer<typeof passwords>;
export type LockoutPolicy = z.infer<typeof lockout>;
export type SessionPolicy = z.infer<typeof sessions>;

/** @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once */
export function securityPolicy(settings: unknown): SecurityPolicy {
  const parsed = policy.safeParse(withPartsOff(settings));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the settings'}: ${message}`);
  throw new ManageDbError('INVALID_CONFIGURATION', `configureSecurityPack: ${problems.join('; ')}.`, {
    hint: 'Correct the settings, then run: manage_db apply-db-triggers --pack security --dry-run',
    details: { problems },
  });
}

/** `passwords: false` becomes `null`: of a union zod would not say what is wrong. */
function withPartsOff(settings: unknown): unknown {
  if (typeof settings !== 'object' || settings === null) return settings;
  const entries: [string, unknown][] = Object.entries(settings);
  return Object.fromEntries(entries.map(([key, value]) => [key, value === false ? null : value]));
}
