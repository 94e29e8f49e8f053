import pg from 'pg';
import { scratchDatabase } from '../../support/scratch-database.js';

export interface OpenDatabase {
  readonly name: string;
  readonly url: string;
  /** A superuser's connection that stays open: what one test sets for its session, it can read again. */
  readonly client: pg.Client;
  readonly drop: () => Promise<void>;
}

/** A scratch database filled by `sql`, with a connection to it. */
export async function openDatabase(sql = ''): Promise<OpenDatabase> {
  const { name, url, drop } = await scratchDatabase();
  const client = await connected(url);
  await client.query(sql);
  return {
    name,
    url,
    client,
    async drop() {
      await client.end();
      await drop();
    },
  };
}

/** One more connection; the caller ends it. */
export async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
