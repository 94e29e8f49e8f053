import { redact } from '../config/redaction.js';

/** Receives one line per statement: its text, how long it took, how many rows; never a parameter's value. */
export type DebugSink = (line: string) => void;

let sink: DebugSink | null = null;

/**
 * Reports every statement of every session to `log`, with its duration. Parameters are counted, not shown: they hold
 * people's data.
 *
 * @example setDebugMode(true, (line) => logger.debug(line));
 */
export function setDebugMode(enabled: false): void;
export function setDebugMode(enabled: true, log: DebugSink): void;
export function setDebugMode(enabled: boolean, log: DebugSink | null = null): void {
  sink = enabled ? log : null;
}

/** Runs a statement, and reports it when the debug mode is on. */
export async function reported<T extends { rowCount: number | null }>(
  text: string,
  values: readonly unknown[] | undefined,
  run: () => Promise<T>,
): Promise<T> {
  if (sink === null) return run();
  const started = performance.now();
  const statement = `${redact(text.replaceAll(/\s+/g, ' ').trim())}${values?.length ? ` -- ${values.length} parameters` : ''}`;
  try {
    const result = await run();
    sink?.(`sql ${(performance.now() - started).toFixed(1)} ms, ${result.rowCount ?? 0} rows: ${statement}`);
    return result;
  } catch (error) {
    sink?.(`sql failed after ${(performance.now() - started).toFixed(1)} ms: ${statement}`);
    throw error;
  }
}
