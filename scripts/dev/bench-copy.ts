// What copies take, as ratios to what a user would type instead, in turns: times, end states that are equal, and our memory.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { build } from 'esbuild';
import pg from 'pg';
import type { ConnectionSettings } from '../../app/config/connection-settings.js';
import { getConfig, reloadConfig } from '../../app/config/db-config.js';
import { copyDatabase } from '../../app/core/db-operations/copy.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { findClientTools } from '../../app/services/client-tools.js';
import { closeEngines } from '../../app/services/database-service.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { CLINIC, ONE_TABLE } from './bench-databases.js';
import { machine, median, writeSection } from './bench-results.js';

const ROOT = join(import.meta.dirname, '..', '..');
const ROUNDS = Number(process.env.BENCH_PAIRS ?? 3);
const JOBS = Number(process.env.BENCH_JOBS ?? availableParallelism());
const SCRATCH = 'bench_scratch';

/** Real databases have more than keys. */
const MORE = [
  `alter table visits add foreign key (patient_id) references patients;
   create index on visits (started_at);
   create index on notes (visit_id);
   create index on results (code, measured_at);
   create index on results using gin (details jsonb_path_ops);
   create index on invoices (patient_id)`,
];

/** What memory could grow with; these are only copied by us. */
const LARGE: Readonly<Record<string, readonly string[]>> = {
  many_tables: Array.from(
    { length: 20 },
    (_, part) => `do $$ begin
      for n in ${part * 250 + 1} .. ${part * 250 + 250} loop
        execute format('create table t%s (id int primary key, name text not null, at timestamptz default now(), refers int references t%s)', n, greatest(n - 1, 1));
        execute format('create index on t%s (name)', n);
        execute format('insert into t%s (id, name) values (1, %L)', n, 'x');
      end loop; end $$`,
  ),
  large_objects: [`select count(lo_from_bytea(0, decode(md5(n::text), 'hex'))) from generate_series(1, 50000) n`],
  wide_rows: [
    'create table wide (id int primary key, body text)',
    'alter table wide alter body set storage external',
    `insert into wide select n, repeat(md5(n::text), ${(20 << 20) / 32}) from generate_series(1, 50) n`,
  ],
};

const MOST_MEMORY_MB = 200;

interface Way {
  readonly name: string;
  /** Milliseconds, where it measures itself. */
  readonly run: () => Promise<number | null>;
}

/** What a process of its own says about its copy. */
interface Streamed {
  readonly ms: number;
  readonly peakMb: number;
}

