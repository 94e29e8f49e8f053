import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import { onServer, type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { testServer } from '../support/test-server.js';

const CANARY = 'c@nary/pw:"x%41';
const LOGIN = 'canary_login';

/** Every way in which the password could be spelled in an output. */
const SPELLINGS = [
  CANARY,
  encodeURIComponent(CANARY),
  JSON.stringify(CANARY).slice(1, -1),
  CANARY.replaceAll(':', '\\:'),
];

describe('a password', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase(
      'create table notes (id int primary key); insert into notes select generate_series(1, 50)',
    );
    await onServer(async (server) => {
      await server.query(`create role ${LOGIN} login password ${pg.escapeLiteral(CANARY)}`);
      await server.query(`alter database ${db.name} owner to ${LOGIN}`);
    });
    await db.query(`alter table notes owner to ${LOGIN}`);
  });
  after(async () => {
    await db.drop();
    await onServer((server) => server.query(`drop role ${LOGIN}`));
  });
  beforeEach(() => {
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  const { host, port } = { host: '127.0.0.1', port: () => testServer().port };
  const url = (password = true) =>
    `postgresql://${LOGIN}${password ? `:${encodeURIComponent(CANARY)}` : ''}@${host}:${port()}/${db.name}`;

  interface Source {
    readonly files: Record<string, string>;
    readonly env?: Record<string, string>;
  }
  const sources: Readonly<Record<string, () => Source>> = {
    'in a URL': () => ({ files: { '.env.testing': `DATABASE_URL=${url()}\n` } }),
    'in a variable of its own': () => ({
      files: {},
      env: { TESTING_DATABASE_URL: url(false), TESTING_DATABASE_PASSWORD: CANARY },
    }),
    'in a mounted file': () => ({
      files: { 'the-secret': `${CANARY}\n` },
      env: { TESTING_DATABASE_URL: url(false), TESTING_DATABASE_PASSWORD_FILE: 'the-secret' },
    }),
    'from a secret manager': () => ({
      files: { 'the-secret': CANARY },
      env: { TESTING_DATABASE_URL: url(false), TESTING_DATABASE_PASSWORD_COMMAND: 'cat the-secret' },
    }),
    'in .pgpass': () => ({
      files: { '.pgpass': `${host}:${port()}:*:${LOGIN}:${CANARY.replaceAll(/[\\:]/g, '\\$&')}\n` },
      env: { TESTING_DATABASE_URL: url(false), PGPASSFILE: join(workspace.root, '.pgpass') },
    }),
    'in a service file': () => ({
      files: {
        'the-services': `[canary]\nhost=${host}\nport=${port()}\nuser=${LOGIN}\ndbname=${db.name}\npassword=${CANARY}\n`,
      },
      env: { TESTING_PGSERVICE: 'canary', PGSERVICEFILE: join(workspace.root, 'the-services') },
    }),
    'in the configuration file': () => ({
      files: { 'manage_db.config.json': JSON.stringify({ environments: { testing: { databaseUrl: url() } } }) },
    }),
  };

  for (const [name, source] of Object.entries(sources)) {
    it(`${name} works, and is seen nowhere`, async () => {
      const { files, env = {} } = source();
      workspace.write(files);
      const { chmodSync } = await import('node:fs');
      if (files['.pgpass'] !== undefined) chmodSync(join(workspace.root, '.pgpass'), 0o600);
      const seen = watchProcesses();
      const lines = [
        ['inspect-db', '--tables', '--verbose'],
        ['show-config', '--json'],
        ['switch-env', 'testing'],
        ['switch-env', '--status', '--json'],
        ['doctor', '--json'],
        ['create-backup', '--verbose'],
        ['create-backup', '--format', 'plain', '--json'],
        ['restore-backup', 'latest', '--env', 'production', '--verbose', '--json'],
        ['inspect-db', '--table', 'missing', '--verbose', '--json'],
      ];
      let output = '';
      const codes: (number | null)[] = [];
      for (const line of lines) {
        const args = line.includes('--env') || line[0] === 'switch-env' ? line : [...line, '--env', 'testing'];
        const result = await workspace.cli(args, { env });
        codes.push(result.code);
        output += result.stdout + result.stderr;
      }
      expect(codes).to.deep.equal([0, 0, 0, 0, 0, 0, 0, 2, 2]);
      const written = writtenFiles(workspace.root, Object.keys(files));
      for (const spelling of SPELLINGS) {
        expect(output, 'output').not.to.contain(spelling);
        expect(seen.stop(), 'process list').not.to.contain(spelling);
        expect(written, 'files').not.to.contain(spelling);
      }
    });
  }
});

/** The command lines of all processes, looked at again and again. */
function watchProcesses(): { readonly stop: () => string } {
  const seen = new Set<string>();
  const look = (): void => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // it has ended
      }
    }
  };
  const timer = setInterval(look, 15);
  return {
    stop: () => {
      clearInterval(timer);
      return [...seen].join('\n');
    },
  };
}

/** Everything below `root` that we did not put there ourselves. */
function writtenFiles(root: string, ours: readonly string[]): string {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !ours.includes(path) && statSync(join(root, path)).isFile())
    .map((path) => readFileSync(join(root, path), 'latin1'))
    .join('\n');
}
