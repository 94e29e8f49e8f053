import pMap from 'p-map';

/**
 * Runs both at the same time. When one fails the other is aborted and awaited, and the first failure is thrown: nothing
 * goes on behind the caller's back.
 */
export async function together<A, B>(
  signal: AbortSignal | undefined,
  first: (signal: AbortSignal) => Promise<A>,
  second: (signal: AbortSignal) => Promise<B>,
): Promise<[A, B]> {
  const controller = new AbortController();
  const either = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
  let failure: { readonly error: unknown } | null = null;
  const guard = <T>(work: Promise<T>) =>
    work.catch((error: unknown) => {
      failure ??= { error };
      controller.abort();
      throw error;
    });
  const [a, b] = await Promise.allSettled([guard(first(either)), guard(second(either))]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  throw (failure as { readonly error: unknown } | null)?.error;
}

export interface Each {
  /** How many at the same time. */
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs `work` for each of `items`. When one fails no other is begun, those that run are aborted and awaited, and the first failure
 * is thrown: as {@link together}.
 */
export async function forEach<T, R>(
  items: readonly T[],
  { concurrency, signal }: Each,
  work: (item: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const controller = new AbortController();
  const either = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
  const failures: { readonly error: unknown }[] = [];
  const results = await pMap(
    items,
    async (item) => {
      if (failures.length > 0) return [];
      try {
        return [await work(item, either)];
      } catch (error) {
        failures.push({ error });
        controller.abort();
        return [];
      }
    },
    { concurrency },
  );
  const [first] = failures;
  if (first !== undefined) throw first.error;
  return results.flat() as R[];
}