async function main(): Promise<void> {
  const workspace = mkdtempSync(join(tmpdir(), 'manage-db-bench-'));
  chmodSync(workspace, 0o755);
  mkdirSync(join(workspace, '.manage_db'), { mode: 0o700 });
  const { host, port, user, password } = await startEmbeddedServer(workspace);
  const urlOf = (database: string) =>
    `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  const found: string[] = [];
  try {
    const databases = { clinic: [...CLINIC, ...MORE], one_table: ONE_TABLE, ...LARGE };
    for (const [name, statements] of Object.entries(databases)) {
      if (process.env.BENCH_DATABASE !== undefined && process.env.BENCH_DATABASE !== name) continue;
      await fill(urlOf, name, statements);
      writeFileSync(join(workspace, '.env.development'), `DEVELOPMENT_DATABASE_URL='${urlOf(name)}'\n`);
      writeFileSync(join(workspace, '.env.testing'), `TESTING_DATABASE_URL='${urlOf(SCRATCH)}'\n`);
      const lines = await withWorkspaceRoot(workspace, () => {
        reloadConfig('development');
        return compare(name, urlOf, workspace);
      });
      found.push(...lines.map((line) => `- ${line}`));
      for (const line of lines) process.stdout.write(`${line}\n`);
      await withClient(urlOf('postgres'), (admin) => admin.query(`drop database ${name}`));
    }
    // a part of them would stand there as all of them
    if (process.env.BENCH_DATABASE === undefined) writeSection('Copies (`npm run bench`)', [header(), '', ...found]);
  } finally {
    await closeEngines();
    await withWorkspaceRoot(workspace, () => stopEmbeddedServer(workspace));
    rmSync(workspace, { recursive: true, force: true });
  }
}

/** In a process of its own, bundled as the command line is: its memory is nothing else's. */
async function bundled(): Promise<string> {
  const outfile = join(ROOT, 'dist', 'bench', 'stream-once.js');
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['scripts/dev/stream-once.ts'],
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20.19', packages: 'external' },
  });
  return outfile;
}

function streamApart(file: string, settings: ConnectionSettings): Streamed {
  const copy = {
    ...{ source: settings, target: settings, scratch: SCRATCH, sourceMajor: 15, targetMajor: 15, jobs: JOBS },
    ...(process.env.BENCH_REHEARSE === undefined ? {} : { rehearse: true }),
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
    env: { ...process.env, BENCH_STREAM: JSON.stringify(copy) },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`The copy failed: ${stderr}`);
  return JSON.parse(stdout);
}

function header(): string {
  return `${machine()}, ${ROUNDS} interleaved pairs: the median of the ratios, and each of them.`;
}

async function compare(
  name: string,
  urlOf: (database: string) => string,
  workspace: string,
): Promise<readonly string[]> {
  const lines: string[] = [];
  const { connection } = await getConfig('development');
  const file = await bundled();
  let mostMemory = 0;
  const ours: Way = {
    name: `stream copy, ${JOBS} jobs`,
    run: async () => {
      const { ms, peakMb } = streamApart(file, connection);
      mostMemory = Math.max(mostMemory, peakMb);
      return ms;
    },
  };
  const isOnlyOurs = name in LARGE;
  const ways = isOnlyOurs ? [ours] : [ours, TEMPLATE, ...(await others(urlOf(name), urlOf(SCRATCH), workspace))];
  const times = new Map<string, number[]>(ways.map((way) => [way.name, []]));
  const contents = new Set<string>();
  for (let round = 0; round < (isOnlyOurs ? 1 : ROUNDS); round++) {
    // in turns, and each of them first once
    for (let index = 0; index < ways.length; index++) {
      const way = ways[(index + round) % ways.length];
      if (way === undefined) continue;
      await renew(urlOf);
      const start = performance.now();
      const took = (await way.run()) ?? performance.now() - start;
      times.get(way.name)?.push(took);
      process.stdout.write(`  ${name}, round ${round + 1}: ${way.name}: ${Math.round(took)} ms\n`);
      contents.add(await contentOf(urlOf(SCRATCH)));
    }
  }
  if (isOnlyOurs) contents.add(await contentOf(urlOf(name)));
  const own = times.get(ours.name) ?? [];
  const byTemplate = times.get(TEMPLATE.name) ?? [];
  for (const [way, theirs] of times) {
    if (way !== ours.name) lines.push(ratioLine(name, { way: 'the stream copy', own }, { way, theirs }));
    if (way.startsWith('pg')) lines.push(ratioLine(name, { way: TEMPLATE.name, own: byTemplate }, { way, theirs }));
  }
  lines.push(
    `${name}: ${contents.size === 1 ? 'equal' : 'DIFFERENT'} end states; our process took ${Math.round(mostMemory)} MB at most`,
  );
  if (contents.size !== 1 || mostMemory > MOST_MEMORY_MB) process.exitCode = 1;
  return lines;
}

function ratioLine(
  name: string,
  { way: ourWay, own }: { readonly way: string; readonly own: readonly number[] },
  { way, theirs }: { readonly way: string; readonly theirs: readonly number[] },
): string {
  const ratios = theirs.map((one, round) => one / (own[round] ?? 1)).sort((a, b) => a - b);
  const each = ratios.map((ratio) => ratio.toFixed(2)).join(', ');
  return `${name}: ${ourWay} is ${median(ratios).toFixed(2)}x as fast as ${way} (${each}; ${Math.round(median(own))} ms and ${Math.round(median(theirs))} ms)`;
}

/** All of the command: plan, scratch database, checks, records, swap. */
const TEMPLATE: Way = {
  name: 'copy-db by template',
  run: async () => {
    const copy = { from: 'development', to: 'testing', strategy: 'template', consent: { yes: true } } as const;
    const { durationMs } = await copyDatabase(copy);
    await closeEngines();
    return durationMs;
  },
};

/** All of them analyze in the end, as the copy does. */
async function others(source: string, target: string, workspace: string): Promise<Way[]> {
  const { pgDump, pgRestore, folder } = await findClientTools();
  const shell = (command: string) => async (): Promise<null> => {
    const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      env: { ...process.env, SOURCE: source, TARGET: target },
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
    return null;
  };
  const analyze = `${join(folder, 'vacuumdb')} --quiet --analyze-only --jobs=${JOBS} --dbname="$TARGET"`;
  const dump = join(workspace, 'dump');
  const ways = [
    {
      name: 'pg_dump -Fc | pg_restore',
      run: shell(`${pgDump} -Fc -Z0 "$SOURCE" | ${pgRestore} --dbname="$TARGET" && ${analyze}`),
    },
    {
      name: `pg_dump -Fd -j${JOBS} -Z1, pg_restore -j${JOBS}`,
      run: shell(
        `rm -rf ${dump}; ${pgDump} -Fd -j${JOBS} -Z1 -f ${dump} "$SOURCE" && ${pgRestore} -j${JOBS} --dbname="$TARGET" ${dump} && ${analyze}`,
      ),
    },
  ];
  if (spawnSync('pgcopydb', ['--version']).status !== 0) {
    process.stdout.write('pgcopydb is not installed: apt-get install pgcopydb\n');
    return ways;
  }
  const work = join(workspace, 'pgcopydb');
  return [
    ...ways,
    {
      name: `pgcopydb clone, ${JOBS} + ${JOBS} jobs`,
      run: shell(
        `rm -rf ${work}; pgcopydb clone --source "$SOURCE" --target "$TARGET" --table-jobs ${JOBS} --index-jobs ${JOBS} --dir ${work} >${work}.log 2>&1`,
      ),
    },
  ];
}

async function renew(urlOf: (database: string) => string): Promise<void> {
  await withClient(urlOf('postgres'), async (admin) => {
    await admin.query(`drop database if exists ${SCRATCH} with (force)`);
    await admin.query(`create database ${SCRATCH} template template0`);
    await admin.query('checkpoint');
  });
}

/** The rows of each table, and what is made on it. */
async function contentOf(url: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ content: string }>(`
      select string_agg(t.line, e'\\n' order by t.line) as content from (
        select c.relname || (xpath('/row/c/text()', query_to_xml('select count(*) as c from ' || c.oid::regclass, false, true, '')))[1]::text as line
        from pg_class c where relkind = 'r' and relnamespace = 'public'::regnamespace
        union all select pg_get_indexdef(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = 'public'::regnamespace
        union all select pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
        union all select 'large objects: ' || count(*) || ', ' || coalesce(md5(string_agg(md5(lo_get(oid)), '' order by oid)), '') from pg_largeobject_metadata) t`);
    return rows[0]?.content ?? '';
  });
}

async function fill(urlOf: (database: string) => string, name: string, statements: readonly string[]): Promise<void> {
  await withClient(urlOf('postgres'), (admin) => admin.query(`create database ${name} template template0`));
  await withClient(urlOf(name), async (client) => {
    for (const part of statements) await client.query(part);
    await client.query('vacuum analyze');
    await client.query('checkpoint');
    const { rows } = await client.query<{ size: string }>(
      'select pg_size_pretty(pg_database_size(current_database())) as size',
    );
    process.stdout.write(`${name}: ${rows[0]?.size}, ${availableParallelism()} processors\n`);
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

await main();
