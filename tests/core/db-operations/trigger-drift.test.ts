import { expect } from 'chai';
import type pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { disableTrigger, dropTrigger, enableTrigger } from '../../../app/core/db-operations/trigger-control.js';
import {
  diffTriggers,
  listTriggers,
  type VerifyTriggersOptions,
  verifyTriggers,
} from '../../../app/core/db-operations/trigger-drift.js';
import { TriggerRegistry } from '../../../app/core/db-operations/trigger-registry.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const TABLES = `
  create schema "Clinic Ü";
  create table "Clinic Ü"."Päti""ents" (id integer generated always as identity primary key, "E-Mail" text, updated_at timestamptz);
  create table users (junk integer, id integer primary key, email text, name text, updated_at timestamptz, updated_by text);
  alter table users drop column junk;
  create table days (day date primary key, updated_at timestamptz) partition by range (day);
  create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
  create table days_2026 partition of days for values from ('2026-01-01') to ('2027-01-01') partition by range (day);
  create table days_2026_1 partition of days_2026 for values from ('2026-01-01') to ('2026-07-01');
  create view users_view as select * from users;
  create table visits (id integer primary key, "user" integer references users);`;

describe('the drift of triggers', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await stampAs(client, 'testing');
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`,
      'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
        const call = { function: 'note_email', timing: 'before' };
        export const mail = defineTrigger('note_email', { ...call, table: 'users', on: ['update'], updateOf: ['email'],
          when: "new.email is distinct from old.email and new.name <> 'x'", args: ["it's", 'ü'] });
        export const off = defineTrigger('off', { ...call, table: 'users', on: ['insert'], enabled: false });
        export const always = defineTrigger('always', { ...call, table: 'days', on: ['insert'], mode: 'always' });
        export const patients = defineTrigger('Mail "P"', { ...call, on: ['insert'], table: { schema: 'Clinic Ü', name: 'Päti"ents' } });
        export const late = defineTrigger('late', { ...call, timing: 'after', table: 'users', on: ['delete'], constraint: { initiallyDeferred: true } });
        export const rows = defineTrigger('rows', { ...call, timing: 'after', level: 'statement', table: 'users', on: ['update'], referencing: { old: 'o', new: 'n' } });
        export const view = defineTrigger('view', { ...call, timing: 'instead of', table: 'users_view', on: ['update'] });`,
      'triggers/functions/note_email.sql': NOTE('-- first'),
    });
    await apply();
  });
  afterEach(async () => {
    await client.end();
    await workspace.remove();
    await database.drop();
  });

  const NOTE = (body: string) =>
    `create or replace function note_email() returns trigger language plpgsql as $$ begin ${body}\n return coalesce(new, old); end $$;`;
  const env = { env: 'testing' } as const;
  const apply = () => workspace.run(() => applyTriggers(env));
  const verify = (options: VerifyTriggersOptions = {}) => workspace.run(() => verifyTriggers({ ...env, ...options }));
  /** What is not in order, as `table trigger state field: expected → actual`. */
  const drift = async (options: VerifyTriggersOptions = {}) =>
    (await verify(options)).triggers
      .filter(({ isDrift }) => isDrift)
      .map(({ table, name, state, differences }) =>
        [
          `${table} ${name} ${state}`,
          ...differences.map(({ field, expected, actual }) => `${field}: ${expected} → ${actual}`),
        ].join(', '),
      );
  const stateOf = async (name: string) =>
    (await workspace.run(() => listTriggers({ ...env, table: 'users' }))).triggers.find((one) => one.name === name);

  it('is none after apply, in every form, and nothing is executed by applying again', async () => {
    const { ok, counts, triggers } = await verify();
    expect({ ok, ...counts }).to.deep.equal({
      ok: true,
      in_sync: 11,
      drifted: 0,
      manual_override: 0,
      disabled: 1,
      dropped: 0,
      unknown: 0,
      pending: 0,
      stale: 0,
    });
    expect(
      triggers.filter(({ table }) => table.startsWith('days')).map(({ table, name }) => `${table} ${name}`),
    ).to.deep.equal(['days always', 'days update_timestamp']);
    expect(await apply()).to.deep.include({ created: [], replaced: [], enabled: [], disabled: [], statements: [] });
  });

  it('is no false alarm under another search_path, by another role, or after dump and restore', async () => {
    const reader = await scratchLogin('reader');
    await client.query(`alter database ${database.name} set search_path = "Clinic Ü", public`);
    await client.query(`alter role ${reader.user} set search_path = pg_temp`);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, reader)}\n` });
    expect(await drift()).to.deep.equal([]);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    await workspace.run(() => backupDatabase(env));
    await client.end();
    await workspace.run(() => closeEngines('testing'));
    await workspace.run(() => restoreDatabase({ ...env, id: 'latest', consent: { yes: true } }));
    client = await openClient(database.url);
    expect(await drift()).to.deep.equal([]);
    expect(await apply()).to.deep.include({ created: [], replaced: [], statements: [] });
    await workspace.run(() => closeEngines());
    await dropLogins(reader);
  });

  it('is found field by field, with what was expected and what is there', async () => {
    await client.query(`
      create or replace trigger note_email after insert or update of name on users for each row
        when (new.email is null) execute function note_email('other');
      alter table users disable trigger update_timestamp;
      alter table users enable always trigger rows;
      alter table only days_2025 disable trigger always;
      drop trigger late on users; create constraint trigger late after delete on users for each row execute function note_email()`);
    expect(await drift()).to.deep.equal([
      'days always disabled, mode on public.days_2025: always → disabled',
      'users late manual_override, constraint: deferrable, initially deferred → not deferrable',
      [
        'users note_email manual_override',
        'timing: before → after',
        'events: update → insert, update',
        'columns: email → name',
        `condition: (((new.email IS DISTINCT FROM old.email) AND (new.name <> 'x'::text))) → ((new.email IS NULL))`,
        `arguments: "it's", "ü" → "other"`,
      ].join(', '),
      'users rows manual_override, mode: origin → always',
      'users update_timestamp disabled, mode: origin → disabled',
    ]);
  });

  it('is found in functions: body, attributes, and whose rights they run with', async () => {
    await client.query(NOTE('-- changed by hand'));
    const changed = (await drift()).filter((line) => line.includes('function body'));
    expect(changed).to.have.length(7);
    await client.query(`${NOTE('-- first')} alter function note_email() security definer`);
    expect((await drift())[0]).to.contain('function attributes');
    workspace.write({
      'triggers/functions/note_email.sql': `${NOTE('-- first')} alter function note_email() security definer;`,
    });
    await apply();
    expect(await drift()).to.deep.equal([]);
    const other = await scratchLogin('other');
    await client.query(`alter function note_email() owner to ${other.user}`);
    expect((await drift())[0]).to.contain(`function owner: postgres → ${other.user}`);
    await client.query(`alter function note_email() owner to postgres`);
    await dropLogins(other);
  });

  it('is healed: what was dropped, also with its function, and what was disabled by hand', async () => {
    await client
      .query(`drop function note_email() cascade; drop trigger track_user_changes on users;
      alter table users disable trigger update_timestamp; alter table days_2026_1 disable trigger always`)
      .catch(() => undefined);
    await client.query(`drop function if exists note_email() cascade; drop trigger if exists track_user_changes on users;
      alter table users disable trigger update_timestamp`);
    expect((await drift()).map((line) => line.split(' ').slice(0, -1).join(' ') || line).length).to.equal(9);
    const { ok, fixed } = await verify({ fix: true });
    expect([ok, fixed?.created.length, fixed?.enabled.length]).to.deep.equal([true, 8, 1]);
    expect(await drift()).to.deep.equal([]);
    expect(
      (await client.query(`select tgname from pg_trigger where tgenabled = 'D' and tgname <> 'x' and not tgisinternal`))
        .rows,
    ).to.deep.equal([{ tgname: 'off' }]);
  });

  it('leaves what was disabled on purpose as it is, also when it has to be brought back', async () => {
    const reason = { consent: { reason: 'too loud' } };
    await workspace.run(() => disableTrigger({ ...env, table: 'users', name: 'update_timestamp', ...reason }));
    await workspace.run(() => enableTrigger({ ...env, table: 'users', name: 'off', ...reason }));
    expect(await drift()).to.deep.equal([]);
    expect(await stateOf('update_timestamp')).to.include({ state: 'disabled', isDrift: false, wantedMode: 'disabled' });
    expect(await stateOf('off')).to.include({ state: 'in_sync', mode: 'origin' });
    await client.query('drop trigger update_timestamp on users');
    expect((await verify({ fix: true })).ok).to.equal(true);
    expect((await stateOf('update_timestamp'))?.mode).to.equal('disabled');
    await client.query('alter table users disable trigger off');
    expect(await drift()).to.deep.equal(['users off disabled, mode: origin → disabled']);
  });

  it('keeps what somebody has changed by hand, until that is overridden', async () => {
    await client.query(`${NOTE('-- a hotfix')}
      create or replace trigger rows after update on users referencing new table as n for each statement execute function note_email();
      drop trigger view on users_view`);
    await workspace.run(() =>
      disableTrigger({ ...env, table: 'users', name: 'update_timestamp', consent: { reason: 'x' } }),
    );
    const kept = await verify({ fix: true });
    expect(kept.ok).to.equal(false);
    expect(kept.fixed?.created).to.deep.equal([{ schema: 'public', table: 'users_view', name: 'view' }]);
    expect((await client.query(`select prosrc from pg_proc where proname = 'note_email'`)).rows[0].prosrc).to.contain(
      'a hotfix',
    );
    const dry = await verify({ fix: true, overrideDrift: true, dryRun: true });
    expect(dry.fixed?.statements.join('\n')).to.contain('-- first').and.contain('create or replace trigger "rows"');
    expect((await verify({ fix: true, overrideDrift: true })).ok).to.equal(true);
    expect((await stateOf('update_timestamp'))?.mode).to.equal('origin');
    expect((await verify({ fix: true, overrideDrift: true })).fixed).to.deep.include({ enabled: [], statements: [] });
    expect((await client.query(`select prosrc from pg_proc where proname = 'note_email'`)).rows[0].prosrc).to.contain(
      '-- first',
    );
  });

  it('knows what is declared and not applied, declared otherwise, declared no more, and made by others', async () => {
    await client.query('create trigger stranger before insert on visits for each row execute function note_email()');
    workspace.write({
      'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
        const call = { function: 'note_email', timing: 'before', table: 'users' };
        export const mail = defineTrigger('note_email', { ...call, on: ['update'], version: 2 });
        export const fresh = defineTrigger('fresh', { ...call, on: ['insert'] });`,
      'triggers/functions/note_email.sql': NOTE('-- second'),
    });
    const { triggers, counts } = await verify();
    const find = (name: string) => triggers.find((one) => one.name === name);
    expect(find('fresh')).to.include({ state: 'pending', isDrift: true, mode: null });
    expect(find('stranger')).to.include({ state: 'unknown', isDrift: false });
    expect(find('note_email')?.differences.map(({ field }) => field)).to.deep.equal([
      'declared updateOf',
      'declared when',
      'declared args',
      'declared version',
      'function file',
    ]);
    expect(find('view')?.differences).to.deep.equal([
      { field: 'declaration', expected: null, actual: 'installed' },
      ...(find('view')?.differences.slice(1) ?? []),
    ]);
    expect(find('view')?.recommendation).to.contain('drop-db-trigger view --table public.users_view');
    expect(counts).to.include({ pending: 1, unknown: 1 });
    for (const { name, table, schema } of triggers.filter((one) =>
      one.differences.some(({ field }) => field === 'declaration'),
    )) {
      await workspace
        .run(() => dropTrigger({ ...env, table: `${schema}.${table}`, name, consent: { yes: true } }))
        .catch((error) => {
          if (table.includes('"')) return; // a name with a quote is no argument of that form
          throw error;
        });
    }
    await apply();
    expect((await drift()).filter((line) => !line.includes('Mail "P"'))).to.deep.equal([]);
  });

  it('does not speak of tables that are gone', async () => {
    await client.query('drop table days');
    expect(await drift()).to.deep.equal([]);
    workspace.write({
      'triggers/more.trigger.ts': `import { defineTrigger } from 'manage_db';
      export default defineTrigger('more', { table: 'visits', timing: 'before', on: ['insert'], function: 'note_email' });`,
    });
    await apply();
    expect((await client.query(`select from manage_db.trigger_registry where table_name = 'days'`)).rowCount).to.equal(
      0,
    );
  });

  it('is shown line by line, from what should be to what is', async () => {
    await client.query(`${NOTE('-- a hotfix')} drop trigger view on users_view`);
    const { diffs } = await workspace.run(() => diffTriggers({ ...env, table: 'users', name: 'note_email' }));
    expect(diffs).to.have.length(1);
    expect(diffs[0]?.patch).to.match(/^--- expected\n\+\+\+ actual\n@@/);
    expect(diffs[0]?.patch).to.contain('\n-AS $function$ begin -- first\n+AS $function$ begin -- a hotfix\n');
    const [gone] = (await workspace.run(() => diffTriggers({ ...env, name: 'view' }))).diffs;
    expect(gone?.patch).to.contain('\n-trigger view on public.users_view\n-  timing     instead of\n');
    workspace.write({ 'triggers/functions/note_email.sql': NOTE('-- second') });
    await client.query(NOTE('-- first'));
    const [filed] = (await workspace.run(() => diffTriggers({ ...env, table: 'users', name: 'note_email' }))).diffs;
    expect(filed?.patch).to.contain('\n-AS $function$ begin -- second\n+AS $function$ begin -- first\n');
    const error = await workspace.run(() => diffTriggers({ ...env, name: 'note_emial' })).catch((thrown) => thrown);
    expect(error).to.include({ code: 'NOT_FOUND', hint: 'Did you mean note_email?' });
  });

  it('can be asked for by a program, and from the command line with exit code 4', async () => {
    await client.query('drop trigger view on users_view');
    const registry = await workspace.run(() => TriggerRegistry.read(env));
    expect(registry.dropped().map(({ name }) => name)).to.deep.equal(['view']);
    expect(registry.disabled().map(({ name }) => name)).to.deep.equal(['off']);
    expect(registry.forTable('users_view')).to.have.length(1);
    expect(registry.diff()).to.have.length(1);
    expect(registry.validate()).to.deep.include({ ok: false });
    expect(registry.inSync().length + registry.disabled().length + registry.dropped().length).to.equal(
      registry.list().length,
    );
    const { code, json } = await workspace.cli(['verify-db-triggers', '--env', 'testing', '--json']);
    expect([code, json().error?.code, json().ok]).to.deep.equal([4, 'DRIFT', false]);
    expect(json().data).to.have.nested.property('counts.dropped', 1);
    expect((await workspace.cli(['verify-db-triggers', '--env', 'testing', '--fix'])).code).to.equal(0);
    expect((await workspace.cli(['verify_triggers', '--env', 'testing'])).code).to.equal(0);
    const behaviour = await workspace.cli(['verify-db-triggers', '--env', 'testing', '--behaviour', '--json']);
    expect(behaviour.code, behaviour.stdout).to.equal(0);
    expect(behaviour.json().data).to.have.nested.property('behaviour.counts.failed', 0);
    await client.query(`create or replace function track_user_changes() returns trigger language plpgsql as
      $$ begin new.nothing := 1; return new; end $$`);
    const broken = await workspace.cli(['verify-db-triggers', '--env', 'testing', '--behaviour', '--json']);
    expect([broken.code, broken.json().error?.code]).to.deep.equal([4, 'DRIFT']);
    expect(broken.json().data).to.have.nested.property('behaviour.counts.failed').that.is.greaterThan(0);
    const refused = await workspace.cli(['verify-db-triggers', '--override-drift', '--json']);
    expect([refused.code, refused.json().error?.code]).to.deep.equal([2, 'USAGE']);
  });
});
