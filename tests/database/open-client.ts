import pg from 'pg';

/** A connection that stays open through several statements; the caller ends it. */
export async function openClient(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // a database dropped by force ends its sessions
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
