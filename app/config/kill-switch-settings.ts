import { normalizeEnv } from '../core/environment-names.js';
import { ManageDbError, messageOf } from '../core/errors.js';
import * as z from '../core/schema.js';
import type { SecuritySettings } from './settings.js';

/** What happened at the kill switch, for a logger of the host application. */
export interface KillSwitchEvent {
  readonly at: string;
  readonly outcome: 'blocked' | 'overridden';
  readonly operation: string;
  readonly environment: string;
  readonly database: string;
  readonly actor: string;
  readonly reason: string | null;
}

/** What the typed text is made of. */
export interface ConfirmationParts {
  /** `APPLY_DB_TRIGGERS` */
  readonly operation: string;
  readonly database: string;
  readonly environment: string;
}

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time of the week in the clock of `timeZone`. With `from` after `to` it goes on past midnight. */
export interface TimeWindow {
  /** On which days it begins; all of them by default. */
  readonly days?: readonly Weekday[] | undefined;
  /** `HH:MM`, from this minute on. */
  readonly from: string;
  /** `HH:MM`, until just before this minute; `24:00` is the end of the day. */
  readonly to: string;
  /** An IANA name: `Europe/Berlin`. */
  readonly timeZone: string;
}

/** The kill switch as it is configured for one environment. */
export interface KillSwitchSettings {
  /** Changes need the override. */
  readonly isOn: boolean;
  /** The override needs the typed text, also where nothing is protected. */
  readonly isConfirmationRequired: boolean;
  readonly confirmationText: (parts: ConfirmationParts) => string;
  /** Where there are any, changes are possible inside them only. */
  readonly openWindows: readonly TimeWindow[];
  /** Inside these, no change is possible. */
  readonly lockedWindows: readonly TimeWindow[];
  readonly logger: ((event: KillSwitchEvent) => void) | null;
}

const time = z.string().check(z.regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, { error: 'a time is written HH:MM' }));

const windowSchema = z.strictObject({
  days: z.optional(
    z
      .array(z.enum(WEEKDAYS))
      .check(z.minLength(1), z.describe('On which days it begins; all of them where none are named.')),
  ),
  from: time.check(z.describe('`HH:MM`, from this minute on.')),
  to: time.check(
    z.describe('`HH:MM`, until just before this minute; `24:00` is the end of the day. Before `from`: past midnight.'),
  ),
  timeZone: z
    .string()
    .check(
      z.refine(isTimeZone, { error: 'it is no IANA time zone, such as Europe/Berlin' }),
      z.describe('An IANA name: `Europe/Berlin`.'),
    ),
});

const DEFAULT_PATTERN = 'EXECUTE {operation} ON {database}';

/** `killSwitch` in the configuration file; seed 004's settings, and time windows. */
export const killSwitchSchema = z.strictObject({
  enabled: z.optional(
    z
      .boolean()
      .check(z.meta({ description: 'Whether there is a kill switch that is on by configuration.', default: true })),
  ),
  environments: z.optional(
    z
      .array(z.string().check(z.regex(/^[a-z][a-z0-9_-]{0,47}$/i)))
      .check(z.describe('The environments that are behind it, instead of `security.killSwitch` of each.')),
  ),
  confirmationRequired: z.optional(
    z.boolean().check(
      z.meta({
        description: 'Whether the override needs the typed text, also where nothing is protected.',
        default: true,
      }),
    ),
  ),
  confirmationPattern: z.optional(
    z
      .union([
        z.string().check(
          z.refine((pattern) => pattern.includes('{operation}') && pattern.includes('{database}'), {
            error: 'it must name {operation} and {database}, or one text would do for everything',
          }),
        ),
        z.custom<(parts: ConfirmationParts) => string>((value) => typeof value === 'function'),
      ])
      .check(
        z.meta({
          description: 'The text that has to be typed, with `{operation}`, `{database}` and `{environment}`.',
          default: DEFAULT_PATTERN,
        }),
      ),
  ),
  openWindows: z.optional(
    z.array(windowSchema).check(z.describe('Where there are any, changes are possible inside of them only.')),
  ),
  lockedWindows: z.optional(z.array(windowSchema).check(z.describe('Inside of these, no change is possible.'))),
  logger: z.optional(
    z
      .custom<(event: KillSwitchEvent) => void>((value) => typeof value === 'function')
      .check(z.describe('Is told of every attempt that is blocked or overridden.')),
  ),
});

/** The settings for `environment`: the file's list of environments decides where there is one, else its security settings. */
export function killSwitchOf(
  environment: string,
  { killSwitch = {} }: { readonly killSwitch?: z.infer<typeof killSwitchSchema> | undefined },
  security: SecuritySettings,
): KillSwitchSettings {
  const isMeant = killSwitch.environments?.map(normalizeEnv).includes(environment) ?? security.killSwitch;
  const pattern = killSwitch.confirmationPattern ?? DEFAULT_PATTERN;
  return {
    isOn: killSwitch.enabled !== false && isMeant,
    isConfirmationRequired: killSwitch.confirmationRequired ?? true,
    confirmationText: (parts) => (typeof pattern === 'function' ? checked(pattern, parts) : filled(pattern, parts)),
    openWindows: isMeant ? (killSwitch.openWindows ?? []) : [],
    lockedWindows: isMeant ? (killSwitch.lockedWindows ?? []) : [],
    logger: killSwitch.logger ?? null,
  };
}

/** @throws ManageDbError `INVALID_CONFIGURATION` for a text that would do for everything, or none at all */
function checked(pattern: (parts: ConfirmationParts) => string, parts: ConfirmationParts): string {
  let text: unknown;
  try {
    text = pattern({ ...parts });
  } catch (error) {
    throw unusable(`it fails: ${messageOf(error)}`, error);
  }
  if (typeof text !== 'string') throw unusable('it gives no text');
  if (!text.includes(parts.database)) throw unusable('its text does not name the database, and would do for every one');
  return text;
}

function unusable(problem: string, cause?: unknown): ManageDbError {
  return new ManageDbError(
    'INVALID_CONFIGURATION',
    `killSwitch.confirmationPattern: ${problem}. Nothing was changed.`,
    {
      hint: 'Let it return a text with the operation and the database in it.',
      cause,
    },
  );
}

function filled(pattern: string, parts: ConfirmationParts): string {
  const values: Readonly<Record<string, string>> = { ...parts };
  return pattern.replaceAll(/\{(operation|database|environment)\}/g, (_, name: string) => values[name] ?? '');
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
