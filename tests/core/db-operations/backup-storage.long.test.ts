import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { workMark } from '../../../app/core/db-operations/backup/repository/work-mark.js';
import type { BackupOptions } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { pruneBackups } from '../../../app/core/db-operations/prune-backups.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { showBackup } from '../../../app/core/db-operations/show-backup.js';
import { verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { shellQuote } from '../../../app/core/shell-quote.js';
import { BUCKET, type S3TestServer, startS3Server } from '../../services/storage/s3-server.js';
import { type BackupWorkspace, backupWorkspace } from '../../support/backup-workspace.js';
import { failureOf } from '../../support/failure-of.js';
import { withClient } from '../../support/scratch-database.js';

const file = new URL('../../../app/core/db-operations/backup.ts', import.meta.url).href;

/** Stops for ever when the dump is stored, so that it can be killed there. */
const PROGRAM = `
  import { backupDatabase } from '${file}';
  await backupDatabase({ env: 'testing', storage: process.env.STORAGE, prove: true,
    onProgress: ({ step }) => {
      if (step !== 'creating a scratch database') return;
      process.stdout.write('stored\\n');
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    } });`;

describe('backups in a storage', () => {
  let workspace: BackupWorkspace;
  let server: S3TestServer;
  let folder: string;
  beforeEach(async () => {
    workspace = await backupWorkspace();
    server = await startS3Server();
    folder = mkdtempSync(join(tmpdir(), 'manage-db-storage-'));
    workspace.write({ '.env': 'AWS_ACCESS_KEY_ID=S3RVER\nAWS_SECRET_ACCESS_KEY=S3RVER\n' });
  });
  afterEach(async () => {
    await workspace.remove();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const bucket = () => `s3://${BUCKET}/db1?endpoint=${encodeURIComponent(server.options.endpoint ?? '')}`;
  const testing = { env: 'testing' } as const;
  const backup = (storage: string, options: BackupOptions = {}) => workspace.backup({ storage, ...options });
  const list = (storage: string) => workspace.run(() => listBackups({ storage }));
  const restore = (storage: string, options: Partial<RestoreOptions> = {}) =>
    workspace.run(() => restoreDatabase({ ...testing, id: 'latest', storage, consent: { yes: true }, ...options }));
  const patients = () =>
    withClient(workspace.database.url, async (client) => {
      const { rows } = await client.query<{ count: number }>('select count(*)::int as count from public.patients');
      return rows[0]?.count;
    });
  /** What lies in the workspace: nothing, when all is done. */
  const local = (): string[] => {
    const backups = join(workspace.root, 'backups');
    if (!existsSync(backups)) return [];
    return readdirSync(backups, { recursive: true, encoding: 'utf8' }).filter((name) => name !== 'testing');
  };

  for (const [kind, place] of [
    ['a bucket', () => bucket()],
    ['a folder', () => folder],
  ] as const) {
    for (const [format, encrypt] of [
      ['custom', undefined],
      ['directory', { passphrase: 'correct horse battery' }],
      ['plain', undefined],
    ] as const) {
      it(`are made in ${kind}, listed, shown, verified, restored and pruned (${format})`, async () => {
        const storage = place();
        const { id, manifest, path } = await backup(storage, { encrypt, ...(format === 'custom' ? {} : { format }) });
        expect(manifest.format).to.equal(format);
        expect(path).to.match(new RegExp(`(^s3://${BUCKET}/db1|^${folder})/testing/${id}$`));
        expect(local()).to.deep.equal([]);
        expect(await list(storage)).to.have.length(1);
        const decrypt = encrypt ?? {};
        const shown = await workspace.run(() => showBackup({ ...testing, id: 'latest', storage }));
        expect(shown).to.include({ id, state: 'complete', verified: false, isWhole: true });
        const verified = await workspace.run(() =>
          verifyBackup({ ...testing, id: 'latest', deep: true, storage, decrypt }),
        );
        expect(verified.isRecorded).to.equal(true);
        const [known] = await list(storage);
        expect(known).to.include({ id, verified: true, path });

        await workspace.database.query('delete from public.patients');
        await restore(storage, { decrypt });
        expect(await patients()).to.equal(500);
        expect([local(), await workspace.scratchDatabases()]).to.deep.equal([[], []]);

        const second = await backup(storage);
        const third = await backup(storage);
        const pruned = await workspace.run(() =>
          pruneBackups({ ...testing, storage, keepLast: 1, consent: { yes: true } }),
        );
        expect(pruned.environments[0]?.removed.map((one) => one.id)).to.deep.equal([second.id]);
        expect((await list(storage)).map((one) => one.id).sort()).to.deep.equal([id, third.id].sort());
      });
    }
  }

  it('are no backups of the workspace, whose own are no backups of the storage', async () => {
    const own = await workspace.backup();
    const stored = await backup(bucket());
    expect((await workspace.run(() => listBackups())).map(({ id }) => id)).to.deep.equal([own.id]);
    expect((await list(bucket())).map(({ id }) => id)).to.deep.equal([stored.id]);
  });

  it('are proven by what was stored, not by what was sent', async () => {
    await backup(bucket(), { prove: true });
    const [proven] = await list(bucket());
    expect(proven).to.include({ verified: true });
    expect(server.requests.some((request) => /^GET .*dump\.pgdump/.test(request))).to.equal(true);
  });

  it('survive connections that are cut, and servers that are busy for a while', async () => {
    server.fault = (request, attempt) =>
      attempt === 1 && /dump\.pgdump/.test(request)
        ? request.startsWith('GET')
          ? 'cut answer'
          : 'unavailable'
        : 'none';
    await workspace.database.query(
      'insert into public.patients (name) select md5(i::text) || md5((i + 1)::text) from generate_series(1, 60000) i',
    );
    await backup(bucket());
    await workspace.database.query('delete from public.patients');
    await restore(bucket());
    expect(await patients()).to.equal(60_500);
  });

  it('are not made where the storage refuses, and nothing stays there or here', async () => {
    server.fault = (request) => (/^(PUT|POST) .*globals/.test(request) ? 'forbidden' : 'none');
    const failure = await failureOf(backup(bucket()));
    expect(failure.message).to.match(/No backup was made, and nothing of it was left behind/);
    expect([await list(bucket()), local(), server.uploads()]).to.deep.equal([[], [], 0]);
  });

  it('leave nothing behind when the dump fails or is interrupted', async () => {
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    const interrupted = await failureOf(
      backup(bucket(), {
        prove: true,
        signal: controller.signal,
        onProgress: ({ step }) => (step === 'creating a scratch database' ? stop() : undefined),
      }),
    );
    expect(interrupted.code).to.equal('INTERRUPTED');
    await workspace.database.query('alter table public.patients owner to postgres');
    expect([await list(bucket()), local(), await workspace.scratchDatabases()]).to.deep.equal([[], [], []]);
  });

  it('are refused when the storage has changed or lost a byte of them, before the target is touched', async () => {
    const { id } = await backup(bucket());
    await workspace.database.query('insert into public.patients (name) values ($$new$$)');
    server.damage((content) => {
      if (!content.includes('PGDMP')) return content;
      const flipped = Buffer.from(content);
      flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 1;
      return flipped;
    });
    const failure = await failureOf(restore(bucket(), { id }));
    expect(failure.code).to.equal('BACKUP_INVALID');
    expect(failure.message)
      .to.include('dump.pgdump')
      .and.match(/was not changed/);
    expect(await patients()).to.equal(501);
    const invalid = await failureOf(workspace.run(() => verifyBackup({ ...testing, id, storage: bucket() })));
    expect(invalid.code).to.equal('BACKUP_INVALID');
    expect(local()).to.deep.equal([]);
  });

  it('whose process was killed are shown as incomplete, never restored, and swept by the next', async () => {
    const child = start(bucket());
    for await (const text of child.stdout ?? []) if (String(text).includes('stored')) break;
    const [running] = await list(bucket());
    expect(running).to.include({ state: 'incomplete', worker: 'running' });
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const [killed] = await list(bucket());
    expect(killed).to.include({ state: 'incomplete', worker: 'gone' });
    expect((await failureOf(restore(bucket()))).code).to.equal('NOT_FOUND');
    const next = await backup(bucket());
    expect((await list(bucket())).map(({ id }) => id)).to.deep.equal([next.id]);
    expect(local()).to.deep.equal([]);
  });
  const start = (storage: string): ChildProcess =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM], {
      env: { ...process.env, MANAGE_DB_WORKSPACE: workspace.root, STORAGE: storage },
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  it('that somebody makes on another machine of the same name stay, until nobody can be making them', async () => {
    const { id } = await backup(folder);
    const place = join(folder, 'testing', id);
    rmSync(join(place, 'manifest.json'));
    const mark = JSON.parse(workMark());
    writeFileSync(
      join(place, '.work.json'),
      JSON.stringify({ ...mark, run: `another-start/${mark.run.split('/')[1]}` }),
    );
    await backup(folder);
    expect(await list(folder)).to.have.length(2);
    const longAgo = new Date(Date.now() - 8 * 24 * 3_600_000);
    for (const name of readdirSync(place)) utimesSync(join(place, name), longAgo, longAgo);
    await backup(folder);
    expect((await list(folder)).map(({ state }) => state)).to.deep.equal(['complete', 'complete']);
  });

  it('are not said to be there when they were removed by half, and what is left of them keeps nobody from the next', async () => {
    const { id } = await backup(bucket());
    await backup(bucket());
    server.fault = (request) => (/^DELETE .*dump\.pgdump/.test(request) ? 'forbidden' : 'none');
    const failure = await failureOf(
      workspace.run(() => pruneBackups({ ...testing, storage: bucket(), keepLast: 1, consent: { yes: true } })),
    );
    expect(failure.code).to.equal('PERMISSION_DENIED');
    expect(failure.message).to.include(`${id} is no backup any more`).and.include('No other backup was removed');
    const next = await backup(bucket());
    const left = await list(bucket());
    expect(left.map(({ state }) => state)).to.deep.equal(['complete', 'complete', 'incomplete']);
    expect([left[0]?.id, left[2]?.id]).to.deep.equal([next.id, id]);
  });

  it('are not looked for with half a key', async () => {
    workspace.write({ '.env': 'AWS_ACCESS_KEY_ID=S3RVER\n' });
    const failure = await failureOf(list(bucket()));
    expect([failure.code, failure.hint]).to.deep.equal([
      'INVALID_CONFIGURATION',
      'Set AWS_SECRET_ACCESS_KEY, or neither of them.',
    ]);
  });

  it('are refused where the location is none, with a hint', async () => {
    for (const [storage, says] of [
      ['ftp://host/x', /folder or s3/],
      ['s3://user:secret-key@bucket/x', /no user and no password/],
      ['s3://bucket/x?endpoint=https://user:secret-key@host', /no user and no password/],
      ['s3://bucket/x?acl=public', /acl/],
      ['', /folder or s3/],
    ] as const) {
      const failure = await failureOf(backup(storage));
      expect(failure.code, storage).to.equal('USAGE');
      expect(failure.message).to.match(says).and.not.include('secret-key');
    }
    server.fault = () => 'forbidden';
    expect((await failureOf(list(bucket()))).code).to.equal('PERMISSION_DENIED');
  });

  it('are made and used by the command line, which shows no secret', async () => {
    const storage = ['--storage', bucket(), '--env', 'testing'];
    const made = await workspace.cli(['create-backup', ...storage]);
    expect(made.code, made.stderr).to.equal(0);
    expect(made.stdout).to.include(`--storage ${shellQuote(bucket())}`);
    const listed = await workspace.cli(['list-all-backups', ...storage, '--json']);
    expect(listed.json().data.backups[0]).to.include({ environment: 'testing', state: 'complete' });
    const shown = await workspace.cli(['show-backup', 'latest', ...storage]);
    expect(shown.stdout).to.include(`s3://${BUCKET}/db1/testing/`);
    const verified = await workspace.cli(['verify-backup', 'latest', ...storage]);
    expect(verified.code, verified.stderr).to.equal(0);
    const restored = await workspace.cli(['restore-backup', 'latest', ...storage, '--yes']);
    expect(restored.code, restored.stderr).to.equal(0);
    const kept = await workspace.cli(['restore-backup', 'latest', ...storage, '--yes', '--keep-previous', '1h']);
    expect(kept.stdout).to.match(/undo-restore \S+_previous_\S+ --env testing/);
    const planned = await workspace.cli(['prune-backups', '--keep-last', '1', ...storage]);
    expect(planned.code, planned.stderr).to.equal(0);
    const everything = [made, listed, shown, verified, restored, planned].map(({ stdout, stderr }) => stdout + stderr);
    expect(everything.join('')).to.not.include('S3RVER');
  });
});
