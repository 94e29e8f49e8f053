import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import pg from 'pg';
import type { ConnectionSettings } from '../../app/config/connection-settings.js';
import { registerSecret } from '../../app/config/redaction.js';
import { installCommand } from '../../app/services/client-tools/install-command.js';
import {
  type ClientTools,
  dumpSingleFile,
  findClientTools,
  listClientTools,
  runClientTool,
} from '../../app/services/client-tools.js';
import { type EmbeddedServer, startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { failureOf } from '../support/failure-of.js';

const ENSURE = fileURLToPath(new URL('../../scripts/dev/ensure-client-tools.mjs', import.meta.url));
/** Other tests, and their canaries, are at work on this machine. */
const CANARY = 'canary-of-the-tools';
const PASSWORD = `${CANARY}:7\\b@%/ "x#`;
const STRAYS = ['PGHOSTADDR', 'PGOPTIONS', 'PGSERVICE', 'PGDATABASE', 'PGPASSWORD', 'LC_ALL'];

describe('the PostgreSQL client tools', () => {
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync('/var/tmp/manage_db-tools-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  describe('finding them', () => {
    it('finds the real programs of this machine, not the scripts around them', async () => {
      const found = await listClientTools({ binDir: null });
      expect(found).not.to.deep.equal([]);
      for (const tools of found) {
        expect(tools.version).to.match(/^\d+/);
        for (const path of [tools.pgDump, tools.pgRestore, tools.psql]) {
          expect(readFileSync(path).subarray(0, 2).toString(), path).not.to.equal('#!');
        }
      }
      expect(new Set(found.map((tools) => tools.folder)).size).to.equal(found.length);
    });

    it('takes those of the server, else the next newer ones, never older ones', async () => {
      const { major } = await findClientTools({ binDir: null });
      expect((await findClientTools({ binDir: null, serverMajor: major })).major).to.equal(major);
      expect((await findClientTools({ binDir: null, serverMajor: 10 })).major).to.be.at.least(10);
      const error = await failureOf(findClientTools({ binDir: null, serverMajor: 99 }));
      expect(error.code).to.equal('CLIENT_TOOLS_MISSING');
      expect(error.message).to.match(/it is version 99, and older tools cannot .* Found: \d+/);
      expect(error.hint).to.include('Install them: ');
    });

    it('uses nothing but PG_BIN_DIR when it is given', async () => {
      const error = await failureOf(findClientTools({ binDir: folder }));
      expect(error.message).to.include(`PG_BIN_DIR (${folder}) has no PostgreSQL client tools`);
      const { folder: real } = await findClientTools({ binDir: null });
      expect((await findClientTools({ binDir: real })).folder).to.equal(real);
    });

    it('passes over a folder that has only some of them', async () => {
      const { pgDump } = await findClientTools({ binDir: null });
      symlinkSync(pgDump, join(folder, 'pg_dump'));
      expect(await listClientTools({ binDir: null, path: folder, packageFolders: [] })).to.deep.equal([]);
      expect((await failureOf(findClientTools({ binDir: null, path: '', packageFolders: [] }))).message).to.include(
        'This machine has no PostgreSQL client tools',
      );
    });

    it('names the command of each system', () => {
      const on = (osRelease: string) => installCommand(16, { platform: 'linux', osRelease });
      expect(on('ID=debian')).to.include('apt-get install -y postgresql-client-16');
      expect(on('ID=linuxmint\nID_LIKE="ubuntu debian"')).to.include('postgresql-client-16');
      expect(on('ID="rocky"\nID_LIKE="rhel centos fedora"')).to.include('dnf install -y postgresql16');
      expect(on('ID=alpine')).to.include('apk add postgresql16-client');
      expect(on('ID=haiku')).to.include('https://www.postgresql.org/download/');
      expect(installCommand(16, { platform: 'darwin' })).to.equal('brew install postgresql@16');
    });
  });

  describe('running them', () => {
    let server: EmbeddedServer;
    let root: string;
    let tools: ClientTools;
    let settings: ConnectionSettings;
    const strays = new Map<string, string | undefined>();

    before(async () => {
      root = realpathSync(mkdtempSync('/var/tmp/manage_db-tools-server-'));
      server = await startEmbeddedServer(root);
      tools = await findClientTools({ serverMajor: 15 });
      registerSecret(PASSWORD);
      await admin(`create role "o'tool" login superuser password ${pg.escapeLiteral(PASSWORD)}`);
      for (const name of STRAYS) strays.set(name, process.env[name]);
    });

    after(async () => {
      await stopEmbeddedServer(root);
      rmSync(dirname(server.dataDirectory), { recursive: true, force: true });
      rmSync(root, { recursive: true, force: true });
    });

    beforeEach(() => {
      settings = settingsFor("o'tool", PASSWORD);
      process.env.TMPDIR = folder;
    });

    afterEach(() => {
      delete process.env.TMPDIR;
      for (const [name, value] of strays) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });

    it('reaches the server with a password full of colons and backslashes, by a file that is gone afterwards', async () => {
      expect(await ask('select current_user')).to.equal("o'tool");
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('keeps the password out of every argument and in a file for its owner only, while it runs', async () => {
      const running = ask('select pg_sleep(1)');
      await sleep(500);
      const [passFolder = ''] = readdirSync(folder);
      expect(statSync(join(folder, passFolder)).mode & 0o777).to.equal(0o700);
      expect(statSync(join(folder, passFolder, 'passfile')).mode & 0o777).to.equal(0o600);
      if (existsSync('/proc/self/cmdline')) expect(everyCommandLine()).not.to.include(CANARY);
      await running;
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('lets no stray variable send it elsewhere', async () => {
      Object.assign(process.env, {
        PGHOSTADDR: '203.0.113.1',
        PGSERVICE: 'nowhere',
        PGOPTIONS: '-c default_transaction_read_only=on',
        PGDATABASE: 'elsewhere',
        PGPASSWORD: 'wrong',
        LC_ALL: 'C',
      });
      expect(await ask(`select current_database() || current_setting('default_transaction_read_only')`)).to.equal(
        'postgresoff',
      );
      expect(await ask(`select current_setting('work_mem')`, { ...settings, options: '-c work_mem=7MB' })).to.equal(
        '7MB',
      );
    });

    it('uses the password file of the settings, and asks nobody when there is none', async () => {
      const passfile = join(folder, 'own-passfile');
      writeFileSync(passfile, `*:*:*:*:${PASSWORD.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
      expect(await ask('select 1', { ...settings, password: null, passfile })).to.equal('1');
      const error = await failureOf(ask('select 1', { ...settings, password: null, passfile: join(folder, 'none') }));
      expect(error.message).to.include('no password supplied');
    });

    it('says what the tool said when it fails, without the password', async () => {
      const error = await failureOf(
        ask(`select 'postgresql://me:secret@host/x' from nowhere where 'password=hunter2' = ''`),
      );
      expect(error.code).to.equal('CLIENT_TOOL_FAILED');
      expect(error.message).to.include('psql ended with code 1').and.include('relation "nowhere" does not exist');
      const told = JSON.stringify([error.message, error.details]);
      expect(told).not.to.include('hunter2').and.not.to.include('canary').and.not.to.include('me:secret');
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('ends the tool when it is aborted', async () => {
      const since = Date.now();
      const error = await failureOf(ask('select pg_sleep(30)', settings, AbortSignal.timeout(400)));
      expect(error.code).to.equal('INTERRUPTED');
      expect(Date.now() - since).to.be.lessThan(5000);
      expect(readdirSync(folder)).to.deep.equal([]);
      expect((await failureOf(ask('select 1', settings, AbortSignal.abort()))).code).to.equal('INTERRUPTED');
    });

    it('ends the tool when whoever hears what it says throws', async () => {
      const since = Date.now();
      const running = runClientTool(
        tools.psql,
        ['--command=do $$ begin raise notice $n$said$n$; perform pg_sleep(30); end $$'],
        {
          settings,
          onStderr: () => {
            throw new Error('nothing wants to be heard');
          },
        },
      );
      const error: unknown = await running.catch((thrown: unknown) => thrown);
      expect(error).to.be.an('error').with.property('message', 'nothing wants to be heard');
      expect(Date.now() - since).to.be.lessThan(20_000);
    });

    it('refuses a password that no password file can hold', async () => {
      const error = await failureOf(ask('select 1', { ...settings, password: 'two\nlines' }));
      expect(error.code).to.equal('INVALID_CONFIGURATION');
      expect(error.message).not.to.include('two');
    });

    it('dumps one file through pg-dump-restore, whatever database and login are called', async () => {
      const database = 'db?options=-c x=y #@ü';
      await admin(`create database ${pg.escapeIdentifier(database)}`);
      const filePath = join(folder, 'dump.sql');
      Object.assign(process.env, { PGHOSTADDR: '203.0.113.1', PGOPTIONS: '-c nonsense=on' });
      await dumpSingleFile(tools.pgDump, {
        settings: { ...settings, database },
        filePath,
        format: 'plain',
        options: {},
      });
      expect(readFileSync(filePath, 'utf8')).to.include('PostgreSQL database dump complete');
      expect(statSync(filePath).mode & 0o777).to.equal(0o600);

      const error = await failureOf(
        dumpSingleFile(tools.pgDump, {
          settings: settingsFor("o'tool", 'canary-wrong'),
          filePath,
          format: 'plain',
          options: {},
        }),
      );
      expect(error.message).to.include('password authentication failed').and.not.to.include('canary');
      expect(readdirSync(folder)).to.deep.equal(['dump.sql']);
    });

    function ask(sql: string, as: ConnectionSettings = settings, signal?: AbortSignal): Promise<string> {
      const args = ['--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1', `--command=${sql}`];
      return runClientTool(tools.psql, args, { settings: as, signal }).then(({ stdout }) => stdout);
    }

    function settingsFor(user: string, password: string): ConnectionSettings {
      return {
        environment: 'testing',
        server: 'external',
        hosts: [{ host: '127.0.0.1', port: server.port }],
        user,
        database: 'postgres',
        password,
        passfile: null,
        ssl: { mode: 'disable', rootCert: null, cert: null, key: null },
        targetSessionAttrs: 'any',
        connectTimeoutMs: 5000,
        applicationName: 'manage_db test',
        options: null,
        pgBinDir: null,
        pool: { max: 1, idleTimeoutMs: 0, statementTimeoutMs: 0, lockTimeoutMs: 0, idleInTransactionTimeoutMs: 0 },
      };
    }

    async function admin(sql: string): Promise<void> {
      const { user, password, port } = server;
      const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' });
      await client.connect();
      await client.query(sql);
      await client.end();
    }
  });

  describe('seeing to it that they are there', () => {
    it('says nothing when they are', async () => {
      expect(await ensure({ PATH: process.env.PATH ?? '' })).to.deep.equal({ code: 0, stdout: '', stderr: '' });
    });

    it('stops with what to do where nothing can be installed', async () => {
      const { code, stderr } = await ensure({ PATH: folder, CLIENT_TOOLS_FOLDERS: `${folder}/*/bin` });
      expect(code).to.equal(1);
      expect(stderr).to.include('None were found.').and.include('https://www.postgresql.org/download/');
    });

    it('names the command where somebody else has to type it', async function () {
      if (process.getuid?.() !== 0) skipWithoutRoot(this);
      program('apt-get', 'exit 0');
      program('apt-cache', 'echo "  Candidate: 15+248"');
      const { code, stderr } = await ensure({ PATH: folder, CLIENT_TOOLS_FOLDERS: `${folder}/*/bin` }, 65_534);
      expect(code).to.equal(1);
      expect(stderr).to.include(
        'Type:\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql-client',
      );
    });

    it("tells about PostgreSQL's own packages where the system's are too old", async () => {
      program('apt-get', 'exit 0');
      program('apt-cache', 'echo "  Candidate: 13+225+deb11u1"');
      const { code, stderr } = await ensure({ PATH: folder, CLIENT_TOOLS_FOLDERS: `${folder}/*/bin` });
      expect(code).to.equal(1);
      expect(stderr).to.include('version 13: too old').and.include('apt.postgresql.org.sh');
    });

    it('installs them where it can, saying so first, and looks whether they are there then', async function () {
      if (process.getuid?.() !== 0) skipWithoutRoot(this);
      const { folder: real } = await findClientTools({ binDir: null });
      const packages = join(folder, 'packages');
      mkdirSync(packages);
      program('apt-get', `[ "$1" != install ] || ln -s ${real} ${packages}/15`);
      program('ln', `exec /bin/ln "$@"`);
      const env = { PATH: folder, CLIENT_TOOLS_FOLDERS: `${packages}/*` };
      const { code, stderr } = await ensure(env);
      expect(code).to.equal(0);
      expect(stderr).to.include('Installing them: apt-get update && apt-get install -y');

      rmSync(packages, { recursive: true });
      expect((await ensure(env)).code).to.equal(1);
    });

    function program(name: string, script: string): void {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }

    async function ensure(env: Record<string, string>, uid?: number) {
      // another user may not be able to enter the folders of Node and of this project
      const node = uid === undefined ? process.execPath : join(folder, 'node');
      const script = uid === undefined ? ENSURE : join(folder, 'ensure.mjs');
      if (uid !== undefined) {
        copyFileSync(process.execPath, node);
        copyFileSync(ENSURE, script);
        chmodSync(folder, 0o755);
      }
      const identity = uid === undefined ? {} : { uid, gid: uid };
      try {
        return { code: 0, ...(await promisify(execFile)(node, [script], { env, cwd: '/', ...identity })) };
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
        return { code, stdout, stderr };
      }
    }
  });
});

function everyCommandLine(): string {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const lines = processes.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  });
  expect(lines.join('\n')).to.include('psql');
  return lines.join('\n');
}

/** Skips the test and says why. */
function skipWithoutRoot(context: Mocha.Context): void {
  process.stdout.write('      skipped: only root can install packages or become another user\n');
  context.skip();
}
