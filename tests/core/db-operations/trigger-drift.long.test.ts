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
import { dropDatabase, onServer, type ScratchDatabase, withClient } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';
import { type TestingDatabase, testingDatabase } from '../../support/testing-database.js';

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
  let testing: TestingDatabase;
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    testing = await testingDatabase(TABLES, {
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
    ({ database, workspace, client } = testing);
    await apply();
  });
  afterEach(async () => {
    await client.end();
    await testing.remove();
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

  const ONLY_OFF = `import { defineTrigger } from 'manage_db';
        export default defineTrigger('off', { function: 'note_email', timing: 'before', table: 'users', on: ['insert'], enabled: false });`;
  const rowsOf = async (sql: string) => (await client.query(sql)).rows;
  const findDrift = async (name: string, on?: string) =>
    (await verify()).triggers.find(({ name: found, table }) => found === name && (on === undefined || table === on));
  const patchOf = async (name: string, table = 'users') =>
    (await workspace.run(() => diffTriggers({ ...env, table, name }))).diffs[0]?.patch ?? '';

  it('is looked for without writing anything; only healing notes what it has found in order', async () => {
    // every version of every row: the server's own work, such as autovacuum, begins transactions as well
    const written = ['trigger_registry', 'trigger_functions', 'operation_log']
      .map((table) => `(select md5(string_agg(xmin::text || ctid::text, ',' order by ctid)) from manage_db.${table})`)
      .join(' || ');
    const times = `select max(last_verified_at)::text as at, ${written} as x from manage_db.trigger_registry`;
    const [before] = await rowsOf(times);
    await verify();
    const [after] = await rowsOf(times);
    expect(after).to.deep.equal(before);
    await verify({ fix: true });
    expect((await rowsOf(times))[0].at).to.not.equal(before.at);
  });

  it('is none for what was declared no more and dropped by hand, and healing forgets it', async () => {
    await client.query(`drop trigger note_email on users; drop trigger rows on users; drop trigger late on users;
      drop trigger view on users_view; drop trigger always on days; drop trigger "Mail ""P""" on "Clinic Ü"."Päti""ents"`);
    workspace.write({ 'triggers/users.trigger.ts': ONLY_OFF });
    expect(await drift()).to.deep.equal([]);
    await verify({ fix: true });
    expect(await rowsOf(`select trigger_name from manage_db.trigger_registry where pack = 'workspace'`)).to.deep.equal([
      { trigger_name: 'off' },
    ]);
  });

  it('always has something to show: a new version, a new mode, another owner, a file that says the same', async () => {
    const declare = (more: string) =>
      workspace.write({
        'triggers/users.trigger.ts': `import { defineTrigger } from 'manage_db';
          export default defineTrigger('rows', { function: 'note_email', timing: 'after', level: 'statement', table: 'users', on: ['update'], referencing: { old: 'o', new: 'n' }, ${more} });`,
      });
    declare('version: 7');
    expect(await patchOf('rows')).to.match(/-\s+version +7\n\+\s+version +1\n/);
    declare(`mode: 'always'`);
    expect(await patchOf('rows')).to.match(/-\s+mode +always\n\+\s+mode +origin\n/);
    declare('');
    workspace.write({ 'triggers/functions/note_email.sql': `${NOTE('-- first')} -- a comment` });
    expect(await patchOf('rows')).to.match(/-\s+function file [0-9a-f]{12}\n\+\s+function file [0-9a-f]{12}\n/);
    workspace.write({
      'triggers/functions/note_email.sql': `${NOTE('-- first')} alter function note_email() security definer;`,
    });
    await apply();
    const other = await scratchLogin('other');
    await client.query(`alter function note_email() owner to ${other.user}`);
    expect(await patchOf('rows'))
      .to.contain('-owner postgres\n')
      .and.contain(`+owner ${other.user}\n`);
    await client.query('alter function note_email() owner to postgres');
    await dropLogins(other);
    for (const { patch } of (await workspace.run(() => diffTriggers(env))).diffs) expect(patch).to.contain('@@');
  });

  it('does not mistake how another major version prints for a change, and sees changes all the same', async () => {
    await client.query(`update manage_db.trigger_registry set server_version_num = 130000,
        definition = 'printed otherwise', fields = jsonb_set(fields, '{when}', '"(printed otherwise)"') where fields ->> 'when' is not null;
      update manage_db.trigger_functions set server_version_num = 130000,
        definition = replace(definition, ' LANGUAGE plpgsql', E' LANGUAGE plpgsql\n PARALLEL UNSAFE')`);
    expect(await drift()).to.deep.equal([]);
    await client.query('alter function note_email() security definer');
    expect((await drift())[0]).to.contain('function security: invoker → definer');
    await client.query(NOTE('-- by hand'));
    expect((await drift())[0]).to.contain('function body');
    await client.query(NOTE('-- first'));
    await client.query(
      `create or replace trigger note_email before update of email on users for each row execute function note_email('it''s', 'ü')`,
    );
    expect((await drift())[0]).to.contain('users note_email manual_override, condition: (printed otherwise) → null');
  });

  it('is neither looked for nor healed where triggers may not be made to fire', async () => {
    await client.query('drop trigger view on users_view');
    const both = await verify({ fix: true, behaviour: true });
    expect([both.fixed?.created.length, both.behaviour?.counts.failed]).to.deep.equal([1, 0]);
    await client.query('drop trigger view on users_view');
    await client.query('update manage_db.identity set protected = true');
    const error = await verify({ fix: true, behaviour: true }).catch((thrown) => thrown);
    expect([error.code, error.details.operation]).to.deep.equal(['PROTECTED_ENVIRONMENT', 'test-db-triggers']);
    expect(await rowsOf(`select from pg_trigger where tgname = 'view'`)).to.have.length(0);
  });

  it('tells what is declared for tables that are not there, without failing for that', async () => {
    workspace.write({
      'triggers/more.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('more', { table: 'clinic.nowhere', timing: 'before', on: ['insert'], function: 'note_email' });`,
    });
    const { ok, skipped } = await verify();
    expect(ok).to.equal(true);
    expect(skipped).to.deep.include({
      schema: 'clinic',
      table: 'nowhere',
      name: 'more',
      reason: 'there is no such table',
    });
    const { code, stdout } = await workspace.cli(['verify-db-triggers', '--env', 'testing']);
    expect([code, stdout]).to.satisfy(
      ([exit, text]: [number, string]) => exit === 0 && text.includes('clinic.nowhere: there is no such table'),
    );
  });

  it('is not said where the registry may not be read, or belongs to somebody who may not decide', async () => {
    const reader = await scratchLogin('reader');
    await client.query('revoke select on manage_db.trigger_registry from public');
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, reader)}\n` });
    const unreadable = await verify().catch((thrown) => thrown);
    expect(unreadable).to.include({ code: 'PERMISSION_DENIED' });
    expect(unreadable.hint).to.contain('grant select on manage_db.trigger_registry');
    await client.query(`grant select on manage_db.trigger_registry to public; grant create on schema manage_db to ${reader.user};
      alter table manage_db.trigger_registry owner to ${reader.user}`);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    await workspace.run(() => closeEngines());
    const untrusted = await verify().catch((thrown) => thrown);
    expect(untrusted.message).to.contain(`belongs to ${reader.user}`);
    expect(untrusted).to.include({ code: 'PERMISSION_DENIED' });
    await client.query(
      `alter table manage_db.trigger_registry owner to postgres; revoke create on schema manage_db from ${reader.user}`,
    );
    await dropLogins(reader);
  });

  it('says that a declaration is gone also of what was changed or disabled by hand', async () => {
    workspace.write({ 'triggers/users.trigger.ts': ONLY_OFF.replace("'off'", "'other'") });
    await client.query(
      `alter table users disable trigger rows; create or replace trigger off before insert on users for each statement execute function note_email()`,
    );
    const rows = await findDrift('rows');
    expect(rows).to.include({ state: 'disabled' });
    expect(rows?.differences).to.deep.include({ field: 'declaration', expected: null, actual: 'installed' });
    expect(rows?.recommendation).to.contain('It is not declared any more');
    const off = await findDrift('off');
    expect(off).to.include({ state: 'manual_override' });
    expect(off?.recommendation).to.contain('drop-db-trigger off --table public.users');
  });

  it('is healed where a trigger was disabled whose function somebody has changed too, without touching that', async () => {
    await client.query(
      `${NOTE('-- a hotfix')} alter table users disable trigger rows; alter table only days_2025 disable trigger always`,
    );
    const { fixed } = await verify({ fix: true });
    expect(fixed?.enabled.map(({ name }) => name)).to.have.members(['rows', 'always']);
    expect(
      await rowsOf(
        `select tgname, tgenabled from pg_trigger where tgname in ('rows', 'always') group by 1, 2 order by 1`,
      ),
    ).to.deep.equal([
      { tgname: 'always', tgenabled: 'A' },
      { tgname: 'rows', tgenabled: 'O' },
    ]);
    expect((await rowsOf(`select prosrc from pg_proc where proname = 'note_email'`))[0].prosrc).to.contain('a hotfix');
  });

  it('says that a function is missing, and whether a file brings it back', async () => {
    await client.query('drop function note_email() cascade');
    const withFile = await findDrift('rows');
    expect(withFile?.differences).to.deep.equal([{ field: 'function', expected: 'public.note_email()', actual: null }]);
    expect(withFile?.recommendation).to.match(
      /^Bring it back, with its function public\.note_email\(\) from .*note_email\.sql: /,
    );
    workspace.write({
      'triggers/fresh.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('fresh', { table: 'visits', timing: 'before', on: ['insert'], function: 'nobody' });`,
    });
    const without = await findDrift('fresh');
    expect(without).to.include({ state: 'pending' });
    expect(without?.differences).to.deep.equal([{ field: 'function', expected: 'public.nobody()', actual: null }]);
    expect(without?.recommendation).to.contain('public.nobody() does not exist, and no file brings it back');
  });

  it('is none for a trigger that is there exactly as declared and was never registered', async () => {
    await client.query('create trigger twin before insert on visits for each row execute function note_email()');
    workspace.write({
      'triggers/twin.trigger.ts': `import { defineTrigger } from 'manage_db';
        export default defineTrigger('twin', { table: 'visits', timing: 'before', on: ['insert'], function: 'note_email' });`,
    });
    expect(await findDrift('twin')).to.include({
      state: 'pending',
      isDrift: false,
      recommendation: 'It is there as declared; the next apply writes it down.',
    });
    await client.query('alter table visits disable trigger twin');
    expect(await findDrift('twin')).to.include({ state: 'pending', isDrift: true });
    expect(await patchOf('twin', 'visits'))
      .to.contain('-  mode       origin')
      .and.contain('+  mode       disabled');
  });

  it('is a generated trigger under another name, or a log without its protection', async () => {
    workspace.write({
      'triggers/audit.trigger.ts': `import { configureAuditPack } from 'manage_db'; export default configureAuditPack();`,
    });
    await apply();
    expect(await drift()).to.deep.equal([]);
    await client.query('alter trigger audit_insert on visits rename to logged_again');
    expect(await findDrift('logged_again')).to.include({ state: 'unknown', isDrift: true });
    expect((await findDrift('logged_again'))?.recommendation).to.contain('verify-db-triggers --fix');
    await client.query(
      'alter trigger logged_again on visits rename to audit_insert; alter table visits add column note text',
    );
    expect(await findDrift('audit_insert', 'visits')).to.include({ state: 'stale', isDrift: true });
    for (const { patch } of (await workspace.run(() => diffTriggers(env))).diffs)
      expect(patch).to.contain('\n+').and.contain('\n-');
    await apply();
    await client.query('drop table audit.moving_rows');
    const { ok, problems } = await verify();
    expect(ok).to.equal(false);
    expect(problems.join()).to.match(/^The log of the pack audit is not as it should be: .* missing/);
    const { code, json } = await workspace.cli(['verify-db-triggers', '--env', 'testing', '--json']);
    expect([code, json().error?.code]).to.deep.equal([4, 'DRIFT']);
  });

  it('reads arguments in the encoding of the server', async () => {
    const latin = `${database.name}_latin`;
    await onServer((server) =>
      server.query(`create database ${latin} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0`),
    );
    await withClient(testUrl(latin), async (db) => {
      await db.query('create table users (id integer primary key, email text, name text)');
      await stampAs(db, 'testing');
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(latin)}\n` });
      await apply();
      expect(await drift()).to.deep.equal([]);
      await db.query(`create or replace trigger note_email before update of email on users for each row
        when (new.email is distinct from old.email and new.name <> 'x') execute function note_email('é', '')`);
      expect(await drift()).to.deep.equal([`users note_email manual_override, arguments: "it's", "ü" → "é", ""`]);
    });
    await workspace.run(() => closeEngines());
    await dropDatabase(latin);
  });

  it('refuses by rejecting', async () => {
    const state = 'nothing' as 'disabled';
    const refused = workspace.run(() => listTriggers({ ...env, state }).catch(({ code }) => code));
    expect(await refused).to.equal('USAGE');
    expect(await verifyTriggers({ ...env, dryRun: true }).catch(({ code }) => code)).to.equal('USAGE');
  });
});
