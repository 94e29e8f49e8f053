const FATAL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const pending = new Set<() => void>();

/**
 * Calls `cleanUp` (synchronous) if this process ends before the returned function was called: by `exit`, an uncaught
 * error, or a signal that nobody handles. It cannot help against SIGKILL.
 *
 * execa's own `cleanup` is not used beside it: two handlers that both wait for being the only one keep a process alive.
 */
export function onUntimelyEnd(cleanUp: () => void): () => void {
  if (pending.size === 0) {
    process.on('exit', cleanAll);
    for (const signal of FATAL_SIGNALS) process.on(signal, onSignal);
  }
  pending.add(cleanUp);
  return () => forget(cleanUp);
}

function forget(cleanUp: () => void): void {
  if (!pending.delete(cleanUp) || pending.size > 0) return;
  process.off('exit', cleanAll);
  for (const signal of FATAL_SIGNALS) process.off(signal, onSignal);
}

/** The newest first: what was begun last (a child that writes) stands on what was begun before it (its folder). */
function cleanAll(): void {
  for (const cleanUp of [...pending].reverse()) {
    try {
      cleanUp();
    } catch {
      // the others, a password file among them, must be cleaned all the same, and the signal must end the process
    }
  }
}

/**
 * A program with a handler of its own aborts the work in it, and the work cleans up as it ends. Without one Node would
 * have ended here: so the cleaning is done, and the signal ends the process as it would have done without us.
 */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  cleanAll();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
