import { expect } from 'chai';
import { type CopyPair, copyPair } from '../support/copy-pair.js';

const PATIENTS = `
  create table public.patients (id int primary key, name text not null);
  insert into public.patients select n, 'patient ' || n from generate_series(1, 100) n`;

describe('copy-db on the command line', () => {
  let pair: CopyPair;
  afterEach(() => pair.remove());

  const run = async (...line: string[]) => {
    const result = await pair.workspace.cli(line);
    return { ...result, text: `${result.stdout}\n${result.stderr}` };
  };
  const BETWEEN = ['--from', 'testing', '--to', 'development'];

  it('says what it will do, does it, and says what leads back', async () => {
    pair = await copyPair(PATIENTS);
    const dry = await run('copy-db', ...BETWEEN, '--dry-run');
    expect(dry.code, dry.text).to.equal(0);
    expect(dry.stderr)
      .to.include('testing → development by template')
      .and.match(/About .* MB in .* s \(as a rule\)/);
    expect(dry.stdout).to.include('Nothing was changed');

    const refused = await run('copy-db', ...BETWEEN);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.include('--to development --yes');

    const done = await run('copy-db', ...BETWEEN, '--yes', '--keep-previous', '--strategy', 'stream');
    expect(done.code, done.text).to.equal(0);
    expect(done.stdout).to.match(/is a copy of testing as it was at .*: by stream in .* 1 table, 100 rows/);
    const [, name = ''] = /manage_db undo-copy (\S+) --env development/.exec(done.stdout) ?? [];
    const status = await run('switch-env', '--status', '--env', 'development');
    expect(status.stdout).to.match(/before +testing \(\S+\), copied \S+ by \S+, as it was at/);

    const undone = await run('undo-copy', name, '--env', 'development', '--yes');
    expect(undone.code, undone.text).to.equal(0);
    expect((await pair.target.query('select id from public.patients')).rows).to.deep.equal([{ id: 99 }]);
  });

  it('gives one JSON object, also where it is refused', async () => {
    pair = await copyPair(PATIENTS);
    const done = (await run('copy-db', ...BETWEEN, '--yes', '--json')).json();
    expect(done).to.include({ command: 'copy-db', environment: 'development', ok: true, error: null });
    expect(done.data).to.include({ database: pair.target.name, previousDatabase: null, strategy: 'template' });
    expect(done.data.tables).to.deep.equal([{ schema: 'public', name: 'patients', rows: null }]);
    expect(done.data.plan.expected).to.include({ basis: 'rule' });
    const refused = await run('copy-db', ...BETWEEN, '--json');
    expect(refused.json().error).to.include({ code: 'CONFIRMATION_REQUIRED' });
  });

  it('refuses what cannot be meant', async () => {
    pair = await copyPair(PATIENTS);
    for (const [line, message] of [
      [['--from', 'testing'], 'to'],
      [['--from', 'testing', '--to', 'testing'], 'onto itself'],
      [['--env', 'development', '--from', 'testing', '--to', 'development'], 'two environments'],
      [['--from', 'nowhere', '--to', 'development'], 'nowhere'],
      [['--to', 'production', ...BETWEEN], '--to was given more than once'],
      [[...BETWEEN, '--mask', '--unmasked'], 'masked or it is not'],
      [[...BETWEEN, '--mask', '--yes'], 'masking rules'],
      [[...BETWEEN, '--without', 'indexes', '--yes'], 'leave out indexes'],
    ] as const) {
      const { code, text } = await run('copy-db', ...line);
      expect(code, text).to.be.oneOf([1, 2]);
      expect(text).to.include(message);
    }
    expect((await pair.target.query('select id from public.patients')).rows).to.deep.equal([{ id: 99 }]);
  });

  it('takes a hook that ends the process for no success', async () => {
    pair = await copyPair(PATIENTS);
    const hooked = (hook: string) =>
      pair.workspace.write({
        'manage_db.config.mjs': `export default { environments: { development: { copy: { afterCopy: [${hook}] } } } };`,
      });
    for (const hook of [
      'async () => { process.exit(0); }',
      `async () => { Promise.reject(new Error('late')); await new Promise((resolve) => setTimeout(resolve, 200)); }`,
    ]) {
      hooked(hook);
      const ended = await run('copy-db', ...BETWEEN, '--yes', '--json');
      expect(ended.code, ended.text).to.equal(1);
      expect(ended.json()).to.include({ command: 'copy-db', ok: false });
    }
    expect((await pair.target.query('select id from public.patients')).rows).to.deep.equal([{ id: 99 }]);
  });

  it('shows what a schema update would execute, and what it has done', async () => {
    pair = await copyPair(PATIENTS);
    const dry = await run('copy-db', ...BETWEEN, '--schema-only', '--dry-run', '--verbose');
    expect(dry.code, dry.text).to.equal(0);
    expect(dry.stdout)
      .to.match(/ALTER TABLE "?public"?\."?patients"? ADD COLUMN/i)
      .and.include('Nothing was changed');
    // the row that is there has no name
    const failed = await run('copy-db', ...BETWEEN, '--schema-only', '--yes');
    expect(failed.code, failed.text).to.equal(1);
    expect(failed.stderr)
      .to.include('was not changed')
      .and.match(/ADD COLUMN/);
    const unkept = await run('copy-db', ...BETWEEN, '--schema-only', '--yes', '--keep-previous');
    expect(unkept.code).to.equal(2);
    expect(unkept.stderr).to.include('--keep-previous');
    await pair.source.query('alter table public.patients alter name drop not null');
    const done = await run('copy-db', ...BETWEEN, '--schema-only', '--yes');
    expect(done.code, done.text).to.equal(0);
    expect(done.stdout).to.match(/1 statement executed/);
    expect((await pair.target.query('select id, name from public.patients')).rows).to.deep.equal([
      { id: 99, name: null },
    ]);
  });
});
