// What the triggers cost, as ratios to the same statement without them: `npm run bench`. Each pair in turns, medians of runs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { readDrift } from '../../app/core/db-operations/trigger-work/read-drift.js';
import { applyPacks } from '../../app/core/triggers/apply.js';
import { auditPack } from '../../app/core/triggers/audit/audit-pack.js';
import type { AuditPackSettings } from '../../app/core/triggers/audit/audit-pack-settings.js';
import { defineTrigger } from '../../app/core/triggers/declaration.js';
import { everyTable } from '../../app/core/triggers/every-table.js';
import type { TriggerPack } from '../../app/core/triggers/pack.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { ensureSchema } from '../../app/database/schema/ensure-schema.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { machine, median, writeSection } from './bench-results.js';

const ROWS = 100_000;
const RUNS = Number(process.env.BENCH_PAIRS ?? 5);

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
  const found: string[] = [];
  const tell = (line: string): void => {
    process.stdout.write(`${line}\n`);
    found.push(`- ${line}`);
  };
  try {
    for (const data of ['changed', 'whole'] as const) {
      await admin.query(`create database bench_${data} template template0`);
      const client = await open(`bench_${data}`);
      tell(await audit(client, { data, only: ['public.audited'] }));
      await client.end();
    }
    await admin.query('create database bench_moves template template0');
    const moving = await open('bench_moves');
    tell(await auditMoves(moving));
    await moving.end();
    await admin.query('create database bench_many template template0');
    await admin.query('create database bench_psql template template0');
    tell(
      await many(
        open,
        (database) => `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`,
      ),
    );
    writeSection('Triggers (`npm run bench`)', [`${machine()}, the medians of ${RUNS} runs in turns.`, '', ...found]);
  } finally {
    await admin.end();
    await withWorkspaceRoot(workspace, () => stopEmbeddedServer(workspace));
    rmSync(workspace, { recursive: true, force: true });
  }
}

async function audit(client: pg.Client, settings: AuditPackSettings): Promise<string> {
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
  return `audit (${settings.data}), ${ROWS} rows: INSERT ${ratio(i, pi)} of ${Math.round(pi)} ms, UPDATE ${ratio(u, pu)} of ${Math.round(pu)} ms`;
}

/** What is done row by row: other keys, and rows that go to another partition. */
async function auditMoves(client: pg.Client): Promise<string> {
  const rows = ROWS / 5;
  for (const name of ['plain_keys', 'audited_keys']) await client.query(TABLE(name));
  for (const name of ['plain_parts', 'audited_parts']) {
    await client.query(`create table ${name} (id integer, part integer, body text, primary key (id, part)) partition by list (part);
      create table ${name}_0 partition of ${name} for values in (0); create table ${name}_1 partition of ${name} for values in (1)`);
  }
  const settings = { only: ['public.audited_*'] };
  await client.query('begin');
  await ensureSchema(client);
  await applyPacks(client, [auditPack(settings)], { environment: 'development', dryRun: false, lockTimeoutMs: 1000 });
  await client.query('commit');
  for (const name of ['plain_keys', 'audited_keys'])
    await client.query(INSERT(name).replace(String(ROWS), String(rows)));
  for (const name of ['plain_parts', 'audited_parts'])
    await client.query(`insert into ${name} select n, 0, 'body ' || n from generate_series(1, ${rows}) n`);
  const times = { plainKeys: [], keys: [], plainParts: [], parts: [] } as Record<string, number[]>;
  for (let run = 0; run < RUNS; run += 1) {
    await client.query('vacuum analyze');
    times.plainKeys?.push(await timed(client, `update plain_keys set id = id + ${ROWS}`));
    times.keys?.push(await timed(client, `update audited_keys set id = id + ${ROWS}`));
    times.plainParts?.push(await timed(client, 'update plain_parts set part = 1 - part'));
    times.parts?.push(await timed(client, 'update audited_parts set part = 1 - part'));
  }
  const [pk = 0, k = 0, pp = 0, p = 0] = ['plainKeys', 'keys', 'plainParts', 'parts'].map((name) =>
    median(times[name] ?? []),
  );
  return `audit, ${rows} rows: another key ${ratio(k, pk)} of ${Math.round(pk)} ms, another partition ${ratio(p, pp)} of ${Math.round(pp)} ms`;
}

const TABLES = 2500;
const EACH = 4;

/** 10,000 triggers: what it takes to apply them, against psql with the same statements, and to verify them. */
async function many(
  open: (database: string) => Promise<pg.Client>,
  urlOf: (database: string) => string,
): Promise<string> {
  const tables = Array.from({ length: TABLES }, (_, index) => `create table t${index} (id integer, body text)`);
  const pack: TriggerPack = {
    name: 'bench',
    functionFiles: [],
    functionSchema: 'public',
    declarations: Array.from({ length: EACH }, (_, index) =>
      defineTrigger(`touch_${index}`, {
        table: everyTable({ having: ['id'] }),
        timing: 'before',
        on: ['update'],
        function: 'touch',
      }),
    ),
  };
  const clients = [await open('bench_many'), await open('bench_psql')];
  for (const client of clients) {
    for (let start = 0; start < TABLES; start += 500) await client.query(tables.slice(start, start + 500).join(';'));
    await client.query(`create function touch() returns trigger language plpgsql as 'begin return new; end'`);
    await client.query('vacuum analyze');
  }
  const [client] = clients as [pg.Client, pg.Client];
  const filter = { environment: 'development', dryRun: false, lockTimeoutMs: 1000 } as const;
  await client.query('begin');
  await ensureSchema(client);
  await client.query('commit');
  const start = performance.now();
  await client.query('begin');
  const { statements } = await applyPacks(client, [pack], filter);
  await client.query('commit');
  const applying = performance.now() - start;
  const file = join(mkdtempSync(join(tmpdir(), 'manage-db-bench-sql-')), 'triggers.sql');
  writeFileSync(file, `${statements.join(';\n')};\n`);
  const psqlStart = performance.now();
  const psql = spawnSync('psql', ['-1', '-q', '-X', '-v', 'ON_ERROR_STOP=1', '-f', file, urlOf('bench_psql')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const psqlTime = performance.now() - psqlStart;
  if (psql.status !== 0) throw new Error('psql failed');
  const verifying: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    await client.query('begin read only');
    verifying.push(
      await elapsed(async () => {
        const { triggers: drift } = await readDrift(client, [pack], { environment: 'development' });
        if (drift.length !== TABLES * EACH || drift.some(({ report }) => report.isDrift)) throw new Error('drift');
      }),
    );
    await client.query('rollback');
  }
  const again = await elapsed(async () => {
    await client.query('begin');
    await applyPacks(client, [pack], filter);
    await client.query('commit');
  });
  for (const one of clients) await one.end();
  return (
    `${TABLES * EACH} triggers on ${TABLES} tables: applied in ${ratio(applying, psqlTime)} of psql -1 -f (${Math.round(psqlTime)} ms), ` +
    `again in ${Math.round(again)} ms, verified in ${Math.round(median(verifying))} ms`
  );
}

async function elapsed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function timed(client: pg.Client, sql: string): Promise<number> {
  const start = performance.now();
  await client.query(sql);
  return performance.now() - start;
}

function ratio(a: number, b: number): string {
  return `${(a / b).toFixed(2)}x`;
}

await main();
