// What create-backup takes at its default, as ratios to `pg_dump -Fc`: time and size, in pairs that take turns.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { reloadConfig } from '../../app/config/db-config.js';
import { backupDatabase } from '../../app/core/db-operations/backup.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { findClientTools } from '../../app/services/client-tools.js';
import { closeEngines } from '../../app/services/database-service.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { CLINIC, ONE_TABLE } from './bench-databases.js';
import { machine, median, writeSection } from './bench-results.js';

const PAIRS = Number(process.env.BENCH_PAIRS ?? 3);
/** `none`, `gzip:2` and so on, to compare; by default what create-backup takes by itself. */
const COMPRESSIONS = process.env.BENCH_COMPRESSIONS?.split(',') ?? [undefined];

async function main(): Promise<void> {
  const workspace = mkdtempSync(join(tmpdir(), 'manage-db-bench-'));
  chmodSync(workspace, 0o755);
  mkdirSync(join(workspace, '.manage_db'), { mode: 0o700 });
  const { host, port, user, password } = await startEmbeddedServer(workspace);
  const urlOf = (database: string) =>
    `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  const found: string[] = [];
  try {
    const databases = { clinic: CLINIC, one_table: ONE_TABLE };
    for (const [name, statements] of Object.entries(databases)) {
      if (process.env.BENCH_DATABASE !== undefined && process.env.BENCH_DATABASE !== name) continue;
      await fill(urlOf, name, statements);
      writeFileSync(join(workspace, '.env.development'), `DEVELOPMENT_DATABASE_URL='${urlOf(name)}'\n`);
      await withWorkspaceRoot(workspace, async () => {
        reloadConfig('development');
        found.push(...(await compare(name, urlOf(name), workspace)));
      });
    }
    // a part of them would stand there as all of them
    if (process.env.BENCH_DATABASE === undefined && process.env.BENCH_COMPRESSIONS === undefined)
      writeSection('Backups (`npm run bench`)', [header(), '', ...found.map((line) => `- ${line}`)]);
  } finally {
    await closeEngines();
    await withWorkspaceRoot(workspace, () => stopEmbeddedServer(workspace));
    rmSync(workspace, { recursive: true, force: true });
  }
}

function header(): string {
  return `${machine()}, ${PAIRS} interleaved pairs: the median of the ratios, and each of them.`;
}

async function fill(urlOf: (database: string) => string, name: string, statements: readonly string[]): Promise<void> {
  const admin = new pg.Client({ connectionString: urlOf('postgres') });
  await admin.connect();
  await admin.query(`create database ${name} template template0`);
  await admin.end();
  const client = new pg.Client({ connectionString: urlOf(name) });
  await client.connect();
  for (const part of statements) await client.query(part);
  await client.query('vacuum analyze');
  await client.query('checkpoint');
  const { rows } = await client.query<{ size: string }>(
    'select pg_size_pretty(pg_database_size(current_database())) as size',
  );
  process.stdout.write(`${name}: ${rows[0]?.size}, ${availableParallelism()} processors\n`);
  await client.end();
}

async function compare(name: string, url: string, workspace: string): Promise<readonly string[]> {
  const lines: string[] = [];
  const { pgDump, version } = await findClientTools();
  const reference = join(workspace, 'reference.pgdump');
  const dump = (): void => {
    const { status } = spawnSync(pgDump, ['--format=custom', `--file=${reference}`, `--dbname=${url}`], {
      stdio: 'inherit',
    });
    if (status !== 0) throw new Error('pg_dump failed');
  };
  for (const compress of COMPRESSIONS) {
    const pairs: { readonly theirs: number; readonly ours: number; readonly size: number; readonly said: string }[] =
      [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const theirs = await elapsed(async () => dump());
      const start = performance.now();
      const { path, sizeBytes, manifest } = await backupDatabase({ env: 'development', compress });
      const ours = performance.now() - start;
      pairs.push({ theirs, ours, size: sizeBytes / statSync(reference).size, said: manifest.compression });
      rmSync(path, { recursive: true });
      rmSync(reference);
    }
    const speeds = pairs.map(({ theirs, ours }) => theirs / ours).sort((a, b) => a - b);
    const [first] = pairs;
    const line =
      `${name}: create-backup (${first?.said}) is ${median(speeds).toFixed(2)}x as fast as pg_dump ${version} -Fc (${speeds.map((speed) => speed.toFixed(2)).join(', ')}; ` +
      `${Math.round(median(pairs.map(({ ours }) => ours)))} ms and ${Math.round(median(pairs.map(({ theirs }) => theirs)))} ms), its size ${first?.size.toFixed(2)} of it`;
    process.stdout.write(`${line}\n`);
    lines.push(line);
  }
  return lines;
}

async function elapsed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

await main();
