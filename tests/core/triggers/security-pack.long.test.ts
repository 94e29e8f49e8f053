import { expect } from 'chai';
import type pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import { testTriggers } from '../../../app/core/db-operations/trigger-test.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { ManageDbError } from '../../../app/core/errors.js';
import type { ApplyTriggersResult } from '../../../app/core/triggers/apply.js';
import { configureSecurityPack } from '../../../app/core/triggers/security-pack-settings.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { openClient } from '../../database/open-client.js';
import { needFittingTools } from '../../support/fitting-tools.js';
import type { ScratchDatabase } from '../../support/scratch-database.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { type TestingDatabase, testingDatabase } from '../../support/testing-database.js';

const TABLES = `
  create table users (id serial primary key, email text, password_hash text, failed_login_attempts integer not null default 0,
    locked_until timestamptz, last_login_at timestamptz, created_at timestamptz, updated_at timestamptz);
  create table user_sessions (id serial primary key, user_id integer references users, expires_at timestamptz, revoked_at timestamptz);`;

describe('the security pack', () => {
  let testing: TestingDatabase;
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    testing = await testingDatabase(TABLES);
    ({ database, workspace, client } = testing);
  });
  afterEach(async () => {
    await client.end();
    await testing.remove();
  });

  const configure = (settings: string) =>
    workspace.write({
      'triggers/security.trigger.ts': `import { configureSecurityPack } from 'manage_db';
        export default configureSecurityPack(${settings});`,
    });
  const apply = async (): Promise<ApplyTriggersResult> => {
    const result = await workspace.cli(['apply-db-triggers', '--pack', 'security', '--env', 'testing', '--json']);
    expect(result.code, result.stderr).to.equal(0);
    return result.json().data as ApplyTriggersResult;
  };
  const names = (triggers: readonly { table: string; name: string }[]) =>
    triggers.map(({ table, name }) => `${table} ${name}`);

  it('is applied by name, applied again without doing anything, verified and tested, without pgcrypto', async () => {
    configure('');
    const installed = [
      'user_sessions limit_sessions',
      'user_sessions manage_session',
      'users lock_account',
      'users zz_check_password_hash',
      'users zz_hash_password_hash',
    ];
    expect(names((await apply()).created)).to.deep.equal(installed);
    const again = await apply();
    expect(again).to.deep.include({ created: [], replaced: [], statements: [] });
    expect(names(again.unchanged)).to.deep.equal(installed);
    const { triggers } = await workspace.run(() => verifyTriggers({ env: 'testing' }));
    expect(
      triggers.filter(({ name }) => installed.some((each) => each.endsWith(` ${name}`))).map(({ state }) => state),
    ).to.deep.equal(Array(5).fill('in_sync'));
    await client.query(`insert into users (email) values ('a@b')`);
    await client.query('insert into user_sessions (user_id) values (1)');
    const tested = await workspace.run(() => testTriggers({ env: 'testing' }));
    const quiet = tested.triggers.flatMap(({ name, events }) =>
      events
        .filter(({ state }) => state !== 'fired')
        .map(({ event, state, detail }) => `${name} ${event} ${state} ${detail}`),
    );
    expect(quiet).to.deep.equal([]);
    const { rows } =
      await client.query(`select tgname as n from pg_trigger where tgenabled = 'A' and not tgisinternal and
      tgrelid = 'users'::regclass order by 1`);
    expect(rows.map(({ n }) => n)).to.deep.equal(['zz_check_password_hash', 'zz_hash_password_hash']);
  });

  it('does nothing until a trigger file says so', async () => {
    const { code, stderr } = await workspace.cli(['apply-db-triggers', '--pack', 'security', '--env', 'testing']);
    expect(code).to.equal(2);
    expect(stderr).to.contain(
      "import { configureSecurityPack } from 'manage_db'; export default configureSecurityPack();",
    );
    const { created } = await workspace.run(() => applyTriggers({ env: 'testing' }));
    expect(names(created)).to.deep.equal(['users update_timestamp']);
  });

  it('does not hash a hash again in a backup and its restore', async function () {
    await needFittingTools(this);
    configure('{ passwords: { cost: 4 } }');
    await client.query('create extension pgcrypto');
    await apply();
    await client.query(`insert into users (password_hash) values ('secret')`);
    const { rows } = await client.query('select password_hash from users');
    await workspace.run(() => backupDatabase({ env: 'testing' }));
    await client.end();
    await workspace.run(() => closeEngines('testing'));
    await workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true } }));
    client = await openClient(database.url);
    expect((await client.query('select password_hash from users')).rows).to.deep.equal(rows);
  });

  it('is configured in parts, which can be turned off', async () => {
    configure(`{ functionSchema: 'guards', passwords: { cost: 5 }, lockout: false, sessions: { limit: null } }`);
    await client.query('create schema guards; create extension pgcrypto schema guards');
    expect(names((await apply()).created)).to.deep.equal([
      'user_sessions manage_session',
      'users zz_check_password_hash',
      'users zz_hash_password_hash',
    ]);
    await client.query(`insert into users (password_hash) values ('secret')`);
    const { rows } = await client.query(`select password_hash ~ '^\\$2a\\$05\\$' as h from users`);
    expect(rows).to.deep.equal([{ h: true }]);
    configure('{ passwords: false, lockout: false, sessions: false }');
    expect(await apply()).to.deep.include({ created: [], unchanged: [], skipped: [], statements: [] });
  });

  it('says everything that is wrong with its settings at once', () => {
    const wrong = {
      passwords: { cost: 3, hashes: ['md5'], colums: [] },
      lockout: { attempts: 0, minutes: 1e12 },
      sessions: { minutes: 5, maximumMinutes: 1 },
      except: ['users'],
    };
    let error: unknown;
    try {
      configureSecurityPack(wrong as object);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof ManageDbError)) throw new Error('nothing was thrown');
    expect(error.code).to.equal('INVALID_CONFIGURATION');
    for (const place of [
      'passwords.cost',
      'passwords.hashes.0',
      '"colums"',
      'lockout.attempts',
      'lockout.minutes',
      'except.0',
      'sessions: minutes must not',
    ]) {
      expect(error.message).to.contain(place);
    }
  });
});
