import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { CLI, cleanEnvironment } from '../../support/command-line.js';
import { killCommand, sessionsEnded } from '../../support/killed-command.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { filesBelow, watchSecrets } from '../../support/secret-watch.js';
import { stampAs } from '../../support/stamp.js';

const CONTENTS = `
  select md5(string_agg(p::text, ',' order by id)) as contents from public.patients p`;

describe('a backup or a restore that is killed, and a password', () => {
  let db: ScratchDatabase;
  let login: string;
  let password: string;
  let workspace: ScratchWorkspace;
  let temporary: string;
  let home: string;
  let id: string;
  beforeEach(async () => {
    db = await scratchDatabase(`
      create table public.patients (id int primary key, name text);
      insert into public.patients select i, md5(i::text) from generate_series(1, 60000) i`);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    login = `killed_${randomBytes(4).toString('hex')}`;
    password = `canary-${randomBytes(8).toString('hex')}: \\b@%/"'x`;
    await onServer((server) =>
      server.query(`create role ${escapeIdentifier(login)} login superuser password ${escapeLiteral(password)}`),
    );
    const url = new URL(db.url);
    url.username = login;
    url.password = encodeURIComponent(password);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL='${url.href.replaceAll("'", '%27')}'\n` });
    temporary = join(workspace.root, 'tmp');
    home = join(workspace.root, 'home');
    mkdirSync(temporary);
    mkdirSync(home);
    const made = await run('create-backup', '--json');
    id = made.json().data.id;
    await db.query(`insert into public.patients values (-1, 'of today')`);
  });
  afterEach(async () => {
    await workspace.remove();
    for (const name of await databases(`${db.name}_previous_%`)) await dropDatabase(name);
    await dropDatabase(db.name);
    await onServer((server) => server.query(`drop role ${escapeIdentifier(login)}`));
  });

  const environment = () => ({ TMPDIR: temporary, HOME: home });
  const run = async (...line: string[]) => {
    const result = await workspace.cli([...line, '--env', 'testing', '--yes'], { env: environment() });
    expect(result.code, result.stderr).to.equal(0);
    return result;
  };
  const databases = (pattern: string) =>
    onServer(async (server) => {
      const { rows } = await server.query<{ name: string }>(
        'select datname::text as name from pg_database where datname like $1',
        [pattern],
      );
      return rows.map(({ name }) => name);
    });
  const contents = async () => (await db.query<{ contents: string }>(CONTENTS)).rows[0]?.contents;
  const backups = () => readdirSync(join(workspace.root, 'backups', 'testing'));
  const scratch = () =>
    onServer(async (server) => {
      const { rows } = await server.query<{ name: string }>(
        `select datname::text as name from pg_database where datname like 'manage_db_scratch%'
           and datdba in ($1::regrole, (select datdba from pg_database where datname = $2))`,
        [login, db.name],
      );
      return rows.map(({ name }) => name);
    });
  const killedAt = (step: string, afterMs: number, line: readonly string[]) =>
    killCommand([...line, '--env', 'testing'], {
      ...{ cwd: workspace.root, env: environment(), step, afterMs, login },
      mayHaveEnded: step === 'swapping',
    });
  const nothingIsLeft = async () => {
    expect(await scratch()).to.deep.equal([]);
    expect(backups().filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
    expect(readdirSync(temporary)).to.deep.equal([]);
  };

  for (const [step, line] of [
    ['dumping public.patients', ['create-backup']],
    ['restoring public.patients', ['create-backup', '--prove']],
    ['restoring public.patients', ['restore-backup', 'ID']],
    ['dumping public.patients', ['restore-backup', 'ID', '--method', 'transaction']],
    ['computing checksums', ['restore-backup', 'ID', '--method', 'transaction']],
  ] as const) {
    it(`while it is ${step} (${line.join(' ')}) has changed nothing, and the next command clears up`, async () => {
      const before = await contents();
      await killedAt(
        step,
        0,
        line.map((word) => (word === 'ID' ? id : word)),
      );
      expect(await contents()).to.equal(before);
      // what it has left is why the next one has something to do
      expect([
        ...(await scratch()),
        ...backups().filter((name) => name !== id),
        ...readdirSync(temporary),
      ]).to.have.length.of.at.least(1);
      await run('create-backup');
      await nothingIsLeft();
    });
  }

  it('is cleared up by a restore as well, and a password by whatever comes next', async () => {
    await killedAt('restoring public.patients', 0, ['restore-backup', id]);
    expect(await scratch()).to.have.length(1);
    const left = () => filesBelow(temporary).filter((path) => readFileSync(path, 'utf8').includes('canary-'));
    expect(left()).to.have.length(1);
    await run('inspect-db', '--tables');
    expect(readdirSync(temporary)).to.deep.equal([]);
    await run('restore-backup', id, '--method', 'transaction');
    await nothingIsLeft();
  });

  for (const [step, afterMs] of [
    ['carrying the operation log over', 0],
    ['swapping', 0],
    ['swapping', 25],
  ] as const) {
    it(`leaves one database or the other when undo-restore is killed ${afterMs} ms after ${step}`, async () => {
      const before = await contents();
      await run('restore-backup', id, '--keep-previous', '1h');
      const restored = await contents();
      await killedAt(step, afterMs, ['undo-restore']);
      const now = await contents();
      expect([before, restored]).to.include(now);
      if (step !== 'swapping') expect(now).to.equal(restored);
      await run('undo-restore');
      expect(await contents()).to.equal(now === before ? restored : before);
      await nothingIsLeft();
    });
  }

  it('leaves alone what a living process, another user or another machine has there', async () => {
    const mine = mkdtempSync(join(temporary, 'manage_db-work-1-000000000000-000000000000-'));
    const stopped = spawn(process.execPath, [CLI, 'restore-backup', id, '--env', 'testing', '--yes', '--verbose'], {
      cwd: workspace.root,
      env: { ...cleanEnvironment(), ...environment() },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(stopped, 'exit');
    try {
      let said = '';
      for await (const chunk of stopped.stderr ?? []) {
        said += String(chunk);
        if (said.includes('restoring public.patients')) break;
      }
      stopped.kill('SIGSTOP');
      const there = readdirSync(temporary);
      expect(there.length).to.be.greaterThan(1);
      await run('create-backup');
      expect(readdirSync(temporary)).to.have.members(there);
      expect(await scratch()).to.have.length(1);
    } finally {
      stopped.kill('SIGKILL');
      await exited;
    }
    await sessionsEnded(login);
    await run('create-backup');
    expect(readdirSync(temporary).map((name) => join(temporary, name))).to.deep.equal([mine]);
    rmSync(mine, { recursive: true });
    await nothingIsLeft();
  });

  it('is shown to nobody by restores of both methods, proofs and undoing', async () => {
    const secrets = [password, encodeURIComponent(password), password.replace(/[\\:]/g, '\\$&')];
    const output: string[] = [];
    const { programs, told, files } = await watchSecrets({ secrets, folders: [temporary, home] }, async () => {
      for (const line of [
        ['create-backup', '--prove'],
        ['verify-backup', id, '--deep'],
        ['restore-backup', id, '--keep-previous', '1h'],
        ['undo-restore'],
        ['restore-backup', id, '--method', 'transaction'],
      ]) {
        const { stdout, stderr } = await run(...line, '--verbose');
        output.push(stdout, stderr);
      }
    });
    // it was really looked at
    expect(programs).to.include.members(['pg_dump', 'pg_restore', 'psql']);
    expect(files).to.deep.equal(['passfile 600']);
    expect(told).to.deep.equal([]);
    const everywhere = filesBelow(workspace.root).filter((path) => path !== join(workspace.root, '.env.testing'));
    expect(everywhere).to.have.length.of.at.least(5);
    for (const path of everywhere) {
      const text = readFileSync(path, 'latin1');
      for (const secret of secrets) expect(text.includes(secret), path).to.equal(false);
    }
    for (const secret of secrets) expect(output.join('')).not.to.include(secret);
    await nothingIsLeft();
  });
});
