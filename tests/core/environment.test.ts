import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  currentEnv,
  discover,
  isDevelopment,
  isProduction,
  isTesting,
  onEnvironmentChange,
  setEnvironment,
  withEnvironment,
} from '../../app/core/environment.js';
import { normalizeEnv } from '../../app/core/environment-names.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { withVariables } from '../support/variables.js';

describe('which environment is active', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  const found = (variables: Record<string, string> = {}) => withVariables(variables, () => discover(workspace.root));

  it('is development when nothing says otherwise', async () => {
    expect(await found()).to.include({ environment: 'development', source: 'default' });
  });

  it('understands the usual short names, in any case', () => {
    expect(['dev', 'PROD', ' Test ', 'stage', 'Production', 'qa-2'].map(normalizeEnv)).to.deep.equal([
      'development',
      'production',
      'testing',
      'staging',
      'production',
      'qa-2',
    ]);
  });

  it('refuses what cannot be a name', () => {
    for (const name of ['', 'prod;rm', '../prod', 'a b', '1st', '__proto__']) {
      expect(() => normalizeEnv(name), name)
        .to.throw()
        .with.property('code', 'UNKNOWN_ENVIRONMENT');
    }
  });

  it('takes MANAGE_DB_ENV before APP_ENV before the file', async () => {
    setEnvironmentFile('testing');
    expect(await found()).to.include({ environment: 'testing', source: '.manage_db/environment' });
    expect(await found({ APP_ENV: 'staging' })).to.include({ environment: 'staging', source: 'APP_ENV' });
    expect(await found({ APP_ENV: 'staging', MANAGE_DB_ENV: 'prod' })).to.include({
      environment: 'production',
      source: 'MANAGE_DB_ENV',
    });
  });

  it('is not changed by NODE_ENV, and never to production even where the workspace opts in', async () => {
    expect((await found({ NODE_ENV: 'production' })).environment).to.equal('development');
    workspace.write({ '.env': 'MANAGE_DB_LEGACY_VARIABLES=FLASK_ENV,NODE_ENV\n' });
    const { environment, candidates } = await found({ NODE_ENV: 'production' });
    expect(environment).to.equal('development');
    expect(candidates.find(({ source }) => source === 'NODE_ENV')?.ignored).to.contain('never selects production');
    expect((await found({ NODE_ENV: 'test' })).environment).to.equal('testing');
  });

  it('follows a legacy variable only where the workspace opts in', async () => {
    expect((await found({ FLASK_ENV: 'testing' })).environment).to.equal('development');
    workspace.write({ '.env': 'MANAGE_DB_LEGACY_VARIABLES=FLASK_ENV\n' });
    expect(await found({ FLASK_ENV: 'testing' })).to.include({ environment: 'testing', source: 'FLASK_ENV' });
  });

  it('lists every place that was looked at', async () => {
    const { candidates } = await found({ APP_ENV: 'stage' });
    expect(candidates.map(({ source }) => source)).to.deep.equal([
      '--env',
      'MANAGE_DB_ENV',
      'APP_ENV',
      '.manage_db/environment',
      'default',
    ]);
    expect(candidates[2]).to.include({ value: 'stage', environment: 'staging' });
  });

  it('names the file when its content is impossible, instead of guessing', async () => {
    setEnvironmentFile('pro duction');
    const error = await withVariables({}, async () => discover(workspace.root)).catch((thrown) => thrown);
    expect(error).to.include({ code: 'UNKNOWN_ENVIRONMENT' });
    expect(error.message).to.contain('.manage_db/environment');
  });

  describe('when it is switched', () => {
    const switchTo = (name: string) => withVariables({}, () => setEnvironment(name, { workspace: workspace.root }));

    it('writes the file, tells this process and keeps a log', async () => {
      await withVariables({}, () => {
        setEnvironment('prod', { workspace: workspace.root });
        expect(process.env.MANAGE_DB_ENV).to.equal('production');
        setEnvironment('dev', { workspace: workspace.root });
      });
      expect(readFileSync(join(workspace.root, '.manage_db/environment'), 'utf8')).to.equal('development\n');
      const log = readFileSync(join(workspace.root, '.manage_db/environment-changes.jsonl'), 'utf8').trim().split('\n');
      expect(log.map((line) => JSON.parse(line)).map(({ from, to }) => `${from}>${to}`)).to.deep.equal([
        'development>production',
        'production>development',
      ]);
    });

    it('was not switched when its log cannot be written, as it says', async () => {
      mkdirSync(join(workspace.root, '.manage_db/environment-changes.jsonl'));
      const error = await switchTo('production').catch((thrown) => thrown);
      expect(error.message).to.contain('was not switched');
      expect((await found()).environment).to.equal('development');
    });

    it('keeps the legacy file in step where there is one', async () => {
      workspace.write({ '.flask_env_type': 'dev\n' });
      await switchTo('testing');
      expect(readFileSync(join(workspace.root, '.flask_env_type'), 'utf8')).to.equal('testing\n');
    });

    it('tells those who subscribed', async () => {
      const seen: string[] = [];
      const unsubscribe = onEnvironmentChange(({ to }) => seen.push(to));
      await switchTo('testing');
      unsubscribe();
      await switchTo('staging');
      expect(seen).to.deep.equal(['testing']);
    });

    it('refuses an environment that nobody declared, with a suggestion', async () => {
      const error = await switchTo('prodution').catch((thrown) => thrown);
      expect(error.code).to.equal('UNKNOWN_ENVIRONMENT');
      expect(error.message).to.contain('Did you mean production?');
    });

    it('accepts a custom one that has a file of its own', async () => {
      workspace.write({ '.env.preview': '' });
      await switchTo('preview');
      expect((await found()).environment).to.equal('preview');
    });
  });

  it('can be another for one operation, side by side with others', async () => {
    const seen = await Promise.all(
      ['testing', 'production', 'development'].map((name) =>
        withEnvironment(name, async () => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return [currentEnv(), isTesting(), isProduction(), isDevelopment()];
        }),
      ),
    );
    expect(seen).to.deep.equal([
      ['testing', true, false, false],
      ['production', false, true, false],
      ['development', false, false, true],
    ]);
    expect(await withVariables({}, () => workspace.run(async () => currentEnv()))).to.equal('development');
  });

  it('is what it was after an operation that failed', async () => {
    const fail = () => withEnvironment('production', () => Promise.reject(new Error('no')));
    await fail().catch(() => undefined);
    expect(await withVariables({}, () => workspace.run(async () => currentEnv()))).to.equal('development');
  });

  function setEnvironmentFile(text: string): void {
    writeFileSync(join(workspace.root, '.manage_db', 'environment'), text);
  }
});
