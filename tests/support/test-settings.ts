import pg from 'pg';

/** How often autovacuum comes, and then to every table that has changed at all: `1s` looks for what it disturbs. */
const AUTOVACUUM = process.env.MANAGE_DB_TEST_AUTOVACUUM;

const EVERY_CHANGE = {
  autovacuum_vacuum_threshold: 0,
  autovacuum_vacuum_scale_factor: 0,
  autovacuum_vacuum_insert_threshold: 0,
  autovacuum_vacuum_insert_scale_factor: 0,
  autovacuum_analyze_threshold: 0,
  autovacuum_analyze_scale_factor: 0,
};

/**
 * The settings of the servers that tests share, kill, or take from the system's packages. Writing to the disk is left to the
 * system: what is killed here are processes, never the machine. Otherwise each DROP DATABASE waits until everything that
 * all tests have written is on the disk. Autovacuum stays on, but does not come while tests run: a statement that changes
 * many tables may be the one that is ended when the two lock them in another order, and the tests' own would fail once in
 * a while.
 */
export const TEST_SETTINGS: Readonly<Record<string, string | number>> = {
  fsync: 'off',
  full_page_writes: 'off',
  autovacuum_naptime: AUTOVACUUM ?? '24d',
  ...(AUTOVACUUM === undefined ? {} : EVERY_CHANGE),
};

/** Gives a running server {@link TEST_SETTINGS}. */
export async function applyTestSettings(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const [name, value] of Object.entries(TEST_SETTINGS)) {
    await client.query(`alter system set ${name} = '${value}'`);
  }
  await client.query('select pg_reload_conf()');
  await client.end();
}
