import type { EventEmitter } from 'node:events';
import pg from 'pg';

interface ClientInternals {
  readonly connection: EventEmitter;
  readonly connectionParameters: { options?: unknown; replication?: unknown; client_encoding?: unknown };
  replication?: unknown;
}

/**
 * A `pg` client that takes nothing from the process environment: `pg` falls back to `PGOPTIONS`, `PGREPLICATION` and the
 * like even when a configuration is given, and a stray one would change what every session does. Also remembers what
 * the server said about itself when it let us in.
 */
export class IsolatedClient extends pg.Client {
  readonly serverParameters = new Map<string, string>();

  constructor(config: pg.ClientConfig = {}) {
    super(config);
    const internals = this as unknown as ClientInternals;
    internals.connectionParameters.options = config.options;
    internals.connectionParameters.replication = undefined;
    internals.connectionParameters.client_encoding = config.client_encoding;
    internals.replication = undefined;
    internals.connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
      this.serverParameters.set(message.parameterName, message.parameterValue);
    });
  }
}
