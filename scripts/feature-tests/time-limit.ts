/** Milliseconds that one test may take, and then has to stop in order. */
export interface TimeLimits {
  readonly longestMs: number;
  readonly graceMs: number;
}

export const USUAL_LIMITS: TimeLimits = { longestMs: 60_000, graceMs: 15_000 };

/** What was done did not end within its time. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';

  /** @param isStopped `false`: it may still be at work */
  constructor(readonly isStopped: boolean) {
    super(isStopped ? 'out of time' : 'out of time, and cannot be stopped');
  }
}

interface TimeLimitOptions {
  readonly limits: TimeLimits;
  /** Stops it as well, and it has the same while to end in order. */
  readonly signal: AbortSignal;
}

/**
 * Runs `work` with a signal that is aborted when its time is over.
 *
 * @throws OutOfTime; what `work` throws
 */
export async function withinTime(
  work: (signal: AbortSignal) => Promise<void>,
  { limits, signal: outer }: TimeLimitOptions,
): Promise<void> {
  const late = new AbortController();
  const signal = AbortSignal.any([outer, late.signal]);
  const timers = [setTimeout(() => late.abort(), limits.longestMs)];
  let giveUp: (error: OutOfTime) => void = () => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const wait = (): void => {
    timers.push(setTimeout(() => giveUp(new OutOfTime(false)), limits.graceMs));
  };
  if (signal.aborted) wait();
  else signal.addEventListener('abort', wait, { once: true });
  try {
    await Promise.race([work(signal), givenUp]);
    if (late.signal.aborted) throw new OutOfTime(true);
  } catch (error) {
    throw late.signal.aborted && !(error instanceof OutOfTime) ? new OutOfTime(true) : error;
  } finally {
    // also that of the while to end in order: it has ended
    signal.removeEventListener('abort', wait);
    for (const timer of timers) clearTimeout(timer);
  }
}
