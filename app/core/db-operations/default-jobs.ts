import { availableParallelism } from 'node:os';

const MOST_JOBS = 4;

/** Sessions that work at the same time where nobody has said how many: one per processor, four at most. */
export function defaultJobs(): number {
  return Math.min(MOST_JOBS, availableParallelism());
}
