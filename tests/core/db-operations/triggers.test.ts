import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type pg from 'pg';
import { type VerifyTriggersOptions, verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import {
  type ApplyTriggersOptions,
  applyBaseTriggers,
  applyTriggers,
} from '../../../app/core/db-operations/triggers.js';
import { ManageDbError } from '../../../app/core/errors.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const TABLES = `
  create schema "Clinic Ü";
  create table "Clinic Ü"."Päti""ents" (id integer primary key, updated_at timestamptz, updated_by text);
  create table plain (id integer primary key, body text);
  create table users (id integer primary key, email text, created_at timestamptz, updated_at timestamptz, created_by text, updated_by text);
  create table odd (id integer primary key, updated_at bigint);
  create table days (day date primary key, updated_at timestamptz) partition by range (day);
  create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
  create table days_2026 partition of days for values from ('2026-01-01') to ('2027-01-01');
  create view users_view as select * from users;
  create materialized view users_copy as select * from users;
  create extension file_fdw;
  create server files foreign data wrapper file_fdw;
  create foreign table remote (updated_at timestamptz) server files options (filename '/dev/null');`;

const NOTE = `create or replace function note_email() returns trigger language plpgsql as $$ begin return new; end $$;`;

describe('apply-db-triggers', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await stampAs(client, 'testing');
    await client.query('create table manage_db.own (updated_at timestamptz, updated_by text)');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await client.end();
    await workspace.remove();
    await database.drop();
  });

  const apply = (options: ApplyTriggersOptions = {}) =>
    workspace.run(() => applyTriggers({ env: 'testing', ...options }));
  const failure = async (options: ApplyTriggersOptions = {}): Promise<ManageDbError> => {
    const error: unknown = await apply(options).then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };
  const rows = async (sql: string) => (await client.query(sql)).rows;
  const triggers = async () =>
    (
      await rows(`select tgrelid::regclass || ' ' || tgname as t from pg_trigger
        where not tgisinternal and tgparentid = 0 and tgrelid::regclass::text !~ '^manage_db' order by tgrelid::regclass::text, tgname`)
    ).map(({ t }) => t);
  /** Changes whenever a function or trigger is written again. */
  const rowVersions = () =>
    rows(`select p.xmin::text from pg_proc p where pronamespace = 'public'::regnamespace
      union all select tgname || tgrelid || xmin::text from pg_trigger order by 1`);
  const declare = (spec: string, name = 'note_email') =>
    workspace.write({
      'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('${name}', { table: 'users', timing: 'before', on: ['update'], function: 'note_email', ${spec} });`,
      'triggers/functions/note_email.sql': NOTE,
    });

  it('puts the base triggers on every table that has the columns, whatever its name', async () => {
    const { created } = await workspace.run(() => applyBaseTriggers({ env: 'testing' }));
    expect(await triggers()).to.deep.equal([
      '"Clinic Ü"."Päti""ents" track_given_user',
      '"Clinic Ü"."Päti""ents" track_user_changes',
      '"Clinic Ü"."Päti""ents" update_timestamp',
      'days update_timestamp',
      'users track_given_user',
      'users track_user_changes',
      'users update_timestamp',
    ]);
    expect(created).to.have.length(7);
    expect(created[0]).to.deep.equal({ schema: 'Clinic Ü', table: 'Päti"ents', name: 'track_given_user' });
    await client.query(`insert into "Clinic Ü"."Päti""ents" values (1)`);
    expect(await rows(`select updated_by from "Clinic Ü"."Päti""ents"`)).to.deep.equal([{ updated_by: 'system' }]);
  });

  it('says what it left out and why, and is silent about views, partitions and its own tables', async () => {
    const { skipped } = await apply();
    expect(skipped).to.deep.equal([
      {
        schema: 'public',
        table: 'odd',
        name: 'update_timestamp',
        reason:
          'updated_at is of type bigint; the trigger is for timestamp with time zone or timestamp without time zone',
      },
      {
        schema: 'public',
        table: 'remote',
        name: 'update_timestamp',
        reason: 'a foreign table: its rows are written on another server',
      },
    ]);
  });

  it('changes nothing when run again', async () => {
    declare(
      `when: "new.email is distinct from old.email and new.email<>'x'", updateOf: ['email'], args: ["a'b", 'ü', '', 'back\\\\slash']`,
    );
    const first = await apply();
    const versions = await rowVersions();
    const second = await apply();
    expect(second.statements).to.deep.equal([]);
    expect(second.unchanged).to.deep.equal(first.created);
    expect([...second.created, ...second.replaced]).to.deep.equal([]);
    expect(await rowVersions()).to.deep.equal(versions);
  });

  it('recognises a condition on the whole row as unchanged too', async () => {
    await client.query(`create function is_new(users, users) returns boolean language sql as 'select true'`);
    declare(`when: 'public.is_new(old, new)'`);
    await apply();
    const versions = await rowVersions();
    expect((await apply()).replaced).to.deep.equal([]);
    expect(await rowVersions()).to.deep.equal(versions);
  });

  for (const [what, before, after] of [
    ['the condition', `when: 'new.id > 1'`, `when: 'new.id > 2'`],
    ['the columns', `updateOf: ['email']`, `updateOf: ['email', 'id']`],
    ['the arguments', `args: ['1']`, `args: ['2']`],
    ['the events', `updateOf: ['email']`, `on: ['update', 'delete']`],
    ['the timing', `timing: 'before'`, `timing: 'after'`],
  ] as const) {
    it(`replaces a trigger when ${what} changed, and only that one`, async () => {
      declare(before);
      await apply();
      declare(after);
      const { replaced, created, unchanged, statements } = await apply();
      expect(replaced).to.deep.equal([{ schema: 'public', table: 'users', name: 'note_email' }]);
      expect(created).to.deep.equal([]);
      expect(unchanged).to.have.length(7);
      expect(statements.map((sql) => sql.split(' ')[0])).to.deep.equal(['lock', 'create']);
      expect((await apply()).replaced).to.deep.equal([]);
    });
  }

  it('replaces only the function when only its body changed', async () => {
    declare('');
    await apply();
    workspace.write({ 'triggers/functions/note_email.sql': NOTE.replace('return new', 'perform 1; return new') });
    const { statements, replaced } = await apply();
    expect(statements).to.have.length(1);
    expect(statements[0]).to.match(/^create or replace function note_email/);
    expect(replaced).to.deep.equal([]);
  });

  it('brings back what was dropped by hand', async () => {
    await apply();
    await client.query('drop function track_given_user() cascade; drop trigger update_timestamp on users');
    const { created } = await apply();
    expect(created.map(({ table, name }) => `${table} ${name}`)).to.deep.equal([
      'Päti"ents track_given_user',
      'users track_given_user',
      'users update_timestamp',
    ]);
  });

  it('keeps the mode of what it replaces, of clones on partitions too', async () => {
    const spec = (args: string) =>
      workspace.write({
        'triggers/days.trigger.ts': `import { defineTrigger } from 'manage_db';
          export const onDays = defineTrigger('note_day', { table: 'days', timing: 'before', on: ['insert'], function: 'note_email', args: ['${args}'] });
          export const onUsers = defineTrigger('note_user', { table: 'users', timing: 'before', on: ['insert'], function: 'note_email', args: ['${args}'] });`,
        'triggers/functions/note_email.sql': NOTE,
      });
    spec('1');
    await apply();
    await client.query(`alter table only days enable always trigger note_day;
      alter table days_2025 disable trigger note_day; alter table days_2026 enable replica trigger note_day;
      alter table users disable trigger note_user`);
    const modes = () =>
      rows(`select tgrelid::regclass::text as t, tgenabled as m from pg_trigger where tgname like 'note_%' order by 1`);
    const before = await modes();
    expect(before.map(({ m }) => m).join('')).to.equal('ADRD');
    spec('2');
    expect((await apply()).replaced).to.have.length(2);
    expect(await modes()).to.deep.equal(before);
  });

  it('installs a trigger that is declared disabled, on partitions too', async () => {
    declare('enabled: false');
    workspace.write({
      'triggers/days.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default [defineTrigger('note_day', { table: 'public.days', timing: 'before', on: ['insert'], function: 'note_email', enabled: false })];`,
    });
    const { disabled } = await apply();
    expect(disabled.map(({ name }) => name)).to.deep.equal(['note_day', 'note_email']);
    const modes = await rows(`select distinct tgenabled as m from pg_trigger where tgname like 'note_%'`);
    expect(modes).to.deep.equal([{ m: 'D' }]);
  });

  it('puts INSTEAD OF triggers on views', async () => {
    declare(`table: 'users_view', timing: 'instead of', on: ['delete']`);
    const { created } = await apply({ pack: 'workspace' });
    expect(created).to.deep.equal([{ schema: 'public', table: 'users_view', name: 'note_email' }]);
    expect((await apply({ pack: 'workspace' })).unchanged).to.have.length(1);
  });

  it('lets the workspace have the last word about a trigger of the base pack, and configure the pack', async () => {
    workspace.write({
      'triggers/base.trigger.ts': `import { configureBasePack, defineTrigger } from 'manage_db';
        export const settings = configureBasePack({ systemUser: { 'public.users': 'robot' }, except: ['Clinic Ü.*'] });
        export const days = defineTrigger('update_timestamp', { table: 'days', timing: 'before', on: ['insert'], function: 'update_timestamp' });`,
    });
    await apply();
    await client.query('insert into users (id) values (1)');
    expect(await rows('select created_by from users')).to.deep.equal([{ created_by: 'robot' }]);
    expect(await triggers()).to.have.length(4);
    expect(await rows(`select tgtype from pg_trigger where tgrelid = 'days'::regclass`)).to.deep.equal([{ tgtype: 7 }]);
  });

  it('does only the part that is asked for', async () => {
    declare('');
    const tablesOf = async (options: ApplyTriggersOptions) => [
      ...new Set((await apply({ ...options, dryRun: true })).created.map(({ table }) => table)),
    ];
    expect(await tablesOf({ schema: 'Clinic Ü' })).to.deep.equal(['Päti"ents']);
    expect(await tablesOf({ table: 'days' })).to.deep.equal(['days']);
    expect(await tablesOf({ table: 'public.users' })).to.deep.equal(['users']);
    expect(await tablesOf({ pack: 'workspace' })).to.deep.equal(['users']);
    expect((await failure({ pack: 'clinc' })).hint).to.equal('Packs: base, workspace');
  });

  it('keeps the last word of the workspace where only one pack is asked for', async () => {
    workspace.write({
      'triggers/days.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('update_timestamp', { table: 'days', timing: 'before', on: ['insert'], function: 'update_timestamp' });`,
    });
    await apply();
    expect(await apply({ pack: 'base' })).to.deep.include({ created: [], replaced: [], statements: [] });
    expect(await rows(`select tgtype from pg_trigger where tgrelid = 'days'::regclass`)).to.deep.equal([{ tgtype: 7 }]);
  });

  it('puts triggers on foreign tables, as far as they can have them', async () => {
    declare(`table: 'remote', on: ['insert']`);
    expect((await apply({ pack: 'workspace' })).created).to.have.length(1);
    declare(`table: 'remote', on: ['insert'], args: ['other']`);
    expect((await apply({ pack: 'workspace' })).replaced).to.have.length(1);
    for (const [spec, reason] of [
      [`constraint: {}`, 'a foreign table cannot have constraint triggers'],
      [`level: 'statement', referencing: { new: 'n' }`, 'a foreign table has no transition tables'],
    ] as const) {
      declare(`table: 'remote', timing: 'after', on: ['insert'], ${spec}`);
      expect((await apply({ pack: 'workspace' })).skipped).to.deep.include({
        schema: 'public',
        table: 'remote',
        name: 'note_email',
        reason,
      });
    }
  });

  it('knows arguments again in a database of another encoding', async () => {
    const name = `${database.name}_latin`;
    await client.query(`create database ${name} encoding 'LATIN1' locale 'C' template template0`);
    const latin = await openClient(testUrl(name));
    await latin.query('create table users (id integer primary key, email text)');
    await stampAs(latin, 'testing');
    await latin.end();
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(name)}\n` });
    declare(`args: ['Käse', '', "00", 'ÿ']`);
    expect((await apply()).created).to.have.length(1);
    expect(await apply()).to.deep.include({ replaced: [], statements: [] });
    await closeEngines();
    await client.query(`drop database ${name} with (force)`);
  });

  describe('with functions that somebody has changed by hand', () => {
    const HOTFIX = NOTE.replace('return new', '/* a hotfix */ return new');
    const body = async () => (await rows(`select prosrc from pg_proc where proname = 'note_email'`))[0]?.prosrc;
    const states = async (options: VerifyTriggersOptions = {}) =>
      (await workspace.run(() => verifyTriggers({ env: 'testing', table: 'users', ...options }))).triggers
        .filter(({ name }) => name === 'note_email')
        .map(({ state }) => state);

    it('leaves them as they are, and says so, until that is overridden', async () => {
      declare('');
      await apply();
      await client.query(HOTFIX);
      const { skippedFunctions, statements } = await apply();
      expect(statements).to.deep.equal([]);
      expect(skippedFunctions).to.deep.equal([
        {
          schema: 'public',
          name: 'note_email',
          reason: 'changed by hand since it was installed; verify-db-triggers --fix --override-drift overwrites it',
        },
      ]);
      workspace.write({ 'triggers/functions/note_email.sql': NOTE.replace('return new', '/* newer */ return new') });
      for (const options of [{}, { perTable: true }, { dryRun: true }]) {
        expect((await apply(options)).skippedFunctions[0]?.reason).to.contain(
          'and so has its file, which is not applied',
        );
      }
      expect(await body()).to.contain('a hotfix');
      expect(await states()).to.deep.equal(['manual_override']);
      expect(await states({ fix: true, overrideDrift: true })).to.deep.equal(['in_sync']);
      expect(await body()).to.contain('newer');
    });

    it('takes them as right when their file says the same', async () => {
      declare('');
      await apply();
      await client.query(HOTFIX);
      workspace.write({ 'triggers/functions/note_email.sql': HOTFIX });
      expect(await apply()).to.deep.include({ skippedFunctions: [], statements: [] });
      expect(await states()).to.deep.equal(['in_sync']);
    });

    it('does not take one without a file as right by applying again', async () => {
      await client.query(NOTE);
      workspace.write({
        'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
          export default defineTrigger('note_email', { table: 'users', timing: 'before', on: ['update'], function: 'note_email' });`,
      });
      await apply();
      await client.query(HOTFIX);
      await apply();
      expect(await states()).to.deep.equal(['manual_override']);
      const { triggers } = await workspace.run(() => verifyTriggers({ env: 'testing' }));
      expect(triggers.map(({ recommendation }) => recommendation).join()).to.contain(
        'without a file, the same takes it as right as it is',
      );
      expect(await states({ fix: true, overrideDrift: true })).to.deep.equal(['in_sync']);
      expect(await body()).to.contain('a hotfix');
    });
  });

  it('heals the others when a function is missing that has no file', async () => {
    await client.query(NOTE);
    workspace.write({
      'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('note_email', { table: 'users', timing: 'before', on: ['update'], function: 'note_email' });`,
    });
    await apply();
    await client.query('drop function note_email() cascade; drop trigger update_timestamp on users');
    const { fixed } = await workspace.run(() => verifyTriggers({ env: 'testing', fix: true }));
    expect(fixed?.created).to.deep.equal([{ schema: 'public', table: 'users', name: 'update_timestamp' }]);
    expect(fixed?.skipped.find(({ name }) => name === 'note_email')?.reason).to.equal(
      'its function public.note_email() does not exist: put it into functions/note_email.sql',
    );
    expect((await failure()).code).to.equal('NOT_FOUND');
  });

  it('only says what it would do in a dry run', async () => {
    const { created, statements } = await apply({ dryRun: true });
    expect(created).to.have.length(7);
    expect(statements.join('\n')).to.contain(
      'create trigger "update_timestamp" before insert or update on "public"."users"',
    );
    expect(await triggers()).to.deep.equal([]);
    expect(await rows(`select from pg_proc where proname = 'update_timestamp'`)).to.deep.equal([]);
    expect(statements).to.include('lock table "public"."users" in share row exclusive mode');
    expect((await apply()).statements).to.deep.equal(statements);
  });

  it('skips what is declared for another environment, a missing table or a missing column', async () => {
    for (const [spec, reason] of [
      [`environments: ['production']`, 'declared for production, and this is testing'],
      [`table: 'nobody'`, 'there is no such table'],
      [`updateOf: ['gone']`, 'it has no column gone'],
      [`table: 'users_copy'`, 'a materialized view cannot have triggers'],
    ] as const) {
      declare(spec);
      const { created, skipped } = await apply({ pack: 'workspace' });
      expect([created.length, skipped.map((each) => each.reason)]).to.deep.equal([0, [reason]]);
    }
  });

  it('changes nothing at all when a file is broken, and shows the place', async () => {
    declare('');
    workspace.write({ 'triggers/functions/note_email.sql': `${NOTE}\n\ncreate functoin x();` });
    const error = await failure();
    expect(error.code).to.equal('SQL_FAILED');
    expect(error.message).to.match(
      /note_email\.sql:3:8: syntax error at or near "functoin"\ncreate functoin x\(\);\n {7}\^/,
    );
    expect(error.details).to.include({ line: 3, column: 8, sqlState: '42601' });
    expect(await triggers()).to.deep.equal([]);
    expect(await rows(`select from pg_proc where proname = 'update_timestamp'`)).to.deep.equal([]);
  });

  const misplaced: readonly [what: string, sql: string, RegExp][] = [
    ['no function', '-- nothing yet\n', /note_email\.sql: The file creates no function\./],
    [
      'two functions',
      `${NOTE};\n${NOTE.replace('note_email', 'other')}`,
      /note_email\.sql:\d+:1: The file creates a second function\./,
    ],
    [
      'a function of another name',
      NOTE.replace('note_email', '"Note_Email"'),
      /:1:1: The function is called Note_Email, and the file is not\./,
    ],
    [
      'a function for other things',
      NOTE.replace('returns trigger', 'returns integer'),
      /:1:1: The function returns integer, and not trigger\./,
    ],
    [
      'a statement about something else',
      `${NOTE};\n/* é */ drop table users;`,
      /:\d+:9: DROP TABLE is not about the function of the file\./,
    ],
    ['the end of the transaction', `${NOTE};\ncommit;`, /:\d+:1: TRANSACTION is not about the function of the file\./],
  ];
  for (const [what, sql, message] of misplaced) {
    it(`executes nothing when the file of a function holds ${what}`, async () => {
      declare('');
      workspace.write({ 'triggers/functions/note_email.sql': sql });
      const error = await failure();
      expect([error.code, error.message]).to.satisfy(
        ([code, text]: string[]) => code === 'INVALID_CONFIGURATION' && message.test(text ?? ''),
        error.message,
      );
      expect(error.hint).to.contain('create or replace function note_email() returns trigger');
      expect(await rows(`select from pg_proc where proname in ('update_timestamp', 'note_email')`)).to.deep.equal([]);
    });
  }

  it('takes along what a function file says about its function', async () => {
    declare('');
    workspace.write({
      'triggers/functions/note_email.sql': `${NOTE};
        comment on function note_email() is 'é'; revoke all on function note_email() from public;
        alter function note_email set work_mem = '5MB';`,
    });
    await apply();
    const [found] = await rows(
      `select obj_description(oid, 'pg_proc') as comment, proconfig, has_function_privilege('public', oid, 'execute') as anybody
       from pg_proc where proname = 'note_email'`,
    );
    expect(found).to.deep.equal({ comment: 'é', proconfig: ['work_mem=5MB'], anybody: false });
    expect((await apply()).statements).to.deep.equal([]);
  });

  it('names the file and the problem of a wrong declaration, and a function that does not exist', async () => {
    declare(`updateOf: 'email'`);
    const wrong = await failure();
    expect(wrong.code).to.equal('INVALID_CONFIGURATION');
    expect(wrong.message).to.match(/users\.trigger\.ts: Trigger "note_email": updateOf must list column names/);
    declare(`function: 'missing'`);
    const missing = await failure();
    expect(missing.code).to.equal('NOT_FOUND');
    expect(missing.message).to.contain('public.missing()');
    expect(await triggers()).to.deep.equal([]);
  });

  it('names who has a table for itself, also where the server only has to look at it', async () => {
    workspace.write({
      'triggers/audit.trigger.ts': `import { configureAuditPack } from 'manage_db'; export default configureAuditPack();`,
    });
    await apply();
    const blocker = await openClient(database.url);
    await blocker.query(`set application_name = 'migration'; begin; lock table users in access exclusive mode`);
    const error = await apply({ lockTimeoutMs: 300, lockBudgetMs: 900 }).catch((thrown) => thrown);
    await blocker.end();
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(`${error.message} ${error.hint}`).to.contain('migration').and.contain('No trigger');
  });

  it('gives up when a table stays locked, names who holds it, and has applied nothing', async () => {
    await client.query(
      `set application_name = 'long report'; begin; lock table users in share mode; update users set email = 'x'`,
    );
    const error = await failure({ lockTimeoutMs: 300 });
    const { pid } = (await rows('select pg_backend_pid() as pid'))[0] ?? {};
    await client.query('rollback');
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain(`In the way: pid ${pid} (`);
    expect(error.message).to.match(/long report, idle in transaction for \d+ s\) with a lock on public\.users/);
    expect(error.hint?.split(`pg_terminate_backend(${pid})`)).to.have.length(2);
    expect(await triggers()).to.deep.equal([]);
    expect((await apply()).created).to.have.length(7);
  });

  it('says so when it is chosen to end a deadlock, and names the other one', async () => {
    const [{ pid }] = (await rows('select pg_backend_pid() as pid')) as [{ pid: number }];
    // tables are locked by age: "days" is the younger one
    await client.query(`set deadlock_timeout = '20s'; begin; lock table days in share mode`);
    const applying = failure({ lockBudgetMs: 1 });
    await untilItWaits();
    const waiting = client.query('lock table users in share mode');
    const error = await applying;
    await waiting;
    await client.query('rollback');
    expect(error.code).to.equal('LOCK_TIMEOUT');
    expect(error.message).to.contain('deadlock').and.to.contain(`pid ${pid}`);
    expect(await triggers()).to.deep.equal([]);
  });

  it('does not show the secrets in the statement of the session in the way', async () => {
    await client.query(`begin; update users set email = 'x'; select 'password=canary-123'`);
    const error = await failure({ lockTimeoutMs: 300 });
    await client.query('rollback');
    expect(error.message).to.contain('password=***');
    expect(JSON.stringify(error.details)).not.to.contain('canary');
  });

  it('gives its locks back and tries again, until the table is free', async () => {
    await client.query(`begin; update users set email = 'x'`);
    const applying = apply({ lockTimeoutMs: 300, lockBudgetMs: 20_000 });
    // longer than one wait for the lock
    await sleep(1500);
    await client.query('rollback');
    expect((await applying).created).to.have.length(7);
  });

  it('waits as long as it was told to, and no longer', async () => {
    await client.query(`begin; update users set email = 'x'`);
    const began = Date.now();
    const error = await failure({ lockTimeoutMs: 500, lockBudgetMs: 2000 });
    await client.query('rollback');
    const waited = Number(/within ([\d.]+) s/.exec(error.message)?.[1]) * 1000;
    // no attempt is begun that could not end in time, and a busy machine takes longer for each
    expect(waited).to.be.within(1000, Math.min(6000, Date.now() - began));
  });

  it('is not defeated by a running autovacuum', async () => {
    const vacuum = await openClient(database.url);
    try {
      // as an autovacuum does, a manual one holds its lock to the end, but does not yield: only the retry gets past it
      await client.query(`insert into users (id) select generate_series(1, 20000); delete from users where id % 2 = 0`);
      await vacuum.query(`set vacuum_cost_delay = 5; set vacuum_cost_limit = 100`);
      const vacuuming = vacuum.query('vacuum users');
      expect((await apply({ lockTimeoutMs: 200, lockBudgetMs: 60_000 })).created).to.have.length(7);
      await vacuuming;
    } finally {
      await vacuum.end();
    }
  });

  it('commits table by table where that is asked for, and goes on where it stopped', async () => {
    await client.query(`begin; lock table users in share mode`);
    const error = await failure({ lockTimeoutMs: 300, lockBudgetMs: 300, perTable: true });
    expect([error.code, error.details.tables]).to.deep.equal(['LOCK_TIMEOUT', 3]);
    expect(error.message).to.match(/Before that, \d of 3 tables were done, and stay so\./);
    await client.query('rollback');
    const before = await triggers();
    expect(before).not.to.deep.equal([]);
    const rest = await apply({ perTable: true });
    expect(rest.created.length + before.length).to.equal(7);
    expect(rest.unchanged).to.have.length(before.length);
    expect(await apply({ perTable: true })).to.deep.include({ created: [], statements: [] });
  });

  it('installs every form that there is, and finds it unchanged', async () => {
    await client.query(`create table days_x (id integer primary key, parent integer references users deferrable)`);
    declare(
      `timing: 'after', on: ['update'], level: 'statement', referencing: { old: 'before', new: 'after "x"' }, mode: 'always'`,
    );
    const forms: Record<string, string> = {
      checked: `timing: 'after', on: ['insert', 'update'], updateOf: ['email'], when: 'new.email is null', constraint: { initiallyDeferred: true }`,
      plain_check: `timing: 'after', on: ['delete'], constraint: {}`,
      emptied: `timing: 'before', on: ['truncate'], level: 'statement', args: ['a', "it's", ''], mode: 'replica'`,
      old_rows: `timing: 'after', on: ['delete'], referencing: { old: 'gone' }`,
      off: `timing: 'before', on: ['insert'], mode: 'disabled'`,
    };
    for (const [name, spec] of Object.entries(forms)) {
      workspace.write({
        [`triggers/${name}.trigger.ts`]: `import { defineTrigger } from 'manage_db';
          export default defineTrigger('${name}', { table: 'users', function: 'note_email', ${spec} });`,
      });
    }
    expect((await apply({ pack: 'workspace' })).created).to.have.length(6);
    expect(
      await rows(`select concat(tgname, ' ', tgenabled, tgdeferrable, tginitdeferred, tgconstraint <> 0) as t
        from pg_trigger where tgrelid = 'users'::regclass and not tgisinternal order by 1`),
    ).to.deep.equal([
      { t: 'checked Ottt' },
      { t: 'emptied Rfff' },
      { t: 'note_email Afff' },
      { t: 'off Dfff' },
      { t: 'old_rows Offf' },
      { t: 'plain_check Offt' },
    ]);
    expect(await apply({ pack: 'workspace' })).to.deep.include({ created: [], replaced: [], statements: [] });
  });

  it('drops and creates a constraint trigger that has changed, and says so', async () => {
    declare(`timing: 'after', on: ['update'], constraint: { deferrable: true }`);
    await apply({ pack: 'workspace' });
    await client.query('alter table users disable trigger note_email');
    declare(`timing: 'after', on: ['update', 'delete'], constraint: { deferrable: true }`);
    const { dropped, replaced, statements } = await apply({ pack: 'workspace' });
    expect([dropped, replaced]).to.deep.equal(
      Array(2).fill([{ schema: 'public', table: 'users', name: 'note_email' }]),
    );
    expect(statements.map((sql) => sql.split(' ').slice(0, 3).join(' '))).to.deep.equal([
      'lock table "public"."users"',
      'drop trigger "note_email"',
      'create constraint trigger',
      'alter table only',
    ]);
    declare(`timing: 'after', on: ['update']`);
    expect((await apply({ pack: 'workspace' })).dropped).to.have.length(1);
    expect(await rows(`select tgenabled, tgconstraint::int from pg_trigger where tgname = 'note_email'`)).to.deep.equal(
      [{ tgenabled: 'D', tgconstraint: 0 }],
    );
  });

  it('does not drop a trigger that is none of its own', async () => {
    await client.query(
      `${NOTE} create constraint trigger note_email after update on users for each row execute function note_email()`,
    );
    declare('');
    const { skipped } = await apply({ pack: 'workspace' });
    expect(skipped[0]?.reason).to.match(/a constraint trigger of this name exists/);
  });

  it('follows a mode that is declared anew, and only then', async () => {
    declare('');
    await apply({ pack: 'workspace' });
    declare('enabled: false');
    expect((await apply({ pack: 'workspace' })).disabled).to.have.length(1);
    await client.query('alter table users enable trigger note_email');
    expect(await apply({ pack: 'workspace' })).to.deep.include({ disabled: [], statements: [] });
    declare(`mode: 'always'`);
    expect((await apply({ pack: 'workspace' })).enabled).to.have.length(1);
    expect(await rows(`select tgenabled from pg_trigger where tgname = 'note_email'`)).to.deep.equal([
      { tgenabled: 'A' },
    ]);
  });

  describe('with conditions to compare', () => {
    beforeEach(async () => {
      await client.query(`create function is_new(users, users) returns boolean language sql as 'select true'`);
      workspace.write({
        'triggers/all.trigger.ts': `import { defineTrigger } from 'manage_db';
          const common = { timing: 'before', on: ['update'], function: 'note_email' };
          export const whole = defineTrigger('note_row', { ...common, table: 'users', when: 'public.is_new(old, new)' });
          export const plain = defineTrigger('note_body', { ...common, table: 'plain', when: "new.body <> ''" });`,
        'triggers/functions/note_email.sql': NOTE,
      });
      await apply();
    });
    /** As where an older manage_db has installed them: nobody has written down how the server prints the conditions. */
    const forget = () => client.query('delete from manage_db.trigger_registry');

    it('locks no table at all where they are registered', async () => {
      await client.query('begin; lock table plain, users in row exclusive mode');
      expect(await apply({ lockTimeoutMs: 300 })).to.deep.include({ replaced: [], statements: [] });
      await client.query('rollback');
    });

    it('locks no table in a dry run but the one whose condition is on the whole row', async () => {
      await forget();
      await client.query('begin; lock table plain in row exclusive mode');
      const { statements } = await apply({ dryRun: true, lockTimeoutMs: 300 });
      await client.query('rollback');
      expect(statements).to.deep.equal([]);
      await client.query('begin; lock table users in row exclusive mode');
      const error = await failure({ dryRun: true, lockTimeoutMs: 300 });
      await client.query('rollback');
      expect(error.code).to.equal('LOCK_TIMEOUT');
      expect(error.message).to.contain('public.users');
    });

    it('stops when it is cancelled, instead of going on with the tables themselves', async () => {
      await forget();
      await client.query(`create function cancelled() returns event_trigger language plpgsql as $$ begin
          raise exception 'canceling statement due to user request' using errcode = '57014'; end $$;
        create event trigger cancelled on ddl_command_start when tag in ('CREATE TABLE') execute function cancelled()`);
      const error = await failure();
      expect(error.message).to.contain('canceling statement due to user request');
    });
  });

  const untilItWaits = async () => {
    for (;;) {
      const [{ count }] = (
        await database.query<{ count: number }>(
          `select count(*)::integer as count from pg_locks where not granted and relation = 'days'::regclass`,
        )
      ).rows as [{ count: number }];
      if (count > 0) return;
      await sleep(20);
    }
  };

  it('is harmless when many do it at once', async () => {
    const results = await workspace.run(() =>
      Promise.all(Array.from({ length: 6 }, () => applyTriggers({ env: 'testing' }))),
    );
    expect(results.map(({ created }) => created.length).sort()).to.deep.equal([0, 0, 0, 0, 0, 7]);
  });
});
