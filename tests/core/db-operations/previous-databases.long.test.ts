import { expect } from 'chai';
import pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { engageKillSwitch, killSwitchStatus, releaseKillSwitch } from '../../../app/core/db-operations/kill-switch.js';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { planPruning, pruneBackups } from '../../../app/core/db-operations/prune-backups.js';
import { carryLate, keepRecords } from '../../../app/core/db-operations/restore/keep-records.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { readStampStatus } from '../../../app/core/db-operations/stamp.js';
import {
  listPreviousDatabases,
  type UndoRestoreOptions,
  undoRestore,
} from '../../../app/core/db-operations/undo-restore.js';
import { guarded } from '../../../app/core/safety/gate.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { failureOf } from '../../support/failure-of.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const HOUR = 3_600_000;

describe('previous databases', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase('create table public.patients (id int primary key)');
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    await workspace.run(() => backupDatabase(env));
    await db.query('insert into public.patients values (1)');
  });
  afterEach(async () => {
    await workspace.remove();
    for (const name of await previousNames()) await dropDatabase(name);
    await dropDatabase(db.name);
  });

  const env = { env: 'testing', consent: { yes: true, reason: 'a test' } } as const;
  const restore = (options: Partial<RestoreOptions> = {}) =>
    workspace.run(() => restoreDatabase({ ...env, id: 'latest', ...options }));
  const undo = (options: Partial<UndoRestoreOptions> = {}) => workspace.run(() => undoRestore({ ...env, ...options }));
  const list = async () =>
    (await workspace.run(() => listPreviousDatabases({ env: 'testing' }))).previousDatabases.filter(
      ({ database }) => database === db.name,
    );
  const previousNames = () =>
    onServer(async (server) => {
      const { rows } = await server.query<{ name: string }>(
        `select datname::text as name from pg_database where datname like $1 order by 1`,
        [`${db.name}_previous_%`],
      );
      return rows.map(({ name }) => name);
    });
  const commentOf = (name: string) =>
    onServer(async (server) => {
      const { rows } = await server.query<{ comment: string | null }>(
        `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = $1`,
        [name],
      );
      return rows[0]?.comment ?? null;
    });
  const patients = async (url = db.url) =>
    withClient(url, async (client) => {
      const { rows } = await client.query<{ id: number }>('select id from public.patients order by 1');
      return rows.map(({ id }) => id);
    });
  /** As if its time were over. */
  const letTimePass = async (name: string) => {
    const comment = (await commentOf(name))?.replace(/until \S+/, 'until 2020-01-01T00:00:00.000Z') ?? '';
    await onServer((server) => server.query(`comment on database ${name} is ${pg.escapeLiteral(comment)}`));
  };

  it('go with the backups that are pruned when their time is over, and not before', async () => {
    const first = String((await restore({ keepPrevious: true })).previousDatabase);
    const second = String((await restore({ keepPrevious: true })).previousDatabase);
    await letTimePass(first);
    const plan = () => workspace.run(() => planPruning({ env: 'testing', keepLast: 9 }));
    const [planned] = await plan();
    expect(planned?.overdue.databases.map(({ name }) => name)).to.deep.equal([first]);
    expect(await previousNames()).to.have.members([first, second]);
    const shown = await workspace.cli(['prune-backups', '--env', 'testing', '--keep-last', '9']);
    expect(shown.stdout).to.include(`drop the previous database ${first}`).and.include('Nothing was removed yet');
    const { environments } = await workspace.run(() => pruneBackups({ ...env, keepLast: 9 }));
    expect(environments[0]?.droppedDatabases).to.deep.equal([first]);
    expect(await previousNames()).to.deep.equal([second]);
    expect((await plan())[0]?.overdue).to.deep.equal({ databases: [], unknown: null });
  });

  it('stay when they have logged what the live one has not, which pruning says', async () => {
    const name = String((await restore({ keepPrevious: true })).previousDatabase);
    await withClient(testUrl(name), (client) =>
      client.query(`
        select manage_db.append_operation(jsonb_build_object('entry_id', gen_random_uuid(), 'attempt', gen_random_uuid(),
          'event', 'attempted', 'operation', 'x', 'environment', 'testing', 'database_name', 'x', 'host', 'x', 'port', 1,
          'actor', 'x', 'os_user', 'x', 'client_host', 'x', 'application', 'x', 'tool', 'x', 'arguments', '{}'::jsonb,
          'details', '{}'::jsonb, 'source', 'database'))`),
    );
    await letTimePass(name);
    const pruned = await workspace.cli(['prune-backups', '--env', 'testing', '--keep-last', '9', '--yes']);
    expect(pruned.stdout).to.include(`Kept the previous database ${name}`);
    expect(await previousNames()).to.deep.equal([name]);
  });

  it('are unknown to a plan that cannot reach the server, which it says', async () => {
    workspace.write({ '.env.testing': 'TESTING_DATABASE_URL=postgresql://nobody@127.0.0.1:9/clinic\n' });
    const [planned] = await workspace.run(() => planPruning({ env: 'testing', keepLast: 9 }));
    expect(planned?.kept).to.have.length(1);
    expect(planned?.overdue.unknown).to.include('127.0.0.1:9');
  });

  it('are kept as long as was asked for, which is written down on them', async () => {
    await onServer((server) => server.query(`comment on database ${db.name} is 'the clinic'`));
    const { previousDatabase, previousUntil } = await restore({ keepPrevious: 7 * 24 * HOUR });
    const [previous, ...others] = await list();
    expect(others).to.deep.equal([]);
    expect(previous).to.deep.include({
      name: previousDatabase,
      database: db.name,
      until: previousUntil,
      isOver: false,
    });
    expect(previous?.sizeBytes).to.be.greaterThan(1_000_000);
    expect(Date.parse(previous?.until ?? '') - Date.parse(previous?.since ?? '')).to.equal(7 * 24 * HOUR);
    expect(await commentOf(String(previousDatabase))).to.match(
      new RegExp(`^manage_db: previous database of ${db.name} until ${previousUntil} .*\\nthe clinic$`),
    );
    expect(await commentOf(db.name)).to.equal('the clinic');
  });

  it('are dropped by the next restore once their time is over, and not before', async () => {
    const first = (await restore({ keepPrevious: true })).previousDatabase;
    const second = (await restore({ keepPrevious: true })).previousDatabase;
    expect(await previousNames()).to.have.members([first, second]);
    await letTimePass(String(first));
    expect((await list()).map(({ name, isOver }) => [name, isOver])).to.deep.equal([
      [second, false],
      [first, true],
    ]);
    expect(await previousNames()).to.have.members([first, second]);
    await restore();
    expect(await previousNames()).to.deep.equal([second]);
  });

  it('are not dropped while they are the only ones that know of an operation', async () => {
    const { previousDatabase } = await restore({ keepPrevious: true });
    await withClient(testUrl(String(previousDatabase)), (client) =>
      client.query(`
        select manage_db.append_operation(jsonb_build_object('entry_id', gen_random_uuid(), 'attempt', gen_random_uuid(),
          'event', 'attempted', 'operation', 'x', 'environment', 'testing', 'database_name', 'x', 'host', 'x', 'port', 1,
          'actor', 'x', 'os_user', 'x', 'client_host', 'x', 'application', 'x', 'tool', 'x', 'arguments', '{}'::jsonb,
          'details', '{}'::jsonb, 'source', 'database'))`),
    );
    await letTimePass(String(previousDatabase));
    await restore();
    expect(await previousNames()).to.deep.equal([previousDatabase]);
    const name = String(previousDatabase);
    expect(await undo({ name }).catch((error: unknown) => error)).to.include({ code: 'DATABASE_IN_USE' });
  });

  it('keep their event triggers as they are when putting them back fails in the middle', async () => {
    await db.query(`
      create function public.noted() returns event_trigger language plpgsql as $$ begin end $$;
      create event trigger noted_previous on ddl_command_end execute function public.noted()`);
    const { previousDatabase } = await restore({ keepPrevious: true });
    await workspace.run(() =>
      guarded('undo-restore', { ...env, consent: { yes: true } }, async (target) => {
        await db.query('update manage_db.identity set kill_switch = not kill_switch');
        const records = {
          work: 'it',
          target,
          hasLive: true,
          arrival: { became: 'returned' },
          isSameEnvironment: true,
        } as const;
        const putting = keepRecords(String(previousDatabase), {
          ...records,
          source: null,
          reason: null,
          signal: undefined,
        });
        expect((await failureOf(putting)).code).to.equal('STAMP_MISMATCH');
      }),
    );
    const modes = await withClient(testUrl(String(previousDatabase)), (client) =>
      client.query(`select evtenabled as mode from pg_event_trigger where evtname = 'noted_previous'`),
    );
    expect(modes.rows).to.deep.equal([{ mode: 'O' }]);
  });

  it('are not dropped when there is no other left', async () => {
    const { previousDatabase } = await restore({ keepPrevious: true });
    await letTimePass(String(previousDatabase));
    await dropDatabase(db.name);
    await restore();
    expect(await previousNames()).to.deep.equal([previousDatabase]);
  });

  it('are no more what they were when somebody uses one under another name, or restores into it', async () => {
    const first = String((await restore({ keepPrevious: true })).previousDatabase);
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(first)}\n` });
    await restore();
    expect(await commentOf(first)).to.equal(null);
    expect(await list()).to.deep.equal([]);

    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    const second = String((await restore({ keepPrevious: true })).previousDatabase);
    const kept = `${db.name}_kept`;
    await letTimePass(second);
    await onServer((server) => server.query(`alter database ${second} rename to ${kept}`));
    await restore();
    expect(await patients(testUrl(kept))).to.deep.equal([]);
    await dropDatabase(kept);
  });

  it('refuses to keep one for no time', async () => {
    for (const keepPrevious of [0, -1, Number.NaN])
      expect(await restore({ keepPrevious }).catch((error: unknown) => error)).to.include({ code: 'USAGE' });
  });

  describe('undo-restore', () => {
    it('puts the replaced database in its place again, and can be undone', async () => {
      const { previousDatabase } = await restore({ keepPrevious: true });
      expect(await patients()).to.deep.equal([]);
      await db.query('insert into public.patients values (7)');

      const undone = await undo();
      expect(undone).to.deep.include({ database: db.name, from: previousDatabase });
      expect(await patients()).to.deep.equal([1]);
      expect((await list()).map(({ name }) => name)).to.deep.equal([undone.previousDatabase]);
      expect(await patients(testUrl(String(undone.previousDatabase)))).to.deep.equal([7]);

      await undo();
      expect(await patients()).to.deep.equal([7]);
      expect(await list()).to.have.length(1);
    });

    it('keeps the whole operation log, and the stamp says what has happened', async () => {
      await restore({ keepPrevious: true });
      await undo();
      const { entries } = await workspace.run(() => showOperationLog({ env: 'testing', limit: 100 }));
      expect(entries.map(({ operation, event }) => `${operation} ${event}`).reverse()).to.deep.equal([
        'create-backup attempted',
        'create-backup succeeded',
        'restore-backup attempted',
        'restore-backup succeeded',
        'undo-restore attempted',
        'undo-restore succeeded',
      ]);
      expect(await workspace.run(() => verifyOperationLog(env))).to.include({ ok: true, isMirrored: true });
      const { status } = await workspace.run(() => readStampStatus('testing'));
      expect(status).to.include({ state: 'trusted' });
      expect(status?.stamp?.lineage[0]).to.include({ became: 'restored', reason: 'a test' });
    });

    it('leaves grants, settings and the comment of now', async () => {
      const role = `${db.name}_reader`;
      const admin = (sql: string) => onServer((server) => server.query(sql));
      await admin(`create role ${role}`);
      try {
        await admin(`alter database ${db.name} set work_mem = '1MB'`);
        await admin(`grant create on database ${db.name} to ${role}`);
        await admin(`comment on database ${db.name} is 'before'`);
        await restore({ keepPrevious: true });
        await admin(`alter database ${db.name} reset work_mem`);
        await admin(`alter role ${role} in database ${db.name} set work_mem = '2MB'`);
        await admin(`revoke all on database ${db.name} from public, ${role}`);
        await admin(`comment on database ${db.name} is 'after'`);
        const before = await described();
        await undo();
        expect(await described()).to.deep.equal(before);
        expect(await commentOf(db.name)).to.equal('after');
      } finally {
        await admin(`alter role ${role} in database ${db.name} reset all`);
        for (const name of [db.name, ...(await previousNames())])
          await admin(`revoke all on database ${name} from ${role}`);
        for (const name of await previousNames()) await dropDatabase(name);
        await admin(`drop role ${role}`);
      }
    });

    it('leads back to a database that is gone, with the comment that it had', async () => {
      await onServer((server) => server.query(`comment on database ${db.name} is 'the clinic'`));
      await restore({ keepPrevious: true });
      await dropDatabase(db.name);
      expect(await list()).to.have.length(1);
      await undo();
      expect(await patients()).to.deep.equal([1]);
      expect(await commentOf(db.name)).to.equal('the clinic');
      expect((await workspace.run(() => readStampStatus('testing'))).status).to.include({ state: 'trusted' });
      expect(await workspace.run(() => verifyOperationLog(env))).to.include({ ok: true });
    });

    it('takes the one that is named, also after its time', async () => {
      const first = String((await restore({ keepPrevious: true })).previousDatabase);
      await restore({ keepPrevious: true });
      await letTimePass(first);
      await undo({ name: first });
      expect(await patients()).to.deep.equal([1]);
    });

    it('says what there is when there is no such database', async () => {
      const none = await undo().catch((error: unknown) => error);
      expect(none).to.include({ code: 'NOT_FOUND' });
      const { previousDatabase } = await restore({ keepPrevious: true });
      const wrong = await undo({ name: `${previousDatabase}x` }).catch((error: unknown) => error);
      expect(wrong).to.include({ code: 'NOT_FOUND', hint: `Did you mean ${previousDatabase}?` });
      // nobody's database becomes another's
      expect(await undo({ name: 'postgres' }).catch((error: unknown) => error)).to.include({ code: 'NOT_FOUND' });
    });

    it('refuses while somebody looks at the previous database, unless they may be disconnected', async () => {
      const { previousDatabase } = await restore({ keepPrevious: true });
      const visitor = new pg.Client({
        connectionString: testUrl(String(previousDatabase)),
        application_name: 'visitor',
      });
      visitor.on('error', () => undefined);
      await visitor.connect();
      const error = await undo().catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'DATABASE_IN_USE' });
      expect(String(error))
        .to.include(`${previousDatabase} is in use by 1 session: visitor`)
        .and.include('was not changed');
      await undo({ disconnectUsers: true });
      expect(await patients()).to.deep.equal([1]);
      await visitor.end().catch(() => undefined);
    });

    it('stops before the swap when somebody engages the kill switch', async () => {
      await restore({ keepPrevious: true });
      let engaging: Promise<unknown> | null = null;
      const error = await undo({
        disconnectUsers: true,
        onProgress: ({ step }) => {
          if (step === 'carrying the operation log over')
            engaging = db.query(`select manage_db.engage_kill_switch('anna', 'stop', null)`);
        },
      }).catch((reason: unknown) => reason);
      await engaging;
      expect(error).to.include({ code: 'KILL_SWITCH' });
      expect(await patients()).to.deep.equal([]);
    });

    it('stays behind the kill switch', async () => {
      await restore({ keepPrevious: true });
      await workspace.run(() => engageKillSwitch(env));
      expect(await undo().catch((error: unknown) => error)).to.include({ code: 'KILL_SWITCH' });
      expect(await workspace.run(() => killSwitchStatus(env))).to.include({ isLocked: true });
    });
  });

  describe('what happens between the carrying and the swap', () => {
    const late = async (previous: string) =>
      workspace.run(() => guarded('list-previous-databases', env, (target) => carryLate(previous, target)));
    const engage = (name: string, actor: string) =>
      withClient(testUrl(name), (client) =>
        client.query(`insert into manage_db.kill_switch (actor, reason) values ($1, 'stop')`, [actor]),
      );
    const engaged = async () =>
      (await workspace.run(() => killSwitchStatus(env))).engagements.map(({ actor }) => actor).sort();

    it('keeps the kill switch engaged, in whichever database that was done', async () => {
      const previous = String((await restore({ keepPrevious: true })).previousDatabase);
      await engage(previous, 'anna');
      await engage(db.name, 'bernd');
      expect(await late(previous)).to.equal(null);
      expect(await engaged()).to.deep.equal(['anna', 'bernd']);
      expect(await late(previous)).to.equal(null);
      await workspace.run(() => releaseKillSwitch(env));
      expect(await late(previous)).to.equal(null);
      expect(await engaged()).to.deep.equal([]);
    });

    it('takes over that it was released, too', async () => {
      await workspace.run(() => engageKillSwitch(env));
      const previous = await onServer(async (server) => {
        const name = `${db.name}_previous_then`;
        await workspace.run(() => closeEngines('testing'));
        await server.query(`create database ${name} template ${db.name}`);
        return name;
      });
      await withClient(testUrl(previous), (client) =>
        client.query(`select manage_db.release_kill_switch('anna', 'over')`),
      );
      await late(previous);
      expect(await engaged()).to.deep.equal([]);
    });

    it('is a warning where it cannot be taken over', async () => {
      const gone = `${db.name}_previous_gone`;
      expect(await late(gone))
        .to.include(`known in ${gone} only`)
        .and.include('does not exist');
    });
  });

  const described = () =>
    onServer(async (server) => {
      const { rows } = await server.query(
        `select datacl::text as grants, datconnlimit, pg_get_userbyid(datdba) as owner,
          (select array_agg(setrole::regrole || ' ' || setconfig::text order by setrole)
           from pg_db_role_setting where setdatabase = d.oid) as settings
         from pg_database d where datname = $1`,
        [db.name],
      );
      return rows;
    });
});
