import { AsyncResource } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { readEmbeddedEndpoint } from '../../../app/config/embedded-endpoint.js';
import { engageKillSwitch, killSwitchStatus, releaseKillSwitch } from '../../../app/core/db-operations/kill-switch.js';
import { checkDb, dropAllTables } from '../../../app/core/db-operations/maintenance.js';
import { stampDatabase } from '../../../app/core/db-operations/stamp.js';
import { disableTrigger } from '../../../app/core/db-operations/trigger-control.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { ManageDbError, PermissionError } from '../../../app/core/errors.js';
import { withKillSwitchOverride } from '../../../app/core/safety/override.js';
import { closeEngines } from '../../../app/services/database-service.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLevelRoles, dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { removeServerData } from '../../support/server-data.js';
import { stampAs, stampFor } from '../../support/stamp.js';
import { testServer, testUrl } from '../../support/test-server.js';

const PATIENTS =
  'create table public.patients (id int primary key, name text); insert into public.patients values (1, $$Ann$$)';
const OVERRIDE = { env: { KILL_SWITCH_OVERRIDE: 'true' } };

async function failure(work: Promise<unknown>): Promise<ManageDbError> {
  const error = await work.then(
    () => expect.fail('it should have been refused'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ManageDbError)) throw error;
  return error;
}

/** What the database's own log says, without our reader. */
async function logged(db: ScratchDatabase): Promise<{ event: string; operation: string; code: string | null }[]> {
  const { rows } = await db.query<{ event: string; operation: string; code: string | null }>(
    `select event, operation, details ->> 'code' as code from manage_db.operation_log order by id`,
  );
  return rows;
}

