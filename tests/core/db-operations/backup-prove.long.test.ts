import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { getConfig } from '../../../app/config/db-config.js';
import { verifyDeep } from '../../../app/core/db-operations/backup/deep-verify.js';
import { type BackupOptions, backupDatabase, type Manifest } from '../../../app/core/db-operations/backup.js';
import { failureOf } from '../../support/failure-of.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

/** Whatever is written as text in more than one way. */
const SCHEMA = `
  create schema "Ü ""x""";
  create type mood as enum ('well', 'ill');
  create type pair as (a float8, b timestamptz);
  create domain cents as money;
  create table values_of_all_kinds (
    gone int, id int primary key, f4 float4, f8 float8, n numeric, at timestamptz, day date, lasts interval, raw bytea, money cents,
    j json, jb jsonb, list text[], span tstzrange, mood mood, pair pair, of regclass, txt text,
    twice numeric generated always as (n * 2) stored);
  alter table values_of_all_kinds drop column gone;
  insert into values_of_all_kinds (id, f4, f8, n, at, day, lasts, raw, money, j, jb, list, span, mood, pair, of, txt)
  select i, i / 3.0, i / 7.0, 1.10, timestamptz '2026-02-03 04:05:06.789+01' + i * interval '1 day', date '2026-02-03' + i,
    i * interval '1 month 2 days 03:04:05.678', decode(md5(i::text), 'hex'), i::numeric::money, '{"b": 1,  "a": 2}', '{"b": 1,  "a": 2}',
    array['x,"y', null, 'null', ''], tstzrange('2026-01-01', '2026-02-01'), 'ill', row((i / 3.0)::float8, now())::pair, 'values_of_all_kinds',
    nullif(nullif(repeat(e'a\\tb\\n\\\\,"''(ü', i % 4), ''), 'x')
  from generate_series(1, 500) i;
  insert into values_of_all_kinds (id, txt) values (1001, ''), (1002, null);
  create table "Ü ""x"""."no columns" ();
  insert into "Ü ""x"""."no columns" default values;
  create table parent (a int, b int);
  create table child (c int, b int, a int);
  alter table child inherit parent;
  insert into child values (1, 2, 3);
  insert into parent values (1, 2);
  create table empty (id int);`;

