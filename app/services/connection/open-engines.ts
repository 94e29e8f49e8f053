/** The pools of this process. Loads nothing, so that a command which never connects does not pay for `pg`. */
import type pg from 'pg';
import type { ConnectionSettings } from '../../config/connection-settings.js';

/** A pool to one environment's database, on the one host that was chosen for it. */
export interface Engine {
  /** Under which it is kept. */
  readonly key: string;
  readonly pool: pg.Pool;
  /** As configured, but with the one host that was chosen and the password that works. */
  readonly settings: ConnectionSettings;
  readonly serverVersion: string;
  readonly serverMajor: number;
}

/** By the settings that they were opened with. */
export const engines = new Map<string, Promise<Engine>>();

/** Those of them that are open. */
export const current = new Map<string, Engine>();

/**
 * Closes the pools of this process, of one environment or of all; sessions that are open finish first. The next question
 * opens new ones. Commands do this by themselves at their end.
 *
 * @example process.on('SIGTERM', () => closeEngines());
 */
export async function closeEngines(environment?: string): Promise<void> {
  const closing = [...engines].map(async ([key, opening]) => {
    if (environment === undefined) engines.delete(key);
    const engine = await opening.catch(() => null);
    if (engine !== null && (environment === undefined || engine.settings.environment === environment))
      await end(engine);
  });
  await Promise.all(closing);
}

/** Gives up an engine: the next question opens another. Sessions that are still open on it end when they do. */
export function discardEngine(engine: Engine): void {
  void end(engine);
}

async function end(engine: Engine): Promise<void> {
  if (current.get(engine.key) === engine) {
    engines.delete(engine.key);
    current.delete(engine.key);
  }
  // `pg` refuses a second end
  if (!engine.pool.ending) await engine.pool.end();
}
