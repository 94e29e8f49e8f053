import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type BackupOptions, backupDatabase } from '../../app/core/db-operations/backup.js';
import { type RestoreOptions, restoreDatabase } from '../../app/core/db-operations/restore.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type OwnServer, ownServer } from './own-server.js';
import { withClient } from './scratch-database.js';
import { stampAs } from './stamp.js';

/** A live database on a server of its own, and a backup of what it was before its last row came. */
export interface FaultClinic extends OwnServer {
  readonly backup: (options?: Partial<BackupOptions>) => ReturnType<typeof backupDatabase>;
  readonly restore: (options?: Partial<RestoreOptions>) => ReturnType<typeof restoreDatabase>;
  /** A checksum of every row and large object. After a crash sequences go on a little later: that is no loss. */
  readonly contents: () => Promise<string>;
  /** {@link contents} of the backup. */
  readonly backedUp: string;
  /** Makes the live database differ from the backup again, and returns its contents. */
  readonly live: () => Promise<string>;
  /** That there is nothing but the live database, what restores have put aside, and complete backups. */
  readonly nothingIsLeft: () => Promise<void>;
}

const SCHEMA = `
  create table public.patients (id int primary key, name text not null);
  create table public.visits (id bigint generated always as identity primary key, patient_id int references public.patients);
  insert into public.patients select i, md5(i::text) from generate_series(1, 60000) i;
  insert into public.visits (patient_id) select i from generate_series(1, 5000) i;
  select lo_from_bytea(4711, 'a large object')`;

const CONTENTS = `
  select md5(string_agg(line, e'\\n' order by line)) as contents from (
    select 'p' || p::text from public.patients p
    union all select 'v' || v::text from public.visits v
    union all select 'l' || m.oid || encode(lo_get(m.oid), 'escape') from pg_largeobject_metadata m) all_lines (line)`;

const DATABASE = 'clinic';

/** Set TMPDIR back afterwards: temporary files are made in the workspace, where they can be counted. */
export async function faultClinic(options: Parameters<typeof ownServer>[0] = {}): Promise<FaultClinic> {
  const server = await ownServer(options);
  const { workspace, query } = server;
  const temporary = join(workspace.root, 'tmp');
  mkdirSync(temporary);
  process.env.TMPDIR = temporary;
  await query('postgres', `create database ${DATABASE}`);
  // what is looked at must not need the disk
  await query('postgres', `alter role all set work_mem = '256MB'`);
  await query(DATABASE, SCHEMA);
  await withClient(server.url(DATABASE), (client) => stampAs(client, 'testing'));
  workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${server.url(DATABASE)}?connect_timeout=5'\n` });
  const contents = async () => (await query<{ contents: string }>(DATABASE, CONTENTS))[0]?.contents ?? '';
  const backup: FaultClinic['backup'] = (more) => workspace.run(() => backupDatabase({ env: 'testing', ...more }));
  const { id } = await backup();
  return {
    ...server,
    backup,
    restore: (more) =>
      workspace.run(() =>
        restoreDatabase({ env: 'testing', id, disconnectUsers: true, consent: { yes: true }, ...more }),
      ),
    contents,
    backedUp: await contents(),
    live: async () => {
      await query(DATABASE, `insert into public.patients values (-1, 'of today') on conflict do nothing`);
      return contents();
    },
    async nothingIsLeft() {
      const databases = await server.databases();
      expect(databases.filter((name) => !name.startsWith(`${DATABASE}_previous_`))).to.deep.equal([
        DATABASE,
        'postgres',
      ]);
      const backups = join(workspace.root, 'backups', 'testing');
      expect(existsSync(backups) ? readdirSync(backups).filter((name) => name.endsWith('.partial')) : []).to.deep.equal(
        [],
      );
      expect(readdirSync(temporary)).to.deep.equal([]);
    },
  };
}

/** How `work` ends: never with an error that nobody has thought of. */
export async function outcomeOf(work: Promise<unknown>): Promise<ManageDbError | 'succeeded'> {
  try {
    await work;
    return 'succeeded';
  } catch (error) {
    if (!(error instanceof ManageDbError)) throw error;
    expect(error.code, `${error.message}\n${String(error.cause)}`).not.to.equal('INTERNAL');
    expect(error.exitCode).not.to.equal(0);
    return error;
  }
}

/** Waits until a query of `sql` on the maintenance database gives a row. */
export async function untilSeen(server: OwnServer, sql: string): Promise<void> {
  await withClient(server.url('postgres'), async (client) => {
    for (let waited = 0; waited < 60_000; waited += 2) {
      if ((await client.query(sql)).rowCount !== 0) return;
      await sleep(2);
    }
    throw new Error(`Never seen: ${sql}`);
  });
}
