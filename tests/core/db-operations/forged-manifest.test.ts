import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type BackupFormat, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

describe('a backup of production that somebody has made one of testing', () => {
  let production: ScratchDatabase;
  let testing: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    const sql = 'create table patients (id int primary key); insert into patients values (1)';
    production = await scratchDatabase(sql);
    testing = await scratchDatabase(sql.replace('(1)', '(2)'));
    await withClient(production.url, (client) => stampAs(client, 'production'));
    await withClient(testing.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({
      '.env.production': `PRODUCTION_DATABASE_URL=${production.url}\n`,
      '.env.testing': `TESTING_DATABASE_URL=${testing.url}\n`,
    });
  });
  after(async () => {
    await workspace.remove();
    await testing.drop();
    await production.drop();
  });

  const forged = async (format: BackupFormat): Promise<string> => {
    const { id, path, manifest } = await workspace.run(() => backupDatabase({ env: 'production', format }));
    const moved = join(workspace.root, 'backups', 'testing', id);
    mkdirSync(join(moved, '..'), { recursive: true });
    renameSync(path, moved);
    expect(JSON.parse(readFileSync(join(moved, 'manifest.json'), 'utf8')).stamp.protected).to.equal(true);
    const other = { ...manifest, environment: 'testing', stamp: { environment: 'testing', protected: false } };
    const text = `${JSON.stringify(other, null, 2)}\n`;
    writeFileSync(join(moved, 'manifest.json'), text);
    const sha256 = createHash('sha256').update(text).digest('hex');
    writeFileSync(join(moved, 'manifest.sha256'), `${sha256}  manifest.json\n`);
    return id;
  };

  for (const [name, format, options] of [
    ['by swap', 'directory', { method: 'swap' }],
    ['by swap of a plain dump', 'plain', { method: 'swap' }],
    ['in one transaction', 'custom', { method: 'transaction' }],
    ['in place', 'directory', { inPlace: true, tables: ['public.patients'] }],
  ] as const) {
    it(`does not come into it ${name}`, async () => {
      const id = await forged(format);
      const restore: RestoreOptions = { env: 'testing', id, consent: { yes: true }, ...options };
      const failure: ManageDbError = await workspace
        .run(() => restoreDatabase(restore))
        .then(
          () => expect.fail('it was restored'),
          (error) => error,
        );
      expect(failure.code).to.equal('BACKUP_INVALID');
      expect(failure.message).to.match(/stamped testing.*stamped production, protected.*was not changed/);
      expect((await testing.query('select id from patients')).rows).to.deep.equal([{ id: 2 }]);
      const left = await onServer((server) =>
        server.query(`select from pg_database where datname like 'manage_db_scratch%'`),
      );
      expect(left.rowCount).to.equal(0);
    });
  }
});
