// What the safety of migrations costs: a thousand small ones by the command line, against one psql session that runs the
// same files, each in a transaction of its own. `npx tsx scripts/dev/bench-migrations.ts`
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { machine, median, writeSection } from './bench-results.js';

const MIGRATIONS = 1_000;
const ROUNDS = Number(process.env.BENCH_PAIRS ?? 3);
const CLI = join(import.meta.dirname, '..', '..', 'dist', 'scripts', 'manage_db.js');

const up = (n: number) =>
  n % 2 === 0
    ? `create table t${n} (id bigint generated always as identity primary key, name text not null, seen_at timestamptz);\n`
    : `alter table t${n - 1} add column more text;\ncomment on column t${n - 1}.more is 'what came later';\n`;

async function main(): Promise<void> {
  const workspace = mkdtempSync(join(tmpdir(), 'manage-db-bench-'));
  const { host, port, user, password } = await startEmbeddedServer(workspace);
  const admin = new pg.Client({ host, port, user, password, database: 'postgres' });
  await admin.connect();
  try {
    writeFiles(workspace);
    const times = { ours: [] as number[], applying: [] as number[], psql: [] as number[] };
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const database of ['bench_psql', 'bench_development']) {
        await admin.query(`drop database if exists ${database} with (force)`);
        await admin.query(`create database ${database} template template0`);
      }
      await admin.query('checkpoint');
      const session = { PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password };
      times.psql.push(
        timed('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'bench_psql', '-f', 'all.sql'], workspace, session)
          .took,
      );
      await admin.query('checkpoint');
      const url = `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/bench_development`;
      const line = [CLI, 'apply-db-migration', '--env', 'development', '--yes', '--quiet', '--json'];
      const { took, said } = timed(process.execPath, line, workspace, { DEVELOPMENT_DATABASE_URL: url });
      times.ours.push(took);
      times.applying.push(Number(JSON.parse(said).data.durationMs));
    }
    const words = [
      `${machine()}.`,
      `${MIGRATIONS} small migrations, against one psql session with the same files, each in its own transaction; ${ROUNDS} rounds in turns.`,
      `Applying them: ${ratios(times.applying, times.psql)}. The whole of \`apply-db-migration\`, with its start and its plan:`,
      `${ratios(times.ours, times.psql)}. psql ${seconds(median(times.psql))}, apply-db-migration ${seconds(median(times.ours))}.`,
    ];
    console.log(words.join('\n'));
    writeSection('Migrations', words);
  } finally {
    await admin.end();
    await withWorkspaceRoot(workspace, () => stopEmbeddedServer(workspace));
    rmSync(workspace, { recursive: true, force: true });
  }
}

function writeFiles(workspace: string): void {
  mkdirSync(join(workspace, 'migrations'));
  mkdirSync(join(workspace, 'plain'));
  writeFileSync(join(workspace, 'manage_db.config.json'), '{"name":"bench"}');
  const all: string[] = [];
  for (let n = 0; n < MIGRATIONS; n += 1) {
    const name = `${20_260_000_000_000 + n}_m.sql`;
    writeFileSync(join(workspace, 'migrations', name), `-- migrate:up\n${up(n)}-- migrate:down\nselect 1;\n`);
    writeFileSync(join(workspace, 'plain', name), up(n));
    all.push(`begin;\n\\i plain/${name}\ncommit;`);
  }
  writeFileSync(join(workspace, 'all.sql'), all.join('\n'));
}

function ratios(ours: readonly number[], theirs: readonly number[]): string {
  const each = ours.map((time, round) => time / (theirs[round] ?? Number.NaN));
  return `**${median(each).toFixed(2)}x** (${each.map((ratio) => ratio.toFixed(2)).join(', ')})`;
}

function timed(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): { readonly took: number; readonly said: string } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
    maxBuffer: 100_000_000,
  });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
  return { took: performance.now() - start, said: stdout };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

await main();
