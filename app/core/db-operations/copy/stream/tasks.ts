/** Something to be done by one of several workers. */
export interface Task<Worker> {
  /** The largest goes first. */
  readonly weight: number;
  /** What no other running task may claim. */
  readonly claims?: readonly number[];
  /** Returns what can be done when it has been done. */
  readonly run: (worker: Worker) => Promise<readonly Task<Worker>[]>;
}

/**
 * Lets the workers do the tasks, and what comes of them. After a failure nothing is begun any more, `stop` is called so that what
 * runs ends, and the first failure is thrown when everything has ended.
 */
export async function runTasks<Worker>(
  tasks: readonly Task<Worker>[],
  workers: readonly Worker[],
  stop: () => void,
): Promise<void> {
  const waiting = [...tasks].sort((one, other) => other.weight - one.weight);
  const add = (task: Task<Worker>): void => void waiting.splice(placeOf(task, waiting), 0, task);
  const claimed = new Set<number>();
  let running = 0;
  let failure: { readonly error: unknown } | null = null;
  let sleepers: (() => void)[] = [];
  const wakeAll = (): void => {
    for (const wake of sleepers) wake();
    sleepers = [];
  };
  const next = (): Task<Worker> | null => {
    const index = waiting.findIndex(({ claims = [] }) => !claims.some((claim) => claimed.has(claim)));
    return index === -1 ? null : (waiting.splice(index, 1)[0] ?? null);
  };
  const work = async (worker: Worker): Promise<void> => {
    while (failure === null && (waiting.length > 0 || running > 0)) {
      const task = next();
      if (task === null) {
        await new Promise<void>((resolve) => sleepers.push(resolve));
        continue;
      }
      running++;
      for (const claim of task.claims ?? []) claimed.add(claim);
      try {
        for (const follower of await task.run(worker)) add(follower);
      } catch (error) {
        if (failure === null) stop();
        failure ??= { error };
      } finally {
        running--;
        for (const claim of task.claims ?? []) claimed.delete(claim);
        wakeAll();
      }
    }
  };
  await Promise.all(workers.map(work));
  // assigned in a closure, which the compiler does not follow
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}

/** Before what is smaller, in a list with the largest first. */
function placeOf<Worker>(task: Task<Worker>, sorted: readonly Task<Worker>[]): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.weight ?? 0) >= task.weight) low = middle + 1;
    else high = middle;
  }
  return low;
}
