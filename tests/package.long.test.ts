import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readEmbeddedEndpoint } from '../app/config/embedded-endpoint.js';
import { stopEmbeddedServer } from '../app/services/embedded-postgres.js';
import { removeServerData } from './support/server-data.js';

const root = join(import.meta.dirname, '..');
const environment = { PATH: process.env.PATH, HOME: process.env.HOME, NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE };

describe('the package', () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-package-')));
  });
  afterEach(async () => {
    const endpoint = readEmbeddedEndpoint(folder);
    await stopEmbeddedServer(folder);
    if (endpoint !== null) removeServerData(endpoint.dataDirectory);
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (command: string, ...args: string[]): SpawnSyncReturns<string> => {
    const result = spawnSync(command, args, { cwd: folder, env: environment, encoding: 'utf8', timeout: 300_000 });
    expect(result.status, `${command} ${args.join(' ')}\n${result.stdout}\n${result.stderr}`).to.equal(0);
    return result;
  };

  it('installs in an empty folder, makes a workspace of it and a database, with no configuration', function () {
    this.timeout(400_000);
    const packed = spawnSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
    });
    const tarball = packed.stdout.trim().split('\n').at(-1) ?? '';
    writeFileSync(join(folder, 'package.json'), '{"name":"shop","private":true,"type":"module"}');
    run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${tarball}`);
    run('npx', 'manage_db', 'init');
    expect(existsSync(join(folder, 'manage_db.config.mjs'))).to.equal(true);
    const initialized = JSON.parse(run('npx', 'manage_db', 'initialize-db', '--json').stdout);
    expect(initialized.data).to.include({ database: 'shop_development' });
    expect(initialized.data.migrations.map(({ name }: { name: string }) => name)).to.deep.equal(['create_notes']);
    const created = initialized.data.triggers.created.map(({ name }: { name: string }) => name);
    expect(created).to.include('notes_tidy_title');
    const applied = JSON.parse(run('npx', 'manage_db', 'apply-db-triggers', '--json').stdout);
    expect(applied.data.created).to.deep.equal([]);

    writeFileSync(
      join(folder, 'program.js'),
      `import { getDbSession, withActor } from 'manage_db';
       const { rows } = await withActor('alice', () => getDbSession((s) => s.query("insert into notes (title) values ('  a  ') returning title, created_by")));
       console.log(JSON.stringify(rows[0]));`,
    );
    // it ends by itself: nothing of ours keeps a program alive
    expect(JSON.parse(run('node', 'program.js').stdout)).to.deep.equal({ title: 'a', created_by: 'alice' });
  });

  it('shows the whole round in the quickstart, and once more', function () {
    this.timeout(400_000);
    for (const name of ['app', 'dist', 'migrations', 'templates', 'package.json', '.env.example']) {
      cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (let round = 1; round <= 2; round += 1) {
      const { stdout } = run('node', 'dist/scripts/quickstart.js');
      expect(stdout)
        .to.contain('$ manage_db drop-all-tables')
        .and.contain('restored by swap')
        .and.contain('reception')
        .and.contain('Try next');
    }
  });
});
