import { type Client, escapeLiteral } from 'pg';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { connectForOperation } from '../../../../services/connection/engine.js';
import { endWithUs } from '../../../../services/end-with-us.js';
import { liftTimeouts } from '../../../../services/with-connection.js';
import { pinOutput } from '../../database-state/table-content.js';

/** The sessions of a copy: they end together, with the copy or with its signal, whatever they are doing. */
export class Sessions {
  private readonly clients = new Set<Client>();
  private isOver = false;

  constructor(private readonly signal: AbortSignal) {
    signal.addEventListener('abort', this.breakOff, { once: true });
  }

  async open(settings: ConnectionSettings, database: string): Promise<Client> {
    const client = await connectForOperation(settings, { database, signal: this.signal });
    this.clients.add(client);
    if (this.isOver) await this.close(client);
    await liftTimeouts(client, 'session');
    return client;
  }

  async close(client: Client): Promise<void> {
    this.clients.delete(client);
    await client.end().catch(() => undefined);
  }

  async closeAll(): Promise<void> {
    this.isOver = true;
    this.signal.removeEventListener('abort', this.breakOff);
    await Promise.all([...this.clients].map((client) => this.close(client)));
  }

  private readonly breakOff = (): void => void this.closeAll();
}

export interface SourceState {
  readonly snapshot: string;
  readonly lockTimeoutMs: number;
  readonly prepare: ((client: Client) => Promise<void>) | undefined;
}

/** Shows a session of the source the moment of the snapshot, and lets it write rows as every server reads them. */
export async function prepareSource(client: Client, { snapshot, lockTimeoutMs, prepare }: SourceState): Promise<void> {
  await pinOutput(client);
  await endWithUs(client);
  await client.query(
    // rows that a policy hides are an error, not a smaller table; and they come in the order in which they lie
    `select pg_catalog.set_config('row_security', 'off', false), pg_catalog.set_config('synchronize_seqscans', 'off', false),
      pg_catalog.set_config('lock_timeout', $1, false)`,
    [String(lockTimeoutMs)],
  );
  await client.query(
    `begin isolation level repeatable read read only; set transaction snapshot ${escapeLiteral(snapshot)}`,
  );
  await prepare?.(client);
}

/**
 * Lets a session of the scratch database work fast: what a crash of the server would take from a scratch database is dropped
 * anyway. All of it ends with the session.
 */
export async function prepareTarget(client: Client): Promise<void> {
  await pinOutput(client);
  await endWithUs(client);
  await client.query(`
    set synchronous_commit = off;
    set check_function_bodies = off;
    set client_min_messages = warning;
    set row_security = off;
    set xmloption = content;
    select pg_catalog.set_config('maintenance_work_mem', greatest(m.setting::int8, least(b.setting::int8 * 8, ${MOST_MEMORY_KB}))::text, false)
    from pg_catalog.pg_settings m, pg_catalog.pg_settings b where m.name = 'maintenance_work_mem' and b.name = 'shared_buffers'`);
}

/** For sorting an index: no more than the server has for its buffers, which is known to be there. */
const MOST_MEMORY_KB = 256 * 1024;
