import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { CommandResult } from '../../support/command-line.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { filesBelow, processes, watchSecrets } from '../../support/secret-watch.js';
import { stampAs } from '../../support/stamp.js';
import { canMount, mountTmpfs, unmountTmpfs } from '../../support/tmpfs.js';

describe('create-backup, when things go wrong', () => {
  let db: ScratchDatabase;
  let login: string;
  let password: string;
  let workspace: ScratchWorkspace;
  let temporary: string;
  before(async () => {
    db = await scratchDatabase(`
      create table big as select i, repeat(md5(random()::text), 2) || md5(i::text) as filler from generate_series(1, 400000) i;
      alter table big add primary key (i)`);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    login = `watched ${randomBytes(4).toString('hex')}`;
    password = `canary-${randomBytes(8).toString('hex')}: \\b@%/"'x`;
    await onServer((server) =>
      server.query(`create role ${escapeIdentifier(login)} login superuser password ${escapeLiteral(password)}`),
    );
  });
  after(async () => {
    await dropDatabase(db.name);
    await onServer((server) => server.query(`drop role ${escapeIdentifier(login)}`));
  });
  beforeEach(() => {
    const url = new URL(db.url);
    url.username = encodeURIComponent(login);
    url.password = encodeURIComponent(password);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL='${url.href.replaceAll("'", '%27')}'\n` });
    temporary = join(workspace.root, 'tmp');
    mkdirSync(temporary);
  });
  afterEach(() => workspace.remove());

  const backups = () => readdirSync(join(workspace.root, 'backups', 'testing'));
  const create = (flags: readonly string[], onStart: NonNullable<Parameters<typeof workspace.cli>[1]>['onStart']) =>
    workspace.cli(['create-backup', '--env', 'testing', '--verbose', ...flags], {
      env: { TMPDIR: temporary },
      ...(onStart === undefined ? {} : { onStart }),
    });
  const nothingIsLeft = async () => {
    expect(backups()).to.deep.equal([]);
    expect(readdirSync(temporary)).to.deep.equal([]);
    // the server notices within a moment that a session has lost its client
    let sessions: unknown[] = [{}];
    for (let tries = 0; tries < 40 && sessions.length > 0; tries++) {
      if (tries > 0) await sleep(100);
      sessions = await onServer(async (server) => {
        const { rows } = await server.query(`select application_name from pg_stat_activity where datname = $1`, [
          db.name,
        ]);
        return rows;
      });
    }
    expect(sessions).to.deep.equal([]);
    expect(processes().filter(({ line }) => line.includes(workspace.root))).to.deep.equal([]);
    const scratch = await onServer((server) =>
      server.query(`select from pg_database where datname like 'manage_db_scratch%'`),
    );
    expect(scratch.rowCount).to.equal(0);
  };

  for (const [phase, flags] of [
    ['dumping public.big', []],
    ['dumping into one file', ['--format', 'plain']],
    ['computing checksums', []],
    ['verifying checksums', ['--prove']],
    ['creating a scratch database', ['--prove']],
    ['restoring public.big', ['--prove']],
    ['comparing contents', ['--prove']],
    ['analyzing', ['--prove']],
  ] as const) {
    it(`leaves nothing behind after Ctrl-C while it is ${phase} (${flags.join(' ') || 'directory'})`, async () => {
      const interrupted = () =>
        create(flags, (child) => {
          whenSaid(child, phase, () => child.kill('SIGINT'));
        });
      let { code, stderr } = await interrupted();
      // it may come when the backup has its name already: then there is one
      for (let again = 0; code === 0 && again < 2; again++) {
        rmSync(join(workspace.root, 'backups'), { recursive: true });
        ({ code, stderr } = await interrupted());
      }
      expect(stderr).to.include(phase);
      expect(code, stderr).to.equal(130);
      expect(stderr).to.include('No backup was made, and nothing of it was left behind');
      await nothingIsLeft();
    });
  }

  it('leaves nothing behind after a second Ctrl-C, which waits for nothing', async () => {
    const { code, stderr } = await create([], (child) => {
      whenSaid(child, 'dumping public.big', () => child.kill('SIGINT'));
      whenSaid(child, 'Stopping', () => child.kill('SIGINT'));
    });
    expect(code, stderr).to.equal(130);
    await nothingIsLeft();
  });

  it('leaves nothing behind where the disk is full, and says so', async function () {
    if (!canMount()) {
      process.stderr.write('      (no tmpfs can be mounted here: the next test does it with a limit for files)\n');
      return this.skip();
    }
    const folder = join(workspace.root, 'backups');
    mkdirSync(folder);
    mountTmpfs(folder, 'size=2m,mode=0700');
    try {
      for (const format of ['directory', 'custom', 'plain']) {
        const { code, stderr } = await create(['--format', format], undefined);
        expect(code, stderr).to.equal(1);
        expect(stderr).to.include(`There is no room left for a backup in ${folder}.`).and.include('No backup was made');
        await nothingIsLeft();
      }
    } finally {
      unmountTmpfs(folder);
    }
  });

  it('leaves nothing behind where no file may grow that large', async () => {
    for (const format of ['directory', 'custom', 'plain']) {
      const { code, stderr } = await create(['--format', format], limitFileSize);
      expect(code, stderr).to.equal(1);
      expect(stderr).to.include('No backup was made');
      // a worker of pg_dump dies of it, and pg_dump does not know why
      if (format === 'custom') expect(stderr).to.include('There is no room left for a backup in');
      await nothingIsLeft();
    }
  });

  it('shows the password to nobody: in no command line, no environment, and only in a file that goes', async () => {
    const secrets = [password, encodeURIComponent(password), password.replace(/[\\:]/g, '\\$&')];
    const isSecret = (text: string) => secrets.some((secret) => text.includes(secret));
    const results: CommandResult[] = [];
    const { programs, told, files } = await watchSecrets({ secrets, folders: [temporary] }, async () => {
      for (const flags of [[], ['--format', 'plain', '--prove']]) results.push(await create(flags, undefined));
    });
    for (const { code, stderr } of results) expect(code, stderr).to.equal(0);
    // it was really looked at
    expect(programs).to.include.members(['pg_dump', 'psql']);
    expect(files).to.deep.equal(['passfile 600']);
    expect(told).to.deep.equal([]);
    expect(filesBelow(temporary)).to.deep.equal([]);
    for (const path of filesBelow(join(workspace.root, 'backups'))) {
      expect(isSecret(readFileSync(path, 'latin1')), path).to.equal(false);
    }
    expect(results.map(({ stdout, stderr }) => isSecret(stdout + stderr))).to.deep.equal([false, false]);
  });
});

/** As `ulimit -f` does it, for the process and those that it starts. */
function limitFileSize(child: ChildProcess): void {
  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=2000000']);
}

/** Once. */
function whenSaid(child: ChildProcess, words: string, then: () => void): void {
  let said = '';
  const listen = (text: Buffer) => {
    said += text.toString();
    if (!said.includes(words)) return;
    child.stderr?.off('data', listen);
    then();
  };
  child.stderr?.on('data', listen);
}
