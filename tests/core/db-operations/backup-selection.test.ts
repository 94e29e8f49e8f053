import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { compressArgument, parseCompression } from '../../../app/core/db-operations/backup/dump/compression.js';
import { type BackupOptions, type BackupResult, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { findClientTools } from '../../../app/services/client-tools.js';
import { manageDb } from '../../support/command-line.js';
import { failureOf } from '../../support/failure-of.js';
import { dropDatabase, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

const SCHEMA = `
  create schema "Billing & co.";
  create schema logs;
  create table public.patients (id serial primary key);
  create table public.patients_archive (id int);
  create table "Billing & co."."Rechnung ""Ü"".*" (id int);
  create table "Billing & co."."Rechnung ""Ü""." (id int);
  create table logs."a$b|c?" (id int);
  create table logs.requests (id int, at date not null) partition by range (at);
  create table logs.requests_2025 partition of logs.requests for values from ('2025-01-01') to ('2026-01-01');
  create view logs.latest as select max(at) from logs.requests;
  insert into public.patients select from generate_series(1, 5);
  insert into public.patients_archive values (1);
  insert into "Billing & co."."Rechnung ""Ü"".*" values (1), (2);
  insert into logs."a$b|c?" values (1), (2), (3);
  insert into logs.requests select i, date '2025-02-01' + i from generate_series(1, 7) i;`;

describe('a backup of a part', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase(SCHEMA);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
  });
  after(() => dropDatabase(db.name));
  beforeEach(() => {
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(() => workspace.remove());

  const backup = (options: BackupOptions = {}) => workspace.run(() => backupDatabase({ env: 'testing', ...options }));
  const plain = async (options: BackupOptions) => {
    const result = await backup({ format: 'plain', ...options });
    return { ...result, sql: readFileSync(join(result.path, 'dump.sql'), 'utf8') };
  };
  const left = () => readdirSync(join(workspace.root, 'backups', 'testing'));

  it('has the tables that were named, however they are spelled, and nothing else', async () => {
    const { manifest, sql } = await plain({
      tables: ['PATIENTS', '"Billing & co."."Rechnung ""Ü"".*"', 'logs.a$b|c?', 'latest'],
    });
    expect(created(sql)).to.have.members(['public.patients', '"Billing & co."."Rechnung ""Ü"".*"', 'logs."a$b|c?"']);
    expect(sql).to.include('CREATE VIEW logs.latest').and.include('CREATE SEQUENCE public.patients_id_seq');
    expect(counts({ manifest })).to.deep.equal({ patients: 5, 'Rechnung "Ü".*': 2, 'a$b|c?': 3 });
    expect(manifest.selection).to.deep.equal({
      schemas: [],
      tables: ['public.patients', '"Billing & co."."Rechnung ""Ü"".*"', 'logs."a$b|c?"', 'logs.latest'],
      excludedData: [],
    });
    expect(manifest.leftOut.join()).to.include('everything but the tables public.patients, ');
  });

  it('has the partitions of a table with it', async () => {
    for (const format of ['directory', 'plain'] as const) {
      expect(counts(await backup({ format, tables: ['requests'] }))).to.deep.equal({ requests_2025: 7 });
      const without = await backup({ format, schemas: ['logs'], excludeTableData: ['requests'] });
      expect(counts(without)).to.deep.equal({ 'a$b|c?': 3, requests_2025: null });
      expect(without.manifest.leftOut).to.include('the rows of logs.requests');
    }
  });

  it('has the schemas that were named', async () => {
    const { manifest, sql } = await plain({ schemas: ['"Billing & co."', 'LOGS'] });
    expect(created(sql)).to.have.members([
      '"Billing & co."."Rechnung ""Ü"".*"',
      '"Billing & co."."Rechnung ""Ü""."',
      'logs."a$b|c?"',
      'logs.requests',
      'logs.requests_2025',
    ]);
    expect(manifest.selection.schemas).to.deep.equal(['"Billing & co."', 'logs']);
  });

  it('leaves out the rows of a table, and says so', async () => {
    const { manifest, sql } = await plain({ excludeTableData: ['public.patients', 'patients_archive'] });
    expect(created(sql)).to.include('public.patients');
    expect(sql).not.to.include('COPY public.patients');
    expect(counts({ manifest })).to.include({ patients: null, patients_archive: null, 'a$b|c?': 3 });
  });

  it('is refused for a name that nothing has, with the nearest one, and leaves nothing behind', async () => {
    const table = await failureOf(backup({ tables: ['patient'] }));
    expect(table).to.include({ code: 'NOT_FOUND', hint: 'Did you mean public.patients?' });
    expect(table.message).to.include('There is no table or view patient').and.include('No backup was made');
    const data = await failureOf(backup({ excludeTableData: ['logs.request'] }));
    expect(data).to.include({ code: 'NOT_FOUND', hint: 'Did you mean logs.requests?' });
    expect(await failureOf(backup({ schemas: ['log'] }))).to.include({ code: 'NOT_FOUND' });
    // no patterns: pg_dump would take these for every table
    for (const pattern of ['*', 'public.*', 'patients|requests', '', "'; drop table patients"]) {
      expect(['NOT_FOUND', 'USAGE'], pattern).to.include((await failureOf(backup({ tables: [pattern] }))).code);
    }
    expect(left()).to.deep.equal([]);
  });

  it('does not take the place of a database', async () => {
    for (const part of [{ tables: ['patients'] }, { schemas: ['logs'] }, { excludeTableData: ['patients'] }]) {
      const { id } = await backup(part);
      const error = await failureOf(
        workspace.run(() => restoreDatabase({ env: 'testing', id, consent: { yes: true } })),
      );
      expect(error).to.include({ code: 'USAGE' });
      expect(error.message).to.match(/has only a part.*(patients|logs).*Nothing was changed/);
    }
    expect((await db.query('select count(*)::int as n from patients')).rows).to.deep.equal([{ n: 5 }]);
  });

  it('is refused before anything happens where it contradicts itself', async () => {
    for (const options of [
      { schemas: ['logs'], tables: ['patients'] },
      { schemaOnly: true, excludeTableData: ['patients'] },
      { format: 'plain', compress: 'gzip' },
      { compress: 'brotli' },
      { compress: 'gzip:10' },
      { compress: 'none:1' },
    ] as const) {
      expect((await failureOf(backup(options))).code, JSON.stringify(options)).to.equal('USAGE');
    }
  });

  it('takes its flags several times on the command line', async () => {
    const { code, stdout } = await workspace.cli([
      ...['create-backup', '--env', 'testing', '--json', '--table', 'patients', '--table=public.patients_archive'],
      ...['--exclude-table-data', 'patients_archive', '--compress', 'gzip:3'],
    ]);
    expect(code, stdout).to.equal(0);
    const { manifest } = JSON.parse(stdout).data;
    expect(manifest.selection).to.deep.equal({
      schemas: [],
      tables: ['public.patients', 'public.patients_archive'],
      excludedData: ['public.patients_archive'],
    });
    expect(manifest.compression).to.equal('gzip:3');
    expect((await manageDb(['create-backup', '--help'], { cwd: workspace.root })).stdout).to.include('repeatable');
  });

  describe('its compression', () => {
    it('is the one that was asked for', async () => {
      const sizes: number[] = [];
      for (const compress of ['none', 'gzip:9']) {
        const { manifest, sizeBytes } = await backup({ compress, format: 'custom' });
        expect(manifest.compression).to.equal(compress);
        sizes.push(sizeBytes);
      }
      expect(sizes[0]).to.be.greaterThan(sizes[1] ?? 0);
    });

    it('is refused where this pg_dump does not have it', async function () {
      const tools = await findClientTools();
      if (tools.major >= 16) {
        process.stdout.write('      skipped: this pg_dump knows zstd\n');
        return this.skip();
      }
      const error = await failureOf(backup({ compress: 'zstd:3' }));
      expect(error).to.include({ code: 'USAGE' });
      expect(error.message).to.include(`pg_dump ${tools.version} has gzip only`).and.include('No backup was made');
      expect(error.hint).to.include('--compress gzip:2');
      expect(left()).to.deep.equal([]);
    });

    it('is said as each version of pg_dump understands it', async () => {
      const tools = await findClientTools();
      const argument = (typed: string, major: number) => compressArgument(parseCompression(typed), { ...tools, major });
      expect(['none', 'gzip', 'gzip:9'].map((typed) => argument(typed, 15))).to.deep.equal(['0', '6', '9']);
      expect(['none', 'gzip:9', 'zstd:3', 'lz4'].map((typed) => argument(typed, 16))).to.deep.equal([
        'none',
        'gzip:9',
        'zstd:3',
        'lz4',
      ]);
    });
  });
});

function counts({ manifest }: Pick<BackupResult, 'manifest'>): Record<string, number | null> {
  const own = manifest.tables.filter(({ schema }) => schema !== 'manage_db');
  return Object.fromEntries(own.map(({ name, rows }) => [name, rows]));
}

function created(sql: string): string[] {
  return [...sql.matchAll(/^CREATE TABLE (.*) \($/gm)]
    .map(([, name]) => name ?? '')
    .filter((name) => !name.startsWith('manage_db.'));
}
