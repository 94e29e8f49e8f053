import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { escapeIdentifier } from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { readStampStatus } from '../../../app/core/db-operations/stamp.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { withKillSwitchOverride } from '../../../app/core/safety/override.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../../app/services/embedded-postgres.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { removeServerData } from '../../support/server-data.js';
import { stampAs } from '../../support/stamp.js';
import { HOSTILE_ROLES, HOSTILE_SEARCH_PATH, hostileDatabase } from './round-trip/hostile-database.js';
import { expectSame, readWholeState } from './round-trip/whole-state.js';

describe('restoring a backup of one environment into another, on another server', () => {
  let away: { readonly workspace: string; readonly dataDirectory: string };
  /** Of a database on the other server. */
  let urlAway: (database: string) => string;
  before(async () => {
    const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-away-')));
    chmodSync(workspace, 0o755);
    const { host, port, user, password, dataDirectory } = await startEmbeddedServer(workspace);
    away = { workspace, dataDirectory };
    urlAway = (database) => `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
  });
  after(async () => {
    await stopEmbeddedServer(away.workspace);
    removeServerData(away.dataDirectory);
    rmSync(away.workspace, { recursive: true, force: true });
  });

  let home: ScratchDatabase;
  let workspace: ScratchWorkspace;
  const onAway = (database: string, sql: string) => withClient(urlAway(database), (client) => client.query(sql));

  /** `home` is the database of `from`, here; `clinic_away` that of `to`, on the other server, with one patient of its own. */
  const between = async (from: 'testing' | 'production', to: 'testing' | 'production') => {
    await withClient(home.url, (client) => stampAs(client, from));
    await onAway('postgres', 'create database clinic_away');
    await onAway('clinic_away', `create table patients (id int primary key); insert into patients values (99)`);
    await withClient(urlAway('clinic_away'), (client) => stampAs(client, to));
    const file = (env: string, url: string) => ({ [`.env.${env}`]: `${env.toUpperCase()}_DATABASE_URL=${url}\n` });
    workspace.write({ ...file(from, home.url), ...file(to, urlAway('clinic_away')) });
  };
  beforeEach(async () => {
    home = await scratchDatabase(`
      create table patients (id int primary key); insert into patients select generate_series(1, 10)`);
    workspace = scratchWorkspace();
  });
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(home.name);
    for (const database of await databasesAway()) await onAway('postgres', `drop database ${database} with (force)`);
  });

  const backup = (env: string) => workspace.run(() => backupDatabase({ env }));
  const restore = (fromEnvironment: string, env: string, options: Partial<RestoreOptions> = {}) =>
    workspace.run(() =>
      withKillSwitchOverride({}, () =>
        restoreDatabase({ env, fromEnvironment, id: 'latest', consent: { yes: true, reason: 'a test' }, ...options }),
      ),
    );
  const failure = (work: Promise<unknown>): Promise<ManageDbError> =>
    work.then(
      () => expect.fail('it succeeded'),
      (error: ManageDbError) => error,
    );
  const ids = async (): Promise<number[]> =>
    (await onAway('clinic_away', 'select id from patients order by id')).rows.map(({ id }) => id);
  const databasesAway = async (): Promise<string[]> =>
    (await onAway('postgres', `select datname from pg_database where datname !~ '^(template|postgres)'`)).rows.map(
      ({ datname }) => datname,
    );
  const status = async (env: string) => (await workspace.run(() => readStampStatus(env))).status;
  const typed = (operation: string) => ({
    consent: { confirm: `EXECUTE ${operation} ON clinic_away`, reason: 'a test' },
  });

  for (const method of ['swap', 'transaction'] as const) {
    it(`brings an open one's rows into a protected one by ${method}, behind the gate of that one`, async () => {
      await between('testing', 'production');
      const { id } = await backup('testing');
      expect((await failure(restore('testing', 'production', { method }))).code).to.equal('CONFIRMATION_REQUIRED');
      expect(await ids()).to.deep.equal([99]);
      const result = await restore('testing', 'production', { method, ...typed('RESTORE_BACKUP') });
      expect(result).to.include({ id, fromEnvironment: 'testing', environment: 'production', database: 'clinic_away' });
      expect(await ids()).to.have.length(10);
      expect(await status('production')).to.include({ state: 'trusted' });
      expect((await status('production'))?.stamp).to.include({ environment: 'production', protected: true });
      const { entries } = await workspace.run(() => showOperationLog({ env: 'production', limit: 10 }));
      expect(entries.map(({ operation, event }) => `${operation} ${event}`).reverse()).to.deep.equal([
        'restore-backup denied',
        'restore-backup attempted',
        'restore-backup succeeded',
      ]);
      expect(await workspace.run(() => verifyOperationLog({ env: 'production' }))).to.include({ ok: true });
    });

    it(`brings a protected one's rows into an open one by ${method} only --unmasked, with the whole ceremony`, async () => {
      await between('production', 'testing');
      await backup('production');
      const refused = await failure(restore('production', 'testing', { method }));
      expect(refused).to.include({ code: 'PROTECTED_ENVIRONMENT', exitCode: 2 });
      expect(refused.hint).to.include('--unmasked');
      const asks = await failure(restore('production', 'testing', { method, unmasked: true }));
      expect(asks.code).to.equal('CONFIRMATION_REQUIRED');
      expect(asks.hint).to.include('EXECUTE RESTORE_UNMASKED_BACKUP ON clinic_away').and.include('--reason');
      expect(await ids()).to.deep.equal([99]);
      const result = await restore('production', 'testing', {
        method,
        unmasked: true,
        ...typed('RESTORE_UNMASKED_BACKUP'),
      });
      expect(await ids()).to.have.length(10);
      expect(result.warnings.join()).to.include('counts as protected from now on');
      // it is still the database of testing, and as dangerous to lose or to show as that of production
      expect((await status('testing'))?.stamp).to.include({
        environment: 'testing',
        protected: true,
        killSwitch: true,
      });
      expect((await failure(restore('testing', 'testing'))).code).to.be.oneOf([
        'CONFIRMATION_REQUIRED',
        'PROTECTED_ENVIRONMENT',
      ]);
    });
  }

  it("counts a database as protected that got a protected one's tables in place", async () => {
    await between('production', 'testing');
    await backup('production');
    const part = { inPlace: true, tables: ['patients'] };
    expect((await failure(restore('production', 'testing', part))).code).to.equal('PROTECTED_ENVIRONMENT');
    const result = await restore('production', 'testing', {
      ...part,
      unmasked: true,
      ...typed('RESTORE_UNMASKED_BACKUP'),
    });
    expect(await ids()).to.have.length(10);
    expect(result.warnings.join()).to.include('counts as protected from now on');
    expect(result.inPlace?.undo).to.include('--env testing');
    expect((await status('testing'))?.stamp).to.include({
      environment: 'testing',
      protected: true,
      killSwitch: true,
      reason: 'a test',
    });
    expect((await status('testing'))?.state).to.equal('trusted');
  });

  it('leaves the stamp as it is where the tables come from an open one', async () => {
    await between('testing', 'production');
    await backup('testing');
    const before = (await status('production'))?.stamp;
    const part = { inPlace: true, tables: ['patients'] };
    const result = await restore('testing', 'production', { ...part, ...typed('RESTORE_BACKUP') });
    expect(await ids()).to.have.length(10);
    expect((await status('production'))?.stamp).to.deep.equal(before);
    expect(result.warnings.join()).to.not.include('counts as protected');
  });

  it('counts what was stamped as protected, whatever the settings of its environment say', async () => {
    await between('testing', 'production');
    await withClient(home.url, (client) => client.query('update manage_db.identity set protected = true'));
    await backup('testing');
    workspace.write({ '.env.development': `DEVELOPMENT_DATABASE_URL=${urlAway('clinic_new')}\n` });
    expect((await failure(restore('testing', 'development'))).code).to.equal('PROTECTED_ENVIRONMENT');
    expect(await databasesAway()).to.deep.equal(['clinic_away']);
  });

  it('lists the roles that the other server does not have, and creates nothing', async () => {
    await between('testing', 'production');
    await home.query(`create role clinic_nurse nologin; grant select on patients to clinic_nurse`);
    try {
      await backup('testing');
      const error = await failure(restore('testing', 'production', typed('RESTORE_BACKUP')));
      expect(error.code).to.equal('NOT_FOUND');
      expect(error.message).to.include('clinic_nurse').and.include('was not changed');
      await onAway('postgres', 'create role clinic_nurse nologin');
      await restore('testing', 'production', typed('RESTORE_BACKUP'));
      expect(await ids()).to.have.length(10);
    } finally {
      await home.query('drop owned by clinic_nurse; drop role clinic_nurse');
      await onAway('clinic_away', 'drop owned by clinic_nurse; drop role clinic_nurse');
    }
  });

  it('rehearses the definitions without a row, and lists everything that cannot be created', async () => {
    await between('testing', 'production');
    await home.query(`
      create collation elsewhere (provider = libc, locale = 'C');
      update pg_collation set collcollate = 'xx_YY.utf8', collctype = 'xx_YY.utf8' where collname = 'elsewhere';
      create table notes (text text collate elsewhere);
      create function spoken() returns int language internal as 'int4in';
      update pg_proc set prosrc = 'no_such_function_here' where proname = 'spoken'`);
    await backup('testing');
    const steps: string[] = [];
    const error = await failure(
      restore('testing', 'production', {
        ...typed('RESTORE_BACKUP'),
        onProgress: ({ step }) => steps.push(step),
      }),
    );
    expect(error.code).to.equal('NOT_FOUND');
    expect(error.message).to.include('COLLATION elsewhere').and.include('xx_YY.utf8');
    expect(error.message).to.include('FUNCTION spoken()').and.include('no_such_function_here');
    expect(error.message).to.include('No row was restored').and.include('was not changed');
    expect(steps).to.include('rehearsing without data').and.not.include('creating a scratch database');
    expect(await databasesAway()).to.deep.equal(['clinic_away']);
    expect(await ids()).to.deep.equal([99]);
  });

  describe('where functions rely on the search_path', () => {
    const roles = HOSTILE_ROLES.map((role) => escapeIdentifier(role));
    beforeEach(async () => {
      await between('testing', 'production');
      for (const role of roles) {
        await onServer((server) => server.query(`create role ${role}`));
        await onAway('postgres', `create role ${role}`);
      }
      await home.query(hostileDatabase());
      await onServer((server) => server.query(`alter database ${home.name} set search_path = ${HOSTILE_SEARCH_PATH}`));
    });
    afterEach(async () => {
      await dropDatabase(home.name);
      await onAway('postgres', 'drop database clinic_away with (force)');
      for (const role of roles) {
        await onServer((server) => server.query(`drop role ${role}`));
        await onAway('postgres', `drop role ${role}`);
      }
    });

    for (const method of ['swap', 'transaction'] as const) {
      it(`rehearses under it and restores by ${method}`, async () => {
        const before = await readWholeState(home.url);
        await backup('testing');
        await restore('testing', 'production', { method, ...typed('RESTORE_BACKUP') });
        await onAway('postgres', `alter database clinic_away set search_path = ${HOSTILE_SEARCH_PATH}`);
        // inside a live database extensions are left as they are
        if (method === 'transaction') await onAway('clinic_away', `comment on extension hstore is 'another'`);
        expectSame(before, await readWholeState(urlAway('clinic_away')));
      });
    }

    it('lists only what cannot be created under it either', async () => {
      await home.query(`
        create function spoken() returns int language internal as 'int4in';
        update pg_proc set prosrc = 'no_such_function_here' where proname = 'spoken'`);
      await backup('testing');
      const error = await failure(restore('testing', 'production', typed('RESTORE_BACKUP')));
      expect(error.details.failures).to.deep.equal([
        'FUNCTION spoken() postgres: there is no built-in function named "no_such_function_here"',
      ]);
      expect(await databasesAway()).to.deep.equal(['clinic_away']);
    });
  });

  it('is a flag of restore-backup, whose text and JSON name both', async () => {
    await between('testing', 'production');
    const { id } = await backup('testing');
    const line = ['restore-backup', 'latest', '--env', 'testing', '--to-env', 'prod'];
    const override = { env: { KILL_SWITCH_OVERRIDE: 'true' } };
    const refused = await workspace.cli(line, override);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.include('--to-env production').and.not.include('--env testing');
    const agreed = [...line, '--confirm', 'EXECUTE RESTORE_BACKUP ON clinic_away', '--reason', 'a test'];
    const done = await workspace.cli(agreed, override);
    expect(done.code, done.stderr).to.equal(0);
    expect(done.stderr).to.include('▶ production');
    expect(done.stdout).to.include(`restored for production from backup ${id} of testing`);
    const json = (await workspace.cli([...agreed, '--json'], override)).json();
    expect(json).to.include({ environment: 'production', ok: true });
    expect(json.data).to.include({ id, fromEnvironment: 'testing', environment: 'production' });
  });
});
