import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { disableTrigger } from '../../../app/core/db-operations/trigger-control.js';
import { verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import { maintainPacks } from '../../../app/core/db-operations/trigger-work/maintain-packs.js';
import { type ApplyTriggersOptions, applyTriggers } from '../../../app/core/db-operations/triggers.js';
import type { Target } from '../../../app/core/safety/gate.js';
import { applyPacks } from '../../../app/core/triggers/apply.js';
import { defineTrigger } from '../../../app/core/triggers/declaration.js';
import type { GeneratedTriggers, TriggerPack } from '../../../app/core/triggers/pack.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { failureOf } from '../../support/failure-of.js';
import type { ScratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { type TestingDatabase, testingDatabase } from '../../support/testing-database.js';

const TABLES = `
  create table users (id integer primary key, email text);
  create table visits (id integer primary key, note text);`;

describe('packs that write their triggers themselves', () => {
  let testing: TestingDatabase;
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    testing = await testingDatabase(TABLES);
    ({ database, workspace, client } = testing);
    configure('');
  });
  afterEach(async () => {
    await client.end();
    await testing.remove();
  });

  const configure = (settings: string) =>
    workspace.write({
      'triggers/audit.trigger.ts': `import { configureAuditPack } from 'manage_db';
        export default configureAuditPack({ ${settings} });`,
    });
  const apply = (options: ApplyTriggersOptions = {}) =>
    workspace.run(() => applyTriggers({ env: 'testing', ...options }));
  const heal = () => workspace.run(() => verifyTriggers({ env: 'testing', fix: true }));
  const auditOf = async (table: string) =>
    (
      await client.query(`select tgname from pg_trigger where tgrelid = $1::regclass and not tgisinternal order by 1`, [
        table,
      ])
    ).rows.map(({ tgname }) => plain(tgname));
  const logged = async (sql: string) => {
    await client.query(`begin; ${sql}`);
    const { rowCount } = await client.query('select from audit.audit_logs where transaction_id = txid_current()');
    await client.query('rollback');
    return rowCount;
  };
  /** Without the letters that tell one table's from another's. */
  const plain = (name: string): string => name.replace(/_[0-9a-f]{6}$/, '');
  const STATEMENTS = ['audit_delete', 'audit_insert', 'audit_truncate', 'audit_update', 'zz_audit_key'];

  it('lose their old triggers when a table needs others, so that nothing is logged twice', async () => {
    await apply();
    expect(await auditOf('users')).to.deep.equal(STATEMENTS);
    await client.query('create table guests (room text) inherits (users)');
    const dry = await apply({ dryRun: true });
    expect(dry.removed.map(({ name }) => plain(name))).to.deep.equal([
      'audit_delete',
      'audit_insert',
      'audit_update',
      'zz_audit_key',
    ]);
    expect(dry.statements).to.include('lock table "public"."users" in access exclusive mode');
    const { removed } = await apply();
    expect(removed).to.deep.equal(dry.removed);
    expect(await auditOf('users')).to.deep.equal(['audit_row', 'audit_truncate']);
    expect(await logged(`insert into users values (1, 'a')`)).to.equal(1);
    expect(
      (
        await client.query(
          `select from manage_db.trigger_registry where table_name = 'users' and trigger_name = 'audit_insert'`,
        )
      ).rowCount,
    ).to.equal(0);
    expect((await workspace.run(() => verifyTriggers({ env: 'testing' }))).ok).to.equal(true);
    expect(await apply()).to.deep.include({ removed: [], statements: [] });
  });

  it('lose what somebody has renamed or copied, when healed too, and never what protects the log', async () => {
    await apply();
    const protecting = await auditOf('audit.audit_logs');
    await client.query(`alter trigger audit_insert on users rename to mine;
      create trigger copy after insert on visits referencing new table as new_rows for each statement execute function audit."log_public$visits"()`);
    expect(await logged(`insert into visits values (1, 'a')`)).to.equal(2);
    const { fixed } = await heal();
    expect(fixed?.removed).to.deep.equal([
      { schema: 'public', table: 'users', name: 'mine' },
      { schema: 'public', table: 'visits', name: 'copy' },
    ]);
    expect(await auditOf('users')).to.deep.equal(STATEMENTS);
    expect(await auditOf('visits')).to.deep.equal(STATEMENTS);
    expect(await auditOf('audit.audit_logs')).to.deep.equal(protecting);
  });

  it('lose them only in the part that is asked for', async () => {
    await apply();
    await client.query(`create function own() returns trigger language plpgsql as 'begin return new; end';
      create trigger own before insert on users for each row execute function own()`);
    configure(`except: ['public.*']`);
    expect((await apply({ pack: 'base' })).removed).to.deep.equal([]);
    expect((await apply({ schema: 'audit' })).removed).to.deep.equal([]);
    const { removed } = await apply({ table: 'visits' });
    expect(removed.map(({ table, name }) => `${table} ${plain(name)}`)).to.deep.equal(
      STATEMENTS.map((name) => `visits ${name}`),
    );
    expect((await apply({ perTable: true })).removed).to.have.length(5);
    expect(await auditOf('users')).to.deep.equal(['own']);
  });

  it('name who has locked their tables', async () => {
    await apply();
    configure('hashChain: true');
    await client.query('begin; insert into users values (1)');
    const [{ pid }] = (await client.query('select pg_backend_pid() as pid')).rows;
    const error = await failureOf(apply({ lockTimeoutMs: 300, lockBudgetMs: 600 }));
    await client.query('rollback');
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain('the tables of the audit pack (schema audit)').and.contain(`pid ${pid} (`);
    expect((await apply()).statements.length).to.be.greaterThan(0);
  });

  it('install a function again that somebody has given to somebody else', async () => {
    await apply();
    const other = await scratchLogin('other');
    await client.query(
      `grant all on schema audit to ${other.user}; alter function audit."log_public$users"() owner to ${other.user}`,
    );
    await apply();
    const { rows } = await client.query(
      `select pg_get_userbyid(proowner) as owner from pg_proc where proname like 'log_public$%'`,
    );
    expect(rows).to.deep.equal([{ owner: 'manage_db_audit' }, { owner: 'manage_db_audit' }]);
    await client.query(`drop owned by ${other.user}`);
    await dropLogins(other);
  });

  it('keep a mode that was chosen on purpose', async () => {
    await apply();
    await workspace.run(() =>
      disableTrigger({ env: 'testing', table: 'users', name: 'audit_insert', consent: { reason: 'an import' } }),
    );
    expect(await apply()).to.deep.include({ enabled: [], statements: [] });
  });

  describe('as a pack says it', () => {
    const NOTHING: GeneratedTriggers = {
      problems: [],
      skipped: [],
      isNew: true,
      setup: [],
      aroundFunctions: { before: [], after: [] },
      functions: [],
      declarations: [],
    };
    const packOf = (generated: Partial<GeneratedTriggers>, more: Partial<TriggerPack> = {}): TriggerPack => ({
      name: 'demo',
      functionFiles: [],
      functionSchema: 'demo',
      declarations: [],
      generate: async () => ({ ...NOTHING, ...generated }),
      ...more,
    });
    const filter = { environment: 'testing', dryRun: false, lockTimeoutMs: 1000 } as const;
    const applied = async (pack: TriggerPack, dryRun = false) => {
      await client.query('begin');
      try {
        await ensureSchema(client);
        const result = await applyPacks(client, [pack], { ...filter, dryRun });
        await client.query('commit');
        return result;
      } catch (error) {
        await client.query('rollback');
        throw error;
      }
    };
    const NOTE = (body: string) => ({
      schema: 'demo',
      name: 'note',
      sql: `create or replace function demo.note() returns trigger language plpgsql as $$ begin ${body} return new; end $$`,
    });

    it('nothing is done while its settings are wrong', async () => {
      const pack = packOf({
        problems: ['there is no table a.b', 'there is no column c'],
        setup: ['create schema demo'],
      });
      for (const dryRun of [true, false]) {
        const error = await failureOf(applied(pack, dryRun));
        expect([error.code, error.message]).to.deep.equal([
          'INVALID_CONFIGURATION',
          'there is no table a.b; there is no column c. No trigger was changed.',
        ]);
        expect(error.hint).to.contain('the demo pack');
      }
      expect((await client.query(`select from pg_namespace where nspname = 'demo'`)).rowCount).to.equal(0);
    });

    it('what stands around the functions is executed only where one is installed', async () => {
      const generated = {
        setup: ['create schema if not exists demo', 'create table if not exists demo.said (word text)'],
        aroundFunctions: {
          before: [`insert into demo.said values ('before')`],
          after: [`insert into demo.said values ('after')`],
        },
        declarations: [
          defineTrigger('note', { table: 'users', timing: 'before', on: ['insert'], function: 'demo.note' }),
        ],
      };
      const said = async () => (await client.query('select word from demo.said')).rows.map(({ word }) => word);
      const first = await applied(packOf({ ...generated, functions: [NOTE('')] }));
      expect(first.statements.slice(2, 5)).to.deep.equal([
        generated.aroundFunctions.before[0],
        NOTE('').sql,
        generated.aroundFunctions.after[0],
      ]);
      await applied(packOf({ ...generated, functions: [NOTE('')] }));
      expect(await said()).to.deep.equal(['before', 'after']);
      await applied(packOf({ ...generated, functions: [NOTE('perform 1;')] }));
      expect(await said()).to.deep.equal(['before', 'after', 'before', 'after']);
    });

    it('a file that is edited between the functions and the tables is not registered as installed', async () => {
      const body = (text: string) =>
        `create or replace function public.note() returns trigger language plpgsql as $$ begin ${text} return new; end $$`;
      workspace.write({ 'triggers/functions/note.sql': body('') });
      const pack: TriggerPack = {
        name: 'workspace',
        functionFiles: [join(workspace.root, 'triggers/functions/note.sql')],
        functionSchema: 'public',
        declarations: [defineTrigger('note', { table: 'users', timing: 'before', on: ['insert'], function: 'note' })],
      };
      const part = async (wanted: 'functions' | 'triggers') => {
        await client.query('begin');
        await ensureSchema(client);
        await applyPacks(client, [pack], { ...filter, part: wanted });
        await client.query('commit');
      };
      const checksum = async () =>
        (await client.query('select file_checksum from manage_db.trigger_functions')).rows[0].file_checksum;
      await part('functions');
      const before = await checksum();
      workspace.write({ 'triggers/functions/note.sql': body('perform 1;') });
      await part('triggers');
      expect(await checksum()).to.equal(before);
      expect((await applied(pack)).statements).to.deep.equal([body('perform 1;')]);
      expect((await applied(pack)).statements).to.deep.equal([]);
    });

    it('its tables are maintained in a transaction of its own, and in a dry run only shown', async () => {
      await client.query(
        'create schema demo; create table demo.old (id integer); create table demo.older (id integer)',
      );
      const pack = packOf({}, { maintenance: async () => ['drop table demo.old', 'drop table demo.older'] });
      const target = { environment: 'testing', database: database.name, user: 'postgres' } as Target;
      const work = { target, signal: undefined, lockTimeoutMs: 300, lockBudgetMs: 300 };
      const shown = await workspace.run(() => maintainPacks(work, [pack], { dryRun: true }));
      expect(shown).to.deep.equal(['drop table demo.old', 'drop table demo.older']);
      await client.query('begin; select from demo.older');
      const error = await failureOf(workspace.run(() => maintainPacks(work, [pack], { dryRun: false })));
      await client.query('rollback');
      expect(error.code).to.equal('LOCK_TIMEOUT');
      expect(error.message).to.contain('The triggers are applied').and.contain('demo.older');
      expect((await client.query(`select to_regclass('demo.old') as old`)).rows).to.deep.equal([{ old: 'demo.old' }]);
      expect(await workspace.run(() => maintainPacks(work, [pack], { dryRun: false }))).to.deep.equal(shown);
      expect((await client.query(`select to_regclass('demo.old') as old`)).rows).to.deep.equal([{ old: null }]);
    });
  });
});
