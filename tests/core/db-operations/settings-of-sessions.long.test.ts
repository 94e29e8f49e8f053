import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { type BackupOptions, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { showOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { dropDatabase, onServer, withClient } from '../../support/scratch-database.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

/** What an administrator can do to every session. `reader` may read nothing. */
const HOSTILE = `
  default_transaction_read_only = on; default_transaction_isolation = serializable; default_transaction_deferrable = on;
  role = READER; statement_timeout = 100; lock_timeout = 1; idle_in_transaction_session_timeout = 100; idle_session_timeout = 100;
  row_security = off; "DateStyle" = 'SQL, DMY'; "IntervalStyle" = sql_standard; bytea_output = escape; extra_float_digits = -15;
  standard_conforming_strings = off; quote_all_identifiers = on; transform_null_equals = on; session_replication_role = replica;
  search_path = nowhere; timezone = 'Asia/Kolkata'; client_min_messages = error; client_encoding = LATIN1`;

/** A hundred statements' worth of time: more than any limit of {@link HOSTILE}. */
const CONTENTS = `
  set client_encoding = 'UTF8';
  create schema "Bär";
  create table public.patients (id bigint primary key, name text not null, born date, seen interval, blood bytea,
    check (born > date '1900-01-02'));
  create table "Bär"."Größe" (id bigint references public.patients);
  alter table public.patients enable row level security;
  create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$;
  create trigger slow after insert on public.patients for each statement execute function public.slow();
  insert into public.patients select i, 'Müller ' || i, date '1990-01-01' + i % 9999, interval '1 day 2:03' * i, '\\x00ff'
  from generate_series(1, 20000) i;
  insert into "Bär"."Größe" select 7 from generate_series(1, 10);
  select lo_from_bytea(4711, 'a large object')`;

const CONTENT = `
  select (select md5(string_agg(p::text, ',' order by id)) from public.patients p) as patients,
    (select count(*)::int from "Bär"."Größe") as sizes, encode(lo_get(4711), 'escape') as large,
    (select jsonb_agg(jsonb_build_object('role', setrole::regrole, 'settings', setconfig) order by setrole) from pg_db_role_setting s
      where s.setdatabase = (select oid from pg_database where datname = current_database())) as settings`;

const SETTLED = `set bytea_output = hex; set "DateStyle" = 'ISO, YMD'; set "IntervalStyle" = postgres; set search_path = public;
  set role none; set client_encoding = 'UTF8'; set statement_timeout = 0; set default_transaction_isolation = 'read committed';
  set row_security = on; set idle_session_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
  set standard_conforming_strings = on;`;

describe('settings that every session of a database or a login gets', function () {
  // the limits also hold for the statement that lifts them, and for the time before it
  this.retries(2);

  let database: string;
  let workspace: ScratchWorkspace;
  let reader: ScratchLogin;
  let anna: ScratchLogin;
  before(async () => {
    reader = await scratchLogin('reader');
    anna = await scratchLogin('anna', 'superuser');
  });
  after(() => dropLogins(reader, anna));
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(database);
  });

  const clinic = async (encoding: string, targets: (name: string) => readonly string[]) => {
    database = `settings_${randomBytes(4).toString('hex')}`;
    await onServer((server) =>
      server.query(`create database ${database} template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`),
    );
    const url = testUrl(database, anna);
    await withClient(url, async (client) => {
      await client.query(CONTENTS);
      await stampAs(client, 'testing');
    });
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${url}\n` });
    for (const target of targets(database)) await obstruct(target);
  };
  const obstruct = (target: string) =>
    onServer(async (server) => {
      const settings = HOSTILE.replace('READER', reader.user).split(';');
      for (const setting of settings) await server.query(`alter ${target} set ${setting}`);
    });
  /** For the sessions of the test itself: the limits of {@link HOSTILE} end none of them before it could lift them. */
  const patientUrl = () => {
    const lifted = '-c statement_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0';
    return `${testUrl(database, anna)}?options=${encodeURIComponent(lifted)}`;
  };
  const look = async () =>
    (await withClient(patientUrl(), (client) =>
      client.query(`${SETTLED} begin read write; ${CONTENT}; commit`),
    )) as unknown as { rows: unknown[] }[];
  const contents = async () => (await look()).at(-2)?.rows[0];

  const backup = (options: Partial<BackupOptions> = {}) =>
    workspace.run(() => backupDatabase({ env: 'testing', ...options }));
  const restore = (options: Partial<RestoreOptions>) =>
    workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true }, ...options }));
  const damage = () =>
    withClient(patientUrl(), (client) =>
      client.query(
        `${SETTLED} begin read write; delete from "Bär"."Größe"; delete from public.patients; select lo_unlink(4711); commit`,
      ),
    );

  const inDatabase = (name: string) => [`database ${name}`];
  const ofLogin = (name: string) => [`role ${anna.user} in database ${name}`];
  const everywhere = () => [`role ${anna.user}`];

  for (const [where, targets] of [
    ['of the database', inDatabase],
    ['of the login in the database', ofLogin],
    ['of the login in every database', everywhere],
  ] as const) {
    for (const method of ['swap', 'transaction'] as const) {
      it(`${where} do not disturb a backup, nor a restore by ${method}, and are as they were`, async () => {
        await clinic('UTF8', targets);
        try {
          const before = await contents();
          await backup({ prove: true });
          await damage();
          expect(await restore({ method })).to.include({ strategy: method });
          expect(await contents()).to.deep.equal(before);
          const { entries } = await workspace.run(() => showOperationLog({ env: 'testing', limit: 10 }));
          expect(entries.map(({ operation, event }) => `${operation} ${event}`)).to.deep.equal([
            'restore-backup succeeded',
            'restore-backup attempted',
            'create-backup succeeded',
            'create-backup attempted',
          ]);
          await workspace.run(() => verifyBackup({ env: 'testing', id: 'latest', deep: true }));
        } finally {
          await onServer((server) => server.query(`alter role ${anna.user} reset all`));
        }
      });
    }
  }

  for (const encoding of ['LATIN1', 'SQL_ASCII', 'UTF8'] as const) {
    for (const format of ['directory', 'plain'] as const) {
      it(`restores a ${encoding} database from the ${format} format, whatever the client's encoding is set to`, async () => {
        await clinic(encoding, (name) => [`database ${name}`]);
        const before = await contents();
        const tables = format === 'plain' ? [] : ['"Bär"."Größe"'];
        if (tables.length > 0) await backup({ tables });
        await backup({ format, prove: true });
        await damage();
        await restore({});
        expect(await contents()).to.deep.equal(before);
        if (format === 'plain') return;
        await damage();
        await restore({ method: 'transaction' });
        expect(await contents()).to.deep.equal(before);
      });
    }
  }

  for (const method of ['swap', 'transaction'] as const) {
    it(`keep a login in the role that owns the database, by ${method}`, async () => {
      const owner = await scratchLogin('owner');
      const berta = await scratchLogin('berta', `createdb in role ${owner.user}`);
      database = `settings_${randomBytes(4).toString('hex')}`;
      await onServer(async (server) => {
        await server.query(`alter role ${berta.user} set role = ${owner.user}`);
        await server.query(`create database ${database} owner ${owner.user}`);
      });
      const url = testUrl(database, berta);
      workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${url}\n` });
      try {
        await withClient(url, async (client) => {
          await client.query(
            'create schema app; create table app.patients (id int); insert into app.patients values (1)',
          );
          await stampAs(client, 'testing');
        });
        await backup();
        await restore({ method });
        const { rows } = await withClient(url, (client) =>
          client.query(
            `select distinct relowner::regrole::text as owner from pg_class where relnamespace in ('app'::regnamespace, 'manage_db'::regnamespace)`,
          ),
        );
        expect(rows).to.deep.equal([{ owner: owner.user }]);
        await backup();
      } finally {
        await workspace.remove();
        await dropDatabase(database);
        await dropLogins(berta, owner);
      }
    });
  }

  it('keeps bytes that the encoding of the database does not define', async () => {
    await clinic('WIN1252', () => []);
    const odd = `set client_encoding = 'WIN1252'; select md5(string_agg(name, ',' order by id)) from public.patients`;
    await withClient(testUrl(database, anna), (client) =>
      client.query(`set client_encoding = 'WIN1252'; update public.patients set name = e'\\x81' where id = 1`),
    );
    const md5 = () =>
      withClient(
        testUrl(database, anna),
        async (client) => ((await client.query(odd)) as unknown as { rows: unknown[] }[]).at(-1)?.rows,
      );
    const before = await md5();
    for (const format of ['directory', 'custom', 'plain'] as const) {
      await backup({ format, prove: true });
      await damage();
      await restore({});
      expect(await md5()).to.deep.equal(before);
    }
  });
});
