import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { initDb } from '../../../../app/core/db-operations/initialize.js';
import { writeSchemaSnapshot } from '../../../../app/core/db-operations/migration/schema-snapshot/write-schema-snapshot.js';
import { applyMigration } from '../../../../app/core/db-operations/migrations.js';
import { guarded } from '../../../../app/core/safety/gate.js';
import { findClientTools } from '../../../../app/services/client-tools.js';
import { failureOf } from '../../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';

/** Each can be made before and after the others of its line. */
const LINES: readonly (readonly string[])[] = [
  ['create schema clinic', 'create schema billing', 'create extension citext with schema public'],
  [
    `create type clinic.mood as enum ('well', 'ill')`,
    `create type billing.mood as enum ('rich')`,
    'create sequence billing.numbers',
  ],
  [
    `create table clinic.patients (id int primary key, mood clinic.mood default 'well', mail public.citext, n int default nextval('billing.numbers'))`,
    'create table clinic."Ärzte" (id int primary key)',
    'create table billing.bills (id int, at date) partition by range (at)',
    `create function clinic.touch() returns trigger language plpgsql as e'\\n--\\n-- Name: x; Type: y; Schema: z; Owner: -\\n--\\n\\nbegin return new; end'`,
    `create function clinic.f(int) returns int language sql as 'select 1'`,
    `create function clinic.f(text) returns int language sql as 'select count(*)::int from clinic.later'`.replace(
      'clinic.later',
      'pg_catalog.pg_class',
    ),
  ],
  [
    `create table billing.bills_2025 partition of billing.bills for values from ('2025-01-01') to ('2026-01-01')`,
    'create index on clinic.patients (mood)',
    'create index other on clinic.patients (mail)',
    'create view clinic.a as select id from clinic.patients',
    'create view clinic.b as select id from clinic.patients',
    'create materialized view clinic.counted as select count(*) from clinic.patients',
    'create trigger b before update on clinic.patients for each row execute function clinic.touch()',
    'create trigger a before update on clinic.patients for each row execute function clinic.touch()',
    'alter table clinic."Ärzte" add constraint z foreign key (id) references clinic.patients',
    'alter table clinic."Ärzte" add constraint a check (id > 0)',
    `create policy own on clinic.patients using (true)`,
    'alter table clinic.patients enable row level security',
    `comment on table clinic.patients is 'those who come'`,
  ],
];

const inOrder = (reverse: boolean): string =>
  LINES.map((line) => (reverse ? [...line].reverse() : line).join(';\n')).join(';\n');

const migration = (reverse: boolean) => `-- migrate:up\n${inOrder(reverse)};\n`;

describe('the snapshot of the schema', () => {
  let workspace: ScratchWorkspace;
  let one: ScratchDatabase;
  let other: ScratchDatabase;

  before(async () => {
    [one, other] = [await scratchDatabase(), await scratchDatabase()];
    workspace = scratchWorkspace({
      '.env.development': `DEV_DATABASE_URL=${one.url}\n`,
      '.env.testing': `TESTING_DATABASE_URL=${other.url}\n`,
    });
    for (const [env, reverse] of [
      ['development', false],
      ['testing', true],
    ] as const) {
      workspace.write({ 'migrations/20260101000000_core.sql': migration(reverse) });
      await workspace.run(() => initDb({ env, consent: { yes: true } }));
    }
  });

  after(async () => {
    await workspace.remove();
    await one.drop();
    await other.drop();
  });

  const path = (name = 'schema.sql') => join(workspace.root, name);
  const write = (env: string, name?: string) =>
    workspace.run(() => guarded('inspect-db', { env }, (target) => writeSchemaSnapshot(target, path(name))));
  const text = (name?: string) => readFileSync(path(name), 'utf8');

  it('is the same text, in whatever order the objects were made', async () => {
    await write('development', 'one.sql');
    await write('testing', 'other.sql');
    expect(text('other.sql')).to.equal(text('one.sql'));
  });

  it('has nothing of manage_db, nothing that tells versions, and no noise', async () => {
    await write('development');
    expect(text()).not.to.match(
      /CREATE .*manage_db|restrict|Dumped|PostgreSQL database dump|TOC entry|Dependencies:|SET default_|OWNER TO|GRANT /,
    );
    expect(text()).to.contain('CREATE TABLE clinic.patients');
  });

  it('is written over nothing else, and only in the workspace, which is found out before anything runs', async () => {
    const core = 'migrations/20260101000000_core.sql';
    const written = text(core);
    workspace.write({ 'notes.txt': 'mine' });
    symlinkSync(path('notes.txt'), path('linked.sql'));
    symlinkSync('/tmp', path('elsewhere'));
    const refusals = [
      [core, 'in the folder of the migrations'],
      ['migrations/new/schema.sql', 'in the folder of the migrations'],
      ['notes.txt', 'has not written'],
      ['linked.sql', 'symbolic link'],
      ['elsewhere/schema.sql', 'outside of the workspace'],
      ['../schema.sql', 'outside of the workspace'],
      ['.', 'no regular file'],
    ] as const;
    for (const [name, words] of refusals) {
      const refused = await failureOf(write('development', name));
      expect(refused).to.have.property('code', 'USAGE');
      expect(refused).to.have.property('message').that.contains(words);
    }
    expect(readFileSync(path('notes.txt'), 'utf8')).to.equal('mine');
    expect(text(core)).to.equal(written);
    const pending = path('migrations/20260102000000_more.sql');
    writeFileSync(pending, '-- migrate:up\ncreate table more (id int);\n');
    const applying = workspace.run(() =>
      applyMigration({ env: 'development', schemaFile: core, consent: { yes: true } }),
    );
    expect(await failureOf(applying))
      .to.have.property('message')
      .that.contains('in the folder of the migrations');
    rmSync(pending);
    const { rows } = await one.query(`select from pg_tables where tablename = 'more'`);
    expect(rows).to.deep.equal([]);
  });

  it('names the applied migrations at its end', async () => {
    const { migrations } = await write('development');
    expect(migrations).to.equal(1);
    expect(text()).to.match(/\n\n-- Applied migrations: 1\n-- {3}20260101000000 core\n$/);
  });

  it('makes the same schema where psql loads it into an empty database', async () => {
    await write('development');
    const { psql } = await findClientTools();
    const third = await scratchDatabase();
    const { status, stderr } = spawnSync(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', path(), third.url], {
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    workspace.write({ '.env.staging': `STAGING_DATABASE_URL=${third.url}\n` });
    await write('staging', 'third.sql');
    const definitions = (name: string) => text(name).replace(/-- Applied migrations[\s\S]*$/, '');
    expect(definitions('third.sql')).to.equal(definitions('schema.sql'));
    expect(text('third.sql')).to.match(/-- Applied migrations: 0\n$/);
    await third.drop();
  });

  it('is not written again where nothing has changed, and replaced as a whole where something has', async () => {
    await write('development');
    chmodSync(path(), 0o640);
    const before = statSync(path());
    expect((await write('development')).isChanged).to.equal(false);
    expect(statSync(path()).ino).to.equal(before.ino);
    writeFileSync(path(), text().replaceAll('\n', '\r\n'));
    expect((await write('development')).isChanged).to.equal(false);
    await one.query('create table clinic.more (id int)');
    expect((await write('development')).isChanged).to.equal(true);
    expect(statSync(path())).to.include({ mode: before.mode });
    expect(text()).to.contain('CREATE TABLE clinic.more');
    expect(readdirSync(workspace.root).filter((file) => file.endsWith('.tmp'))).to.deep.equal([]);
  });
});
