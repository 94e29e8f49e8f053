import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Context } from 'mocha';
import type { BackupOptions } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { generateKeyPair, type KeyPair } from '../../../app/services/encryption.js';
import { type BackupWorkspace, backupWorkspace } from '../../support/backup-workspace.js';
import { failureOf } from '../../support/failure-of.js';
import { withClient } from '../../support/scratch-database.js';
import { manageDbOnTerminal, needsTerminal } from '../../support/terminal.js';

const PASSPHRASE = 'correct horse battery staple';

function needsAge(test: Context): void {
  if (spawnSync('age', ['--version']).status === 0) return;
  process.stdout.write('      skipped: the age command is not installed (apt-get install age)\n');
  test.skip();
}

describe('an encrypted backup', () => {
  let workspace: BackupWorkspace;
  let keys: KeyPair;
  before(async () => {
    keys = await generateKeyPair();
  });
  beforeEach(async () => {
    workspace = await backupWorkspace();
  });
  afterEach(() => workspace.remove());

  const folder = () => join(workspace.root, 'backups', 'testing');
  const filesBelow = (path: string): string[] =>
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  const restore = (options: Partial<RestoreOptions> = {}) =>
    workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true }, ...options }));
  const patients = () =>
    withClient(workspace.database.url, async (client) => {
      const { rows } = await client.query<{ count: number }>('select count(*)::int as count from public.patients');
      return rows[0]?.count;
    });
  const leftovers = () => readdirSync(join(workspace.root, 'backups')).filter((name) => name.startsWith('.'));

  for (const format of ['custom', 'directory', 'plain'] as const) {
    it(`of the ${format} format shows nothing but its manifest, and restores for whoever has the identity`, async () => {
      const { path, manifest } = await workspace.backup({ format, encrypt: { recipients: [keys.recipient] } });
      expect(manifest).to.include({ encryption: 'age', format });
      const names = filesBelow(path).map((file) => file.slice(path.length + 1));
      expect(names.filter((name) => !name.endsWith('.age')).sort()).to.deep.equal(['manifest.json', 'manifest.sha256']);
      for (const file of filesBelow(path).filter((name) => name.endsWith('.age'))) {
        expect(statSync(file).mode & 0o777).to.equal(0o600);
        expect(readFileSync(file, 'latin1'))
          .to.match(/^age-encryption\.org\/v1\n/)
          .and.not.include('patient 1');
      }
      await workspace.database.query('delete from public.patients');
      await restore({ decrypt: { identities: [keys.identity] } });
      expect(await patients()).to.equal(500);
      expect(leftovers()).to.deep.equal([]);
    });
  }

  it('with a passphrase is opened by the age command as well', async function () {
    needsTerminal(this);
    needsAge(this);
    const { path } = await workspace.backup({ format: 'plain', encrypt: { passphrase: PASSPHRASE } });
    const line = `age --decrypt -i ${join(path, 'key.age')} -o ${join(workspace.root, 'out.sql')} ${join(path, 'dump.sql.age')}`;
    // it asks on the terminal only
    execFileSync('script', ['--quiet', '--command', line, '/dev/null'], {
      input: `${PASSPHRASE}\n`,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    expect(readFileSync(join(workspace.root, 'out.sql'), 'utf8'))
      .to.include('patient 17')
      .and.include('dump complete');
  });

  it('with a passphrase restores for whoever knows it, and for nobody else', async () => {
    await workspace.backup({ encrypt: { passphrase: PASSPHRASE } });
    await workspace.database.query('insert into public.patients (name) values ($$new$$)');
    const wrong = await failureOf(restore({ decrypt: { passphrase: 'battery horse staple correct' } }));
    expect(wrong.code).to.equal('DECRYPTION_FAILED');
    expect(wrong.message)
      .to.match(/passphrase is wrong/)
      .and.match(/was not changed/);
    const none = await failureOf(restore());
    expect(none.code).to.equal('DECRYPTION_FAILED');
    expect(none.hint).to.include('--passphrase-file');
    const other = await failureOf(restore({ decrypt: { identities: [keys.identity] } }));
    expect(other.code).to.equal('DECRYPTION_FAILED');
    expect(await patients()).to.equal(501);
    expect([leftovers(), await workspace.scratchDatabases()]).to.deep.equal([[], []]);

    await restore({ decrypt: { passphrase: PASSPHRASE } });
    expect(await patients()).to.equal(500);
  });

  it('lies nowhere in the clear while it is made, nor does what is made of it', async () => {
    const seen = new Set<string>();
    const look = (): void => {
      for (const file of filesBelow(folder())) seen.add(file.replace(/^.*\.partial\//, ''));
    };
    await workspace.backup({ encrypt: { recipients: [keys.recipient] }, onProgress: look });
    expect([...seen].filter((name) => !/\.age$|\.unfinished$|^\.work\.json$/.test(name))).to.deep.equal([]);
    expect([...seen].some((name) => /\.unfinished$|dump\.pgdump\.age$/.test(name))).to.equal(true);
  });

  it('is proven although nobody here could decrypt it later', async () => {
    const { path } = await workspace.backup({ prove: true, encrypt: { recipients: [keys.recipient] } });
    const [backup] = await workspace.run(() => listBackups({ env: 'testing' }));
    expect(backup).to.include({ verified: true, state: 'complete', path });
    expect((await failureOf(restore())).code).to.equal('DECRYPTION_FAILED');
    await restore({ decrypt: { identities: [keys.identity] } });
    expect(leftovers()).to.deep.equal([]);
  });

  it('is verified with its key, also by restoring it, and not without', async () => {
    await workspace.backup({ encrypt: { recipients: [keys.recipient] } });
    const verify = (decrypt: RestoreOptions['decrypt']) =>
      workspace.run(() => verifyBackup({ env: 'testing', id: 'latest', deep: true, decrypt }));
    expect((await failureOf(verify({}))).code).to.equal('DECRYPTION_FAILED');
    const { checks, verification } = await verify({ identities: [keys.identity] });
    expect(checks.map(({ name, ok }) => [name, ok])).to.deep.equal([
      ['manifest', true],
      ['files', true],
      ['dump', true],
      ['restore', true],
      ['sequences', true],
      ['objects', true],
      ['triggers', true],
    ]);
    expect(verification.how).to.equal('deep');
  });

  it('is found out when a bit of it was flipped or its end is missing, before the target is touched', async () => {
    const { path, id } = await workspace.backup({ encrypt: { recipients: [keys.recipient] } });
    const dump = join(path, 'dump.pgdump.age');
    const sound = readFileSync(dump);
    const flipped = Buffer.from(sound);
    flipped[flipped.length >> 1] = (flipped[flipped.length >> 1] ?? 0) ^ 1;
    for (const damage of [() => writeFileSync(dump, flipped), () => truncateSync(dump, sound.length - 1)]) {
      damage();
      const failure = await failureOf(restore({ id, decrypt: { identities: [keys.identity] } }));
      expect(failure.code).to.equal('BACKUP_INVALID');
      expect(failure.message)
        .to.include('dump.pgdump.age')
        .and.match(/was not changed/);
      writeFileSync(dump, sound);
    }
    await restore({ decrypt: { identities: [keys.identity] } });
  });

  it('of many files fails once for another key, also where several are opened at the same time', async () => {
    await workspace.backup({ format: 'directory', encrypt: { recipients: [keys.recipient] } });
    const { identity } = await generateKeyPair();
    for (let round = 0; round < 20; round++) {
      const verifying = workspace.run(() =>
        verifyBackup({ env: 'testing', id: 'latest', decrypt: { identities: [identity] } }),
      );
      expect((await failureOf(verifying)).code).to.equal('DECRYPTION_FAILED');
      expect(leftovers()).to.deep.equal([]);
    }
  });

  it('that somebody has replaced, checksums and all, does not pass for another one', async () => {
    const options: BackupOptions = { encrypt: { recipients: [keys.recipient] } };
    const { path, manifest } = await workspace.backup(options);
    const stranger = await generateKeyPair();
    const other = await workspace.backup({ encrypt: { recipients: [stranger.recipient] } });
    writeFileSync(join(path, 'dump.pgdump.age'), readFileSync(join(other.path, 'dump.pgdump.age')));
    const files = manifest.files.map((file) =>
      file.path === 'dump.pgdump.age'
        ? (other.manifest.files.find(({ path: one }) => one === file.path) ?? file)
        : file,
    );
    writeFileSync(join(path, 'manifest.json'), `${JSON.stringify({ ...manifest, files }, null, 2)}\n`);
    const failure = await failureOf(restore({ id: manifest.id, decrypt: { identities: [keys.identity] } }));
    expect(failure.code).to.equal('DECRYPTION_FAILED');
  });

  it('is asked for what settings say: recipients, passphrases and identities of its environment', async () => {
    workspace.write({
      '.env': `TESTING_BACKUP_RECIPIENTS=${keys.recipient}\nTESTING_BACKUP_IDENTITY_FILE=identity.txt\n`,
      'identity.txt': `# of the clinic\n${keys.identity}\n`,
    });
    await workspace.backup({ encrypt: true });
    await workspace.database.query('delete from public.patients');
    await restore();
    expect(await patients()).to.equal(500);
  });

  it('is refused for a recipient that is none, or nobody at all, before anything is dumped', async () => {
    const bad = await failureOf(workspace.backup({ encrypt: { recipients: ['age1nonsense'] } }));
    expect(bad.code).to.equal('USAGE');
    expect(bad.message).to.match(/No backup was made/);
    const secret = await failureOf(workspace.backup({ encrypt: { recipients: [keys.identity] } }));
    expect(secret.message).to.include('identity').and.not.include(keys.identity);
    expect((await failureOf(workspace.backup({ encrypt: true }))).code).to.equal('USAGE');
    expect(existsSync(folder())).to.equal(false);
  });

  it('is made and restored by the command line, whose passphrase nobody sees', async () => {
    workspace.write({ passphrase: `${PASSPHRASE}\n`, wrong: 'not it\n' });
    const made = await workspace.cli([
      'create-backup',
      '--env',
      'testing',
      '--passphrase-file',
      'passphrase',
      '--json',
    ]);
    expect(made.code, made.stderr).to.equal(0);
    expect(made.json().data.manifest).to.include({ encryption: 'age', format: 'custom' });
    const args = ['restore-backup', 'latest', '--env', 'testing', '--yes'];
    const wrong = await workspace.cli([...args, '--passphrase-file', 'wrong', '--json']);
    expect([wrong.code, wrong.json().error?.code]).to.deep.equal([1, 'DECRYPTION_FAILED']);
    const right = await workspace.cli([...args, '--passphrase-file', 'passphrase', '--verbose']);
    expect(right.code, right.stderr).to.equal(0);
    const said = [made, wrong, right].map(({ stdout, stderr }) => stdout + stderr).join('');
    expect(said).to.not.include(PASSPHRASE);
    const both = await workspace.cli([
      'create-backup',
      '--env',
      'testing',
      '--passphrase-file',
      'passphrase',
      '--recipient',
      keys.recipient,
    ]);
    expect(both.code).to.equal(2);
  });

  it('asks for the passphrase at a terminal: twice for a new one, and shows nothing of it', async function () {
    needsTerminal(this);
    const making = manageDbOnTerminal(['create-backup', '--encrypt', '--env', 'testing'], { cwd: workspace.root });
    await making.shows('A passphrase for the backup');
    making.type(`${PASSPHRASE}\r`);
    await making.shows('Once more');
    making.type('something else\r');
    await making.shows('That is another one');
    making.type(`\u0015${PASSPHRASE}\r`);
    const made = await making.end();
    expect([made.code, made.raw.includes('battery')], made.screen).to.deep.equal([0, false]);
    const verifying = manageDbOnTerminal(['verify-backup', 'latest', '--env', 'testing'], { cwd: workspace.root });
    await verifying.shows('The passphrase of the backup');
    verifying.type(`${PASSPHRASE}\r`);
    const verified = await verifying.end();
    expect([verified.code, verified.raw.includes('battery')], verified.screen).to.deep.equal([0, false]);
  });
});
