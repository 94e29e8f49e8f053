import { AsyncLocalStorage } from 'node:async_hooks';
import { ManageDbError } from '../errors.js';

/** Somebody's statement that changes behind the kill switch are meant. */
export interface KillSwitchOverride {
  /** The typed text of the operation, see docs/safety.md; also counts as the operation's own confirmation. */
  readonly confirmation?: string | undefined;
  readonly reason?: string | undefined;
  /** Milliseconds that it lasts, at most and by default {@link LONGEST_OVERRIDE_MS}; it ends with `fn` in any case. */
  readonly expiresInMs?: number | undefined;
}

interface OpenOverride extends KillSwitchOverride {
  /** By the monotonic clock: setting the time does not prolong it. */
  readonly endsAt: number;
  isOver: boolean;
}

/** Nobody still remembers an hour later what an override was meant for. */
export const LONGEST_OVERRIDE_MS = 3_600_000;

const overrides = new AsyncLocalStorage<OpenOverride>();

/**
 * Lets the operations in `fn` pass the kill switch of their environment. It does not pass one that a person has engaged,
 * nor a locked time window. What `fn` leaves running when it returns has no override any more.
 *
 * @throws ManageDbError `USAGE` for an impossible expiry
 * @example
 * await withKillSwitchOverride(
 *   { confirmation: 'EXECUTE APPLY_DB_TRIGGERS ON clinic', reason: 'ticket 4711' },
 *   () => applyTriggers({ env: 'production' }),
 * );
 */
export async function withKillSwitchOverride<T>(override: KillSwitchOverride, fn: () => Promise<T>): Promise<T> {
  const lasts = override.expiresInMs ?? LONGEST_OVERRIDE_MS;
  if (!(lasts > 0 && lasts <= LONGEST_OVERRIDE_MS)) {
    throw new ManageDbError('USAGE', `An override lasts up to ${LONGEST_OVERRIDE_MS} ms, not ${lasts}.`, {
      hint: 'Leave expiresInMs out, or give a number of milliseconds.',
    });
  }
  // its own words only, not those of a prototype that somebody has changed
  const own = Object.assign(Object.create(null) as KillSwitchOverride, override);
  const open: OpenOverride = Object.assign(own, { endsAt: performance.now() + lasts, isOver: false });
  try {
    return await overrides.run(open, fn);
  } finally {
    open.isOver = true;
  }
}

/** The override that holds now, or `null`: none was given, or it has expired. */
export function currentOverride(): KillSwitchOverride | null {
  const open = overrides.getStore();
  return open === undefined || open.isOver || performance.now() >= open.endsAt ? null : open;
}
