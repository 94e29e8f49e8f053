/** The pools of this process. Loads nothing, so that a command which never connects does not pay for `pg`. */
import type pg from 'pg';
import type { ConnectionSettings } from '../../config/connection-settings.js';

/** A pool to one environment's database, on the one host that was chosen for it. */
export interface Engine {
  readonly pool: pg.Pool;
  /** As configured, but with the one host that was chosen and the password that works. */
  readonly settings: ConnectionSettings;
  readonly serverVersion: string;
  readonly serverMajor: number;
}

/** By the settings that they were opened with. */
export const engines = new Map<string, Promise<Engine>>();

/** Closes every pool of this process; sessions that are open finish first. The next question opens new ones. */
export async function closeEngines(): Promise<void> {
  const open = [...engines.values()];
  engines.clear();
  await Promise.all(open.map(async (opening) => (await opening.catch(() => null))?.pool.end()));
}

/** Gives up an engine whose host does not answer any more: the next question looks at all hosts again. */
export async function discardEngine(engine: Engine): Promise<void> {
  for (const [key, opening] of engines) {
    if ((await opening.catch(() => null)) === engine) engines.delete(key);
  }
  // not awaited: sessions that are still open on it end when they do
  if (!engine.pool.ended) void engine.pool.end();
}
