import { expect } from 'chai';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { testUrl } from '../support/test-server.js';

const SHOP = `
  create table customers (id int primary key, name text);
  create table "drop table
x; --" (id int);
  create statistics "odd
drop table customers; --" on id, name from customers;
  insert into customers select n, 'customer ' || n from generate_series(1, 1200) n`;

describe('compare-db', () => {
  let from: ScratchDatabase;
  let to: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    [from, to] = [await scratchDatabase(SHOP), await scratchDatabase(SHOP)];
    workspace = scratchWorkspace({
      '.env.production': `PRODUCTION_DATABASE_URL='${from.url}'\n`,
      '.env.testing': `TESTING_DATABASE_URL='${to.url}'\n`,
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await from.drop();
    await to.drop();
  });

  const compare = (...args: string[]) =>
    workspace.cli(['compare-db', '--from', 'production', '--to', 'testing', ...args]);

  it('announces both databases, says what was compared, and exits with 0 when they are equal', async () => {
    const { code, stdout, stderr } = await compare('--data');
    expect(code, stderr).to.equal(0);
    expect(stdout).to.match(
      /^✓ production and testing are equal: \d+ definitions, 2 tables with 1,200 rows, 0 sequences, 0 large objects compared in /,
    );
    expect(stderr).to.contain(`▶ production  `).and.contain(`/${from.name}  PostgreSQL 15`).and.contain('PROTECTED');
    expect(stderr).to.contain(`▶ testing  `).and.contain(`/${to.name}  PostgreSQL 15`);
    expect((await compare()).stdout).to.contain('rows were not compared (--data)');
  });

  it('exits with 4 on any difference, grouped by where it is', async () => {
    await to.query(`
      alter table customers alter name type varchar(90), add email text;
      drop table "drop table\nx; --"; delete from customers where id > 1000`);
    const { code, stdout, stderr } = await compare('--data');
    expect(code, stderr).to.equal(4);
    expect(stdout.split('\n').slice(0, -2)).to.deep.equal([
      'Only in production',
      '  table  public."drop table\\u{a}x; --"',
      'Only in testing',
      '  column  public.customers.email',
      'Different (production → testing)',
      '  column  public.customers.name  type: text → character varying(90)',
      'Other rows',
      '  public.customers  1,200 in production, 1,000 in testing',
    ]);
    expect(stderr).to.contain('✗ DRIFT  production and testing differ: 4 differences.').and.contain('--verbose');
  });

  it('prints one object with everything as JSON', async () => {
    await to.query(`drop table "drop table\nx; --"; update customers set name = 'x' where id = 7`);
    const result = await compare('--data', '--json');
    expect(result.code).to.equal(4);
    const { ok, data, error } = result.json();
    expect({ ok, code: error?.code }).to.deep.equal({ ok: false, code: 'DRIFT' });
    expect(data.from).to.include({ environment: 'production', database: from.name });
    expect(data.to).to.include({ environment: 'testing', database: to.name });
    const table = data.definitions.differences.find(({ kind }: { kind: string }) => kind === 'table');
    expect(table).to.include({
      state: 'only_in_from',
      name: 'public."drop table\nx; --"',
    });
    expect(data.definitions.ddl.statements[0].sql).to.contain('"drop table\nx; --"');
    expect(data.contents.tables.find(({ name }: { name: string }) => name === 'customers')).to.include({
      state: 'different',
    });
  });

  it('shows the DDL under --verbose, in which no name ends a comment', async () => {
    await to.query(`drop statistics "odd\ndrop table customers; --"; alter table customers add email text`);
    const { code, stdout } = await compare('--verbose');
    expect(code).to.equal(4);
    expect(stdout).to.contain('DDL that makes testing like production\nset search_path = pg_catalog;\n');
    expect(stdout).to.contain('-- destroys rows:\nALTER TABLE "public"."customers" DROP COLUMN "email";');
    expect(stdout).to.contain('-- no statement for statistics object public."odd\\u{a}drop table customers; --"');
    expect(stdout).not.to.match(/^drop table/m);
  });

  it('exits with 2, and never says equal, where rows could not be read', async () => {
    const login = await scratchLogin('compare_reader');
    try {
      for (const { query } of [from, to]) await query(`grant select on "drop table\nx; --" to ${login.user}`);
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${testUrl(to.name, login)}'\n` });
      const { code, stdout, stderr } = await compare('--data', '--without', 'owners', '--without', 'grants');
      expect(code, stderr).to.equal(2);
      expect(stdout).not.to.contain('equal');
      expect(stderr).to.contain(`! Not compared: rows public.customers, in testing. ${login.user} may not read it.`);
      expect(stderr).to.contain(
        '✗ PERMISSION_DENIED  No difference was found between production and testing, but not everything',
      );
      await from.query('alter table customers add email text');
      expect((await compare('--data', '--without', 'owners', '--without', 'grants')).code).to.equal(4);
    } finally {
      for (const { query } of [from, to]) await query(`drop owned by ${login.user}`);
      await dropLogins(login);
    }
  });

  it('compares the active environment where --from is not given', async () => {
    const result = await workspace.cli(['compare-db', '--to', 'testing', '--env', 'production', '--json']);
    expect(result.json().data).to.deep.include({ isEqual: true });
    expect(result.json().data.from.environment).to.equal('production');
  });

  it('refuses what makes no sense, with the next thing to type', async () => {
    for (const args of [
      ['--from', 'production'],
      ['--from', 'production', '--to', 'production'],
      ['--from', 'production', '--to', 'testing', '--env', 'testing'],
      ['--from', 'production', '--to', 'testing', '--table', 'nothing'],
      ['--from', 'production', '--to', 'testing', '--without', 'rows'],
      ['--from', 'production', '--to', 'nowhere'],
    ]) {
      const { code, stderr } = await workspace.cli(['compare-db', ...args]);
      expect(code, `${args}: ${stderr}`).to.equal(2);
      expect(stderr, `${args}`).to.match(/→ /);
    }
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${testUrl('gone_with_the_wind')}'\n` });
    const missing = await compare('--json');
    expect([missing.code, missing.json().error?.code]).to.deep.equal([1, 'DATABASE_MISSING']);
  });
});
