import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type CreateMigrationOptions, createMigration } from '../../../../app/core/db-operations/create-migration.js';
import { initDb } from '../../../../app/core/db-operations/initialize.js';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import type { ManageDbError } from '../../../../app/core/errors.js';
import { onServer, type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { testUrl } from '../../../support/test-server.js';

const FIRST = `-- migrate:up
create schema clinic;
create type clinic.mood as enum ('well', 'ill');
create table clinic.patients (id int primary key, name text, phone text, mood clinic.mood default 'well', updated_at timestamptz);
-- migrate:down
drop schema clinic cascade;
`;

describe('creating a migration', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    workspace = scratchWorkspace({
      '.env.development': `DEV_DATABASE_URL=${database.url}\n`,
      'migrations/20260101000000_core.sql': FIRST,
    });
  });

  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const create = (options: CreateMigrationOptions) => workspace.run(() => createMigration(options));
  const failure = (options: CreateMigrationOptions): Promise<ManageDbError> =>
    create(options).then(
      () => expect.fail('it succeeded'),
      (error: ManageDbError) => error,
    );
  const files = (): string[] => readdirSync(join(workspace.root, 'migrations')).sort();
  const initialize = () => workspace.run(() => initDb({ env: 'development', consent: { yes: true } }));
  const byHand = () => create({ name: 'by hand', autogenerate: true, fromEnv: 'development' });
  const text = (path: string | null) => readFileSync(path ?? '', 'utf8');

  describe('that is empty', () => {
    it('gives it a name in snake case and a version later than all others', async () => {
      const { path, name, version } = await create({ name: 'Add phoneNumber to Ärzte.sql' });
      expect(name).to.equal('add_phone_number_to_arzte');
      expect(path).to.equal(join(workspace.root, 'migrations', `${version}_${name}.sql`));
      expect(version).to.match(/^20\d{12}$/);
      expect(text(path))
        .to.match(/^-- migrate:up$/m)
        .and.to.match(/^-- migrate:down$/m);
    });

    it('comes after a file whose clock was ahead, and after numbers that are no time', async () => {
      workspace.write({ 'migrations/29991231235959_future.sql': FIRST });
      expect((await create({ name: 'next' })).version).to.equal('30000101000000');
      workspace.write({ 'migrations/99999999999999999999_far.ts': '' });
      expect((await create({ name: 'next' })).version).to.equal('100000000000000000000');
    });

    it('makes the folder, and writes TypeScript where that is asked for', async () => {
      const empty = scratchWorkspace();
      const { path } = await empty.run(() => createMigration({ name: 'first', kind: 'ts' }));
      expect(text(path))
        .to.contain(`import type { MigrationDb } from 'manage_db'`)
        .and.to.contain('export async function down');
      await empty.remove();
    });

    it('gives twenty writers at once twenty versions, and leaves nothing else behind', async () => {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) => create({ name: n % 2 ? 'same' : `other ${n}` })),
      );
      expect(new Set(all.map(({ version }) => version)).size).to.equal(20);
      expect(files()).to.have.length(21);
    });

    for (const name of ['', '  ', '---', 'Пациенты', '../..']) {
      it(`refuses ${JSON.stringify(name)} as a name`, async () => {
        const error = await failure({ name });
        expect(error.code).to.equal('USAGE');
        expect(files()).to.have.length(1);
      });
    }

    it('takes nothing that its name says for an option of the file', async () => {
      await create({ name: 'transaction: false' });
      await create({ name: '-- migrate:down' });
      const migrations = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
      expect(migrations.map(({ up, down }) => [up.isTransactional, down?.isTransactional])).to.deep.equal(
        migrations.map(() => [true, true]),
      );
    });

    it('refuses what only autogenerate knows', async () => {
      expect((await failure({ name: 'x', fromEnv: 'development' })).message).to.contain('--from-env');
    });
  });

  describe('from what was changed by hand', () => {
    it('writes both ways, and there is no difference when it is applied', async () => {
      await initialize();
      await database.query(`
        create table clinic.visits (id int primary key, patient int references clinic.patients, mood clinic.mood);
        create index on clinic.visits (patient);
        comment on table clinic.visits is 'it''s when they came';`);
      const made = await byHand();
      expect(made).to.include({ name: 'by_hand' });
      expect(made.warnings).to.deep.equal([]);
      // at home it is there already; elsewhere it is not
      const elsewhere = await scratchDatabase();
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${elsewhere.url}\n` });
      await workspace.run(() => initDb({ env: 'testing', consent: { yes: true } }));
      const again = await create({ name: 'again', autogenerate: true, fromEnv: 'testing' });
      expect(again).to.deep.include({ path: null, version: null, files: [], statements: 0, destructive: [] });
      const { rows } = await elsewhere.query(`select obj_description('clinic.visits'::regclass) as comment`);
      expect(rows).to.deep.equal([{ comment: "it's when they came" }]);
      expect(files()).to.have.length(2);
      await elsewhere.drop();
    });

    it('writes nothing where there is no difference, though the base triggers are installed', async () => {
      await initialize();
      const { rows } = await database.query(`select from pg_trigger where tgrelid = 'clinic.patients'::regclass`);
      expect(rows).to.have.length.greaterThan(0);
      expect(await byHand()).to.deep.include({ path: null, isEqual: true, files: [], warnings: [] });
      expect(files()).to.deep.equal(['20260101000000_core.sql']);
    });

    it('comments out what loses values, with the reason, in both parts', async () => {
      await initialize();
      await database.query('alter table clinic.patients drop phone; create table clinic.notes (id int)');
      const { path, destructive } = await byHand();
      expect(destructive.map(({ direction, reason }) => [direction, reason])).to.deep.equal([
        ['up', 'The column clinic.patients.phone is dropped, with its values.'],
        ['down', 'The table clinic.notes and all rows are dropped.'],
      ]);
      const [, up = '', down = ''] = /migrate:up(.*)migrate:down(.*)/s.exec(text(path)) ?? [];
      expect(up).to.match(
        /^-- DESTRUCTIVE: The column clinic\.patients\.phone is dropped.*\n--! ALTER TABLE .* DROP COLUMN "phone";$/m,
      );
      expect(up).to.match(/^CREATE TABLE "clinic"."notes"/m);
      expect(down).to.match(/^-- DESTRUCTIVE: .*\n--! DROP TABLE "clinic"."notes";$/m);
      expect(down).to.match(/^ALTER TABLE .* ADD COLUMN "phone" text;$/m);
    });

    it('takes bytes that become text for another value', async () => {
      await initialize();
      await database.query('alter table clinic.patients alter column phone type bytea using phone::bytea');
      const { destructive } = await byHand();
      expect(destructive.map(({ direction, reason }) => [direction, reason])).to.deep.equal([
        ['up', 'The column clinic.patients.phone becomes bytea instead of text: values may not stay what they are.'],
        ['down', 'The column clinic.patients.phone becomes text instead of bytea: values may not stay what they are.'],
      ]);
    });

    it('leaves out what goes with something that is commented out', async () => {
      await initialize();
      await database.query('drop table clinic.patients; drop type clinic.mood');
      const { path } = await byHand();
      const [, up = ''] = /migrate:up(.*)migrate:down/s.exec(text(path)) ?? [];
      expect(up).to.match(/^--! DROP TYPE "clinic"."mood";$/m);
      expect(up).not.to.match(/^[^-\s]/m);
    });

    it('puts new labels that are used at once into a migration of their own', async () => {
      await initialize();
      await database.query(`alter type clinic.mood add value 'dizzy' after 'well'`);
      await database.query(`alter table clinic.patients alter mood set default 'dizzy'`);
      const { files: written } = await byHand();
      expect(written.map(({ name }) => name)).to.deep.equal(['by_hand_labels', 'by_hand']);
      const elsewhere = await scratchDatabase();
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${elsewhere.url}\n` });
      await workspace.run(() => initDb({ env: 'testing', consent: { yes: true } }));
      const { rows } = await elsewhere.query(`insert into clinic.patients (id) values (1) returning mood`);
      expect(rows).to.deep.equal([{ mood: 'dizzy' }]);
      expect((await create({ name: 'again', autogenerate: true, fromEnv: 'testing' })).path).to.equal(null);
      await elsewhere.drop();
    });

    it('refuses where a migration is not applied, as it would be taken back, unless that is meant', async () => {
      await initialize();
      workspace.write({
        'migrations/20260102000000_later.sql': '-- migrate:up\ncreate table clinic.later (id int);\n',
      });
      const error = await failure({ name: 'x', autogenerate: true, fromEnv: 'development' });
      expect(error.code).to.equal('USAGE');
      expect(error.message)
        .to.contain('has not applied 20260102000000_later.sql')
        .and.to.contain('No migration was written');
      expect(error.hint).to.contain('--allow-pending');
      expect(files()).to.have.length(2);
      const { destructive } = await create({
        name: 'x',
        autogenerate: true,
        fromEnv: 'development',
        allowPending: true,
      });
      expect(destructive.map(({ reason }) => reason)).to.deep.equal([
        'The table clinic.later and all rows are dropped.',
      ]);
    });

    it('refuses to replay what would be done to the server in earnest, unless that is meant', async () => {
      const role = `replayed_${database.name}`;
      const roles = async () =>
        (await onServer((server) => server.query('select from pg_roles where rolname = $1', [role]))).rowCount;
      await initialize();
      workspace.write({ 'migrations/20260102000000_role.sql': `-- migrate:up\nselect 1;\ncreate role ${role};\n` });
      const wanted = { name: 'x', autogenerate: true, fromEnv: 'development', allowPending: true };
      const error = await failure(wanted);
      expect([error.code, await roles()]).to.deep.equal(['SQL_FAILED', 0]);
      expect(error.message)
        .to.match(/_role\.sql:3:1: This reaches beyond the database, to a role/)
        .and.to.contain('No migration was written');
      expect(error.hint).to.contain('--allow-server-wide');
      try {
        const { warnings } = await create({ ...wanted, allowServerWide: true, consent: { yes: true } });
        expect(warnings.join()).to.contain(`the role ${role} is there now`);
      } finally {
        await onServer((server) => server.query(`drop role if exists ${role}`));
      }
    });

    it('writes what a login makes that owns the schema public, as in databases of older servers', async () => {
      const login = await scratchLogin('adopting', 'createdb');
      try {
        await onServer((server) => server.query(`alter database ${database.name} owner to ${login.user}`));
        await database.query(`
          alter schema public owner to ${login.user};
          grant all on schema public to public;
          set role ${login.user};
          create table public.films (id int primary key, title text not null)`);
        workspace = scratchWorkspace({ '.env.development': `DEV_DATABASE_URL=${testUrl(database.name, login)}\n` });
        const { path, warnings } = await create({ name: 'initial', autogenerate: true, fromEnv: 'development' });
        expect(warnings).to.deep.equal([]);
        expect(text(path)).to.contain('CREATE TABLE "public"."films"').and.not.to.contain('pg_database_owner');
      } finally {
        await workspace.remove();
        await database.drop();
        await dropLogins(login);
      }
    });

    it('replays under all that is set for the database, and stands in the operation log', async () => {
      await initialize();
      await database.query(
        `alter database ${database.name} set search_path = clinic, public; alter database ${database.name} set clinic.region = 'north'`,
      );
      workspace.write({
        'migrations/20260102000000_region.sql': `-- migrate:up\ncreate table here (id int);\nselect 1 / (current_setting('clinic.region') = 'north')::int;\n`,
      });
      await create({ name: 'x', autogenerate: true, fromEnv: 'development', allowPending: true });
      const { rows } = await database.query<{ event: string }>(
        `select event from manage_db.operation_log where operation = 'create-db-migration'`,
      );
      expect(rows.map(({ event }) => event)).to.include('succeeded');
    });

    it('says what no statement of it makes', async () => {
      await initialize();
      await database.query(
        `create statistics clinic.both on id, name from clinic.patients; create table clinic.notes (id int)`,
      );
      const { path, warnings } = await byHand();
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.contain('to be written by hand: statistics object');
      expect(text(path)).to.contain(`-- ${warnings[0]}`);
    });

    it('names a statement that PostgreSQL refuses, and writes all others', async () => {
      workspace.write({
        'migrations/20260102000000_typed.sql':
          '-- migrate:up\ncreate type clinic.item as (a int);\ncreate table clinic.items of clinic.item;\n',
      });
      await initialize();
      await database.query(
        'alter type clinic.item add attribute b int cascade; create table clinic.notes (id int primary key)',
      );
      const { path, warnings } = await byHand();
      expect(warnings.join('\n')).to.match(/To be written by hand, in the part up: PostgreSQL refuses ALTER T/);
      expect(text(path))
        .to.match(/^-- BY HAND: As it is, PostgreSQL refuses it: .*\n--! ALTER T/m)
        .and.to.match(/^CREATE TABLE "?clinic"?\."?notes/m);
    });

    it('does not say that nothing is different where nothing can be written', async () => {
      await initialize();
      await database.query('create statistics clinic.both on id, name from clinic.patients');
      const { isEqual, files: written, warnings } = await byHand();
      expect({ isEqual, written }).to.deep.equal({ isEqual: false, written: [] });
      expect(warnings[0]).to.contain('statistics object');
    });

    for (const line of ['-- migrate:down', '    -- migrate:up', '-- MIGRATE:down and so on']) {
      it(`refuses a body that has the line "${line}", and leaves neither file nor scratch database`, async () => {
        await initialize();
        await database.query(
          `create function clinic.f() returns int language plpgsql as '\nbegin\n${line}\nreturn 1; end'`,
        );
        const error = await failure({ name: 'x', autogenerate: true, fromEnv: 'development' });
        expect(error.code).to.equal('USAGE');
        expect(error.message).to.contain(`"${line.trim()}"`);
        expect(files()).to.have.length(1);
        const { rows } = await onServer((server) =>
          server.query(`select datname from pg_database where datname like 'manage\\_db\\_scratch%'`),
        );
        expect(rows).to.deep.equal([]);
      });
    }

    it('refuses such a line also where it is commented out, as it is not when that was decided on', async () => {
      await initialize();
      await database.query(`
        alter table clinic.patients drop name;
        alter table clinic.patients add name text generated always as (id || '\n-- migrate:up\n') stored`);
      const error = await failure({ name: 'x', autogenerate: true, fromEnv: 'development' });
      expect(error.message).to.contain('"-- migrate:up"');
    });
  });

  it('is a command that prints the path', async () => {
    const { code, stdout } = await workspace.cli(['create-db-migration', 'Add phone', '--json']);
    expect(code).to.equal(0);
    const { data } = JSON.parse(stdout);
    expect(data).to.include({ name: 'add_phone', statements: 0 });
    expect(existsSync(data.path)).to.equal(true);
    rmSync(data.path);
    await initialize();
    await database.query('create table public.notes (id int)');
    const generated = await workspace.cli(['create-db-migration', 'notes', '--autogenerate', '--env', 'development']);
    expect(generated.stdout).to.match(/✓ migrations\/\d{14}_notes\.sql\n {4}1 statement, /);
  });
});
