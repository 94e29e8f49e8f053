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
