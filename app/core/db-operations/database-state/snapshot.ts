import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { withConnection } from '../../../services/with-connection.js';

export interface Snapshot {
  readonly client: Client;
  /** For `pg_dump --snapshot`. */
  readonly id: string;
}

/**
 * Runs `work` in a transaction that sees one moment of the database, and whose snapshot others can use while it lasts:
 * what is counted here is what pg_dump writes, whatever is changed meanwhile.
 */
export function withSnapshot<T>(
  settings: ConnectionSettings,
  { lockTimeoutMs, signal }: { lockTimeoutMs: number; signal: AbortSignal | undefined },
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return withConnection(settings, { signal }, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    // like pg_dump: rows that a policy hides are an error, not a smaller number
    await client.query(
      `select pg_catalog.set_config('row_security', 'off', true), pg_catalog.set_config('lock_timeout', $1, true)`,
      [String(lockTimeoutMs)],
    );
    const { rows } = await client.query<{ id: string }>('select pg_catalog.pg_export_snapshot() as id');
    const result = await work({ client, id: rows[0]?.id ?? '' });
    await client.query('rollback');
    return result;
  });
}
