import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ConnectionSettings, SSL_MODES } from '../../app/config/connection-settings.js';
import { getConfig } from '../../app/config/db-config.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { findClientTools } from '../../app/services/client-tools.js';
import { openConnection, SINGLE_CLIENT } from '../../app/services/connection/open-connection.js';
import { type EmbeddedServer, startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { removeServerData } from '../support/server-data.js';
import { withVariables } from '../support/variables.js';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe('a connection', () => {
  let workspace: ScratchWorkspace;
  let server: EmbeddedServer;
  let certificates: string;
  let psql: string;
  const superuser = (database = 'postgres') =>
    `postgresql://postgres:${encodeURIComponent(server.password)}@127.0.0.1:${server.port}/${database}`;

  before(async function () {
    if (!hasOpenssl) {
      process.stdout.write('    skipped: openssl is not installed, so there are no certificates to test with\n');
      this.skip();
    }
    workspace = scratchWorkspace();
    server = await startEmbeddedServer(workspace.root);
    psql = (await findClientTools({ serverMajor: 15 })).psql;
    certificates = mkdtempSync(join(tmpdir(), 'manage-db-certificates-'));
    makeCertificates(certificates);
    await enableTls();
  });
  after(async () => {
    if (!hasOpenssl) return;
    await stopEmbeddedServer(workspace.root);
    removeServerData(server.dataDirectory);
    rmSync(certificates, { recursive: true, force: true });
    await workspace.remove();
  });

  /** The settings that manage_db makes of `url`, in a home folder without defaults. */
  const settingsOf = async (url: string, variables: Record<string, string> = {}): Promise<ConnectionSettings> =>
    withVariables({ HOME: certificates, DEV_DATABASE_URL: url, ...variables }, () =>
      workspace.run(async () => (await getConfig('development')).connection),
    );

  /** What manage_db gets: `tls`, `plain` or `refused`. */
  const ours = async (url: string): Promise<string> => {
    try {
      const { client } = await openConnection(await settingsOf(url), SINGLE_CLIENT);
      const { rows } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      await client.end();
      return rows[0]?.ssl ? 'tls' : 'plain';
    } catch {
      return 'refused';
    }
  };

  /** What psql, and so pg_dump, gets for the same URL. */
  const theirs = (url: string): string => {
    const { status, stdout } = spawnSync(
      psql,
      ['-XAtw', '-c', 'select ssl from pg_stat_ssl where pid = pg_backend_pid()', url],
      {
        env: { PATH: process.env.PATH, HOME: certificates, PGCONNECT_TIMEOUT: '5' },
        encoding: 'utf8',
      },
    );
    return status !== 0 ? 'refused' : stdout.trim() === 't' ? 'tls' : 'plain';
  };

  describe('under every sslmode ends as psql does', () => {
    const logins = ['any', 'only_tls', 'only_plain'];
    for (const login of logins) {
      for (const mode of SSL_MODES) {
        it(`for a login that the server lets in with ${login === 'any' ? 'or without TLS' : login.replace('_', ' ')}: ${mode}`, async () => {
          for (const host of ['localhost', '127.0.0.1']) {
            for (const root of [null, 'ca.crt', 'other-ca.crt', 'absent.crt']) {
              const certificate = root === null ? '' : `&sslrootcert=${encodeURIComponent(join(certificates, root))}`;
              const url = `postgresql://${login}:pw-${login}@${host}:${server.port}/postgres?sslmode=${mode}${certificate}`;
              expect(await ours(url), `${host} ${root}`).to.equal(theirs(url));
            }
          }
        });
      }
    }
  });

  it('takes the first of several hosts that is what is wanted', async () => {
    const [dead, alive] = ['127.0.0.1:1', `127.0.0.1:${server.port}`];
    const open = async (attributes: string, database = 'postgres') => {
      const url = `postgresql://any:pw-any@${dead},${alive}/${database}?target_session_attrs=${attributes}`;
      const { client, address } = await openConnection(await settingsOf(url), SINGLE_CLIENT);
      await client.end();
      return address.port;
    };
    const refusal = (attributes: string, database = 'postgres') =>
      open(attributes, database).then(
        () => null,
        (error: ManageDbError) => error.code,
      );
    expect(await open('read-write')).to.equal(server.port);
    expect(await open('primary')).to.equal(server.port);
    expect(await open('prefer-standby')).to.equal(server.port);
    expect(await refusal('standby')).to.equal('TARGET_SESSION_ATTRS');
    expect(await refusal('read-only')).to.equal('TARGET_SESSION_ATTRS');
    await withClient(superuser(), (client) =>
      client
        .query('create database reports; alter database reports set default_transaction_read_only = on')
        .catch(async () => {
          await client.query('create database reports');
          await client.query('alter database reports set default_transaction_read_only = on');
        }),
    );
    expect(await open('read-only', 'reports')).to.equal(server.port);
    expect(await refusal('read-write', 'reports')).to.equal('TARGET_SESSION_ATTRS');
  });

  it('that its options keep out is told which, and where they come from', async () => {
    const url = `postgresql://any:pw-any@127.0.0.1:${server.port}/postgres`;
    const error = await settingsOf(`${url}?options=-c%20log_statement%3Dall`)
      .then((settings) => openConnection(settings, SINGLE_CLIENT))
      .then(() => expect.fail('it should have been refused'))
      .catch((refusal: ManageDbError) => refusal);
    expect(error.code).to.equal('PERMISSION_DENIED');
    expect(error.message).to.contain('permission denied to set parameter "log_statement"');
    expect(error.hint)
      .to.contain('grant connect on database "postgres" to "any"')
      .and.contain('the options of development say: manage_db show-config --env development');
  });

  it('finds its password in .pgpass, by the rules of libpq', async () => {
    const file = join(certificates, 'passwords');
    const url = `postgresql://any@127.0.0.1:${server.port}/postgres?sslmode=disable`;
    const outcome = async () =>
      openConnection(await settingsOf(url, { PGPASSFILE: file }), SINGLE_CLIENT).then(
        async ({ client }) => client.end().then(() => 'in'),
        (error: ManageDbError) => error.code,
      );
    writeFileSync(file, `# comment\nother:*:*:*:no\n127.0.0.1:${server.port}:*:any:pw-any\n`, { mode: 0o600 });
    expect(await outcome()).to.equal('in');
    chmodSync(file, 0o644);
    expect(await outcome()).to.equal('AUTHENTICATION_FAILED');
  });

  /** Certificates for "localhost", a server that takes both, and logins that pg_hba.conf treats differently. */
  async function enableTls(): Promise<void> {
    const { uid, gid } = statSync(server.dataDirectory);
    for (const file of ['server.crt', 'server.key']) {
      const target = join(server.dataDirectory, file);
      copyFileSync(join(certificates, file), target);
      chownSync(target, uid, gid);
      chmodSync(target, 0o600);
    }
    const hba = join(server.dataDirectory, 'pg_hba.conf');
    const rules = 'hostnossl all only_tls all reject\nhostssl all only_plain all reject\n';
    writeFileSync(hba, rules + readFileSync(hba, 'utf8'));
    appendFileSync(hba, 'host all all ::1/128 scram-sha-256\n');
    await withClient(superuser(), async (client) => {
      for (const login of ['any', 'only_tls', 'only_plain'])
        await client.query(`create role "${login}" login password 'pw-${login}'`);
      await client.query('alter system set ssl = on');
      await client.query('select pg_reload_conf()');
    });
    // the reload is over when TLS is offered
    for (let i = 0; i < 100 && theirs(`${superuser()}?sslmode=require`) !== 'tls'; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  for (const name of ['ca', 'other-ca']) {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
    );
  }
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
  );
  writeFileSync(join(folder, 'san.cnf'), 'subjectAltName=DNS:localhost\n');
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'san.cnf',
    '-out',
    'server.crt',
  );
}
