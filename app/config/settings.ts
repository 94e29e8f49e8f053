import * as z from '../core/schema.js';

/** What the gate demands in one environment before it lets something be changed. */
export interface SecuritySettings {
  /** Protected environments are never changed without the ceremony. */
  readonly protected: boolean;
  /**
   * How destructive work is confirmed: `none` asks nothing on servers that manage_db made itself, `yes` wants `--yes` or
   * an answer at a prompt, `typed` wants the explicit environment and a typed text.
   */
  readonly confirmation: 'none' | 'yes' | 'typed';
  /** Whether a `--reason` must be given. */
  readonly reasonRequired: boolean;
  /** Whether changes also need the override of the kill switch. */
  readonly killSwitch: boolean;
  /**
   * The hosts (`db1.internal`, `db1.internal:5433`) that the real database answers at. A physical clone has the stamp of
   * its original: only its place tells them apart. Empty: every host will do.
   */
  readonly expectedHosts: readonly string[];
}

const OPEN: SecuritySettings = {
  protected: false,
  confirmation: 'none',
  reasonRequired: false,
  killSwitch: false,
  expectedHosts: Object.freeze([]),
};

const CLOSED: SecuritySettings = {
  protected: true,
  confirmation: 'typed',
  reasonRequired: true,
  killSwitch: true,
  expectedHosts: Object.freeze([]),
};

/**
 * The security settings of the built-in environments. A workspace's configuration may change single ones under
 * `environments.<name>.security`; a custom environment starts from what it extends, else from `staging`.
 */
export const SECURITY_SETTINGS: Readonly<Record<string, SecuritySettings>> = Object.freeze({
  development: Object.freeze(OPEN),
  testing: Object.freeze(OPEN),
  staging: Object.freeze(CLOSED),
  production: Object.freeze(CLOSED),
});

/** `security` of an environment in the configuration file. */
export const securitySchema = z.strictObject({
  protected: z.optional(
    z
      .boolean()
      .check(z.describe('Whether it is never changed without the ceremony, and takes only settings of its own.')),
  ),
  confirmation: z.optional(
    z
      .enum(['none', 'yes', 'typed'])
      .check(
        z.describe(
          'How destructive work is confirmed: `none` asks nothing on the embedded server, `yes` wants `--yes` or an answer, `typed` wants `--env` and a typed text.',
        ),
      ),
  ),
  reasonRequired: z.optional(z.boolean().check(z.describe('Whether a `--reason` must be given.'))),
  killSwitch: z.optional(z.boolean().check(z.describe('Whether changes also need `KILL_SWITCH_OVERRIDE=true`.'))),
  expectedHosts: z.optional(
    z
      .array(z.string().check(z.minLength(1)))
      .check(
        z.describe(
          'The hosts (`db1.internal`, `db1.internal:5433`) that the real database answers at, so that a physical clone is recognised. Where none are named, those of the stamp count.',
        ),
      ),
  ),
});
