import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

const up = (sql: string) => `-- migrate:up\n${sql}\n`;

describe('mistakes in migrations, as the command line tells of them', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`,
      'migrations/1_one.sql': up('create table one (id integer);'),
      'migrations/3_three.sql': up('create table three (id integer);'),
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const apply = () => workspace.cli(['initialize-db', '--env', 'testing']);
  const exists = async (table: string) =>
    (await database.query('select from information_schema.tables where table_name = $1', [table])).rowCount === 1;
  const recorded = async () =>
    (await database.query<{ version: string }>('select version from manage_db.migrations order by 1')).rows.map(
      ({ version }) => version,
    );

  it('an error in the third statement: file, line, column and a caret; what came before it in the file is gone, too', async () => {
    workspace.write({
      'migrations/4_four.sql': up(
        'create table four (id integer);\ninsert into four values (1);\nselect nothing from four;',
      ),
      'migrations/5_five.sql': up('create table five (id integer);'),
    });
    const { code, stderr } = await apply();
    expect(code).to.equal(1);
    expect(stderr)
      .to.contain('4_four.sql:4:8')
      .and.contain('column "nothing" does not exist')
      .and.match(/select nothing from four;\n[ |]*\^/)
      .and.contain('1_one, 3_three')
      .and.contain('Nothing of 4_four remains');
    expect([await exists('four'), await exists('five'), await recorded()]).to.deep.equal([false, false, ['1', '3']]);
  });

  it('a statement that is no SQL: the files before it stay applied, of its own nothing does', async () => {
    workspace.write({ 'migrations/4_four.sql': up('create table four (id integer);\nselect 1;\ncreat table x ();') });
    const result = await workspace.cli(['initialize-db', '--env', 'testing', '--json']);
    expect(result.code).to.equal(1);
    const { error } = result.json();
    expect(error?.code).to.equal('SQL_FAILED');
    expect(error?.message).to.contain('4_four.sql:4:1').and.contain('syntax error at or near "creat"');
    expect(error?.details).to.deep.include({ line: 4, column: 1, sqlState: '42601', applied: ['1', '3'], failed: '4' });
    expect([await exists('three'), await exists('four')]).to.deep.equal([true, false]);
  });

  it('the place is right in a file with a byte order mark, CRLF and letters of several bytes', async () => {
    workspace.write({
      'migrations/4_four.sql': `\ufeff${up("select 'größe 日本 🙂', nothing;").replaceAll('\n', '\r\n')}`,
    });
    const { code, stderr } = await apply();
    expect(code).to.equal(1);
    // the column counts characters, as an editor does
    expect(stderr).to.match(/4_four\.sql:2:22:/);
  });

  it('a file that was edited after it was applied', async () => {
    await apply();
    workspace.write({
      'migrations/1_one.sql': up('create table one (id bigint);'),
      'migrations/4_four.sql': up('select 1;'),
    });
    const { code, stderr } = await apply();
    expect(code).to.equal(1);
    expect(stderr)
      .to.contain('Changed after they were applied: 1_one.sql. No migration was applied.')
      .and.contain('git checkout');
    expect(await recorded()).to.deep.equal(['1', '3']);
  });

  it('a file that is missing', async () => {
    await apply();
    rmSync(join(workspace.root, 'migrations', '1_one.sql'));
    workspace.write({ 'migrations/4_four.sql': up('select 1;') });
    const { code, stderr } = await apply();
    expect(code).to.equal(1);
    expect(stderr).to.contain('Applied here, and not in the migrations folder: 1_one.').and.contain('git pull');
    expect(await recorded()).to.deep.equal(['1', '3']);
  });

  it('a file that comes out of order', async () => {
    await apply();
    workspace.write({ 'migrations/2_two.sql': up('create table two (id integer);') });
    const { code, stderr } = await apply();
    expect(code).to.equal(1);
    expect(stderr).to.contain('Not applied, and older than 3, which is: 2_two.sql. No migration was applied.');
    expect(await exists('two')).to.equal(false);
  });

  it('two files of one version, and text that is not UTF-8: refused, with exit code 2 and nothing done', async () => {
    workspace.write({ 'migrations/3_again.sql': up('select 1;') });
    const twice = await apply();
    expect(twice.code).to.equal(2);
    expect(twice.stderr).to.match(/3_three\.sql has the same version as .*3_again\.sql/);
    rmSync(join(workspace.root, 'migrations', '3_again.sql'));
    writeFileSync(join(workspace.root, 'migrations', '4_four.sql'), Buffer.from(up("select 'caf\xe9';"), 'latin1'));
    const latin = await apply();
    expect(latin.code).to.equal(2);
    expect(latin.stderr).to.contain('4_four.sql is not UTF-8');
    expect(await exists('one')).to.equal(false);
  });

  for (const [what, text, says] of [
    [
      'nothing but comments',
      '-- migrate:up\n-- later\n/* or never */\n-- migrate:down\n',
      'has nothing but comments below',
    ],
    ['nothing', '-- migrate:up\n-- migrate:down\n', 'has nothing below'],
    ['nothing but a mark that text begins', '\ufeff', 'has no line "-- migrate:up"'],
  ] as const) {
    it(`a file with ${what} in it`, async () => {
      workspace.write({ 'migrations/4_four.sql': text });
      const { code, stderr } = await apply();
      expect(code).to.equal(2);
      expect(stderr).to.contain('4_four.sql').and.contain(says).and.contain('No migration was applied.');
      expect(await exists('one')).to.equal(false);
    });
  }

  it('a version of 30 digits, a name with spaces, quotes and letters of any language are none', async () => {
    workspace.write({
      "migrations/100000000000000000000000000001_it's größe 日本.sql": up('create table last (id integer);'),
    });
    expect((await apply()).code).to.equal(0);
    const { stdout } = await workspace.cli(['show-all-migrations', '--env', 'testing']);
    expect(stdout).to.match(/100000000000000000000000000001 +it's größe 日本 +applied/);
    expect(await exists('last')).to.equal(true);
  });
});
