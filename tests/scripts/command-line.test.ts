import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { testServer, testUrl } from '../support/test-server.js';

describe('the command line', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  it('explains itself, in groups and with examples', async () => {
    const { code, stdout } = await workspace.cli(['--help']);
    expect(code).to.equal(0);
    expect(stdout).to.contain('Backup and restore:').and.contain('create-backup').and.contain('Examples:');
    const own = await workspace.cli(['restore-backup', '--help']);
    expect(own.stdout)
      .to.contain('--disconnect-users')
      .and.contain('restore-backup latest')
      .and.contain('Global flags:');
  });

  it('gives the same help by name, and its version', async () => {
    expect((await workspace.cli(['help', 'create-backup'])).stdout).to.contain('--label');
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect((await workspace.cli(['--version'])).stdout.trim()).to.equal(version);
  });

  it('completes commands', async () => {
    const script = await workspace.cli(['completion']);
    expect([script.code, script.stderr]).to.deep.equal([0, '']);
    expect(script.stdout).to.contain('--get-yargs-completions');
    const offered = (await workspace.cli(['--get-yargs-completions', 'manage_db', 'cre'])).stdout;
    expect(offered).to.contain('create-backup');
  });

  it('suggests what was meant', async () => {
    const command = await workspace.cli(['inspct-db']);
    expect(command.code).to.equal(2);
    expect(command.stderr).to.contain('UNKNOWN_COMMAND').and.contain('manage_db inspect-db');
    const flag = await workspace.cli(['inspect-db', '--tabels']);
    expect(flag.code).to.equal(2);
    expect(flag.stderr).to.contain('--tables');
    expect((await workspace.cli(['--bogus'])).code).to.equal(2);
    // letters that have changed places
    expect((await workspace.cli(['inspect-db', '--schmea', 'x'])).stderr).to.contain('Did you mean --schema?');
    expect((await workspace.cli(['create-backup', '--lable', 'x'])).stderr).to.contain('Did you mean --label?');
  });

  it('says what is missing on a line', async () => {
    expect((await workspace.cli(['restore-backup'])).stderr).to.contain('USAGE  restore-backup needs <id>.');
    expect((await workspace.cli(['copy-db', '--from', 'testing'])).stderr).to.contain('USAGE  --to is missing.');
  });

  it('prints exactly one JSON object, also for a wrong line', async () => {
    for (const args of [
      ['inspct-db', '--json'],
      ['inspect-db', '--tabels', '--json'],
      ['embedded-db', 'dance', '--json'],
      ['restore-backup', '--json'],
    ]) {
      const result = await workspace.cli(args);
      expect(result.code, args.join(' ')).to.equal(2);
      expect(result.json(), args.join(' ')).to.include({ version: 1, ok: false });
      expect(result.json().error?.hint, args.join(' ')).to.be.a('string');
    }
  });

  it('understands every spelling of a switch, and a command behind its flags', async () => {
    expect((await workspace.cli(['list-all-backups', '--json=true'])).json().data).to.deep.equal({ backups: [] });
    expect((await workspace.cli(['list-all-backups', '--json', '--json=false'])).stdout).to.contain('no backups yet');
    expect((await workspace.cli(['--label', 'nightly', 'create-backup', '--bogus'])).stderr).to.contain('"bogus"');
  });

  it('switches to production without connecting anywhere, and then names what is missing', async () => {
    const switched = await workspace.cli(['switch-env', 'prod']);
    expect(switched.code).to.equal(0);
    const status = (await workspace.cli(['switch-env', '--status', '--json'])).json();
    expect(status.data).to.include({
      environment: 'production',
      source: '.manage_db/environment',
      protected: true,
      databaseUrl: null,
      stamp: null,
    });
    expect(status.data.candidates.map(({ source }: { source: string }) => source)).to.deep.equal([
      '--env',
      'MANAGE_DB_ENV',
      'APP_ENV',
      '.manage_db/environment',
      'default',
    ]);
    const refused = await workspace.cli(['inspect-db', '--json']);
    expect(refused.code).to.equal(2);
    expect(refused.json().error).to.include({ code: 'MISSING_SETTING' });
    expect(refused.json().error?.message).to.contain('PRODUCTION_DATABASE_URL');
  });

  it('prints an export line for this shell only', async () => {
    const { stdout, code } = await workspace.cli(['switch-env', 'stage', '--shell']);
    expect([code, stdout]).to.deep.equal([0, 'export MANAGE_DB_ENV=staging\n']);
    expect((await workspace.cli(['switch-env', '--status', '--json'])).json().data.environment).to.equal('development');
  });

  it('warns when a variable of the shell outranks the switch', async () => {
    const { stderr } = await workspace.cli(['switch-env', 'testing'], { env: { MANAGE_DB_ENV: 'staging' } });
    expect(stderr).to.contain('MANAGE_DB_ENV=staging').and.contain('outranks');
  });

  it('can mend an environment file that holds nonsense', async () => {
    workspace.write({ '.manage_db/environment': 'no good\n' });
    expect((await workspace.cli(['inspect-db'])).code).to.equal(2);
    expect((await workspace.cli(['switch-env', 'dev'])).code).to.equal(0);
  });

  it('honours NO_COLOR and the absence of a terminal', async () => {
    const escapeCharacter = String.fromCharCode(27);
    expect((await workspace.cli(['--help'])).stdout).not.to.contain(escapeCharacter);
    expect((await workspace.cli(['--help'], { env: { FORCE_COLOR: '1' } })).stdout).to.contain(escapeCharacter);
    expect((await workspace.cli(['--help'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout).not.to.contain(
      escapeCharacter,
    );
  });

  it('makes a workspace of an empty folder, and changes nothing that is there', async () => {
    workspace.write({ '.gitignore': 'node_modules\n', 'README.md': 'mine' });
    const first = (await workspace.cli(['init', '--json'])).json();
    expect(first.data.created).to.include.members([
      'manage_db.config.mjs',
      '.env.production',
      '.env.example',
      'triggers/notes-title.trigger.ts',
    ]);
    const before = readFileSync(join(workspace.root, '.gitignore'), 'utf8');
    expect(before).to.contain('node_modules\n').and.contain('.manage_db/');
    const again = (await workspace.cli(['init', '--json'])).json();
    expect(again.data.created).to.deep.equal([]);
    expect(readFileSync(join(workspace.root, '.gitignore'), 'utf8')).to.equal(before);
  });

  it('makes a workspace without examples for a database that is there already', async () => {
    const { data } = (await workspace.cli(['init', '--bare', '--json'])).json();
    expect(data.created).to.include('.env.production');
    expect(readdirSync(join(workspace.root, 'migrations'))).to.deep.equal([]);
    expect(existsSync(join(workspace.root, 'triggers'))).to.equal(false);
    expect((await workspace.cli(['init', '--bare'])).stdout).to.contain('check-database --env production');
  });

  describe('towards a database', () => {
    let db: ScratchDatabase;
    before(async () => {
      db = await scratchDatabase(
        'create table visits (id int primary key); insert into visits select generate_series(1, 10)',
      );
    });
    const stamp = (environment: 'development' | 'production') =>
      withClient(db.url, (client) => stampAs(client, environment));
    after(() => db.drop());

    const production = (url = db.url) => ({ env: { PRODUCTION_DATABASE_URL: url } });

    it('announces its target before it changes something, on standard error', async () => {
      await stamp('development');
      workspace.write({ '.env.development': `DATABASE_URL=${db.url}` });
      const { stderr, stdout } = await workspace.cli(['apply-db-triggers']);
      const { user, host, port } = testServer();
      expect(stderr.split('\n')[0]).to.match(
        new RegExp(`^▶ development {2}${user}@${host}:${port}/${db.name} {2}PostgreSQL 15\\.`),
      );
      expect(stdout).not.to.contain('▶');
    });

    it('does not read NODE_ENV, nor the shared DATABASE_URL for production', async () => {
      workspace.write({ '.env': `DATABASE_URL=${db.url}\n` });
      const result = await workspace.cli(['inspect-db', '--tables', '--json'], { env: { NODE_ENV: 'production' } });
      expect(result.json()).to.include({ ok: true, environment: 'development' });
      expect(result.json().database?.name).to.equal(db.name);
      const refused = await workspace.cli(['inspect-db', '--env', 'production', '--json']);
      expect(refused.json().error?.code).to.equal('MISSING_SETTING');
    });

    it('asks for the whole ceremony before it destroys something protected', async () => {
      await stamp('production');
      const overridden = (url = db.url) => ({ env: { PRODUCTION_DATABASE_URL: url, KILL_SWITCH_OVERRIDE: 'true' } });
      const visits = async () => (await db.query<{ n: number }>('select count(*)::int as n from visits')).rows[0]?.n;
      const attempts: readonly (readonly [string[], string])[] = [
        [['drop-all-tables', '--env', 'production'], 'CONFIRMATION_REQUIRED'],
        [['drop-all-tables', '--env', 'production', '--yes'], 'CONFIRMATION_REQUIRED'],
        [['drop-all-tables', '--env', 'production', '--confirm', 'EXECUTE DROP_ALL_TABLES'], 'CONFIRMATION_MISMATCH'],
        [
          ['drop-all-tables', '--env', 'production', '--confirm', `EXECUTE DROP_ALL_TABLES ON ${db.name}`],
          'CONFIRMATION_REQUIRED',
        ],
        [['reset-database', '--env', 'production', '--yes'], 'CONFIRMATION_REQUIRED'],
      ];
      for (const [args, code] of attempts) {
        const blocked = await workspace.cli([...args, '--json'], production());
        expect([blocked.code, blocked.json().error?.code], args.join(' ')).to.deep.equal([2, 'KILL_SWITCH']);
        const result = await workspace.cli([...args, '--json'], overridden());
        expect([result.code, result.json().error?.code], args.join(' ')).to.deep.equal([2, code]);
      }
      await workspace.cli(['switch-env', 'prod'], production());
      const implicit = await workspace.cli(
        ['drop-all-tables', '--confirm', `EXECUTE DROP_ALL_TABLES ON ${db.name}`, '--reason', 'x', '--json'],
        overridden(),
      );
      expect(implicit.json().error?.code).to.equal('PROTECTED_ENVIRONMENT');
      expect(await visits()).to.equal(10);
    });

    it('destroys an unprotected database elsewhere only with --yes', async () => {
      const doomed = await scratchDatabase('create table t (id int)');
      await withClient(doomed.url, (client) => stampAs(client, 'testing'));
      try {
        workspace.write({ '.env.testing': `DATABASE_URL=${doomed.url}` });
        const refused = await workspace.cli(['drop-all-tables', '--env', 'testing']);
        expect(refused.code).to.equal(2);
        expect(refused.stderr).to.contain('--yes');
        expect((await workspace.cli(['drop-all-tables', '--env', 'testing', '--yes'])).code).to.equal(0);
        expect((await doomed.query(`select 1 from pg_tables where tablename = 't'`)).rows).to.deep.equal([]);
      } finally {
        await doomed.drop();
      }
    });

    it('says in one paragraph what is wrong with a connection, with a hint and the right exit code', async () => {
      const { host, port } = testServer();
      const wrong = [
        ['CONNECTION_REFUSED', 1, 'postgresql://u@127.0.0.1:1/x'],
        ['HOST_NOT_FOUND', 1, 'postgresql://u@no-such-host.invalid/x'],
        ['AUTHENTICATION_FAILED', 1, `postgresql://postgres:wrong-canary@${host}:${port}/${db.name}`],
        ['AUTHENTICATION_FAILED', 1, `postgresql://postgres@${host}:${port}/${db.name}`],
        ['DATABASE_MISSING', 1, testUrl('no_such_database')],
        ['INVALID_DATABASE_URL', 2, 'postgresql://u:canary@p@h/x'],
        ['INVALID_DATABASE_URL', 2, 'postgresql://u@h'],
        ['INVALID_CONFIGURATION', 2, 'postgresql://u@h/x?sslmode=perhaps'],
      ] as const;
      for (const [code, exitCode, url] of wrong) {
        const result = await workspace.cli(['inspect-db', '--env', 'production'], {
          env: { PRODUCTION_DATABASE_URL: url, HOME: workspace.root },
        });
        expect(result.code, url).to.equal(exitCode);
        expect(result.stderr, url).to.contain(`✗ ${code}  `).and.contain('→ ');
        expect(result.stderr.trim().split('\n'), url).to.have.length(2);
        expect(result.stderr + result.stdout, url)
          .not.to.contain('canary')
          .and.not.match(/^\s+at /m);
      }
    });

    it('gives up on a server that accepts and then says nothing', async () => {
      const mute = createServer(() => undefined).listen(0, '127.0.0.1');
      await new Promise((resolve) => mute.once('listening', resolve));
      const address = mute.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const started = Date.now();
      const result = await workspace.cli(['inspect-db', '--env', 'production', '--json'], {
        env: { PRODUCTION_DATABASE_URL: `postgresql://u:p@127.0.0.1:${port}/x`, DATABASE_CONNECT_TIMEOUT_MS: '700' },
      });
      mute.close();
      expect(result.code).to.equal(1);
      expect(result.json().error?.code).to.equal('CONNECTION_TIMEOUT');
      expect(result.json().error?.message).to.contain('no answer within 0.7 s');
      expect(Date.now() - started).to.be.lessThan(25_000);
    });

    it('shows the stack under --verbose only', async () => {
      const url = production('postgresql://u@127.0.0.1:1/x');
      expect((await workspace.cli(['inspect-db', '--env', 'production', '--verbose'], url)).stderr).to.match(
        /^\s+at /m,
      );
    });

    it('names an .env that cannot be read', async () => {
      mkdirSync(join(workspace.root, '.env'));
      const result = await workspace.cli(['inspect-db', '--json']);
      expect([result.code, result.json().error?.code]).to.deep.equal([2, 'UNREADABLE_FILE']);
    });

    it('stops in order on Ctrl-C, says so, and exits with 130', async () => {
      await stamp('development');
      workspace.write({
        '.env.development': `DATABASE_URL=${db.url}`,
        'migrations/1_slow.sql': '-- migrate:up\ncreate table slow (id int);\nselect pg_sleep(30);\n-- migrate:down\n',
      });
      const result = await workspace.cli(['initialize-db'], {
        onStart: (child) =>
          child.stderr?.on('data', (text: Buffer) =>
            text.toString().includes('applying') ? setTimeout(() => child.kill('SIGINT'), 200) : undefined,
          ),
      });
      expect(result.code).to.equal(130);
      expect(result.stderr).to.contain('INTERRUPTED').and.contain('Nothing of 1_slow remains');
      expect((await db.query(`select 1 from pg_tables where tablename = 'slow'`)).rows).to.deep.equal([]);
    });

    it('finishes its work when nobody reads what it says', async () => {
      const work = await scratchDatabase();
      workspace.write({
        '.env.testing': `DATABASE_URL=${work.url}`,
        'migrations/1_a.sql':
          '-- migrate:up\nselect pg_sleep(0.3); create table a (id int);\n-- migrate:down\ndrop table a;',
        'migrations/2_b.sql': '-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;',
      });
      const result = await workspace.cli(['initialize-db', '--env', 'testing'], {
        onStart: (child) => child.stderr?.once('data', () => child.stderr?.destroy()),
      });
      expect(result.code).to.equal(0);
      expect(result.stdout).to.contain('2 migrations applied');
      expect((await work.query(`select 1 from pg_tables where tablename in ('a', 'b')`)).rowCount).to.equal(2);
      await work.drop();
    });

    it('ends quietly when nobody reads on', async () => {
      workspace.write({ '.env.development': `DATABASE_URL=${db.url}` });
      const result = await workspace.cli(['inspect-db', '--functions'], {
        onStart: (child) => child.stdout?.destroy(),
      });
      expect(result.signal).to.equal(null);
      expect(result.stderr).not.to.match(/EPIPE|^\s+at /m);
      expect(result.code).to.equal(0);
    });
  });
});
