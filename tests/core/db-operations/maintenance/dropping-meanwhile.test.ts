import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { backupDatabase } from '../../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../../app/core/db-operations/list-backups.js';
import { dropAllTables, resetDb } from '../../../../app/core/db-operations/maintenance.js';
import { restoreDatabase } from '../../../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../../../app/core/errors.js';
import { ADVISORY_LOCKS } from '../../../../app/database/advisory-locks.js';
import { type OpenDatabase, openDatabase } from '../../../database/catalog/open-database.js';
import { endKeeper } from '../../../support/end-keeper.js';
import { failureOf } from '../../../support/failure-of.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';

const CONSENT = { env: 'testing', consent: { yes: true } } as const;

const ENGAGE = `select manage_db.engage_kill_switch('anna', 'corrupt invoices', null)`;

const EMPTYING = [
  ['drop-all-tables', dropAllTables],
  ['reset-database', resetDb],
] as const;

describe('dropping everything while others are at work', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await openDatabase(`create table public.kept (id int primary key, note text);
      insert into public.kept values (1, 'one'), (2, 'two')`);
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${db.url}\nDATABASE_LOCK_TIMEOUT_MS=1500\n`,
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const isThere = async () => (await db.client.query(`select to_regclass('public.kept') as oid`)).rows[0].oid !== null;
  const backups = (): string[] => {
    const folder = join(workspace.root, 'backups', 'testing');
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  const nothingHappened = async (): Promise<void> => {
    expect(await isThere()).to.equal(true);
    expect(backups()).to.deep.equal([]);
  };

  for (const [name, empty] of EMPTYING) {
    it(`${name} drops nothing when the kill switch is engaged during the backup`, async () => {
      let engaged: Promise<unknown> | null = null;
      const onProgress = ({ step }: { step: string }): void => {
        if (step.startsWith('backing up')) {
          engaged ??= db.client.query(ENGAGE);
        }
      };
      const error = await failureOf(workspace.run(() => empty({ ...CONSENT, onProgress })));
      await engaged;
      expect(error.code).to.equal('KILL_SWITCH');
      expect(error.message).to.contain(`stops ${name}`).and.to.contain('corrupt invoices');
      expect(error.message).to.contain('Nothing was dropped.');
      await nothingHappened();
    });
  }

  it('drops nothing when the session that keeps others out has ended', async () => {
    let ended: Promise<unknown> | null = null;
    const onProgress = ({ step }: { step: string }): void => {
      if (!step.startsWith('backing up')) return;
      ended ??= endKeeper(db.name);
    };
    const error = await failureOf(workspace.run(() => dropAllTables({ ...CONSENT, onProgress })));
    await ended;
    expect(error.code).to.equal('CONNECTION_LOST');
    expect(error.message).to.match(/keeps others out of .* has ended\. Nothing was dropped\.$/);
    await nothingHappened();
  });

  it('drops nothing when the kill switch is engaged while it drops', async () => {
    let engaged: Promise<unknown> | null = null;
    await db.client.query('create view public.alone as select 1 as one');
    await db.client.query('begin; lock table public.alone in access share mode');
    const onProgress = ({ step }: { step: string }): void => {
      if (step !== 'dropping views') return;
      engaged ??= db.client.query(`${ENGAGE}; commit`);
    };
    const error = await failureOf(workspace.run(() => dropAllTables({ ...CONSENT, onProgress })));
    await engaged;
    expect(error.code).to.equal('KILL_SWITCH');
    await nothingHappened();
  });

  for (const [name, empty] of EMPTYING) {
    for (const [other, meanwhile] of EMPTYING) {
      it(`${name} refuses while ${other} is at work in the same database`, async () => {
        let second: Promise<ManageDbError> | null = null;
        const onProgress = ({ step }: { step: string }): void => {
          if (step.startsWith('backing up')) second ??= failureOf(empty(CONSENT));
        };
        const { safetyBackup } = await workspace.run(() => meanwhile({ ...CONSENT, onProgress }));
        const error = await second;
        expect(error).to.include({ code: 'DATABASE_IN_USE' });
        expect(String(error)).to.contain(
          `Another restore, copy, drop or reset of ${db.name} is running. Nothing was dropped.`,
        );
        expect(await isThere()).to.equal(false);
        expect(backups()).to.deep.equal([safetyBackup]);
      });
    }
  }

  it('lets two that begin at once come to a good end, one after the other or one of them refused', async () => {
    const ends = await workspace.run(() => Promise.allSettled([dropAllTables(CONSENT), dropAllTables(CONSENT)]));
    expect(ends.map(({ status }) => status)).to.include('fulfilled');
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).to.include({ code: 'DATABASE_IN_USE' });
    expect(await isThere()).to.equal(false);
    expect(backups()).to.have.length(1);
  });

  for (const [name, empty] of EMPTYING) {
    it(`${name} calls its backup after itself, which "latest" and create-backup do not mean`, async () => {
      const { safetyBackup } = await workspace.run(() => empty(CONSENT));
      const [backup] = await workspace.run(() => listBackups({ env: 'testing' }));
      expect([backup?.id, backup?.label]).to.deep.equal([safetyBackup, `before ${name}`]);
      expect(safetyBackup).to.contain(`-before-${name}`);
      const latest = () => restoreDatabase({ ...CONSENT, id: 'latest' });
      expect(await failureOf(workspace.run(latest))).to.include({ code: 'NOT_FOUND' });
      const another = () => backupDatabase({ env: 'testing', label: `before ${name}` });
      expect(await failureOf(workspace.run(another))).to.include({ code: 'USAGE' });
    });
  }

  it('waits for who applies migrations, and not for ever', async () => {
    await db.client.query(`begin; select pg_advisory_xact_lock(${ADVISORY_LOCKS.migrations})`);
    const error = await failureOf(workspace.run(() => dropAllTables(CONSENT)));
    await db.client.query('rollback');
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain('applying migrations').and.to.contain('Nothing was');
    await nothingHappened();
  });

  it('keeps a restore out, which would load into what is being emptied', async () => {
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    const { id } = await workspace.run(() => backupDatabase({ env: 'testing' }));
    await db.client.query('create view public.alone as select 1 as one');
    await db.client.query('begin; lock table public.alone in access share mode');
    let restored: Promise<ManageDbError> | null = null;
    const onProgress = ({ step }: { step: string }): void => {
      if (step !== 'dropping views') return;
      restored ??= failureOf(restoreDatabase({ ...CONSENT, id, disconnectUsers: true })).finally(() =>
        db.client.query('rollback'),
      );
    };
    await workspace.run(() => dropAllTables({ ...CONSENT, onProgress }));
    expect(await restored).to.include({ code: 'DATABASE_IN_USE' });
    expect(await isThere()).to.equal(false);
  });
});
