import { type TimeWindow, WEEKDAYS, type Weekday } from '../../config/kill-switch-settings.js';

export interface TimeWindows {
  readonly openWindows: readonly TimeWindow[];
  readonly lockedWindows: readonly TimeWindow[];
}

/**
 * Why changes are locked at `at`, or `null` when they are not: inside a locked window, or outside every open one.
 *
 * @example windowLock({ openWindows: [{ from: '20:00', to: '06:00', timeZone: 'Europe/Berlin' }], lockedWindows: [] }, noon)
 */
export function windowLock({ openWindows, lockedWindows }: TimeWindows, at: Date): string | null {
  const locked = lockedWindows.find((window) => isInside(window, at));
  if (locked !== undefined) return `it is locked ${described(locked)}`;
  if (openWindows.length === 0 || openWindows.some((window) => isInside(window, at))) return null;
  return `changes are possible only ${openWindows.map(described).join('; or ')}`;
}

/** Whether `at` lies in `window`, by the clock on the wall there, daylight saving time included. */
export function isInside({ days = WEEKDAYS, from, to, timeZone }: TimeWindow, at: Date): boolean {
  const { day, time } = wallClock(at, timeZone);
  if (from < to) return days.includes(day) && time >= from && time < to;
  // past midnight: the morning belongs to the window that began the day before
  return (days.includes(day) && time >= from) || (days.includes(dayBefore(day)) && time < to);
}

function wallClock(at: Date, timeZone: string): { readonly day: Weekday; readonly time: string } {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((it) => it.type === type)?.value ?? '';
  const day = WEEKDAYS.find((name) => name === part('weekday').toLowerCase());
  if (day === undefined) throw new Error(`no such weekday: ${part('weekday')}`);
  return { day, time: `${part('hour')}:${part('minute')}` };
}

function dayBefore(day: Weekday): Weekday {
  return WEEKDAYS.at(WEEKDAYS.indexOf(day) - 1) ?? day;
}

function described({ days, from, to, timeZone }: TimeWindow): string {
  return `${days === undefined ? 'every day' : days.join(', ')} ${from} to ${to} ${timeZone}`;
}
