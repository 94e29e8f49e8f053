import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than anything takes on a machine that is slow, or busy with other things. */
const LONGEST_MS = 120_000;

/** Waits until `isSo`, and throws with `what` when it never is. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + LONGEST_MS; !(await isSo()); await sleep(10)) {
    if (Date.now() > deadline) throw new Error(`Not within ${LONGEST_MS / 1000} s: ${what}`);
  }
}
