import { join } from 'node:path';
import { expect } from 'chai';
import { listBackups } from '../../../../app/core/db-operations/list-backups.js';
import { readLiveDifferences } from '../../../../app/core/db-operations/migration/live-differences/read-live-differences.js';
import { planLosses } from '../../../../app/core/db-operations/migration/losses/plan-losses.js';
import { withSafetyBackup } from '../../../../app/core/db-operations/migration/losses/with-safety-backup.js';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import { guarded, type Target } from '../../../../app/core/safety/gate.js';
import { renderLiveDifferences } from '../../../../scripts/presenters/live-differences.js';
import { renderLosses } from '../../../../scripts/presenters/losses.js';
import { NO_PAINT } from '../../../../scripts/presenters/paint.js';
import { type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';

describe('planning what is lost', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase(`create schema clinic; create table clinic.patients (id int, phone text);
      insert into clinic.patients values (1, '1'), (2, null); create table old (id int); insert into old values (1);
      create function clinic.one() returns int language sql as 'select 1'`);
    await db.query(`alter database ${db.name} set search_path = clinic, public`);
    workspace = scratchWorkspace({
      '.env.development': `DEVELOPMENT_DATABASE_URL='${db.url}'\n`,
      'migrations/1_old.sql': '-- migrate:up\ncreate table old (id int);\n-- migrate:down\ndrop table old;\n',
      'migrations/2_phone.sql':
        "-- migrate:up\ncreate or replace function one() returns int language sql as 'select 2';\n-- migrate:down\n\nalter table patients drop column phone;\n",
      'migrations/3_final.sql': '-- migrate:up\nselect 1;\n',
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const onTarget = <T>(work: (target: Target) => Promise<T>): Promise<T> =>
    workspace.run(() => guarded('inspect-db', { env: 'development' }, work));
  const steps = async (direction: 'up' | 'down') => {
    const migrations = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
    return migrations.map((migration) => ({ migration, direction })).reverse();
  };

  it('says what is lost by which file, with the names as migrations see them', async () => {
    const losses = await onTarget(async (target) => planLosses(target, await steps('down')));
    expect(renderLosses(losses, NO_PAINT)).to.deep.equal([
      'Will be lost',
      `  drops 1 non-null value of patients.phone  ${join(workspace.root, 'migrations/2_phone.sql')}:5`,
      `  drops table old with 1 row  ${join(workspace.root, 'migrations/1_old.sql')}:4`,
    ]);
  });

  it('shows what becomes of live functions', async () => {
    const { differences } = await onTarget(async (target) => readLiveDifferences(target, await steps('up')));
    expect(renderLiveDifferences(differences, NO_PAINT)).to.deep.equal([
      'function clinic.one()  changed',
      '  @@ -1,4 +1,4 @@',
      '   CREATE OR REPLACE FUNCTION clinic.one()',
      '    RETURNS integer',
      '    LANGUAGE sql',
      '  -AS $function$select 1$function$',
      '  +AS $function$select 2$function$',
    ]);
  });

  it('keeps the safety backup as soon as something was changed, and no other', async () => {
    const backups = () => workspace.run(async () => (await listBackups({ env: 'development' })).map(({ id }) => id));
    const fails = (isChanged: boolean) =>
      onTarget((target) =>
        withSafetyBackup(target, {}, async (noteChange) => {
          if (isChanged) noteChange();
          throw new Error('broken off');
        }),
      ).catch((error: Error) => error.message);
    expect(await fails(false)).to.equal('broken off');
    expect(await backups()).to.deep.equal([]);
    expect(await fails(true)).to.match(
      /^broken off\. The safety backup \S+ leads back: manage_db restore-backup \S+ --env development$/,
    );
    expect(await backups()).to.have.length(1);
    const done = await onTarget((target) => withSafetyBackup(target, {}, async () => 7));
    expect(done.result).to.equal(7);
    expect(done.undo).to.equal(`manage_db restore-backup ${done.safetyBackup} --env development`);
    expect(await backups()).to.contain(done.safetyBackup);
  });
});
