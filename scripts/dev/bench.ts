// What the triggers cost, as ratios to the same statement without them: `npm run bench`. Each pair in turns, medians of runs.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { applyPacks } from '../../app/core/triggers/apply.js';
import { auditPack } from '../../app/core/triggers/audit/audit-pack.js';
import type { AuditPackSettings } from '../../app/core/triggers/audit/audit-pack-settings.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { ensureSchema } from '../../app/database/schema/ensure-schema.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';

const ROWS = 100_000;
const RUNS = 5;

/** An ordinary one: a key, an index for a search, and the four columns of the base pack. */
const TABLE = (name: string) => `create table ${name} (
  id integer primary key, first_name text not null, last_name text not null, born_on date, email text, phone text, city text,
  is_active boolean not null default true, created_at timestamptz default now(), updated_at timestamptz default now(),
  created_by text default 'system', updated_by text default 'system');
  create index on ${name} (last_name)`;
const INSERT = (name: string) => `insert into ${name}
  select n, 'First' || n % 500, 'Last' || n % 5000, date '1950-01-01' + n % 20000, 'mail' || n || '@example.org', '+49 30 ' || n,
    'City ' || n % 100 from generate_series(1, ${ROWS}) n`;
const UPDATE = (name: string) => `update ${name} set city = 'Berlin', is_active = false, updated_at = now()`;

async function main(): Promise<void> {
  const workspace = mkdtempSync(join(tmpdir(), 'manage-db-bench-'));
  const { host, port, user, password } = await startEmbeddedServer(workspace);
  const open = async (database: string): Promise<pg.Client> => {
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    return client;
  };
  const admin = await open('postgres');
  try {
    for (const data of ['changed', 'whole'] as const) {
      await admin.query(`create database bench_${data} template template0`);
      const client = await open(`bench_${data}`);
      await audit(client, { data, only: ['public.audited'] });
      await client.end();
    }
  } finally {
    await admin.end();
    await withWorkspaceRoot(workspace, () => stopEmbeddedServer(workspace));
    rmSync(workspace, { recursive: true, force: true });
  }
}

async function audit(client: pg.Client, settings: AuditPackSettings): Promise<void> {
  await client.query(`${TABLE('plain')}; ${TABLE('audited')}`);
  await client.query('begin');
  await ensureSchema(client);
  await applyPacks(client, [auditPack(settings)], { environment: 'development', dryRun: false, lockTimeoutMs: 1000 });
  await client.query('commit');
  const times = { plainInsert: [], insert: [], plainUpdate: [], update: [] } as Record<string, number[]>;
  for (let run = 0; run < RUNS; run += 1) {
    await client.query('truncate plain, audited');
    await client.query('checkpoint');
    times.plainInsert?.push(await timed(client, INSERT('plain')));
    times.insert?.push(await timed(client, INSERT('audited')));
    await client.query('vacuum analyze plain, audited');
    await client.query('checkpoint');
    times.plainUpdate?.push(await timed(client, UPDATE('plain')));
    times.update?.push(await timed(client, UPDATE('audited')));
  }
  const [pi = 0, i = 0, pu = 0, u = 0] = ['plainInsert', 'insert', 'plainUpdate', 'update'].map((name) =>
    median(times[name] ?? []),
  );
  process.stdout.write(
    `audit (${settings.data}), ${ROWS} rows: INSERT ${ratio(i, pi)} of ${Math.round(pi)} ms, UPDATE ${ratio(u, pu)} of ${Math.round(pu)} ms\n`,
  );
}

async function timed(client: pg.Client, sql: string): Promise<number> {
  const start = performance.now();
  await client.query(sql);
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function ratio(a: number, b: number): string {
  return `${(a / b).toFixed(2)}x`;
}

await main();
