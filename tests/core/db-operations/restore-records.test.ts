import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { engageKillSwitch, killSwitchStatus, releaseKillSwitch } from '../../../app/core/db-operations/kill-switch.js';
import { dropAllTables, resetDb } from '../../../app/core/db-operations/maintenance.js';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { grantDbRole, setupDbRoles, whoami } from '../../../app/core/db-operations/roles.js';
import { readStampStatus, stampDatabase } from '../../../app/core/db-operations/stamp.js';
import { closeEngines } from '../../../app/services/database-service.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLevelRoles, dropLogins, type ScratchLogin, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

describe('what manage_db knows about a database', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let anna: ScratchLogin;
  beforeEach(async () => {
    db = await scratchDatabase('create table public.patients (id int primary key)');
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    anna = await scratchLogin('anna');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(db.name);
    await dropLevelRoles(db.name);
    await dropLogins(anna);
  });

  const env = { env: 'testing', consent: { yes: true, reason: 'a test' } } as const;
  const backup = () => workspace.run(() => backupDatabase(env));
  const restore = (options: Partial<RestoreOptions> = {}) =>
    workspace.run(() => restoreDatabase({ ...env, id: 'latest', ...options }));
  const log = async () =>
    (await workspace.run(() => showOperationLog({ env: 'testing', limit: 1000 }))).entries
      .map(({ operation, event }) => `${operation} ${event}`)
      .reverse();
  const verified = () => workspace.run(() => verifyOperationLog(env));

  it('survives a restore: every entry of the log, also those after the backup', async () => {
    await backup();
    await workspace.run(() => setupDbRoles(env));
    const before = await log();
    await restore();
    expect(await log()).to.deep.equal([...before, 'restore-backup attempted', 'restore-backup succeeded']);
    expect(await verified()).to.include({ ok: true, isMirrored: true });
  });

  it('survives a restore with more entries than are carried at once', async () => {
    await backup();
    await db.query(`
      select manage_db.append_operation(jsonb_build_object('entry_id', gen_random_uuid(), 'attempt', gen_random_uuid(),
        'event', 'attempted', 'operation', 'x' || n, 'environment', 'testing', 'database_name', 'x', 'host', 'x', 'port', 1,
        'actor', 'x', 'os_user', 'x', 'client_host', 'x', 'application', 'x', 'tool', 'x', 'arguments', '{}'::jsonb,
        'details', '{}'::jsonb, 'source', 'database')) from generate_series(1, 2500) n`);
    await restore();
    expect(await verified()).to.include({ ok: true, entries: 2504 });
  });

  it('keeps a released kill switch released, though the backup was made while it was engaged', async () => {
    await workspace.run(() => engageKillSwitch(env));
    await backup();
    await workspace.run(() => releaseKillSwitch(env));
    await restore();
    expect(await workspace.run(() => killSwitchStatus(env))).to.include({ isLocked: false });
  });

  it('keeps the levels that were granted since the backup, with what they may do', async () => {
    await backup();
    await workspace.run(() => setupDbRoles(env));
    await workspace.run(() => grantDbRole({ ...env, level: 'operator', login: anna.user }));
    await restore();
    const theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(db.name, anna)}\n` });
    try {
      expect(await theirs.run(() => whoami(env))).to.include({ level: 'operator' });
      expect(await theirs.run(() => engageKillSwitch(env))).to.have.property('engagement');
    } finally {
      await theirs.remove();
    }
  });

  it('is stamped as what it is after a restore, and says what it was', async () => {
    const { id } = await backup();
    await restore();
    const { status } = await workspace.run(() => readStampStatus('testing'));
    expect(status).to.include({ state: 'trusted' });
    expect(status?.stamp?.lineage[0]).to.include({
      environment: 'testing',
      became: 'restored',
      backup: id,
      reason: 'a test',
    });
  });

  it('survives a reset', async () => {
    workspace.write({ 'migrations/1_core.sql': '-- migrate:up\ncreate table public.patients (id int primary key);' });
    await backup();
    await workspace.run(() => resetDb(env));
    expect(await log()).to.deep.equal([
      'create-backup attempted',
      'create-backup succeeded',
      'reset-database attempted',
      'reset-database succeeded',
    ]);
    expect((await workspace.run(() => readStampStatus('testing'))).status).to.include({ state: 'trusted' });
  });

  it('comes with the backup where the database is gone, and the attempt is added', async () => {
    await backup();
    await dropDatabase(db.name);
    await restore();
    expect(await log()).to.deep.equal([
      // the second entry of the backup itself was written after its snapshot
      'create-backup attempted',
      'restore-backup attempted',
      'restore-backup succeeded',
    ]);
    expect(await verified()).to.include({ ok: true });
  });

  it('of another environment stays there: its log, its engaged kill switch and its trusted logins', async () => {
    await workspace.run(() => setupDbRoles(env));
    await workspace.run(() => engageKillSwitch(env));
    await backup();
    await dropDatabase(db.name);
    workspace.write({ '.env.development': `DEVELOPMENT_DATABASE_URL=${db.url}\n` });
    const here = { ...env, env: 'development' };
    await workspace.run(() => restoreDatabase({ ...here, id: 'latest', fromEnvironment: 'testing' }));
    expect(await workspace.run(() => killSwitchStatus(here))).to.include({ isLocked: false });
    expect((await workspace.run(() => readStampStatus('development'))).status).to.include({ state: 'trusted' });
    const { entries } = await workspace.run(() => showOperationLog({ env: 'development', limit: 100 }));
    expect(entries.map(({ id, event }) => `${id} ${event}`)).to.deep.equal(['2 succeeded', '1 attempted']);
    expect(await workspace.run(() => verifyOperationLog(here))).to.include({ ok: true });
    expect((await db.query('select from manage_db.access_roles')).rowCount).to.equal(0);
  });

  it('does not stop a plain backup from coming to a server without its roles', async () => {
    await workspace.run(() => setupDbRoles(env));
    await db.query(`insert into public.patients values (1), (2)`);
    await workspace.run(() => backupDatabase({ ...env, format: 'plain' }));
    await dropDatabase(db.name);
    await dropLevelRoles(db.name);
    await restore();
    expect((await db.query('select from public.patients')).rowCount).to.equal(2);
    expect(await verified()).to.include({ ok: true });
  });

  /** Restores, and lets `sql` happen to the database in the meantime. */
  const restoreWhile = async (sql: () => Promise<unknown>) => {
    let happening: Promise<unknown> | null = null;
    const options: Partial<RestoreOptions> = {
      disconnectUsers: true,
      onProgress: ({ step }) => {
        if (step === 'creating a scratch database') happening = sql();
      },
    };
    const outcome = await restore(options).catch((error: unknown) => error);
    await happening;
    return outcome;
  };

  it('lets nothing take the place of a database whose kill switch is engaged while the restore goes on', async () => {
    await backup();
    await db.query(`insert into public.patients values (7)`);
    const error = await restoreWhile(() => db.query(`select manage_db.engage_kill_switch('anna', 'now', null)`));
    expect(error).to.include({ code: 'KILL_SWITCH' });
    expect(String(error)).to.include('anna has engaged it: now').and.include('was not changed');
    expect((await db.query('select id from public.patients')).rows).to.deep.equal([{ id: 7 }]);
    const status = await workspace.run(() => killSwitchStatus(env));
    expect(status.engagements.map(({ actor, reason }) => `${actor}: ${reason}`)).to.deep.equal(['anna: now']);
  });

  it('lets nothing take the place of a database that somebody stamps while the restore goes on', async () => {
    await backup();
    await db.query(`insert into public.patients values (7)`);
    const error = await restoreWhile(() =>
      db.query(`update manage_db.identity set environment = 'production', protected = true, stamped_at = now()`),
    );
    expect(error).to.include({ code: 'STAMP_MISMATCH' });
    expect((await db.query('select id from public.patients')).rows).to.deep.equal([{ id: 7 }]);
  });

  it('does not touch a database that appears while a missing one is restored', async () => {
    await backup();
    await dropDatabase(db.name);
    const error = await restoreWhile(() => onServer((server) => server.query(`create database ${db.name}`)));
    expect(error).to.be.instanceOf(Error);
    expect((await db.query(`select from pg_namespace where nspname = 'manage_db'`)).rowCount).to.equal(0);
  });

  it('survives drop-all-tables', async () => {
    await workspace.run(() => setupDbRoles(env));
    await workspace.run(() => dropAllTables(env));
    expect(await log()).to.deep.equal([
      'setup-db-roles attempted',
      'setup-db-roles succeeded',
      'drop-all-tables attempted',
      'drop-all-tables succeeded',
    ]);
    expect(await verified()).to.include({ ok: true });
    expect((await workspace.run(() => readStampStatus('testing'))).status).to.include({ state: 'trusted' });
  });

  it('does not make its trusted logins those of its copy', async () => {
    await workspace.run(() => setupDbRoles(env));
    const copy = `${db.name}_copy`;
    await workspace.run(() => closeEngines('testing'));
    await onServer((server) => server.query(`create database ${copy} template ${db.name}`));
    try {
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(copy)}\n` });
      const { before } = await workspace.run(() => stampDatabase(env));
      expect(before.state).to.equal('copy');
      const roles = await withClient(testUrl(copy), (client) => client.query('select from manage_db.access_roles'));
      expect(roles.rowCount).to.equal(0);
    } finally {
      await dropDatabase(copy);
    }
  });
});
