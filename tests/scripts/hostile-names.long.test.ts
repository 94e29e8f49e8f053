import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg, { escapeIdentifier } from 'pg';
import { backupDatabase } from '../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../app/core/db-operations/restore.js';
import { showBackup } from '../../app/core/db-operations/show-backup.js';
import { ManageDbError } from '../../app/core/errors.js';
import { dropDatabase, onServer } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { testServer, testUrl } from '../support/test-server.js';

const IDS = [
  '../../x',
  '..',
  '/etc/passwd',
  'testing/../../x',
  "x'; drop database postgres; --",
  '"quoted"',
  'two\nlines',
  '?options=-c%20work_mem=1MB',
  '-x',
  '*',
  'ü'.repeat(4000),
];

/** Not by a URL: `pg` does not decode every character of it. */
async function inside<T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port, user, password } = testServer();
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe('a hostile name', () => {
  let outer: string;
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    const above = scratchWorkspace();
    outer = above.root;
    mkdirSync(join(outer, 'home'));
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  /** Everything that there is, but in the folder of backups. */
  const outside = () =>
    [workspace.root, outer]
      .flatMap((root) => readdirSync(root, { recursive: true, encoding: 'utf8' }).map((path) => join(root, path)))
      .filter((path) => !path.startsWith(join(workspace.root, 'backups')) && !path.includes('.manage_db/'))
      .sort();
  const cli = (...line: string[]) => workspace.cli(line, { env: { HOME: join(outer, 'home') } });
  const use = async (database: string) => {
    await onServer((server) => server.query(`create database ${escapeIdentifier(database)}`));
    await inside(database, async (client) => {
      await client.query('create table public.notes as select generate_series(1, 10) as n');
      await stampAs(client, 'testing');
    });
    workspace.write({
      '.env.testing': `TESTING_DATABASE_URL='${testUrl(database).replaceAll("'", '%27')}'\n`,
    });
  };

  for (const command of ['restore-backup', 'show-backup', 'verify-backup'] as const) {
    it(`of a backup is no path, option or statement for ${command}`, async () => {
      const database = `hostile_${Date.now()}`;
      await use(database);
      try {
        await workspace.run(() => backupDatabase({ env: 'testing' }));
        const before = outside();
        const found = IDS.map(async (id) => {
          const consent = command === 'restore-backup' ? ['--yes'] : [];
          const result = await cli(command, '--env', 'testing', '--json', ...consent, '--', id);
          expect(result.code, JSON.stringify(id)).to.equal(2);
          const { code, message } = result.json().error ?? {};
          expect(code, `${JSON.stringify(id)}: ${message}`).to.be.oneOf(['NOT_FOUND', 'USAGE']);
        });
        for (const one of found) await one;
        expect(outside()).to.deep.equal(before);
        const { rows } = await inside(database, (client) => client.query('select from public.notes'));
        expect(rows).to.have.length(10);
      } finally {
        await dropDatabase(database);
      }
    });
  }

  it('with a NUL in it is nobody’s, also where no command line can hold it', async () => {
    const database = `hostile_${Date.now()}`;
    await use(database);
    try {
      const { id } = await workspace.run(() => backupDatabase({ env: 'testing', label: 'a\0b\n../c' }));
      expect(id).to.match(/^\d{8}T\d{6}Z-[0-9a-f]{6}-a-b-c$/);
      const works: readonly (() => Promise<unknown>)[] = [
        () => showBackup({ env: 'testing', id: `${id}\0` }),
        () => restoreDatabase({ env: 'testing', id: `${id}\0/../..`, consent: { yes: true } }),
        () => showBackup({ env: 'test\0ing', id }),
      ];
      for (const work of works) {
        const error = await workspace.run(work).then(
          () => expect.fail('it succeeded'),
          (reason: unknown) => reason,
        );
        expect(error).to.be.instanceOf(ManageDbError);
        expect((error as ManageDbError).code).to.be.oneOf(['NOT_FOUND', 'UNKNOWN_ENVIRONMENT']);
      }
    } finally {
      await dropDatabase(database);
    }
  });

  it('of an environment is refused, and makes no folder', async () => {
    const before = outside();
    for (const name of ['../x', '/tmp/x', 'a/b', "a'b", 'a"b', 'two\nlines', '?options=', '..', 'x'.repeat(300)]) {
      for (const line of [
        ['create-backup'],
        ['restore-backup', 'latest', '--yes'],
        ['list-all-backups'],
        ['prune-backups'],
      ]) {
        const result = await cli(...line, `--env=${name}`, '--json');
        expect(result.code, `${line[0]} ${name}`).to.equal(2);
        expect(result.json().error?.code, `${line[0]} ${name}`).to.be.oneOf(['UNKNOWN_ENVIRONMENT', 'MISSING_SETTING']);
      }
    }
    expect(outside()).to.deep.equal(before);
    expect(readdirSync(workspace.root)).not.to.include('backups');
  });

  it('of a database is dumped, restored by both methods and undone like any other', async () => {
    const names = [
      '../../x',
      `it's "quoted"\\`,
      'two\nlines',
      'db?options=-c work_mem=1MB&host=elsewhere',
      "dbname=postgres host='x'",
      `${'ä'.repeat(31)}x`,
    ];
    for (const [index, name] of names.entries()) {
      await dropDatabase(name);
      await use(name);
      const before = outside();
      try {
        const format = ['directory', 'custom', 'plain'][index % 3] ?? '';
        const made = await cli('create-backup', '--env', 'testing', '--format', format, '--json');
        expect(made.code, `${name}: ${made.stderr}${made.stdout}`).to.equal(0);
        const { path, manifest } = made.json().data;
        expect(path.startsWith(join(workspace.root, 'backups', 'testing', '20'))).to.equal(true);
        expect(manifest.database).to.equal(name);
        const query = (sql: string) => inside(name, (client) => client.query(sql));
        await query('delete from public.notes');
        const method = format === 'plain' ? 'swap' : index % 2 === 0 ? 'swap' : 'transaction';
        const back = await cli('restore-backup', 'latest', '--env', 'testing', '--yes', '--method', method, '--json');
        expect(back.code, `${name}: ${back.stderr}${back.stdout}`).to.equal(0);
        expect((await query('select from public.notes')).rowCount).to.equal(10);
        expect(outside()).to.deep.equal(before);
      } finally {
        await dropDatabase(name);
      }
    }
  });

  it('of a host, a login or a database that is not there is an error that names it, on one line', async () => {
    const { port } = testServer();
    for (const url of [
      `postgresql://x@%2e%2e%2f..%2fx:${port}/clinic`,
      `postgresql://x@${'h'.repeat(300)}:${port}/clinic`,
      `postgresql://x@127.0.0.1:${port}/a%00b`,
      `postgresql://a%00b@127.0.0.1:${port}/clinic`,
      `postgresql://x@127.0.0.1:${port}/%2e%2e%2fx?options=-c%20nonsense%3D1`,
      `postgresql://x@no%0ahost:${port}/clinic`,
      `postgresql://x@127.0.0.1:${port}/${'d'.repeat(5000)}`,
    ]) {
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${url}'\n` });
      const before = outside();
      for (const line of [['create-backup'], ['restore-backup', 'latest', '--yes']]) {
        const result = await cli(...line, '--env', 'testing', '--json');
        expect(result.code, `${url}: ${result.stdout}`).to.be.oneOf([1, 2]);
        expect(result.json().error?.code, `${url}: ${result.stdout}`).not.to.equal('INTERNAL');
      }
      expect(outside()).to.deep.equal(before);
    }
  });

  it('of a label stays in the manifest, and never becomes a path', async () => {
    const database = `hostile_${Date.now()}`;
    await use(database);
    try {
      const before = outside();
      for (const label of ['../../x', '/etc/passwd', 'a"b\'c', 'two\nlines', '?options=', '..', '💊'.repeat(90)]) {
        const made = await cli('create-backup', '--env', 'testing', '--label', label, '--json');
        expect(made.code, `${label}: ${made.stdout}`).to.equal(0);
        const { id, path } = made.json().data;
        expect(id).to.match(/^\d{8}T\d{6}Z-[0-9a-f]{6}(-[a-z0-9-]+)?$/);
        expect(path).to.equal(join(workspace.root, 'backups', 'testing', id));
        expect(JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8')).label).to.equal(label);
      }
      const long = await cli('create-backup', '--env', 'testing', '--label', 'x'.repeat(5000), '--json');
      expect([long.code, long.json().error?.code]).to.deep.equal([2, 'USAGE']);
      expect(outside()).to.deep.equal(before);
    } finally {
      await dropDatabase(database);
    }
  });

  it('of a folder that leads elsewhere is no backup for prune-backups, and nothing there is removed', async () => {
    const database = `hostile_${Date.now()}`;
    await use(database);
    try {
      await workspace.run(() => backupDatabase({ env: 'testing' }));
      const folder = join(workspace.root, 'backups', 'testing');
      mkdirSync(join(outer, 'precious'));
      mkdirSync(join(folder, '..', 'two\nlines'));
      symlinkSync(join(outer, 'precious'), join(folder, '20200101T000000Z-abcdef'));
      symlinkSync(join(outer, 'precious'), join(folder, '20200101T000000Z-abcdee.partial'));
      const before = outside();
      const result = await cli('prune-backups', '--env', 'testing', '--keep-last', '1', '--yes', '--json');
      expect(result.code, result.stdout).to.equal(0);
      expect(outside()).to.deep.equal(before);
      expect(readdirSync(outer)).to.include('precious');
    } finally {
      await dropDatabase(database);
    }
  });
});
