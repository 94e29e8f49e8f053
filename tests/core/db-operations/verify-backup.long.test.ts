import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { BackupResult } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { showBackup } from '../../../app/core/db-operations/show-backup.js';
import { type VerifyBackupOptions, verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { type BackupWorkspace, backupWorkspace } from '../../support/backup-workspace.js';
import { failureOf } from '../../support/failure-of.js';
import { onServer } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { testUrl } from '../../support/test-server.js';

describe('verify-backup', () => {
  let workspace: BackupWorkspace;

  before(async () => {
    workspace = await backupWorkspace();
  });
  after(() => workspace.remove());
  afterEach(() => rmSync(join(workspace.root, 'backups'), { recursive: true, force: true }));

  for (const format of ['directory', 'custom', 'plain'] as const) {
    it(`finds a backup sound, and keeps that beside it (${format})`, async () => {
      const { id, path } = await workspace.backup({ format });
      expect(await listed(id)).to.include({ verified: false, verification: null });

      const verified = await verify({ id });
      expect(verified.checks.map(({ name, ok }) => [name, ok])).to.deep.equal([
        ['manifest', true],
        ['files', true],
        ['dump', true],
      ]);
      expect(verified).to.include({ id, isRecorded: true });
      const record = JSON.parse(readFileSync(join(path, 'verified.json'), 'utf8'));
      expect(record).to.deep.include({
        version: 1,
        manifestSha256: createHash('sha256')
          .update(readFileSync(join(path, 'manifest.json')))
          .digest('hex'),
        deep: null,
      });
      expect(statSync(join(path, 'verified.json')).mode & 0o777).to.equal(0o600);
      expect(await listed(id)).to.deep.include({
        verified: false,
        verification: { how: 'files', at: record.files.at },
      });
      // once more: what it has written itself is no stranger
      await verify({ id });
    });

    it(`shows that a backup restores, and drops the scratch database (${format})`, async () => {
      const { id } = await workspace.backup({ format });
      const { checks, verification } = await verify({ id, deep: true });
      expect(checks.map(({ name, ok }) => [name, ok])).to.deep.equal(
        ['manifest', 'files', 'dump', 'restore', 'sequences', 'objects', 'triggers'].map((name) => [name, true]),
      );
      expect(checks[3]?.detail).to.match(/^\d+ tables with 5\d\d rows/);
      expect(verification.how).to.equal('deep');
      expect(await listed(id)).to.include({ verified: true });
      expect(await workspace.scratchDatabases()).to.deep.equal([]);

      // reading the same bytes again takes nothing away from that
      await verify({ id });
      const shown = await workspace.run(() => showBackup({ env: 'testing', id }));
      expect(shown).to.include({ verified: true });
      expect(shown.verifications?.deep?.server).to.match(/^\d+/);
    });

    it(`finds one missing byte and one flipped bit in every file (${format})`, async () => {
      const made = await workspace.backup({ format });
      await verify({ id: made.id });
      const files = [...made.manifest.files.map(({ path }) => path), 'manifest.json', 'manifest.sha256'];
      for (const file of files) {
        const path = join(made.path, file);
        for (const damage of [truncateByOne, flipOneBit]) {
          const before = readFileSync(path);
          if (before.length === 0) continue;
          damage(path);
          const error = await failureOf(verify({ id: made.id }));
          expect(error.code, `${damage.name} ${file}`).to.equal('BACKUP_INVALID');
          expect(error.exitCode).to.equal(1);
          expect(existsSync(join(made.path, 'verified.json')), `${damage.name} ${file}`).to.equal(false);
          writeFileSync(path, before);
          // a manifest says nothing about itself: only the record knows another one
          await verify({ id: made.id });
        }
      }
    });
  }

  it('reports what was not in order when the backup was made, and does not blame the backup', async () => {
    const db = workspace.database;
    await db.query(`
      create table odd (id serial primary key, n int); insert into odd values (7, -1);
      alter table odd add constraint positive check (n > 0) not valid;
      create materialized view empty_view as select * from odd with no data;
      create function noop() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger noop before insert on odd for each row execute function noop()`);
    try {
      const { id } = await workspace.backup({ prove: true });
      const { checks } = await verify({ id, deep: true });
      const detail = (wanted: string) => checks.find(({ name }) => name === wanted)?.detail;
      expect(checks.every(({ ok }) => ok)).to.equal(true);
      expect(detail('sequences')).to.contain(
        'The sequence public.odd_id_seq is at 1, and public.odd.id has 7 already.',
      );
      expect(detail('objects')).to.contain('empty_view is not populated').and.to.contain('positive of public.odd');
      expect(detail('triggers')).to.equal('as registered, enabled modes included');
    } finally {
      await db.query('drop materialized view empty_view; drop table odd; drop function noop');
    }
  });

  it('finds that the registry of triggers is another one', async () => {
    const { id, path } = await workspace.backup();
    const manifest = JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'));
    const text = `${JSON.stringify({ ...manifest, triggersChecksum: '0'.repeat(64) }, null, 2)}\n`;
    writeFileSync(join(path, 'manifest.json'), text);
    writeFileSync(join(path, 'manifest.sha256'), `${createHash('sha256').update(text).digest('hex')}  manifest.json\n`);
    const error = await failureOf(verify({ id, deep: true }));
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message).to.contain('the registry of triggers says something else');
    expect(await workspace.scratchDatabases()).to.deep.equal([]);
  });

  it('names every damage, not the first one only', async () => {
    const { id, path, manifest } = await workspace.backup();
    const [first = '', second = ''] = manifest.files.map((file) => file.path);
    rmSync(join(path, first));
    flipOneBit(join(path, second));
    writeFileSync(join(path, 'dump', 'notes.txt'), 'what is this?');
    const { message } = await failureOf(verify({ id }));
    expect(message).to.contain(`${first} is missing`);
    expect(message).to.contain(`${second} does not match its checksum`);
    expect(message).to.contain('dump/notes.txt is not in the manifest');
  });

  it('does not follow links, neither for a file, nor for a folder, nor for the manifest', async () => {
    for (const name of ['dump/toc.dat', 'dump', 'manifest.json']) {
      const { id, path } = await workspace.backup();
      const moved = join(workspace.root, `moved-${id}`);
      renameSync(join(path, name), moved);
      symlinkSync(moved, join(path, name));
      const error = await failureOf(verify({ id }));
      expect(error.code, name).to.equal('BACKUP_INVALID');
      if (name === 'dump/toc.dat') expect(error.message).to.contain('dump/toc.dat is a link');
      expect((await listed(id)).state, name).to.equal('damaged');
    }
  });

  it('takes an archive that was cut off before its checksums were made for what it is', async () => {
    for (const [format, file] of [
      ['custom', 'dump.pgdump'],
      ['plain', 'dump.sql'],
    ] as const) {
      const made = await workspace.backup({ format });
      truncateSync(join(made.path, file), statSync(join(made.path, file)).size - 60);
      forgeChecksum(made, file);
      const error = await failureOf(verify({ id: made.id }));
      expect(error.code).to.equal('BACKUP_INVALID');
      expect((error.details.checks as { name: string; ok: boolean }[]).map(({ name, ok }) => [name, ok])).to.deep.equal(
        [
          ['manifest', true],
          ['files', true],
          ['dump', false],
        ],
      );
    }
  });

  it('finds a manifest that was changed after it had been verified, also where nothing else shows it', async () => {
    const { id, path } = await workspace.backup();
    await verify({ id, deep: true });
    edit(path, (manifest) => ({ ...manifest, label: 'something else' }));
    expect(await listed(id)).to.include({ verified: false, verification: null, label: 'something else' });
    const error = await failureOf(verify({ id }));
    expect(error).to.include({ code: 'BACKUP_INVALID' });
    expect(error.message).to.contain('was changed after it had been verified');
  });

  it('finds rows that the manifest has and the dump does not, and drops the scratch database', async () => {
    const { id, path } = await workspace.backup();
    edit(path, (manifest) => ({
      ...manifest,
      tables: manifest.tables.map((table: { name: string }) =>
        table.name === 'patients' ? { ...table, rows: 501 } : table,
      ),
    }));
    await verify({ id });
    const error = await failureOf(verify({ id, deep: true }));
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message).to.contain('public.patients has 500 rows instead of 501 rows');
    expect(existsSync(join(path, 'verified.json'))).to.equal(false);
    expect(await workspace.scratchDatabases()).to.deep.equal([]);
  });

  it('finds a manifest that is missing, broken, or leads out of the backup', async () => {
    const { id, path } = await workspace.backup();
    const manifest = join(path, 'manifest.json');
    const text = readFileSync(manifest, 'utf8');
    for (const [what, broken] of [
      ['is missing', null],
      ['is empty', ''],
      ['is no JSON', text.slice(1)],
      ['is of another one', text.replace(id, '20200101T000000Z-aaaaaa')],
      ['leads out', text.replace(/"path": "[^"]*"/, '"path": "../../../etc/passwd"')],
    ] as const) {
      if (broken === null) rmSync(manifest);
      else writeManifest(path, broken);
      expect((await failureOf(verify({ id }))).code, what).to.equal('BACKUP_INVALID');
      writeManifest(path, text);
    }
    // nothing but its checksum shows these
    for (const edited of [text.replace('"label": null', '"label": "x"'), JSON.stringify(JSON.parse(text))]) {
      writeFileSync(manifest, edited);
      expect((await failureOf(verify({ id }))).message).to.contain('manifest.json is not as it was written');
    }
    writeFileSync(manifest, text);
    rmSync(join(path, 'manifest.sha256'));
    expect((await failureOf(verify({ id }))).code).to.equal('BACKUP_INVALID');
    writeManifest(path, text);
    await verify({ id });
  });

  it('takes no id that is a path, an option or a statement for a backup', async () => {
    await workspace.backup();
    for (const id of ['../testing', '..', '.', '/etc', "x'; drop", '"', 'a\nb', '?options=-c', 'backup?options=', '']) {
      expect((await failureOf(verify({ id }))).code, JSON.stringify(id)).to.equal('NOT_FOUND');
      const shown = workspace.run(() => showBackup({ env: 'testing', id }));
      expect((await failureOf(shown)).code, JSON.stringify(id)).to.equal('NOT_FOUND');
    }
    for (const env of ['../testing', 'a\nb', '?options=', '"']) {
      expect((await failureOf(verify({ id: 'latest', env }))).code, JSON.stringify(env)).to.equal(
        'UNKNOWN_ENVIRONMENT',
      );
    }
  });

  it('says of "latest" that it is damaged, instead of praising an older one', async () => {
    await workspace.backup();
    await sleep(1100);
    const { id, path } = await workspace.backup();
    truncateByOne(join(path, 'dump', 'toc.dat'));
    const error = await failureOf(verify({ id: 'latest' }));
    expect(error).to.include({ code: 'BACKUP_INVALID' });
    expect(error.message).to.contain(id);
  });

  it('needs no server to look at the files, and leaves the record alone where it cannot look', async () => {
    const { id, path } = await workspace.backup();
    await verify({ id, deep: true });
    const url = readFileSync(join(workspace.root, '.env.testing'), 'utf8');
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL='postgresql://nobody@127.0.0.1:1/gone'\n` });
    await verify({ id });
    const record = readFileSync(join(path, 'verified.json'), 'utf8');
    expect((await failureOf(verify({ id, deep: true }))).code).to.equal('CONNECTION_REFUSED');
    expect(readFileSync(join(path, 'verified.json'), 'utf8')).to.equal(record);
    workspace.write({ '.env.testing': url });

    const controller = new AbortController();
    const stopped = verify({
      id,
      deep: true,
      signal: controller.signal,
      onProgress: ({ step }) => step.startsWith('restoring') && controller.abort(),
    });
    expect((await failureOf(stopped)).code).to.equal('INTERRUPTED');
    expect(await workspace.scratchDatabases()).to.deep.equal([]);
    expect(readFileSync(join(path, 'verified.json'), 'utf8')).to.equal(record);
  });

  it('proves a backup of a database that is gone', async () => {
    const other = await backupWorkspace();
    try {
      const { id } = await other.backup();
      await other.database.drop();
      const verified = await other.run(() => verifyBackup({ env: 'testing', id, deep: true }));
      expect(verified.verification.how).to.equal('deep');
    } finally {
      await other.remove();
    }
  });

  it('lets nobody into the scratch database who is not let into the real one', async () => {
    const { id } = await workspace.backup();
    const looks: ReturnType<typeof workspace.scratchDatabases>[] = [];
    await verify({
      id,
      deep: true,
      onProgress: ({ step }) => step.startsWith('creating') || looks.push(workspace.scratchDatabases()),
    });
    const seen = (await Promise.all(looks)).flat();
    expect(seen).to.have.length.of.at.least(1);
    expect(seen.filter(({ isOpen }) => isOpen)).to.deep.equal([]);
  });

  it('does not call a backup bad that need not be restorable by itself', async () => {
    for (const part of [{ dataOnly: true }, { tables: ['patients'] }, { schemas: ['"Billing & co"'] }]) {
      const { id, path } = await workspace.backup(part);
      await verify({ id });
      expect((await failureOf(verify({ id, deep: true }))).code).to.equal('USAGE');
      expect(existsSync(join(path, 'verified.json'))).to.equal(true);
    }
    const { id } = await workspace.backup({ excludeTableData: ['patients'] });
    expect((await verify({ id, deep: true })).verification.how).to.equal('deep');
  });

  it('compares the contents where the manifest has checksums of them', async () => {
    const { id, path } = await workspace.backup({ format: 'plain', prove: true });
    expect(await listed(id)).to.include({ verified: true });
    const { checks } = await verify({ id, deep: true });
    expect(checks[3]?.detail).to.contain('and their contents');

    rmSync(join(path, 'verified.json'));
    const dump = join(path, 'dump.sql');
    writeFileSync(dump, readFileSync(dump, 'utf8').replace('patient 77\n', 'patient 78\n'));
    forgeChecksum({ path }, 'dump.sql');
    await verify({ id });
    const error = await failureOf(verify({ id, deep: true }));
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message).to.contain('public.patients has as many rows as it had (500), with other contents');
  });

  it('clears up what a killed one has left on the server', async () => {
    const { id } = await workspace.backup();
    const program = `
      import { verifyBackup } from '${new URL('../../../app/core/db-operations/verify-backup.ts', import.meta.url).href}';
      await verifyBackup({ env: 'testing', id: '${id}', deep: true,
        onProgress: ({ step }) => step.startsWith('restoring') && process.kill(process.pid, 'SIGKILL') });`;
    const child = spawn(process.execPath, ['--import', 'tsx/esm', '--input-type=module', '--eval', program], {
      env: { ...process.env, MANAGE_DB_WORKSPACE: workspace.root },
    });
    await once(child, 'exit');
    expect(await workspace.scratchDatabases()).to.have.length(1);
    await verify({ id, deep: true });
    expect(await workspace.scratchDatabases()).to.deep.equal([]);
  });

  it('says what the login must be allowed, and does not blame the backup', async () => {
    const { id, path } = await workspace.backup();
    await verify({ id });
    const login = await scratchLogin('without_createdb');
    await onServer((client) => client.query(`grant connect on database ${workspace.database.name} to ${login.user}`));
    const before = readFileSync(join(workspace.root, '.env.testing'), 'utf8');
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${testUrl(workspace.database.name, login)}'\n` });
    try {
      expect((await failureOf(verify({ id, deep: true }))).code).to.equal('PERMISSION_DENIED');
      expect(existsSync(join(path, 'verified.json'))).to.equal(true);
    } finally {
      workspace.write({ '.env.testing': before });
      await workspace.run(closeEngines);
      await onServer((client) => client.query(`revoke all on database ${workspace.database.name} from ${login.user}`));
      await dropLogins(login);
    }
  });

  describe('on the command line', () => {
    it('shows each check, and ends with 1 when one fails', async () => {
      const { id, path } = await workspace.backup();
      const fine = await workspace.cli(['verify-backup', 'latest', '--env', 'testing']);
      expect(fine.code, fine.stderr).to.equal(0);
      expect(fine.stdout).to.contain('✓ files').and.to.contain(`✓ ${id} verified in`);
      expect(fine.stdout).to.contain(`manage_db verify-backup ${id} --deep --env testing`);

      copyFileSync(join(path, 'manifest.json'), join(path, 'extra'));
      const bad = await workspace.cli(['verify-backup', id, '--env', 'testing', '--json']);
      expect(bad.code).to.equal(1);
      const { ok, data, error } = bad.json();
      expect([ok, error?.code]).to.deep.equal([false, 'BACKUP_INVALID']);
      expect(data.checks.map(({ name, ok: isFine }: { name: string; ok: boolean }) => [name, isFine])).to.deep.equal([
        ['manifest', true],
        ['files', false],
      ]);
    });

    it('restores with --deep, writes that down, and shows it in the list and in show-backup', async () => {
      const { id } = await workspace.backup({ label: 'Nightly' });
      const deep = await workspace.cli(['verify-backup', id, '--deep', '--env', 'testing', '--json']);
      expect(deep.code, deep.stderr).to.equal(0);
      expect(deep.json().data).to.deep.include({ id });
      const log = await workspace.cli(['show-operation-log', '--env', 'testing', '--json']);
      expect(log.stdout).to.contain('verify-backup');

      const list = await workspace.cli(['list-all-backups']);
      expect(list.stdout).to.match(new RegExp(`${id} +testing +just now +\\S+ kB +Nightly +complete +deep`));

      const shown = await workspace.cli(['show-backup', 'latest', '--env', 'testing']);
      expect(shown.code, shown.stderr).to.equal(0);
      expect(shown.stdout).to.match(/left out +other roles/);
      expect(shown.stdout).to.match(/verified +deep/);
      expect(shown.stdout).to.match(/public\.patients +500\n(.*\n)*Billing & co\.Rechnung "Ü" +30/);
      const json = (await workspace.cli(['show-backup', 'latest', '--env', 'testing', '--json'])).json();
      expect(json.data).to.deep.include({ id, verified: true });
      expect(json.data.manifest.tables).to.have.length.of.at.least(2);
    });
  });

  function verify(options: VerifyBackupOptions) {
    return workspace.run(() => verifyBackup({ env: 'testing', ...options }));
  }

  async function listed(id: string) {
    const backups = await workspace.run(() => listBackups({ env: 'testing' }));
    const found = backups.find((backup) => backup.id === id);
    if (found === undefined) throw new Error(`${id} is not in the list.`);
    return found;
  }
});

function truncateByOne(path: string): void {
  truncateSync(path, statSync(path).size - 1);
}

function flipOneBit(path: string): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  writeFileSync(path, bytes);
}

/** Together with its checksum: what somebody does who knows how. */
// biome-ignore lint/suspicious/noExplicitAny: a manifest that is about to be broken
function edit(path: string, change: (manifest: any) => unknown): void {
  const file = join(path, 'manifest.json');
  writeManifest(path, `${JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))), null, 2)}\n`);
}

function writeManifest(path: string, text: string): void {
  writeFileSync(join(path, 'manifest.json'), text);
  const sum = createHash('sha256').update(text).digest('hex');
  writeFileSync(join(path, 'manifest.sha256'), `${sum}  manifest.json\n`);
}

/** Lets the manifest say what the damaged file is now: a damage that no checksum can find. */
function forgeChecksum({ path }: Pick<BackupResult, 'path'>, name: string): void {
  const bytes = readFileSync(join(path, name));
  const forged = { path: name, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  edit(path, ({ files, ...manifest }) => ({
    ...manifest,
    files: (files as (typeof forged)[]).map((file) => (file.path === name ? forged : file)),
  }));
}
