import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import pg from 'pg';
import { getConfig, reloadConfig } from '../../../app/config/db-config.js';
import { failedOnlyOnUnknownSetting } from '../../../app/core/db-operations/backup/dump/unknown-setting.js';
import { type BackupOptions, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import type { ProgressEvent } from '../../../app/core/progress.js';
import { withKillSwitchOverride } from '../../../app/core/safety/override.js';
import { withWorkspaceRoot } from '../../../app/core/workspace-root.js';
import { closeEngines } from '../../../app/services/database-service.js';
import {
  type EmbeddedServer,
  startEmbeddedServer,
  stopEmbeddedServer,
} from '../../../app/services/embedded-postgres.js';
import { withMaintenanceConnection } from '../../../app/services/with-connection.js';
import { hasSaid, SAYING_STEPS, startProgram, untilUnlocked } from '../../support/child-program.js';
import { failureOf } from '../../support/failure-of.js';
import { stampAs } from '../../support/stamp.js';
import { until } from '../../support/until.js';

const ROLE = 'backup tester';
const PASSWORD = 'canary:7\\b@%/ "x';
/** A name that would be options of a URI, or a conninfo string, if it were pasted into one. */
const HOSTILE_NAME = 'clinic?options=-c work_mem="1 @ü';

const SCHEMA = `
  create schema "Billing & co";
  create type mood as enum ('well', 'ill');
  create table patients (
    id bigint generated always as identity primary key,
    name text not null,
    mood mood default 'well',
    initial text generated always as (left(name, 1)) stored,
    updated_at timestamptz);
  create table "Billing & co"."Rechnung ""Ü""" (id int, patient_id bigint references patients, amount numeric);
  create table visits (id int, at date not null) partition by range (at);
  create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
  create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
  create materialized view patient_count as select count(*) as patients from patients;
  create function touch() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$;
  create trigger touch before insert or update on patients for each row execute function touch();
  create trigger quiet before delete on patients for each row execute function touch();
  alter table patients disable trigger quiet;
  alter table patients enable row level security;
  insert into patients (name) select 'patient ' || i from generate_series(1, 1000) i;
  insert into "Billing & co"."Rechnung ""Ü""" select i, i, i * 1.5 from generate_series(1, 300) i;
  insert into visits select i, date '2025-07-01' + i from generate_series(1, 365) i;
  refresh materialized view patient_count;`;

/** Content and definitions, in one value. */
const FINGERPRINT = `
  select md5(string_agg(line, e'\\n' order by line)) as fingerprint from (
    select 'p' || p::text from patients p
    union all select 'r' || r::text from "Billing & co"."Rechnung ""Ü""" r
    union all select 'v' || v::text || v.tableoid::regclass from visits v
    union all select 'm' || m::text from patient_count m
    union all select 't' || pg_get_triggerdef(t.oid) || t.tgenabled::text from pg_trigger t where not t.tgisinternal and t.tgfoid::regproc::text !~ '^manage_db'
    union all select 'c' || pg_get_constraintdef(c.oid) from pg_constraint c where c.connamespace::regnamespace::text not in ('pg_catalog', 'manage_db')
    union all select 's' || s.last_value from pg_sequences s) all_lines (line)`;

const module = (name: string) => new URL(`../../../app/core/db-operations/${name}.ts`, import.meta.url).href;

/** Programs of a user, to be stopped from outside while they are at it. */
const BACKUP_PROGRAM = `
  import { backupDatabase } from '${module('backup')}';
  await backupDatabase({ env: 'testing', onProgress: ({ step }) => step.startsWith('dumping') && process.stdout.write(step) });`;

const RESTORE_PROGRAM = `
  import { restoreDatabase } from '${module('restore')}';
  await restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true },
    onProgress: ${SAYING_STEPS} });`;

describe('backup and restore', () => {
  let server: EmbeddedServer;
  let serverRoot: string;
  let root: string;
  let database: string;
  let counter = 0;

  before(async () => {
    serverRoot = realpathSync(mkdtempSync('/var/tmp/manage_db-backup-server-'));
    server = await startEmbeddedServer(serverRoot);
    await admin(`create role "${ROLE}" login superuser password ${pg.escapeLiteral(PASSWORD)}`);
    await admin('create role clinic_owner; create role clinic_reader');
  });

  after(async () => {
    await stopEmbeddedServer(serverRoot);
    rmSync(dirname(server.dataDirectory), { recursive: true, force: true });
    rmSync(serverRoot, { recursive: true, force: true });
  });

  beforeEach(async () => {
    database = `clinic_${++counter}`;
    root = realpathSync(mkdtempSync('/var/tmp/manage_db-backup-'));
    await useDatabase(database);
  });

  afterEach(async () => {
    await closeEngines();
    const left = await admin(
      `select datname from pg_database where datname like 'clinic%' or datname like 'manage_db_scratch%'`,
    );
    for (const { datname } of left) await admin(`drop database ${pg.escapeIdentifier(String(datname))} with (force)`);
    rmSync(root, { recursive: true, force: true });
  });

  describe('create-backup', () => {
    it('makes a complete folder that only its owner can read', async () => {
      const { id, path, manifest, sizeBytes } = await backup({ label: 'Before the Upgrade!' });

      expect(path).to.equal(join(root, 'backups', 'testing', id));
      expect(id).to.match(/^\d{8}T\d{6}Z-[0-9a-f]{6}-before-the-upgrade$/);
      expect(mode(path)).to.equal(0o700);
      const files = everythingBelow(path);
      expect(files.map((file) => [file, mode(file) & 0o077])).to.deep.equal(files.map((file) => [file, 0]));
      expect(JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))).to.deep.equal(manifest);
      expect(manifest).to.deep.include({
        label: 'Before the Upgrade!',
        environment: 'testing',
        database,
        format: 'directory',
      });
      expect(manifest.tables.filter(({ schema }) => schema !== 'manage_db')).to.deep.equal([
        { schema: 'Billing & co', name: 'Rechnung "Ü"', rows: 300, checksum: null },
        { schema: 'public', name: 'patients', rows: 1000, checksum: null },
        { schema: 'public', name: 'visits_2025', rows: 183, checksum: null },
        { schema: 'public', name: 'visits_2026', rows: 182, checksum: null },
      ]);
      expect(sizeBytes).to.equal(manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0));
      expect(files.map((file) => readFileSync(file, 'latin1')).join('')).not.to.include('canary');
    });

    it('counts the rows that are in the dump, while others write', async () => {
      const writer = await connect(database);
      let isOver = false;
      const writing = (async () => {
        while (!isOver) await writer.query(`insert into patients (name) select 'late' from generate_series(1, 20)`);
      })();
      const { id, manifest } = await backup();
      isOver = true;
      await writing;
      await writer.end();

      const { tables } = await restore({ id });
      // what is told to people are their own tables
      expect(tables).to.deep.equal(manifest.tables.filter(({ schema }) => schema !== 'manage_db'));
      expect(rowsOf(tables, 'patients')).to.be.greaterThan(999);
    });

    it('gives two backups of the same second ids of their own', async () => {
      const [one, two] = await Promise.all([backup({ label: 'x' }), backup({ label: 'x' })]);
      expect(one.id).not.to.equal(two.id);
      expect(await list()).to.have.length(2);
    });

    it('leaves nothing behind when it is aborted', async () => {
      await admin(
        `insert into patients (name) select repeat(md5(i::text), 50) from generate_series(1, 100000) i`,
        database,
      );
      const controller = new AbortController();
      const error = await failureOf(
        backup({
          signal: controller.signal,
          onProgress: ({ step }) => step.startsWith('dumping') && controller.abort(),
        }),
      );
      expect(error.code).to.equal('INTERRUPTED');
      expect(readdirSync(join(root, 'backups', 'testing'))).to.deep.equal([]);
      expect(await list()).to.deep.equal([]);
      await closeEngines();
      const sessions = `select pid from pg_stat_activity where datname = '${database}'`;
      await until('its sessions have ended', async () => (await admin(sessions)).length === 0);
    });

    it('leaves nothing behind when pg_dump fails, and says why', async () => {
      await admin(
        `create role blind login password 'blind-password'; grant usage on schema public to blind; grant select on visits to blind`,
        database,
      );
      useLogin('blind', 'blind-password');
      const error = await failureOf(backup());
      expect(error.message)
        .to.match(/permission denied/i)
        .and.include('No backup was made');
      expect(readdirSync(join(root, 'backups', 'testing'))).to.deep.equal([]);
      await admin('drop owned by blind', database);
      await admin('drop role blind');
    });

    it('is ended by a signal without leaving a partial backup or a password file', async () => {
      await admin(
        `insert into patients (name) select repeat(md5(i::text), 50) from generate_series(1, 200000) i`,
        database,
      );
      const temporary = join(root, 'tmp');
      mkdirSync(temporary);
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', BACKUP_PROGRAM], {
        env: { ...process.env, MANAGE_DB_WORKSPACE: root, TMPDIR: temporary },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      expect(readdirSync(temporary).filter((name) => name.startsWith('manage_db-'))).to.have.length(1);
      child.kill('SIGINT');
      const [, signal] = await once(child, 'exit');
      expect(signal).to.equal('SIGINT');
      expect(readdirSync(temporary).filter((name) => name.startsWith('manage_db-'))).to.deep.equal([]);
      expect(readdirSync(join(root, 'backups', 'testing'))).to.deep.equal([]);
    });

    it('refuses contradictions before it connects', async () => {
      expect((await failureOf(backup({ schemaOnly: true, dataOnly: true }))).code).to.equal('USAGE');
      expect((await failureOf(backup({ format: 'plain', jobs: 2 }))).code).to.equal('USAGE');
      expect((await failureOf(backup({ jobs: 0 }))).code).to.equal('USAGE');
    });

    it('works on a database whose name would be an option elsewhere', async () => {
      await useDatabase(HOSTILE_NAME);
      for (const format of ['directory', 'custom', 'plain'] as const) {
        const { id, manifest } = await backup({ format });
        expect(manifest.database).to.equal(HOSTILE_NAME);
        expect(rowsOf(manifest.tables, 'patients')).to.equal(1000);
        expect((await restore({ id })).database).to.equal(HOSTILE_NAME);
      }
    });
  });

  describe('list-all-backups', () => {
    it('lists every environment, the newest first, and flags what is no good', async () => {
      const older = await backup({ label: 'older' });
      const newer = await backup();
      const folder = join(root, 'backups', 'testing');
      const broken = '20200101T000000Z-aaaaaa';
      mkdirSync(join(folder, broken));
      writeFileSync(join(folder, broken, 'manifest.json'), '{"version": 1, "id": ');
      mkdirSync(join(folder, '20200102T000000Z-bbbbbb.partial'));
      mkdirSync(join(root, 'backups', 'staging', '20200103T000000Z-cccccc'), { recursive: true });
      mkdirSync(join(folder, 'not-a-backup'));
      writeFileSync(join(folder, 'README'), 'a file');

      const found = await list();
      expect(found.map(({ id, state, environment }) => [id, state, environment])).to.deep.equal([
        [newer.id, 'complete', 'testing'],
        [older.id, 'complete', 'testing'],
        ['20200103T000000Z-cccccc', 'damaged', 'staging'],
        ['20200102T000000Z-bbbbbb', 'incomplete', 'testing'],
        [broken, 'damaged', 'testing'],
      ]);
      expect(found[1]).to.include({ label: 'older', verified: false });
      expect(await list({ env: 'stage' })).to.have.length(1);
    });

    it('does not take a folder that it cannot read for one without backups', async () => {
      mkdirSync(join(root, 'backups'));
      expect(await list({ env: 'testing' })).to.deep.equal([]);
      // also root cannot read a link to itself
      symlinkSync('testing', join(root, 'backups', 'testing'));
      expect((await failureOf(list({ env: 'testing' }))).code).to.equal('UNREADABLE_FILE');
      expect((await failureOf(restore({ id: 'latest' }))).code).to.equal('UNREADABLE_FILE');
    });

    it('shows a backup with a missing or shortened file as damaged', async () => {
      const { path, manifest } = await backup();
      truncateSync(join(path, largest(manifest.files)), 10);
      expect((await list()).map(({ state }) => state)).to.deep.equal(['damaged']);
    });
  });

  describe('restore-backup', () => {
    for (const format of ['directory', 'custom', 'plain'] as const) {
      it(`brings back exactly what was there (${format})`, async () => {
        const before = await fingerprint();
        const { id } = await backup({ format });
        await admin(
          'drop table "Billing & co"."Rechnung ""Ü"""; delete from patients; drop trigger touch on patients',
          database,
        );

        const result = await restore({ id });
        expect(result).to.include({ database, previousDatabase: null, strategy: 'swap' });
        expect(rowsOf(result.tables, 'patients')).to.equal(1000);
        expect(await fingerprint()).to.equal(before);
        expect(await databases()).to.deep.equal([database]);
      });
    }

    it('keeps the database that it replaces when asked to', async () => {
      await backup();
      await admin(`delete from visits`, database);
      const { previousDatabase } = await restore({ id: 'latest', keepPrevious: true });
      expect(previousDatabase).to.match(new RegExp(`^${database}_previous_\\d{8}t\\d{6}$`));
      expect(await admin('select count(*)::int as n from visits', database)).to.deep.equal([{ n: 365 }]);
      expect(await admin('select count(*)::int as n from visits', String(previousDatabase))).to.deep.equal([{ n: 0 }]);
    });

    it('keeps the replaced database of a protected environment, unless told not to', async () => {
      await useProduction();
      await backup({ env: 'production' });
      const consent = { confirm: `EXECUTE RESTORE_BACKUP ON ${database}`, reason: 'a test' };
      const kept = await restore({ env: 'production', id: 'latest', consent });
      expect(kept.previousDatabase).to.match(new RegExp(`^${database}_previous_`));
      await admin(`drop database ${kept.previousDatabase}`);
      const dropped = await restore({ env: 'production', id: 'latest', consent, keepPrevious: false });
      expect(dropped.previousDatabase).to.equal(null);
      expect(await databases()).to.deep.equal([database]);
    });

    it('does not execute what somebody wrote into a manifest', async () => {
      const { path, manifest } = await backup();
      const grants = [{ grantee: null, privilege: 'connect on database x to public; --', isGrantable: false }];
      const changed = { ...manifest, properties: { ...manifest.properties, grants } };
      writeFileSync(join(path, 'manifest.json'), JSON.stringify(changed));
      expect((await failureOf(restore({ id: manifest.id }))).code).to.equal('BACKUP_INVALID');
    });

    it('says before each table how many are restored', async () => {
      const { id } = await backup();
      const events: ProgressEvent[] = [];
      await restore({ id, onProgress: (event) => events.push(event) });
      const tables = events.filter(({ step }) => step.startsWith('restoring '));
      const own = tables.filter(({ step }) => step.startsWith('restoring manage_db.'));
      expect(tables.filter((event) => !own.includes(event)).map(({ step }) => step)).to.have.members([
        'restoring Billing & co.Rechnung "Ü"',
        'restoring public.patients',
        'restoring public.visits_2025',
        'restoring public.visits_2026',
      ]);
      const total = 4 + own.length;
      expect(tables[0]).to.include({ done: 0, total });
      expect(tables.filter(({ done = total }) => done >= total)).to.deep.equal([]);
      const checked = events.filter(({ step }) => step === 'verifying checksums');
      expect(checked.map(({ done }) => done)).to.deep.equal(checked.map((_, index) => index));
    });

    it('finds its way into a server whose database postgres is gone', async () => {
      const elsewhere = (sql: string) => admin(sql, 'template1');
      await closeEngines();
      await elsewhere('alter database postgres rename to postgres_away');
      try {
        const { connection } = await withWorkspaceRoot(root, () => getConfig('testing'));
        const found = await withMaintenanceConnection(connection, async (client, name) => {
          const { rows } = await client.query('select current_database()::text as name');
          return [name, rows[0]?.name];
        });
        expect(found).to.deep.equal(['template1', 'template1']);
      } finally {
        await elsewhere('alter database postgres_away rename to postgres');
      }
    });

    it('keeps owner, grants, settings, connection limit and comment of the live database', async () => {
      await backup();
      await admin(`
        alter database ${database} owner to clinic_owner;
        alter database ${database} connection limit 17;
        comment on database ${database} is 'it''s the clinic';
        revoke connect on database ${database} from public;
        grant connect, temporary on database ${database} to clinic_reader with grant option;
        alter database ${database} set search_path to "$user", public, "Billing & co";
        alter database ${database} set work_mem = '7MB';
        alter database ${database} set "app.motto" = 'a, "b" and ''c''';
        alter role clinic_reader in database ${database} set statement_timeout = '5s'`);
      const before = await properties();
      await restore({ id: 'latest' });
      expect(await properties()).to.deep.equal(before);
      expect(
        await admin(`select current_setting('search_path') as path, current_setting('app.motto') as motto`, database),
      ).to.deep.equal([{ path: '"$user", public, "Billing & co"', motto: `a, "b" and 'c'` }]);
    });

    it('restores a database that is gone, with the properties it had', async () => {
      await admin(`alter database ${database} set work_mem = '7MB'; comment on database ${database} is 'gone'`);
      const before = [await fingerprint(), await properties()];
      const { id } = await backup();
      await closeEngines();
      await admin(`drop database ${database}`);
      expect(await restore({ id })).to.include({ database, previousDatabase: null });
      expect([await fingerprint(), await properties()]).to.deep.equal(before);
    });

    it('finds a backup by the beginning of its id, and names what there is otherwise', async () => {
      const { id } = await backup();
      const other = await backup();
      expect(rowsOf((await restore({ id: id.slice(0, -2) })).tables, 'patients')).to.equal(1000);
      const ambiguous = await failureOf(restore({ id: '2' }));
      expect(ambiguous).to.include({ code: 'USAGE' });
      expect(ambiguous.message).to.include(id).and.include(other.id);
      for (const wrong of [
        '20200101T000000Z-ffffff',
        '../testing',
        `../testing/${id}`,
        '',
        '/',
        '.',
        `${id}/.`,
        "'; drop",
        '\n',
      ]) {
        const error = await failureOf(restore({ id: wrong }));
        expect(error.code, wrong).to.equal('NOT_FOUND');
        expect(error.message).to.include(id);
      }
    });

    it("does not restore a backup that was copied from another environment's folder", async () => {
      const { id, path } = await backup();
      mkdirSync(join(root, 'backups', 'development'));
      cpSync(path, join(root, 'backups', 'development', id), { recursive: true });
      expect((await failureOf(restore({ id, fromEnvironment: 'development' }))).code).to.equal('BACKUP_INVALID');
    });

    it('finds a flipped bit, a truncation and a missing file before it touches anything', async () => {
      const { id, path, manifest } = await backup({ format: 'custom' });
      const file = join(path, largest(manifest.files));
      const whole = readFileSync(file);
      const flipped = Buffer.from(whole);
      flipped[Math.floor(whole.length / 2)] = (flipped[Math.floor(whole.length / 2)] ?? 0) ^ 1;
      const oidBefore = await oid();
      const steps: string[] = [];
      const attempt = () => failureOf(restore({ id, onProgress: ({ step }) => steps.push(step) }));

      writeFileSync(file, flipped);
      expect((await attempt()).message).to.include('does not match its checksum');
      writeFileSync(file, whole.subarray(0, -1));
      expect((await attempt()).message).to.include(`has ${whole.length - 1} bytes instead of ${whole.length}`);
      renameSync(file, `${file}.away`);
      expect((await attempt()).message).to.include('is missing');
      expect(new Set(steps)).to.deep.equal(new Set(['verifying checksums']));
      expect(await oid()).to.equal(oidBefore);
    });

    it('leaves the live database alone when the dump does not restore, and says so', async () => {
      const { id, path, manifest } = await backup({ format: 'plain' });
      const before = await fingerprint();
      await rewriteDump(path, manifest.files, (sql) =>
        sql.replace('CREATE TABLE public.visits ', 'CREATE TABEL public.visits '),
      );
      const error = await failureOf(restore({ id }));
      expect(error.code).to.equal('CLIENT_TOOL_FAILED');
      expect(error.message).to.include('TABEL').and.include(`${database} on 127.0.0.1:${server.port} was not changed.`);
      expect(await fingerprint()).to.equal(before);
      expect(await databases()).to.deep.equal([database]);
    });

    it('notices rows that are missing although the tools saw no error', async () => {
      const { id, path, manifest } = await backup({ format: 'plain' });
      await rewriteDump(path, manifest.files, (sql) =>
        sql.replace(/^500\tpatient 500\t.*\n/m, '').replace(/^500\t500\t.*\n/m, ''),
      );
      const error = await failureOf(restore({ id }));
      expect(error.code).to.equal('BACKUP_INVALID');
      expect(error.message).to.include('public.patients has 999 rows instead of 1000').and.include('was not changed');
      expect(await databases()).to.deep.equal([database]);
    });

    it('refuses a database in use, naming who uses it, unless they may be disconnected', async () => {
      await backup();
      const user = await connect(database, 'front desk');
      const error = await failureOf(restore({ id: 'latest' }));
      expect(error.code).to.equal('DATABASE_IN_USE');
      expect(error.message)
        .to.match(/in use by 1 session: front desk \(pid \d+, user \w+\)/)
        .and.include('was not changed');

      await restore({ id: 'latest', disconnectUsers: true });
      expect(await user.query('select 1').catch((reason: unknown) => String(reason))).to.be.a('string');
    });

    it('gets its moment although clients keep coming back, and keeps them out only briefly', async () => {
      await backup();
      const longestDuring = async (work: () => Promise<unknown>): Promise<number> => {
        let isOver = false;
        let longest = 0;
        const client = async () => {
          while (!isOver) {
            const since = Date.now();
            const one = await connect(database).catch(() => null);
            longest = Math.max(longest, Date.now() - since);
            await one?.query('select count(*) from patients').catch(() => undefined);
            await one?.end().catch(() => undefined);
          }
        };
        const clients = Array.from({ length: 10 }, client);
        await work();
        isOver = true;
        await Promise.all(clients);
        return longest;
      };
      // what ten logins at once take here
      const base = await longestDuring(() => sleep(2000));
      const longest = await longestDuring(() => restore({ id: 'latest', disconnectUsers: true }));
      expect(longest).to.be.lessThan(Math.max(1500, 5 * base));
      expect(await databases()).to.deep.equal([database]);
    });

    it('lets one of two restores at once through, and never leaves a half-restored database', async () => {
      await backup();
      const before = await fingerprint();
      const results = await Promise.allSettled([restore({ id: 'latest' }), restore({ id: 'latest' })]);
      const failed = results.filter((result) => result.status === 'rejected');
      expect(results.some((result) => result.status === 'fulfilled')).to.equal(true);
      for (const { reason } of failed) expect(reason).to.include({ code: 'DATABASE_IN_USE' });
      expect(await fingerprint()).to.equal(before);
      expect(await databases()).to.deep.equal([database]);
    });

    it('drops the scratch database when it is aborted', async () => {
      await backup();
      const before = await oid();
      const controller = new AbortController();
      const error = await failureOf(
        restore({
          id: 'latest',
          signal: controller.signal,
          onProgress: ({ step }) => step.startsWith('restoring') && controller.abort(),
        }),
      );
      expect(error.code).to.equal('INTERRUPTED');
      expect(error.message).to.include('was not changed');
      expect(await oid()).to.equal(before);
      expect(await databases()).to.deep.equal([database]);
    });

    it('clears up after a restore that was killed, but not after one that still runs', async () => {
      await backup();
      await closeEngines();
      const child = startProgram(RESTORE_PROGRAM, root, { at: 'restoring' });
      await hasSaid(child, 'stopped');
      const exited = once(child, 'exit');
      const first = database;
      try {
        expect(await databases()).to.have.length(2);

        // another database of the same server: its restore must leave the running one's scratch database in peace
        await useDatabase('clinic_other');
        await backup();
        await restore({ id: 'latest' });
        expect((await databases()).filter((name) => name.startsWith('manage_db_scratch'))).to.have.length(1);
      } finally {
        child.kill('SIGKILL');
      }
      await exited;
      await untilUnlocked(first, admin);
      await restore({ id: 'latest' });
      expect(await databases()).to.have.members([first, 'clinic_other']);
    });

    it('does not replace a database by a backup without rows or without definitions', async () => {
      for (const options of [{ schemaOnly: true }, { dataOnly: true }]) {
        const { id } = await backup(options);
        expect((await failureOf(restore({ id }))).code).to.equal('USAGE');
      }
      expect(await admin('select count(*)::int as n from patients', database)).to.deep.equal([{ n: 1000 }]);
    });

    it('does not replace a database with something that a swap would lose', async () => {
      await backup();
      const before = await oid();
      await admin(
        `create subscription from_head_office connection 'host=nowhere.invalid' publication all_of_it with (connect = false)`,
        database,
      );
      const error = await failureOf(restore({ id: 'latest', method: 'swap' }));
      expect(error.code).to.equal('DATABASE_IN_USE');
      expect(error.message).to.include('the subscription from_head_office').and.include('was not changed');
      expect(await oid()).to.equal(before);
      await admin('alter subscription from_head_office set (slot_name = none)', database);
      await admin('drop subscription from_head_office', database);
    });
  });

  it('excuses only the one setting that older servers do not know', () => {
    const known = [
      'pg_restore: while INITIALIZING:',
      'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"',
      'Command was: SET transaction_timeout = 0;',
    ];
    expect(failedOnlyOnUnknownSetting([...known, 'pg_restore: warning: errors ignored on restore: 1'])).to.equal(true);
    expect(failedOnlyOnUnknownSetting([...known, 'pg_restore: warning: errors ignored on restore: 2'])).to.equal(false);
    expect(failedOnlyOnUnknownSetting(known)).to.equal(false);
  });

  function backup(options: BackupOptions = {}) {
    return withWorkspaceRoot(root, () => backupDatabase({ env: 'testing', ...options }));
  }

  function restore(options: RestoreOptions) {
    return withWorkspaceRoot(root, () =>
      withKillSwitchOverride({}, () => restoreDatabase({ env: 'testing', consent: { yes: true }, ...options })),
    );
  }

  function list(options?: { env?: string }) {
    return withWorkspaceRoot(root, () => listBackups(options));
  }

  async function useDatabase(name: string) {
    database = name;
    await admin(`create database ${pg.escapeIdentifier(name)}`);
    await admin(SCHEMA, name);
    await stamp('testing');
    useLogin(ROLE, PASSWORD);
  }

  /** The same database, once more as production. */
  async function useProduction() {
    const testing = readFileSync(join(root, '.env.testing'), 'utf8');
    writeFileSync(join(root, '.env.production'), testing.replace('TESTING_', 'PRODUCTION_'), { mode: 0o600 });
    reloadConfig();
    await stamp('production');
  }

  async function stamp(environment: 'testing' | 'production') {
    const client = await connect(database);
    await stampAs(client, environment);
    await client.end();
  }

  function useLogin(user: string, password: string) {
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
    const url = `postgresql://${login}@127.0.0.1:${server.port}/${encodeURIComponent(database)}?sslmode=disable`;
    writeFileSync(join(root, '.env.testing'), `TESTING_DATABASE_URL='${url}'\n`, { mode: 0o600 });
    reloadConfig();
  }

  async function connect(name: string, application = 'test'): Promise<pg.Client> {
    const { user, password, port } = server;
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user,
      password,
      database: name,
      application_name: application,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async function admin(sql: string, name = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = await connect(name);
    try {
      // the last statement's rows; several statements give several results
      const results = await client.query(sql);
      return [results].flat().at(-1)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  async function fingerprint() {
    return (await admin(FINGERPRINT, database))[0]?.fingerprint;
  }

  async function oid() {
    return (await admin(`select oid from pg_database where datname = '${database}'`))[0]?.oid;
  }

  async function databases() {
    const rows = await admin(
      `select datname from pg_database where datname like 'clinic%' or datname like 'manage_db_scratch%' order by 1`,
    );
    return rows.map(({ datname }) => String(datname));
  }

  function properties() {
    return admin(`
      select pg_get_userbyid(datdba) as owner, datconnlimit, shobj_description(oid, 'pg_database') as comment,
        pg_encoding_to_char(encoding) as encoding, datcollate, datctype,
        (select array_agg(a::text order by a::text) from aclexplode(datacl) a) as acl,
        (select array_agg(setrole::regrole || ' ' || setconfig::text order by setrole) from pg_db_role_setting where setdatabase = d.oid) as settings
      from pg_database d where datname = '${database}'`);
  }
});

/** Changes a plain dump together with its manifest: a damage that no checksum can find. */
async function rewriteDump(
  path: string,
  [file]: readonly { path: string }[],
  change: (sql: string) => string,
): Promise<void> {
  const dump = join(path, file?.path ?? '');
  const manifestFile = join(path, 'manifest.json');
  const changed = change(readFileSync(dump, 'utf8'));
  expect(changed).not.to.equal(readFileSync(dump, 'utf8'));
  writeFileSync(dump, changed);
  const { createHash } = await import('node:crypto');
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
  manifest.files[0].sizeBytes = statSync(dump).size;
  manifest.files[0].sha256 = createHash('sha256').update(changed).digest('hex');
  writeFileSync(manifestFile, JSON.stringify(manifest));
}

function largest(files: readonly { path: string; sizeBytes: number }[]): string {
  return [...files].sort((a, b) => b.sizeBytes - a.sizeBytes)[0]?.path ?? '';
}

function rowsOf(tables: readonly { name: string; rows: number | null }[], name: string): number | null | undefined {
  return tables.find((table) => table.name === name)?.rows;
}

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}

function everythingBelow(folder: string): string[] {
  expect(existsSync(folder)).to.equal(true);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
