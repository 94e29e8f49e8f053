import { type BackupOptions, type BackupResult, backupDatabase } from '../../app/core/db-operations/backup.js';
import { dropDatabase, onServer, type ScratchDatabase, scratchDatabase, withClient } from './scratch-database.js';
import { dropLogins, scratchLogin } from './scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from './scratch-workspace.js';
import { stampAs } from './stamp.js';
import { testUrl } from './test-server.js';

/** A workspace whose environment `testing` is a database with something in it. */
export interface BackupWorkspace extends ScratchWorkspace {
  readonly database: ScratchDatabase;
  readonly backup: (options?: BackupOptions) => Promise<BackupResult>;
  /** Its scratch databases on the server that all tests share, with who may connect to them. */
  readonly scratchDatabases: () => Promise<{ readonly name: string; readonly isOpen: boolean }[]>;
}

const SCHEMA = `
  create schema "Billing & co";
  create table patients (id bigint generated always as identity primary key, name text not null);
  create table "Billing & co"."Rechnung ""Ü""" (id int, amount numeric);
  insert into patients (name) select 'patient ' || i from generate_series(1, 500) i;
  insert into "Billing & co"."Rechnung ""Ü""" select i, i * 1.5 from generate_series(1, 30) i;
  select lo_from_bytea(0, 'a large object');`;

const SCRATCH = `
  select datname as name, has_database_privilege('pg_monitor', oid, 'connect') as "isOpen"
  from pg_database where datname like 'manage_db_scratch%' and datdba = $1::regrole`;

export async function backupWorkspace(): Promise<BackupWorkspace> {
  const database = await scratchDatabase(SCHEMA);
  await withClient(database.url, (client) => stampAs(client, 'testing'));
  const login = await scratchLogin('backup_tester', 'superuser');
  const url = testUrl(database.name, login);
  const workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL='${url}?sslmode=disable'\n` });
  const scratchDatabases: BackupWorkspace['scratchDatabases'] = async () =>
    (await onServer((client) => client.query<{ name: string; isOpen: boolean }>(SCRATCH, [login.user]))).rows;
  return {
    ...workspace,
    database,
    backup: (options) => workspace.run(() => backupDatabase({ env: 'testing', ...options })),
    scratchDatabases,
    async remove() {
      await workspace.remove();
      await database.drop();
      // what a failed test has left must not stay on the server
      for (const { name } of await scratchDatabases()) await dropDatabase(name);
      await dropLogins(login);
    },
  };
}
