import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  describeConfig,
  getConfig,
  getDatabaseUrlForEnv,
  onConfigChange,
  reloadConfig,
} from '../../app/config/db-config.js';
import { setEnvironment } from '../../app/core/environment.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { withVariables } from '../support/variables.js';

describe('the configuration of an environment', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  const inWorkspace = <T>(variables: Record<string, string>, fn: () => Promise<T>) =>
    withVariables({ HOME: workspace.root, ...variables }, () => workspace.run(fn));
  const config = (env: string, variables: Record<string, string> = {}) => inWorkspace(variables, () => getConfig(env));
  const failure = (env: string, variables: Record<string, string> = {}): Promise<ManageDbError> =>
    config(env, variables).then(
      () => expect.fail('it should have been refused'),
      (error) => error,
    );
  const databaseOf = async (env: string, variables: Record<string, string> = {}) =>
    (await config(env, variables)).connection.database;

  it('is the embedded server for development and testing when nothing is set', async () => {
    const { connection } = await config('testing');
    expect(connection).to.include({ server: 'embedded' });
    expect(connection.database).to.match(/_testing$/);
  });

  it('is an error that names the variable for anything else', async () => {
    const error = await failure('production');
    expect(error.code).to.equal('MISSING_SETTING');
    expect(error.exitCode).to.equal(2);
    expect(error.message).to.contain('PRODUCTION_DATABASE_URL');
  });

  it('says which setting was probably meant where the name of one is misspelt', async () => {
    workspace.write({
      '.env.production': 'DATABSE_URL=postgresql://u@h/clinic\n',
      '.env.testing': 'DATABASE_ULR=postgresql://u@h/clinic\n',
      '.env':
        'STAGING_DATABASE_UR=postgresql://u@h/x\nDATABASE_URI=sqlite://\nDATABASE_APPLICATION_NAM=x\nURL=y\nQA_DATABASE_URL=z\n',
    });
    const error = await failure('production');
    expect(error.message).to.contain('DATABSE_URL in .env.production is not the name of a setting; DATABASE_URL is');
    expect(error.hint).to.contain('Write DATABASE_URL in .env.production');
    expect((await failure('staging')).message).to.contain('STAGING_DATABASE_UR in .env');
    const warningsOf = async (env: string) => (await inWorkspace({}, () => describeConfig(env))).warnings;
    const warnings = await warningsOf('testing');
    expect(warnings.map((warning) => warning.split(' is not ')[0])).to.deep.equal([
      'DATABASE_ULR in .env.testing',
      'DATABASE_URI in .env',
      'DATABASE_APPLICATION_NAM in .env',
    ]);
    workspace.write({ '.env.production': '', '.env': 'PROD_DATABSE_URL=postgresql://u@h/clinic\n' });
    const short = await failure('production');
    expect(short.message).to.contain('PROD_DATABSE_URL in .env is not the name of a setting; PROD_DATABASE_URL is');
    expect(short.details.misspelt).to.equal('PROD_DATABSE_URL');
    // beside the right one it is the application's own
    workspace.write({ '.env.testing': 'DATABASE_ULR=x\nDATABASE_URL=postgresql://u@h/clinic\n', '.env': '' });
    expect(await warningsOf('testing')).to.deep.equal([]);
  });

  it('never falls back to another environment, nor to the shared unscoped URL, for a protected one', async () => {
    workspace.write({ '.env': 'DATABASE_URL=postgresql://u@h/shared\nDEV_DATABASE_URL=postgresql://u@h/dev\n' });
    const error = await failure('production', {
      DATABASE_URL: 'postgresql://u@h/process',
      PGHOST: 'h',
      PGDATABASE: 'x',
      PGSERVICE: 's',
    });
    expect(error.code).to.equal('MISSING_SETTING');
    expect(error.message).to.contain('not used for a protected environment');
    expect(await databaseOf('development')).to.equal('dev');
    expect(await databaseOf('testing')).to.equal('shared');
  });

  it('takes nothing unscoped to complete the connection of a protected one', async () => {
    const variables = {
      PRODUCTION_DATABASE_URL: 'postgresql://app@db1/clinic',
      PGPASSWORD: 'stray-password',
      PGSSLMODE: 'disable',
      PGPORT: '9',
    };
    const { connection } = await config('production', variables);
    expect(connection.password).to.equal(null);
    expect(connection.ssl.mode).to.equal('prefer');
    expect(connection.hosts).to.deep.equal([{ host: 'db1', port: 5432 }]);
  });

  it('comes from the strongest place that has it', async () => {
    const added = (files: Record<string, string>): Record<string, string> => {
      workspace.write(files);
      return {};
    };
    const places: readonly (readonly [string, () => Record<string, string>])[] = [
      ['env', () => ({ DATABASE_URL: 'postgresql://u@h/env' })],
      [
        'file',
        () =>
          added({
            'manage_db.config.json': JSON.stringify({
              environments: { development: { databaseUrl: 'postgresql://u@h/file' } },
            }),
          }),
      ],
      ['shared', () => added({ '.env': 'DEV_DATABASE_URL=postgresql://u@h/shared' })],
      ['own', () => added({ '.env.development': 'DATABASE_URL=postgresql://u@h/own' })],
      ['local', () => added({ '.env.development.local': 'DATABASE_URL=postgresql://u@h/local' })],
      ['process', () => ({ DEVELOPMENT_DATABASE_URL: 'postgresql://u@h/process' })],
    ];
    let variables: Record<string, string> = {};
    for (const [database, add] of places) {
      variables = { ...variables, ...add() };
      expect(await databaseOf('development', variables)).to.equal(database);
    }
  });

  it('accepts the short prefixes', async () => {
    expect(await databaseOf('production', { PROD_DATABASE_URL: 'postgresql://u@h/p' })).to.equal('p');
    expect(await databaseOf('testing', { TEST_DATABASE_URL: 'postgresql://u@h/t' })).to.equal('t');
  });

  it('reads a mounted secret and a secret manager', async () => {
    workspace.write({ 'secret-url': 'postgresql://u:from-a-file@h/f\n' });
    const fromFile = await config('production', { PRODUCTION_DATABASE_URL_FILE: join(workspace.root, 'secret-url') });
    expect(fromFile.connection).to.include({ database: 'f', password: 'from-a-file' });
    const fromCommand = await config('production', {
      PRODUCTION_DATABASE_URL: 'postgresql://u@h/c',
      PRODUCTION_DATABASE_PASSWORD_COMMAND: 'printf from-a-command',
    });
    expect(fromCommand.connection.password).to.equal('from-a-command');
  });

  it('says what a failing secret command was for, without what it printed', async () => {
    const error = await failure('production', {
      PRODUCTION_DATABASE_URL_COMMAND: 'echo canary-output; echo canary-output >&2; exit 3',
    });
    expect(error.code).to.equal('SECRET_COMMAND_FAILED');
    expect(error.message).to.contain('PRODUCTION_DATABASE_URL_COMMAND');
    expect(error.message + error.hint + JSON.stringify(error.details)).not.to.contain('canary-output');
  });

  it('refuses a value that is given in two ways at the same place', async () => {
    const error = await failure('production', {
      PRODUCTION_DATABASE_URL: 'postgresql://u@h/x',
      PRODUCTION_DATABASE_URL_FILE: '/x',
    });
    expect(error.code).to.equal('INVALID_CONFIGURATION');
    expect(error.message).to.contain('both set');
  });

  it('prefers a password of its own to the one in a URL from the same or a weaker place', async () => {
    workspace.write({ '.env.production': 'DATABASE_URL=postgresql://u:in-url@h/x' });
    const { connection } = await config('production', { PRODUCTION_DATABASE_PASSWORD: 'of-its-own' });
    expect(connection.password).to.equal('of-its-own');
  });

  it('reads a service, for a protected environment only one of its own', async () => {
    writeFileSync(
      join(workspace.root, '.pg_service.conf'),
      '# comment\n[other]\nhost=no\n\n[clinic]\nhost=db1,db2\nport=5433\ndbname=clinic\nuser=app\nsslmode=require\n',
    );
    const service = { PGSERVICEFILE: join(workspace.root, '.pg_service.conf') };
    const { connection } = await config('production', { ...service, PRODUCTION_PGSERVICE: 'clinic' });
    expect(connection).to.include({ database: 'clinic', user: 'app' });
    expect(connection.hosts).to.deep.equal([
      { host: 'db1', port: 5433 },
      { host: 'db2', port: 5433 },
    ]);
    expect(connection.ssl.mode).to.equal('require');
    expect((await failure('staging', { ...service, PGSERVICE: 'clinic' })).code).to.equal('MISSING_SETTING');
    expect(await databaseOf('development', { ...service, PGSERVICE: 'clinic' })).to.equal('clinic');
    expect((await failure('development', { ...service, PGSERVICE: 'missing' })).message).to.contain('"missing"');
  });

  it('reads libpq variables for an unprotected environment', async () => {
    const { connection } = await config('development', {
      PGHOST: 'a,b',
      PGPORT: '1,2',
      PGUSER: 'me',
      PGDATABASE: 'd',
      PGSSLMODE: 'require',
    });
    expect(connection.hosts).to.deep.equal([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(connection).to.include({ user: 'me', database: 'd' });
    expect(connection.ssl.mode).to.equal('require');
  });

  it('ignores PGHOSTADDR, and says so', async () => {
    const report = await inWorkspace({ PGHOSTADDR: '10.0.0.9' }, () => describeConfig('development'));
    expect(report.connection?.server).to.equal('embedded');
    expect(report.warnings.join()).to.contain('PGHOSTADDR');
  });

  it('shows all its problems at once', async () => {
    const error = await failure('development', {
      DATABASE_URL: 'postgresql://u@h/d?sslmode=sure',
      DATABASE_POOL_MAX: 'many',
      DATABASE_CONNECT_TIMEOUT_MS: '-1',
    });
    expect(error.code).to.equal('INVALID_CONFIGURATION');
    expect(error.message)
      .to.contain('DATABASE_POOL_MAX')
      .and.contain('DATABASE_CONNECT_TIMEOUT_MS')
      .and.contain('DATABASE_URL');
  });

  it('does not let a leftover PGDATABASE alone move development from the embedded server', async () => {
    expect((await config('development', { PGDATABASE: 'leftover', PGUSER: 'me' })).connection.server).to.equal(
      'embedded',
    );
  });

  it('lets a database or user from a stronger place change that part of the URL, and nothing else', async () => {
    workspace.write({ '.env.production': 'DATABASE_URL=postgresql://app:secret-word@db1:6000/clinic?sslmode=require' });
    const { connection } = await config('production', { PRODUCTION_PGDATABASE: 'other' });
    expect(connection).to.include({ database: 'other', user: 'app', password: 'secret-word' });
    expect(connection.hosts).to.deep.equal([{ host: 'db1', port: 6000 }]);
    expect(connection.ssl.mode).to.equal('require');
    expect((await config('production', { PROD_PGUSER: 'auditor' })).connection).to.include({
      database: 'clinic',
      user: 'auditor',
    });
    const { values } = await inWorkspace({ PRODUCTION_PGDATABASE: 'other' }, () => describeConfig('production'));
    const sourceOf = (name: string) => values.find((value) => value.name === name)?.source;
    expect(sourceOf('host')).to.equal('DATABASE_URL in .env.production');
    expect(sourceOf('database')).to.equal('PRODUCTION_PGDATABASE in the process environment');
  });

  it('does not let one that is left over in the shell change a URL', async () => {
    workspace.write({ '.env': 'DATABASE_URL=postgresql://app@db1/clinic' });
    const { connection } = await config('development', { PGDATABASE: 'leftover', PGUSER: 'me' });
    expect(connection).to.include({ database: 'clinic', user: 'app' });
  });

  it('takes a database alone for no server, and says so', async () => {
    for (const variable of ['PRODUCTION_PGDATABASE', 'PRODUCTION_PGUSER']) {
      expect((await failure('production', { [variable]: 'clinic' })).code).to.equal('MISSING_SETTING');
    }
    expect((await failure('production', { PRODUCTION_PGDATABASE: 'clinic' })).message).to.contain(
      'PRODUCTION_PGDATABASE in the process environment alone names no server',
    );
    workspace.write({ '.env.qa': 'PGDATABASE=qa\nPGUSER=u\n' });
    expect((await failure('qa')).code).to.equal('MISSING_SETTING');
    const report = await inWorkspace({ DEV_PGDATABASE: 'mine' }, () => describeConfig('development'));
    expect(report.connection).to.include({ server: 'embedded', database: 'app_development' });
    expect(report.warnings.join()).to.contain('DEV_PGDATABASE');
  });

  it('names the missing database also beside another problem', async () => {
    const error = await failure('production', { PRODUCTION_DATABASE_POOL_MAX: 'many' });
    expect(error.message).to.contain('PRODUCTION_DATABASE_URL').and.contain('PRODUCTION_DATABASE_POOL_MAX');
  });

  it('refuses two spellings of one variable that disagree', async () => {
    const error = await failure('development', {
      DEV_DATABASE_URL: 'postgresql://u@h/a',
      DEVELOPMENT_DATABASE_URL: 'postgresql://u@h/b',
    });
    expect(error.code).to.equal('INVALID_CONFIGURATION');
    expect(error.message).to.contain('DEV_DATABASE_URL').and.contain('DEVELOPMENT_DATABASE_URL');
  });

  it('says when a database is not written for one environment alone', async () => {
    const report = await inWorkspace({ DATABASE_URL: 'postgresql://u@h/shared' }, () => describeConfig('testing'));
    expect(report.warnings.join()).to.contain('not written for testing alone');
  });

  it('gives up on a secret command that does not end, and on what it has started', async () => {
    // not those of another run
    const seconds = 10_000_000 + process.pid;
    const command = `sleep ${seconds} & sleep ${seconds}`;
    const error = await failure('production', { PRODUCTION_DATABASE_URL_COMMAND: command });
    expect(error.code).to.equal('SECRET_COMMAND_FAILED');
    expect(error.message).to.contain('15 s');
    const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(String(seconds)));
    expect(left).to.deep.equal([]);
  });

  it('names a file that cannot be read', async () => {
    mkdirSync(join(workspace.root, '.env'));
    const error = await failure('development');
    expect(error.code).to.equal('UNREADABLE_FILE');
    expect(error.message).to.contain(join(workspace.root, '.env'));
  });

  it('traces each value to its source, secrets masked', async () => {
    workspace.write({
      '.env.production': 'DATABASE_URL=postgresql://app:canary-password@db1:6000/clinic\nDATABASE_POOL_MAX=3\n',
    });
    const { values } = await inWorkspace({}, () => describeConfig('production'));
    const row = (name: string) => values.find((value) => value.name === name);
    expect(row('databaseUrl')).to.deep.equal({
      name: 'databaseUrl',
      value: 'postgresql://app:***@db1:6000/clinic',
      source: 'DATABASE_URL in .env.production',
    });
    expect(row('poolMax')).to.include({ value: '3', source: 'DATABASE_POOL_MAX in .env.production' });
    expect(row('connectTimeoutMs')).to.include({ source: 'default' });
    expect(JSON.stringify(values)).not.to.contain('canary-password');
  });

  it('gives back a URL that means the same', async () => {
    const url = 'postgresql://app:p%40ss@db1:5432,db2:5433/cl%69nic?sslmode=require&target_session_attrs=primary';
    const again = await inWorkspace({ DEV_DATABASE_URL: url }, () => getDatabaseUrlForEnv('dev'));
    expect(again).to.equal(
      'postgresql://app:p%40ss@db1:5432,db2:5433/clinic?sslmode=require&target_session_attrs=primary',
    );
  });

  describe('in the configuration file', () => {
    const file = (config: unknown) => workspace.write({ 'manage_db.config.json': JSON.stringify(config) });

    it('may extend another environment, but never inherits its database', async () => {
      file({
        environments: {
          base: {
            databaseUrl: 'postgresql://u@h/base',
            pool: { max: 7 },
            security: { protected: false, confirmation: 'yes' },
          },
          preview: { extends: 'base' },
        },
      });
      expect((await failure('preview')).code).to.equal('MISSING_SETTING');
      const { connection, security } = await config('preview', { PREVIEW_DATABASE_URL: 'postgresql://u@h/preview' });
      expect(connection.pool.max).to.equal(7);
      expect(security).to.include({ protected: false, confirmation: 'yes' });
    });

    it('is refused with everything that is wrong in it', async () => {
      file({ nam: 'x', environments: { production: { databasUrl: 'y', pool: { max: 'z' } } } });
      const error = await failure('development');
      expect(error.code).to.equal('INVALID_CONFIGURATION');
      expect(error.message).to.contain('nam').and.contain('databasUrl').and.contain('environments.production.pool.max');
    });

    it('is refused when extends goes in a circle', async () => {
      file({ environments: { a: { extends: 'b' }, b: { extends: 'a' } } });
      expect((await failure('development')).message).to.contain('a → b → a');
    });

    it('may be TypeScript that imports manage_db, without it being installed there', async () => {
      workspace.write({
        'manage_db.config.ts': `import { defineConfig } from 'manage_db';\nconst max: number = 4;\nexport default defineConfig({ name: 'typed', environments: { testing: { pool: { max } } } });`,
      });
      const { connection, workspace: described } = await config('testing');
      expect(connection.pool.max).to.equal(4);
      expect(described.name).to.equal('typed');
      expect(connection.database).to.equal('typed_testing');
    });

    const canary = 'canary-in-the-file';
    const typed = (database: string) =>
      workspace.write({
        'database.ts': `export const database: string = '${database}';`,
        'manage_db.config.ts': `import { database } from './database';\nconst password = '${canary}';\nexport default { environments: { testing: { databaseUrl: 'postgresql://u:' + password + '@h/' + database } } };`,
      });

    it('is read anew when it or what it imports has changed', async () => {
      typed('one');
      expect(await databaseOf('testing')).to.equal('one');
      typed('two');
      expect(await databaseOf('testing')).to.equal('two');
    });

    it('may be plain JavaScript, and is read anew when it has changed', async () => {
      const plain = (database: string) =>
        workspace.write({
          'manage_db.config.mjs': `/** @type {import('manage_db').ManageDbConfig} */\nexport default { environments: { testing: { databaseUrl: 'postgresql://u@h/${database}' } } };`,
        });
      plain('one');
      expect(await databaseOf('testing')).to.equal('one');
      plain('two');
      expect(await databaseOf('testing')).to.equal('two');
    });

    it('leaves a copy of its secrets only where nobody else can look', async () => {
      typed('one');
      const cached = join(workspace.root, 'tmp');
      mkdirSync(cached);
      mkdirSync(join(workspace.root, 'node_modules'));
      expect((await config('testing', { TMPDIR: cached })).connection.password).to.equal(canary);
      const copies = readdirSync(workspace.root, { recursive: true, encoding: 'utf8', withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== 'manage_db.config.ts')
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => readFileSync(path, 'utf8').includes(canary));
      const closed = join(workspace.root, '.manage_db', 'cache');
      expect(copies.filter((path) => !path.startsWith(`${closed}/`))).to.deep.equal([]);
      expect(statSync(closed).mode & 0o777).to.equal(0o700);
    });

    it('is refused by line and column, without quoting a secret, where it is no JSON', async () => {
      const broken: readonly (readonly [string, string])[] = [
        [`{\n  "name": "${canary}" x\n}`, `line 2, column ${14 + canary.length}`],
        [`{\n  "password": ${canary}\n}`, 'line 2, column 15'],
        [`{\n  "name": "${canary}`, `line 2, column ${12 + canary.length}`],
        [`{ "name": "${canary}",\n}`, 'line 2, column 1'],
        ['', 'line 1, column 1'],
      ];
      for (const [text, place] of broken) {
        workspace.write({ 'manage_db.config.json': text });
        const error = await failure('development');
        expect(error.code, text).to.equal('INVALID_CONFIGURATION');
        expect(error.message, text).to.contain(`${place} is not valid JSON`);
        for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
          expect(`${cause.stack}${JSON.stringify(cause)}`, text).not.to.contain('canary');
        }
      }
    });

    it('does not unprotect an environment by a setting that is undefined', async () => {
      workspace.write({
        'manage_db.config.ts': `export default { environments: {
          production: { databaseUrl: 'postgresql://u@h/p', security: { protected: undefined, confirmation: undefined } },
          preview: { extends: 'strict', databaseUrl: 'postgresql://u@h/q', pool: { max: undefined }, security: { confirmation: undefined } },
          strict: { pool: { max: 3 }, security: { confirmation: 'yes' } },
        } };`,
      });
      expect((await config('production')).security).to.include({ protected: true, confirmation: 'typed' });
      const { connection, security } = await config('preview');
      expect(security.confirmation).to.equal('yes');
      expect(connection.pool.max).to.equal(3);
    });

    it('is refused with a short name of an environment, which would count for nothing, with the one to write', async () => {
      file({ nam: 'x', environments: { prod: { databaseUrl: 'y' }, qa: { extends: 'stage' }, 'B C': {} } });
      const error = await failure('development');
      expect(error.code).to.equal('INVALID_CONFIGURATION');
      expect(error.message)
        .to.contain('environments.prod: write it as "production"')
        .and.contain('environments.qa.extends: write it as "staging"')
        .and.contain('environments.B C: it cannot be the name of an environment')
        .and.contain('nam');
    });

    it('is named with the section that a security setting comes from', async () => {
      file({
        environments: {
          base: { security: { protected: false, confirmation: 'yes' } },
          preview: { extends: 'base', security: { confirmation: 'typed' } },
        },
      });
      const { values } = await inWorkspace({}, () => describeConfig('preview'));
      const sourceOf = (name: string) => values.find((value) => value.name === `security.${name}`)?.source;
      expect(sourceOf('protected')).to.equal('environments.base.security in the configuration file');
      expect(sourceOf('confirmation')).to.equal('environments.preview.security in the configuration file');
      expect(sourceOf('reasonRequired')).to.equal('SECURITY_SETTINGS');
    });

    it('may hold a reference to a secret', async () => {
      file({
        environments: {
          production: { databaseUrl: 'postgresql://u@h/x', password: { command: 'printf by-reference' } },
        },
      });
      expect((await config('production')).connection.password).to.equal('by-reference');
    });

    it('makes a custom environment protected unless it says otherwise', async () => {
      file({ environments: { qa: { databaseUrl: 'postgresql://u@h/qa' } } });
      expect((await config('qa')).security.protected).to.equal(true);
    });
  });

  it('is read anew after a switch, and subscribers are told', async () => {
    await inWorkspace({ TEST_DATABASE_URL: 'postgresql://u@h/one' }, async () => {
      const seen: string[] = [];
      const unsubscribe = onConfigChange((environment) => seen.push(environment));
      expect((await getConfig('testing')).connection.database).to.equal('one');
      process.env.TEST_DATABASE_URL = 'postgresql://u@h/two';
      expect((await getConfig('testing')).connection.database).to.equal('one');
      setEnvironment('testing');
      expect((await getConfig()).connection.database).to.equal('two');
      unsubscribe();
      reloadConfig();
      expect(seen).to.deep.equal(['testing']);
    });
  });

  it('does not read a secret file that is not there', async () => {
    chmodSync(workspace.root, 0o755);
    const error = await failure('production', { PRODUCTION_DATABASE_URL_FILE: join(workspace.root, 'absent') });
    expect(error.code).to.equal('UNREADABLE_FILE');
    expect(error.message).to.contain('PRODUCTION_DATABASE_URL_FILE');
  });
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
