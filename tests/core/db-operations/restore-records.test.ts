import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { engageKillSwitch, killSwitchStatus, releaseKillSwitch } from '../../../app/core/db-operations/kill-switch.js';
import { resetDb } from '../../../app/core/db-operations/maintenance.js';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { grantDbRole, setupDbRoles, whoami } from '../../../app/core/db-operations/roles.js';
import { readStampStatus } from '../../../app/core/db-operations/stamp.js';
import { dropDatabase, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
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
});
