import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { testServer, testUrl } from './test-server.js';

export interface ScratchDatabase {
  readonly name: string;
  readonly url: string;
  readonly query: <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<pg.QueryResult<Row>>;
  readonly drop: () => Promise<void>;
}

/** A database of its own on the test server, with `sql` executed in it. */
export async function scratchDatabase(sql = ''): Promise<ScratchDatabase> {
  const name = `scratch_${randomBytes(6).toString('hex')}`;
  // half the work for a server that need not write to its disk, and the only way of an older one
  const strategy = (await testServerMajor()) >= 15 ? 'strategy file_copy' : '';
  await onServer((server) => server.query(`create database ${name} ${strategy}`));
  const url = testUrl(name);
  const query: ScratchDatabase['query'] = (text, values) => withClient(url, (client) => client.query(text, values));
  if (sql !== '') await query(sql);
  return { name, url, query, drop: () => dropDatabase(name) };
}

let major: Promise<number> | undefined;

/** The major version of the test server. */
export function testServerMajor(): Promise<number> {
  major ??= onServer(async (server) => {
    const { rows } = await server.query<{ major: number }>(
      `select current_setting('server_version_num')::int / 10000 as major`,
    );
    return rows[0]?.major ?? Number.NaN;
  });
  return major;
}

export async function dropDatabase(name: string): Promise<void> {
  await onServer((server) => server.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`));
}

/** Runs `fn` on the maintenance database. */
export function onServer<T>(fn: (client: pg.Client) => Promise<T>): Promise<T> {
  return withClient(testUrl('postgres', testServer()), fn);
}

/** Runs `fn` on a connection of its own. */
export async function withClient<T>(url: string, fn: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  // a database dropped by force ends its sessions
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await fn(client);
  } finally {
    await client.end();
  }
}
