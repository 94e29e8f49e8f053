import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import {
  backupDatabase,
  getDbSession,
  initDb,
  listBackups,
  restoreDatabase,
  verifyBackup,
} from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, NotTested, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';

/** That there is a way back, and that damage is found before it is needed. */
export function testBackupRestore(suite: Suite): void {
  suite.installation(
    'the newest backup is whole and undamaged',
    'configuration',
    async ({ env, signal, note, installation }) => {
      const finished = (await listBackups({ env })).filter(({ state }) => state !== 'incomplete');
      const [newest] = finished;
      if (newest === undefined && installation.stamp?.stamp?.protected === true)
        throw new Unexpected(
          `There is no backup of ${env}, which is protected.`,
          `Make one: manage_db create-backup --env ${env}`,
        );
      if (newest === undefined)
        throw new NotTested(`there is no backup of ${env} yet: manage_db create-backup --env ${env}`);
      if (installation.toolsProblem !== null)
        throw new NotTested('the client tools are missing: see the category connection');
      const { checks } = await verifyBackup({ env, id: newest.id, signal }).catch((error: unknown) => {
        throw withItsFile(error, newest.path);
      });
      note(`${newest.id}: ${checks.map(({ name }) => name).join(', ')} verified.`);
    },
  );

  suite.prepare(async ({ signal }) => {
    await initDb({ env: 'development', signal, consent: { yes: true } });
    await write("insert into notes (title) select 'note ' || i from generate_series(1, 100) i");
  });

  suite.library('backs up, and brings back what was deleted', async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    const { id, manifest } = await backupDatabase(operation);
    const backedUp = manifest.tables.find(({ schema, name }) => schema === 'public' && name === 'notes');
    expectEqual('The rows of notes in the manifest', backedUp?.rows, 100);
    await write('delete from notes');
    await restoreDatabase({ ...operation, id, disconnectUsers: true });
    expectEqual('The rows of notes after the restore', await notes(), 100);
  });

  suite.library('finds damage, and restores nothing from it', async ({ signal }) => {
    const operation = { env: 'development', signal, consent: { yes: true } };
    const { id, path } = await backupDatabase(operation);
    damage(path);
    await expectRefusal(
      'Verifying a damaged backup',
      verifyBackup({ env: 'development', id, signal }),
      'BACKUP_INVALID',
    );
    const restoring = restoreDatabase({ ...operation, id, disconnectUsers: true });
    await expectRefusal('Restoring a damaged backup', restoring, 'BACKUP_INVALID');
    expectEqual('The rows of notes', await notes(), 100);
  });

  suite.cli('create-backup, list-all-backups and verify-backup go together', async ({ scratch }) => {
    const created = await scratch.manageDb(['create-backup', '--label', 'feature-test']);
    expectExit(created, 0);
    const { id } = (created.envelope().data ?? {}) as { readonly id?: string };
    const listed = await scratch.manageDb(['list-all-backups']);
    expectExit(listed, 0);
    const { backups = [] } = (listed.envelope().data ?? {}) as {
      readonly backups?: readonly { readonly id: string }[];
    };
    expectEqual('The newest backup', backups[0]?.id, id);
    expectExit(await scratch.manageDb(['verify-backup', id ?? '']), 0);
  });

  suite.cli('restore-backup brings back the latest', async ({ scratch }) => {
    await scratch.inside(() => write('delete from notes where id > 10'));
    expectExit(await scratch.manageDb(['restore-backup', 'latest', '--yes']), 0);
    expectEqual('The rows of notes', await scratch.inside(notes), 100);
  });

  suite.cli('restore-backup refuses a backup that does not exist', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['restore-backup', '20200101T000000Z-abcdef', '--yes']), 2, 'NOT_FOUND');
  });
}

async function write(sql: string): Promise<void> {
  await getDbSession((db) => db.query(sql), { env: 'development' });
}

async function notes(): Promise<number | undefined> {
  const { rows } = await getDbSession((db) => db.query<{ count: number }>('select count(*)::int as count from notes'), {
    env: 'development',
    readOnly: true,
  });
  return rows[0]?.count;
}

/** Cuts the largest file in half. */
function damage(folder: string): void {
  const [largest] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && !/\.(json|sql)$/.test(path))
    .sort((one, other) => statSync(other).size - statSync(one).size);
  if (largest === undefined) throw new Unexpected(`There is no file in ${folder}.`);
  truncateSync(largest, Math.floor(statSync(largest).size / 2));
}

/** Which file it is stands in the message; here is where. */
function withItsFile(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error.message.includes(path)) return error;
  error.message = `${error.message} It lies in ${path}.`;
  return error;
}