describe('create-backup --prove', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase(SCHEMA);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(db.name);
  });

  const backup = (options: BackupOptions = {}) =>
    workspace.run(() => backupDatabase({ env: 'testing', prove: true, ...options }));
  const checksums = async (options: BackupOptions = {}) => checksumsOf((await backup(options)).manifest);
  const left = () => readdirSync(join(workspace.root, 'backups', 'testing'));
  const scratchDatabases = async () =>
    (await onServer((server) => server.query(`select from pg_database where datname like 'manage_db_scratch%'`)))
      .rowCount;

  it('restores what it has made, compares the contents, and writes that down', async () => {
    for (const format of ['directory', 'custom', 'plain'] as const) {
      const { path, manifest } = await backup({ format });
      for (const { name, checksum } of manifest.tables) expect(checksum, name).to.match(/^[0-9a-f]{64}$/);
      const verified = join(path, 'verified.json');
      expect(statSync(verified).mode & 0o777).to.equal(0o600);
      expect(JSON.parse(readFileSync(verified, 'utf8')).deep.server).to.equal(manifest.serverVersion);
    }
    expect(await scratchDatabases()).to.equal(0);
  });

  it('has the same checksums whatever is set, and in whatever order the rows lie', async () => {
    const before = await checksums();
    await db.query(`
      alter database ${db.name} set DateStyle = 'German';
      alter database ${db.name} set TimeZone = 'Asia/Kathmandu';
      alter database ${db.name} set IntervalStyle = 'iso_8601';
      alter database ${db.name} set extra_float_digits = -3;
      alter database ${db.name} set bytea_output = 'escape';
      alter database ${db.name} set quote_all_identifiers = on;
      alter database ${db.name} set search_path = public, "Ü ""x""";
      update values_of_all_kinds set txt = txt where id % 3 = 0;
      update values_of_all_kinds set f4 = f4 where id < 100`);
    expect(await checksums()).to.deep.equal(before);
  });

  it('has other ones after any change, also one that a sum or a count does not show', async () => {
    const change = async (sql: string) => {
      await db.query(sql);
      return (await checksums())['public.parent'];
    };
    const seen = [
      await change('select 1'),
      await change('update only parent set a = 2, b = 1'),
      await change('update only parent set b = null'),
      await change('insert into parent values (5, 6), (5, 6)'),
      await change('update only parent set a = 7 where a = 5'),
      await change('alter table parent rename b to d'),
    ];
    expect(new Set(seen).size).to.equal(seen.length);
  });

  it('is no backup when it does not restore, and nothing is left of it', async () => {
    await db.query(`
      create function fine(int) returns boolean immutable language sql as 'select true';
      create table checked (id int check (fine(id)));
      insert into checked values (1);
      create or replace function fine(int) returns boolean immutable language sql as 'select false'`);
    const error = await failureOf(backup());
    expect(error.code).to.equal('CLIENT_TOOL_FAILED');
    expect(error.message).to.include('checked').and.include('No backup was made');
    expect(left()).to.deep.equal([]);
    expect(await scratchDatabases()).to.equal(0);
  });

  it('finds other contents where the number of rows is the same', async () => {
    const { path, manifest } = await backup();
    const tables = manifest.tables.map((table) =>
      table.name === 'parent' ? { ...table, checksum: 'f'.repeat(64) } : table,
    );
    const controls = {};
    const error = await failureOf(
      workspace.run(async () => {
        const { connection: settings } = await getConfig('testing');
        const changed = { ...manifest, tables };
        return verifyDeep({ settings, serverMajor: manifest.serverMajor, folder: path, manifest: changed, controls });
      }),
    );
    expect(error.code).to.equal('BACKUP_INVALID');
    expect(error.message).to.include('public.parent has as many rows as it had (1), with other contents');
  });

  it('can be had without the rows of a table, and without any', async () => {
    const without = await checksums({ excludeTableData: ['values_of_all_kinds'] });
    expect(without).to.include({ 'public.values_of_all_kinds': null });
    expect(without['public.child']).to.match(/^[0-9a-f]{64}$/);
    const none = await checksums({ schemaOnly: true });
    expect(new Set(Object.values(none))).to.deep.equal(new Set([null]));
  });

  it('is refused where it cannot be, before anything is dumped', async () => {
    for (const options of [{ dataOnly: true }, { tables: ['parent'] }, { schemas: ['public'] }]) {
      expect(await failureOf(backup(options)), JSON.stringify(options)).to.include({ code: 'USAGE' });
    }
    const login = await scratchLogin('nocreatedb');
    try {
      await db.query(`grant pg_read_all_data to ${login.user}`);
      const url = new URL(db.url);
      url.username = login.user;
      url.password = login.password;
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url.href}\n` });
      const steps: string[] = [];
      const error = await failureOf(backup({ onProgress: ({ step }) => steps.push(step) }));
      expect(error).to.include({ code: 'PERMISSION_DENIED' });
      expect(error.message).to.include('--prove');
      expect(steps.filter((step) => step.startsWith('dumping'))).to.deep.equal([]);
    } finally {
      await dropLogins(login);
    }
  });

  it('leaves no scratch database and no backup when it is interrupted while it restores', async () => {
    for (const phase of ['creating a scratch database', 'restoring', 'comparing contents']) {
      const controller = new AbortController();
      const error = await failureOf(
        backup({
          signal: controller.signal,
          onProgress: ({ step }) => step.startsWith(phase) && controller.abort(),
        }),
      );
      expect(error.code, phase).to.equal('INTERRUPTED');
      expect(left(), phase).to.deep.equal([]);
      expect(await scratchDatabases(), phase).to.equal(0);
    }
  });
});

function checksumsOf({ tables }: Manifest): Record<string, string | null> {
  const own = tables.filter(({ schema }) => schema !== 'manage_db');
  return Object.fromEntries(own.map(({ schema, name, checksum }) => [`${schema}.${name}`, checksum]));
}