/** Until a session waits for the lock on the table; whoever never waits has been refused. */
async function untilWaiting(client: pg.Client): Promise<void> {
  for (let attempt = 0; attempt < 1_600; attempt += 1) {
    const { rowCount } = await client.query(
      `select from pg_locks where not granted and relation = 'public.patients'::regclass`,
    );
    if (rowCount !== 0) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  expect.fail('nobody waits for the lock');
}

const patients = async (db: ScratchDatabase): Promise<number> =>
  (await db.query<{ n: number }>('select count(*)::int as n from public.patients')).rows[0]?.n ?? -1;

describe('the gate on a real database', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase(PATIENTS);
    workspace = scratchWorkspace();
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
    await dropLevelRoles(db.name);
  });

  const ceremony = (operation: string, database = db.name): string[] => [
    '--confirm',
    `EXECUTE ${operation} ON ${database}`,
    '--reason',
    'ticket 4711',
  ];
  const asProduction = (url = db.url): void => workspace.write({ '.env.production': `DATABASE_URL=${url}\n` });
  const asDevelopment = (url = db.url): void => workspace.write({ '.env.development': `DATABASE_URL=${url}\n` });

  describe('and what the database is', () => {
    it('refuses reset-database on production, and on a development URL that really is production; the log has both', async () => {
      asProduction();
      await stampFor(workspace, 'production');
      const first = await workspace.cli(['reset-database', '--env', 'production', '--yes', '--json']);
      expect(first.code).to.equal(2);
      expect(first.json().error).to.include({ code: 'KILL_SWITCH' });

      const elsewhere = scratchWorkspace({ '.env.development': `DATABASE_URL=${db.url}\n` });
      try {
        const second = await elsewhere.cli(['reset-database', '--env', 'development', '--yes', '--json']);
        expect(second.code).to.equal(2);
        expect(second.json().error).to.include({ code: 'STAMP_MISMATCH' });
        expect(second.json().error?.message).to.contain('stamped production').and.contain('Nothing was changed');
        const whole = await elsewhere.cli(
          ['reset-database', '--env', 'development', ...ceremony('RESET_DATABASE')],
          OVERRIDE,
        );
        expect([whole.code, whole.stderr.includes('STAMP_MISMATCH')]).to.deep.equal([2, true]);
      } finally {
        await elsewhere.remove();
      }
      expect(await patients(db)).to.equal(1);
      expect((await logged(db)).filter(({ event }) => event === 'denied')).to.deep.equal([
        { event: 'denied', operation: 'reset-database', code: 'KILL_SWITCH' },
        { event: 'denied', operation: 'reset-database', code: 'STAMP_MISMATCH' },
        { event: 'denied', operation: 'reset-database', code: 'STAMP_MISMATCH' },
      ]);
    });

    it('refuses a development URL that is also the one of production, stamped or not', async () => {
      asProduction(db.url.replace('127.0.0.1', 'localhost'));
      asDevelopment();
      for (const command of ['reset-database', 'initialize-db', 'stamp-database']) {
        const { code, json } = await workspace.cli([command, '--yes', '--json']);
        expect([code, json().error?.code], command).to.deep.equal([2, 'PROTECTED_ENVIRONMENT']);
        expect(json().error?.message).to.contain('the one of production');
      }
      workspace.write({
        '.env.production': '',
        '.env.preview': `DATABASE_URL=${db.url}\n`,
        '.env.example': `DATABASE_URL=${db.url}\n`,
      });
      const custom = (await workspace.cli(['reset-database', '--yes', '--json'])).json();
      expect(custom.error?.message).to.contain('the one of preview');
      expect(await patients(db)).to.equal(1);
    });

    it('refuses it also where only a command knows the password of production', async () => {
      asDevelopment();
      const url = new URL(db.url);
      url.password = '';
      workspace.write({
        'manage_db.config.json': JSON.stringify({
          environments: { production: { databaseUrl: url.href, password: { command: 'touch was-run; exit 1' } } },
        }),
      });
      const { code, json } = await workspace.cli(['reset-database', '--yes', '--json']);
      expect([code, json().error?.code]).to.deep.equal([2, 'PROTECTED_ENVIRONMENT']);
      expect(json().error?.message).to.contain('the one of production');
      expect(readdirSync(workspace.root)).not.to.include('was-run');
    });

    it('does not take a database behind a loopback address for harmless: it asks for a stamp first', async () => {
      asDevelopment();
      for (const command of ['reset-database', 'drop-all-tables', 'initialize-db', 'apply-db-triggers']) {
        const { code, json } = await workspace.cli([command, '--env', 'development', '--yes', '--json']);
        expect([code, json().error?.code], command).to.deep.equal([2, 'STAMP_REQUIRED']);
        expect(json().error?.hint).to.contain('manage_db stamp-database --env development');
      }
      const stamp = ['stamp-database', '--env', 'development'];
      expect((await workspace.cli([...stamp, '--yes', '--json'])).json().error?.code).to.equal('CONFIRMATION_REQUIRED');
      const stamped = await workspace.cli([...stamp, ...ceremony('STAMP_DATABASE'), '--json']);
      expect(stamped.json().data.stamp).to.include({ environment: 'development', protected: false, database: db.name });
      expect((await workspace.cli(['drop-all-tables', '--json'])).json().error?.code).to.equal('CONFIRMATION_REQUIRED');
      expect((await workspace.cli(['drop-all-tables', '--yes'])).code).to.equal(0);
    });

    it('recognises a copy of production by CREATE DATABASE, by a dump, and by its old name', async () => {
      asProduction();
      await stampFor(workspace, 'production');
      await closeEngines();
      const copy = `copy_${randomBytes(4).toString('hex')}`;
      const dumped = await scratchDatabase();
      const renamed = `renamed_${randomBytes(4).toString('hex')}`;
      await onServer((server) => server.query(`create database ${copy} template ${db.name}`));
      try {
        const dump = spawnSync('/bin/sh', ['-c', `pg_dump '${db.url}' | psql -q -o /dev/null '${dumped.url}'`], {
          encoding: 'utf8',
        });
        expect(dump.stderr).to.equal('');
        for (const name of [copy, dumped.name]) {
          asDevelopment(testUrl(name));
          for (const command of ['drop-all-tables', 'initialize-db']) {
            const refused = (await workspace.cli([command, '--yes', '--json'])).json();
            expect(refused.error?.code, command).to.equal('STAMP_REQUIRED');
            expect(refused.error?.message).to.contain('copy of production').and.contain(db.name);
          }
          const status = (await workspace.cli(['switch-env', '--status', '--json'])).json();
          expect(status.data.stamp).to.deep.include({ state: 'copy' });
          expect(status.data.stamp.stamp).to.include({ environment: 'production', protected: true });
          const found = await workspace.run(() => checkDb());
          expect(found.checks.find((check) => check.name === 'identity-stamp')).to.include({
            status: 'critical',
            value: 'copy',
          });
          const announced = await workspace.cli(['drop-all-tables', '--yes']);
          expect(announced.stderr).to.contain('PROTECTED').and.contain('COPY OF production');
        }

        await onServer((server) => server.query(`alter database ${db.name} rename to ${renamed}`));
        asDevelopment(testUrl(renamed));
        const refused = (await workspace.cli(['drop-all-tables', '--yes', '--json'])).json();
        expect(refused.error?.code).to.equal('STAMP_MISMATCH');
        asProduction(testUrl(renamed));
        asDevelopment(testUrl('postgres'));
        const status = (await workspace.cli(['switch-env', '--status', '--json', '--env', 'production'])).json();
        expect(status.data.stamp.state).to.equal('trusted');
        await onServer((server) => server.query(`alter database ${renamed} rename to ${db.name}`));
      } finally {
        await dropDatabase(copy);
        await dumped.drop();
      }
    });

    it('lowers the stamp of a copy only with the ceremony of the original, and keeps where it came from', async () => {
      asProduction();
      await stampFor(workspace, 'production');
      await closeEngines();
      const copy = `copy_${randomBytes(4).toString('hex')}`;
      await onServer((server) => server.query(`create database ${copy} template ${db.name}`));
      try {
        asDevelopment(testUrl(copy));
        const stamp = ['stamp-database', '--env', 'development', '--json'];
        expect((await workspace.cli([...stamp, '--yes'])).json().error?.code).to.equal('KILL_SWITCH');
        expect((await workspace.cli([...stamp, '--yes'], OVERRIDE)).json().error?.code).to.equal(
          'CONFIRMATION_REQUIRED',
        );
        const { data } = (await workspace.cli([...stamp, ...ceremony('STAMP_DATABASE', copy)], OVERRIDE)).json();
        expect(data.stamp).to.include({ environment: 'development', protected: false, database: copy });
        expect(data.stamp.lineage).to.have.length(1);
        expect(data.stamp.lineage[0]).to.include({
          environment: 'production',
          protected: true,
          database: db.name,
          became: 'restamped',
          reason: 'ticket 4711',
        });
        expect((await workspace.cli(['drop-all-tables', '--yes'])).code).to.equal(0);
      } finally {
        await dropDatabase(copy);
      }
    });

    it('tells a physical clone by its host, and a major upgrade by its oid', async () => {
      asProduction();
      await stampFor(workspace, 'production');
      const state = async (): Promise<string> =>
        (await workspace.cli(['switch-env', '--status', '--json', '--env', 'production'])).json().data.stamp.state;
      await db.query(`update manage_db.identity set expected_hosts = '{db1.internal}'`);
      expect(await state()).to.equal('copy');
      await db.query(`update manage_db.identity set expected_hosts = '{db1.internal,127.0.0.1}'`);
      expect(await state()).to.equal('trusted');
      await db.query(`update manage_db.identity set system_identifier = '1'`);
      expect(await state()).to.equal('upgraded');
      const destroy = ['drop-all-tables', '--env', 'production', ...ceremony('DROP_ALL_TABLES'), '--json'];
      expect((await workspace.cli(destroy, OVERRIDE)).json().error?.code).to.equal('STAMP_REQUIRED');
      await db.query(`update manage_db.identity set expected_hosts = '{}'`);
      expect(await state()).to.equal('copy');
    });

    it('creates and restores a missing production with the ceremony, and not without', async () => {
      workspace.write({ 'migrations/1_core.sql': '-- migrate:up\ncreate table public.patients (id int primary key);' });
      const name = `missing_${randomBytes(4).toString('hex')}`;
      asProduction(testUrl(name));
      try {
        const initialize = ['initialize-db', '--env', 'production', '--json'];
        expect((await workspace.cli([...initialize, '--yes'], OVERRIDE)).json().error?.code).to.equal(
          'CONFIRMATION_REQUIRED',
        );
        const whole = [...initialize, ...ceremony('INITIALIZE_DB', name)];
        expect((await workspace.cli(whole)).json().error?.code).to.equal('KILL_SWITCH');
        const created = (await workspace.cli(whole, OVERRIDE)).json();
        expect(created.error).to.equal(null);
        expect(created.data).to.include({ databaseCreated: true });
        const status = (await workspace.cli(['switch-env', '--status', '--json', '--env', 'production'])).json();
        expect(status.data.stamp.state).to.equal('trusted');

        expect((await workspace.cli(['create-backup', '--env', 'production'])).code).to.equal(0);
        await dropDatabase(name);
        const restore = ['restore-backup', 'latest', '--env', 'production', '--json'];
        expect((await workspace.cli([...restore, '--yes'], OVERRIDE)).json().error?.code).to.equal(
          'CONFIRMATION_REQUIRED',
        );
        const restored = (await workspace.cli([...restore, ...ceremony('RESTORE_BACKUP', name)], OVERRIDE)).json();
        expect(restored.error).to.equal(null);
        const after = (await workspace.cli(['switch-env', '--status', '--json', '--env', 'production'])).json();
        expect(after.data.stamp.state).to.equal('trusted');
        expect(after.data.stamp.stamp.lineage[0]).to.include({ became: 'restored', reason: 'ticket 4711' });
        expect((await workspace.cli(['verify-operation-log', '--env', 'production'])).code).to.equal(0);
        const { data } = (await workspace.cli(['show-operation-log', '--env', 'production', '--json'])).json();
        const restores = data.entries.filter((entry: { operation: string }) => entry.operation === 'restore-backup');
        expect(restores.map((entry: { event: string }) => entry.event).sort()).to.deep.equal([
          'attempted',
          'denied',
          'succeeded',
        ]);
      } finally {
        await dropDatabase(name);
      }
    });
  });

  describe('and its kill switch', () => {
    beforeEach(async () => {
      asDevelopment();
      await stampFor(workspace, 'development');
    });
    const apply = () => workspace.run(() => applyTriggers({ env: 'development' }));

    it('is engaged by one process, and the next operation of another is refused until it is released', async () => {
      expect(await apply()).to.have.property('created');
      const noReason = await workspace.cli(['kill-switch', 'engage', '--json']);
      expect([noReason.code, noReason.json().error?.code]).to.deep.equal([2, 'CONFIRMATION_REQUIRED']);
      const engaged = await workspace.cli(['kill-switch', 'engage', '--reason', 'corrupt invoices', '--for', '2h']);
      expect(engaged.code).to.equal(0);

      const blocked = await failure(apply());
      expect(blocked).to.include({ code: 'KILL_SWITCH', exitCode: 2 });
      expect(blocked.message).to.contain('corrupt invoices').and.contain('No override passes');
      const overridden = withKillSwitchOverride({ confirmation: `EXECUTE APPLY_DB_TRIGGERS ON ${db.name}` }, apply);
      expect(await failure(overridden)).to.include({ code: 'KILL_SWITCH' });
      expect(await workspace.run(() => killSwitchStatus())).to.deep.include({ isLocked: true, isOn: false });

      const { released } = await workspace.run(() => releaseKillSwitch());
      expect(released.map(({ reason }) => reason)).to.deep.equal(['corrupt invoices']);
      expect(await apply()).to.have.property('unchanged');
      expect((await logged(db)).map(({ event, operation }) => `${operation} ${event}`)).to.include.members([
        'apply-db-triggers denied',
        'engage-kill-switch denied',
        'engage-kill-switch succeeded',
        'release-kill-switch succeeded',
      ]);
    });

    it('ends an engagement by itself when it has expired', async () => {
      await workspace.run(() => engageKillSwitch({ consent: { reason: 'a moment' }, expiresInMs: 60_000 }));
      expect(await failure(apply())).to.include({ code: 'KILL_SWITCH' });
      await db.query(
        `update manage_db.kill_switch set engaged_at = now() - interval '2 hours', expires_at = now() - interval '1 second'`,
      );
      expect(await apply()).to.have.property('created');
    });

    it('wants the override where the settings switch it on, and none that has expired', async () => {
      workspace.write({
        'manage_db.config.json': JSON.stringify({ killSwitch: { environments: ['development'] } }),
      });
      const consent = { confirm: `EXECUTE APPLY_DB_TRIGGERS ON ${db.name}` };
      const work = () => workspace.run(() => applyTriggers({ env: 'development', consent }));
      expect(await failure(work())).to.include({ code: 'KILL_SWITCH' });
      expect(await withKillSwitchOverride({ reason: 'why' }, work)).to.have.property('created');

      const late = withKillSwitchOverride({ expiresInMs: 50 }, async () => {
        await new Promise((resolve) => setTimeout(resolve, 60));
        return work();
      });
      expect(await failure(late)).to.include({ code: 'KILL_SWITCH' });
      let left = (): Promise<unknown> => Promise.resolve();
      await withKillSwitchOverride({}, async () => {
        left = AsyncResource.bind(work);
      });
      expect(await failure(left()), 'what was left running when the override ended').to.include({
        code: 'KILL_SWITCH',
      });

      const line = ['apply-db-triggers', '--env', 'development', '--confirm', consent.confirm, '--json'];
      expect((await workspace.cli(line, OVERRIDE)).json().error).to.equal(null);
      const expired = await workspace.cli(line, {
        env: { KILL_SWITCH_OVERRIDE: 'true', KILL_SWITCH_OVERRIDE_UNTIL: '2026-01-01T00:00:00Z' },
      });
      expect(expired.json().error?.code).to.equal('KILL_SWITCH');
      expect(expired.stderr).to.contain('expired');
      workspace.write({
        '.env': 'KILL_SWITCH_OVERRIDE=true\n',
        '.env.development.local': 'KILL_SWITCH_OVERRIDE=true\n',
      });
      expect((await workspace.cli(line)).json().error?.code, 'never from a file').to.equal('KILL_SWITCH');
    });

    it('takes the text of the configured pattern, and tells the configured logger', async () => {
      workspace.write({
        'manage_db.config.mjs': `
          import { appendFileSync } from 'node:fs';
          export default { killSwitch: {
            environments: ['development'],
            confirmationPattern: ({ operation, database }) => 'yes, ' + operation + ' ' + database,
            logger: (event) => appendFileSync('events.jsonl', JSON.stringify(event) + '\\n'),
          } };`,
      });
      const line = ['apply-db-triggers', '--env', 'development', '--json'];
      expect(
        (await workspace.cli([...line, '--confirm', `EXECUTE APPLY_DB_TRIGGERS ON ${db.name}`], OVERRIDE)).code,
      ).to.equal(2);
      expect((await workspace.cli([...line, '--confirm', `yes, APPLY_DB_TRIGGERS ${db.name}`])).code).to.equal(2);
      expect(
        (await workspace.cli([...line, '--confirm', `yes, APPLY_DB_TRIGGERS ${db.name}`], OVERRIDE)).code,
      ).to.equal(0);
      const events = readFileSync(`${workspace.root}/events.jsonl`, 'utf8').trim().split('\n');
      expect(events.map((event) => JSON.parse(event).outcome)).to.deep.equal(['blocked', 'overridden']);
    });

    it('lets a running operation end when its window closes, and refuses the next one', async () => {
      const windows = (text: object) =>
        workspace.write({
          'manage_db.config.json': JSON.stringify({ killSwitch: { environments: ['development'], ...text } }),
        });
      const always = { from: '00:00', to: '24:00', timeZone: 'Europe/Berlin' };
      windows({ openWindows: [always] });
      const line = [
        'drop-all-tables',
        '--env',
        'development',
        '--confirm',
        `EXECUTE DROP_ALL_TABLES ON ${db.name}`,
        '--json',
      ];
      await withClient(db.url, async (blocker) => {
        await blocker.query('begin; lock table public.patients');
        const running = workspace.cli(line, OVERRIDE);
        await untilWaiting(blocker);
        windows({ openWindows: [always], lockedWindows: [always] });
        const next = (await workspace.cli(line, OVERRIDE)).json();
        expect(next.error?.code).to.equal('KILL_SWITCH');
        expect(next.error?.message).to.contain('Europe/Berlin');
        await blocker.query('commit');
        expect((await running).json().error).to.equal(null);
      });
    });
  });

  it('is frictionless on the embedded server: nothing is asked, and everything is on record', async () => {
    const own = scratchWorkspace({
      'migrations/1_core.sql': '-- migrate:up\ncreate table notes (id int primary key);',
    });
    try {
      for (const line of [
        ['initialize-db'],
        ['drop-all-tables'],
        ['reset-database'],
        ['apply-db-triggers'],
        ['create-backup'],
        ['restore-backup', 'latest', '--disconnect-users'],
      ]) {
        const { code, stderr } = await own.cli(line);
        expect(code, `${line.join(' ')}\n${stderr}`).to.equal(0);
      }
      const { data } = (await own.cli(['show-operation-log', '--json'])).json();
      expect(new Set(data.entries.map((entry: { operation: string }) => entry.operation))).to.deep.equal(
        new Set([
          'initialize-db',
          'drop-all-tables',
          'reset-database',
          'apply-db-triggers',
          'create-backup',
          'restore-backup',
        ]),
      );
      expect((await own.cli(['verify-operation-log'])).code).to.equal(0);
    } finally {
      await own.cli(['embedded-db', 'stop']);
      removeServerData(readEmbeddedEndpoint(own.root)?.dataDirectory ?? '');
      await own.remove();
    }
  });

  it('lets a viewer look and nothing else, by the command line, the library or psql', async () => {
    const login = `viewer_${randomBytes(4).toString('hex')}`;
    asDevelopment();
    await stampFor(workspace, 'development');
    await db.query(`
      create function public.tidy() returns trigger language plpgsql as 'begin return new; end';
      create trigger tidy before insert on public.patients for each row execute function public.tidy();
      create role ${login} login password 'pw'`);
    const theirUrl = testUrl(db.name, { user: login, password: 'pw' });
    const theirs = scratchWorkspace({ '.env.development': `DATABASE_URL=${theirUrl}\n` });
    try {
      expect((await workspace.cli(['setup-db-roles'])).code).to.equal(0);
      expect((await workspace.cli(['grant-db-role', 'viewer', login])).code).to.equal(0);
      for (const line of [
        ['drop-db-trigger', 'tidy', '--table', 'public.patients', '--yes'],
        ['disable-db-trigger', 'tidy', '--table', 'public.patients', '--reason', 'x'],
        ['drop-all-tables', '--yes'],
        ['kill-switch', 'engage', '--reason', 'x'],
      ]) {
        const { code, json } = await theirs.cli([...line, '--json']);
        expect([code, json().error?.code], line.join(' ')).to.deep.equal([2, 'PERMISSION_DENIED']);
      }
      const error = await failure(theirs.run(() => dropAllTables({ consent: { yes: true } })));
      expect(error).to.be.instanceOf(PermissionError);
      expect((await theirs.cli(['whoami', '--json'])).json().data).to.include({ login, level: 'viewer' });
      for (const sql of [
        'drop trigger tidy on public.patients',
        `delete from manage_db.operation_log`,
        `update manage_db.identity set environment = 'development'`,
        `insert into manage_db.kill_switch (actor, reason) values ('x', 'y')`,
        `update manage_db.access_roles set role_name = session_user`,
        `select manage_db.set_trigger_mode('public', 'patients', 'tidy', 'disabled', gen_random_uuid(), 'x')`,
        `select manage_db.engage_kill_switch('x', 'y', null)`,
      ]) {
        const denied = await withClient(theirUrl, (client) => client.query(sql)).catch((thrown) => thrown);
        expect(denied.code, sql).to.equal('42501');
      }
      // a viewer writes nothing: not the log either, whose end would be theirs until they commit
      const denied = async () => (await logged(db)).filter(({ code }) => code === 'PERMISSION_DENIED');
      expect(await denied()).to.deep.equal([]);
      expect((await workspace.cli(['grant-db-role', 'operator', login])).code).to.equal(0);
      expect((await theirs.cli(['kill-switch', 'engage', '--reason', 'x', '--for', '1m'])).code).to.equal(0);
      expect(await denied()).to.have.length(5);
    } finally {
      await theirs.remove();
      await db.query(`drop owned by ${login}; drop role ${login}`);
    }
  });

  it('gives the owner of a database no way to the rights of whoever has made the schema manage_db', async () => {
    asDevelopment();
    await stampFor(workspace, 'development');
    const owner = await scratchLogin('owner');
    await db.query(`alter database ${db.name} owner to ${owner.user}; grant create on schema public to ${owner.user}`);
    try {
      await withClient(testUrl(db.name, owner), async (client) => {
        await client.query(`create function public.f() returns trigger language plpgsql as 'begin return null; end'`);
        for (const table of ['operation_log', 'operation_log_head', 'kill_switch', 'identity', 'trigger_registry']) {
          const planting = client.query(
            `create trigger aaa before insert on manage_db.${table} for each row execute function public.f()`,
          );
          expect((await planting.catch((thrown) => thrown)).code, table).to.equal('42501');
        }
        for (const sql of [
          'insert into manage_db.operation_log_head (id) values (0)',
          'update manage_db.operation_log_head set id = 0',
        ]) {
          expect((await client.query(sql).catch((thrown) => thrown)).code, sql).to.equal('42501');
        }
      });
    } finally {
      await db.drop();
      await dropLogins(owner);
    }
  });

  it('executes no operator that the owner of a database has put before those of PostgreSQL', async () => {
    asDevelopment();
    await stampFor(workspace, 'development');
    const types = ['name', 'text', '"char"', 'oid', 'integer', 'bigint', 'boolean', 'smallint'];
    await db.query(`create schema evil; grant all on schema evil to public`);
    for (const [index, left] of types.entries()) {
      for (const right of types) {
        const same =
          left === right ||
          ['oid', 'integer', 'bigint'].includes(left) === ['oid', 'integer', 'bigint'].includes(right);
        if (!same) continue;
        await db.query(`
          create function evil.eq${index}(${left}, ${right}) returns boolean language plpgsql as $f$ begin
            raise log 'operator executed: ${left.replaceAll('"', '')} ${right.replaceAll('"', '')}';
            raise exception 'operator executed: ${left.replaceAll('"', '')} ${right.replaceAll('"', '')}';
            return $1::text operator(pg_catalog.=) $2::text; end $f$;
          create operator evil.= (leftarg = ${left}, rightarg = ${right}, function = evil.eq${index});
          create operator evil.<> (leftarg = ${left}, rightarg = ${right}, function = evil.eq${index})`);
      }
    }
    await db.query(`alter database ${db.name} set search_path = evil, pg_catalog, public`);
    const trap = await withClient(db.url, (client) => client.query(`select 'a'::name = 'b'::name`)).catch(
      (error) => error,
    );
    expect(trap.message, 'the trap works').to.equal('operator executed: name name');
    for (const line of [
      ['kill-switch', 'status'],
      ['whoami'],
      ['check-database'],
      ['inspect-db'],
      ['create-backup'],
      ['show-operation-log'],
      ['verify-operation-log'],
      ['switch-env', '--status'],
      ['list-db-triggers'],
      ['setup-db-roles'],
      ['apply-db-triggers'],
      ['drop-all-tables', '--yes'],
    ]) {
      const { code, stdout, stderr } = await workspace.cli(line);
      expect([code, `${stdout}${stderr}`.match(/operator executed.*/)?.[0]], line.join(' ')).to.deep.equal([
        0,
        undefined,
      ]);
    }
    const { rows } = await db.query('select count(*)::integer from manage_db.operation_log');
    expect(rows).to.deep.equal([{ count: 10 }]);
  });

  it('engages while somebody holds the log, and lets nothing protected be changed without a record', async () => {
    asProduction();
    await stampFor(workspace, 'production');
    await withClient(db.url, async (holder) => {
      await holder.query('begin; select from manage_db.operation_log_head for update');
      const dropping = await workspace.cli(
        ['drop-all-tables', '--env', 'production', '--json', ...ceremony('DROP_ALL_TABLES')],
        OVERRIDE,
      );
      expect([dropping.code, dropping.json().error?.code]).to.deep.equal([5, 'LOCK_TIMEOUT']);
      expect(dropping.json().error?.message).to.contain('could not be written into the operation log');
      const engaging = await workspace.cli([
        'kill-switch',
        'engage',
        '--env',
        'production',
        '--reason',
        'stop',
        '--for',
        '1m',
      ]);
      expect(engaging.code, engaging.stderr).to.equal(0);
      await holder.query('rollback');
    });
    expect(await patients(db)).to.equal(1);
    expect((await workspace.cli(['kill-switch', 'status', '--env', 'production', '--json'])).json().data).to.include({
      isLocked: true,
    });
  });

  it('takes no database that others are copied from, unless that is said', async () => {
    await onServer((server) => server.query(`alter database ${db.name} with is_template true`));
    await db.query('drop table public.patients');
    try {
      asDevelopment();
      const { code, json } = await workspace.cli(['initialize-db', '--json']);
      expect([code, json().error?.code]).to.deep.equal([2, 'STAMP_REQUIRED']);
    } finally {
      await onServer((server) => server.query(`alter database ${db.name} with is_template false`));
    }
  });

  it('takes no text from a configured pattern that would do for every database', async () => {
    asProduction();
    await stampFor(workspace, 'production');
    for (const body of [`() => ''`, `() => 'yes'`, `() => { throw new Error('boom'); }`, '() => 7']) {
      workspace.write({ 'manage_db.config.mjs': `export default { killSwitch: { confirmationPattern: ${body} } };` });
      const { code, json } = await workspace.cli(
        ['drop-all-tables', '--env', 'production', '--confirm', '', '--reason', 'x', '--json'],
        OVERRIDE,
      );
      expect([code, json().error?.code], body).to.deep.equal([2, 'INVALID_CONFIGURATION']);
    }
    expect(await patients(db)).to.equal(1);
  });

  it('gives operators of production their work without a table of their own', async () => {
    const login = `operator_${randomBytes(4).toString('hex')}`;
    asProduction();
    await stampFor(workspace, 'production');
    await db.query(`
      create function public.tidy() returns trigger language plpgsql as 'begin return new; end';
      create trigger tidy before insert on public.patients for each row execute function public.tidy();
      create role ${login} login password 'pw'`);
    const theirs = scratchWorkspace({
      '.env.production': `DATABASE_URL=${testUrl(db.name, { user: login, password: 'pw' })}\n`,
    });
    const production = ['--env', 'production', '--json'];
    const mode = async () =>
      (await db.query<{ mode: string }>(`select tgenabled::text as mode from pg_trigger where tgname = 'tidy'`)).rows[0]
        ?.mode;
    try {
      expect(
        (await workspace.cli(['setup-db-roles', ...production, ...ceremony('SETUP_DB_ROLES')], OVERRIDE)).json().error,
      ).to.equal(null);
      expect(
        (
          await workspace.cli(
            ['grant-db-role', 'operator', login, ...production, ...ceremony('GRANT_DB_ROLE')],
            OVERRIDE,
          )
        ).json().error,
      ).to.equal(null);
      const disable = ['disable-db-trigger', 'tidy', '--table', 'public.patients', ...production];
      expect((await theirs.cli(disable)).json().error?.code).to.equal('KILL_SWITCH');
      expect((await theirs.cli([...disable, ...ceremony('DISABLE_DB_TRIGGER')], OVERRIDE)).json().error).to.equal(null);
      expect(await mode()).to.equal('D');
      const drop = [
        'drop-db-trigger',
        'tidy',
        '--table',
        'public.patients',
        ...production,
        ...ceremony('DROP_DB_TRIGGER'),
      ];
      expect((await theirs.cli(drop, OVERRIDE)).json().error?.code).to.equal('PERMISSION_DENIED');
    } finally {
      await theirs.remove();
      await db.query(`drop owned by ${login}; drop role ${login}`);
    }
  });

  it('asks for a reason also where nothing is protected, if the settings want one', async () => {
    asDevelopment();
    await withClient(db.url, (client) => stampAs(client, 'development'));
    workspace.write({
      'manage_db.config.json': JSON.stringify({
        environments: { development: { security: { reasonRequired: true } } },
      }),
    });
    const without = await workspace.cli(['drop-all-tables', '--yes', '--json']);
    expect([without.code, without.json().error?.code]).to.deep.equal([2, 'CONFIRMATION_REQUIRED']);
    expect(without.json().error?.hint).to.equal('The same again with --reason "…"');
    expect((await workspace.cli(['drop-all-tables', '--yes', '--reason', 'begin anew'])).code).to.equal(0);
    const { rows } = await db.query(`select reason from manage_db.operation_log where event = 'succeeded'`);
    expect(rows).to.deep.equal([{ reason: 'begin anew' }]);
  });

  it('shows nothing of what others have written that a terminal would obey', async () => {
    asDevelopment();
    await withClient(db.url, (client) => stampAs(client, 'development'));
    await db.query(`select manage_db.engage_kill_switch(e'anna\\x1b[2J', e'why\\x1b]0;title\\x07\\x1b[8m', null)`);
    await db.query(`update manage_db.identity set stamped_by = e'bob\\x1b[2J'`);
    for (const command of [
      ['kill-switch', 'status'],
      ['switch-env', '--status'],
      ['reset-database', '--yes'],
    ]) {
      const { stdout, stderr } = await workspace.cli(command, { env: { FORCE_COLOR: '1' } });
      expect(`${stdout}${stderr}`, command.join(' ')).to.match(/\\u\{1b\}\[2J/);
      expect(`${stdout}${stderr}`.split('\u001b[2J'), command.join(' ')).to.have.length(1);
      expect(`${stdout}${stderr}`.split('\u001b[8m'), command.join(' ')).to.have.length(1);
    }
  });

  it('writes down a refusal also when the database cannot be reached', async () => {
    asProduction(testUrl(db.name).replace(`:${testServer().port}/`, ':1/'));
    const drop = ['drop-all-tables', '--env', 'production', '--json'];
    const refused = await workspace.cli([...drop, '--yes']);
    expect([refused.code, refused.json().error?.code]).to.deep.equal([2, 'KILL_SWITCH']);
    const meant = await workspace.cli([...drop, ...ceremony('DROP_ALL_TABLES')], OVERRIDE);
    expect([meant.code, meant.json().error?.code]).to.deep.equal([1, 'CONNECTION_REFUSED']);
    const folder = join(workspace.root, '.manage_db/operation-log/pending');
    const pending = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
    expect(pending.map(({ event, operation }) => `${operation} ${event}`)).to.deep.equal(['drop-all-tables denied']);
  });

  it('takes only texts for consent, whatever a JavaScript caller gives', async () => {
    asProduction();
    await stampFor(workspace, 'production');
    const confirm = `EXECUTE DROP_ALL_TABLES ON ${db.name}`;
    for (const consent of [
      { yes: 'true', confirm: [confirm], reason: 'x' },
      { confirm: { toString: () => confirm }, reason: 'x' },
      { confirm, reason: 5 },
      { confirm, reason: ['x'] },
    ]) {
      const options = { env: 'production', consent: consent as object };
      const drop = withKillSwitchOverride({}, () => workspace.run(() => dropAllTables(options)));
      expect(await failure(drop), JSON.stringify(consent)).to.include({ code: 'CONFIRMATION_REQUIRED' });
    }
    expect(await patients(db)).to.equal(1);
  });

  it('executes nothing out of a schema manage_db that a stranger has made', async () => {
    const login = `stranger_${randomBytes(4).toString('hex')}`;
    await db.query(`create role ${login} login password 'pw'; grant create on database ${db.name} to ${login}`);
    asDevelopment();
    try {
      await withClient(testUrl(db.name, { user: login, password: 'pw' }), (client) =>
        client.query(`
          create schema manage_db; grant usage on schema manage_db to public;
          create table manage_db.identity (environment text); create table manage_db.kill_switch (id int);
          create table manage_db.access_roles (level text, role_name name);
          grant select on all tables in schema manage_db to public;
          create function manage_db.open_kill_switch() returns setof manage_db.kill_switch language plpgsql
            as $$ begin perform set_config('test.trap', session_user, false); raise 'sprung'; end $$;
          create function manage_db.append_operation(entry jsonb) returns bigint language plpgsql as $$ begin raise 'sprung'; end $$`),
      );
      const error = await failure(workspace.run(() => dropAllTables({ env: 'development', consent: { yes: true } })));
      expect(error).to.include({ code: 'STAMP_REQUIRED' });
      const stamped = await failure(
        workspace.run(() =>
          stampDatabase({
            env: 'development',
            consent: { confirm: `EXECUTE STAMP_DATABASE ON ${db.name}`, reason: 'x' },
          }),
        ),
      );
      expect(stamped).to.be.instanceOf(PermissionError);
      expect(stamped.message).to.contain('belongs to somebody');
    } finally {
      await workspace.remove();
      await db.query(`drop owned by ${login} cascade; drop role ${login}`);
    }
  });

  it('does not let an override pass that has expired while a question was open', async () => {
    asProduction();
    await stampFor(workspace, 'production');
    const confirm = `EXECUTE DROP_ALL_TABLES ON ${db.name}`;
    const ask = async () => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      return { confirm, reason: 'x' };
    };
    const late = withKillSwitchOverride({ expiresInMs: 300 }, () =>
      workspace.run(() => dropAllTables({ env: 'production', ask })),
    );
    expect(await failure(late)).to.include({ code: 'KILL_SWITCH' });
    expect(await patients(db)).to.equal(1);
  });

  it('keeps secrets out of every record of a reason', async () => {
    asDevelopment();
    await stampFor(workspace, 'development');
    await db.query(`
      create function public.tidy() returns trigger language plpgsql as 'begin return new; end';
      create trigger tidy before insert on public.patients for each row execute function public.tidy()`);
    const consent = { reason: 'see postgresql://u:canary-77@h/d' };
    await workspace.run(() => disableTrigger({ env: 'development', table: 'patients', name: 'tidy', consent }));
    await workspace.run(() => engageKillSwitch({ env: 'development', consent }));
    await workspace.run(() => releaseKillSwitch({ env: 'development', consent }));
    await workspace.run(() => stampDatabase({ env: 'development', consent: { ...consent, yes: true } }));
    const { rows } = await db.query<{ line: string }>(`
      select l::text as line from manage_db.operation_log l union all select k::text from manage_db.kill_switch k
      union all select i::text from manage_db.identity i`);
    expect(rows.length).to.be.greaterThan(8);
    expect(rows.map(({ line }) => line).join('\n')).not.to.contain('canary-77');
  });

  it('does not wait for ever for somebody who holds its records', async () => {
    asDevelopment();
    await stampFor(workspace, 'development');
    await withClient(db.url, async (blocker) => {
      await blocker.query('begin; lock table manage_db.identity');
      const { code, json } = await workspace.cli(['drop-all-tables', '--yes', '--json']);
      expect([code, json().error?.code]).to.deep.equal([5, 'LOCK_TIMEOUT']);
    });
    expect(await patients(db)).to.equal(1);
  });

  it('is not fooled by operators that somebody puts before those of PostgreSQL', async () => {
    asProduction();
    await stampFor(workspace, 'production');
    await db.query(`
      create schema trick;
      create function trick.same(text, text) returns boolean language sql as 'select true';
      create operator trick.= (leftarg = text, rightarg = text, function = trick.same);
      create function trick.none(name, name) returns boolean language sql as 'select false';
      create operator trick.= (leftarg = name, rightarg = name, function = trick.none);
      do $$ begin execute format('alter database %I set search_path = trick, pg_catalog', current_database()); end $$`);
    const drop = ['drop-all-tables', '--env', 'production', '--yes', '--json'];
    expect((await workspace.cli(drop, OVERRIDE)).json().error?.code).to.equal('CONFIRMATION_REQUIRED');
  });

  it('does not overwrite a stamp that somebody else has set since it was looked at', async () => {
    asDevelopment();
    await stampFor(workspace, 'development');
    const meanwhile = () =>
      spawnSync('/bin/sh', [
        '-c',
        `psql '${db.url}' -qc "update manage_db.identity set environment = 'testing', stamped_by = 'bob'"`,
      ]);
    const options = { env: 'development', consent: { yes: true }, onTarget: () => void meanwhile() };
    expect(await failure(workspace.run(() => stampDatabase(options)))).to.include({ code: 'STAMP_MISMATCH' });
  });
});
