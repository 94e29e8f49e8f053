import pg from 'pg';

/**
 * Lets the server leave writing to the disk to the system: what is killed here are processes, never the machine. Otherwise
 * each DROP DATABASE waits until everything that all tests have written is on the disk.
 */
export async function withoutSync(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const name of ['fsync', 'full_page_writes']) await client.query(`alter system set ${name} = off`);
  await client.query('select pg_reload_conf()');
  await client.end();
}
