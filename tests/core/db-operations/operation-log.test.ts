import { spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { operationEntry } from '../../../app/core/safety/operation-log/entry.js';
import { writeOperationEntry } from '../../../app/core/safety/operation-log/write.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { withActor } from '../../../app/services/actor.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testServer, testUrl } from '../../support/test-server.js';

const CANARY = 'canary-5ab0f2';

describe('the operation log', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase('create table public.patients (id int primary key)');
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const apply = () => workspace.run(() => applyTriggers({ env: 'testing' }));
  const verify = () => workspace.run(() => verifyOperationLog({ env: 'testing' }));
  const kinds = async () => (await verify()).findings.map(({ kind }) => kind);
  const show = (options = {}) => workspace.run(() => showOperationLog({ env: 'testing', ...options }));
  const place = () => ({
    environment: 'testing',
    host: testServer().host,
    port: testServer().port,
    database: db.name,
  });
  const entry = (more: Partial<Parameters<typeof operationEntry>[0]> = {}) =>
    operationEntry({
      ...place(),
      attempt: randomUUID(),
      event: 'attempted',
      operation: 'reset-database',
      application: 'test',
      level: 'admin',
      reason: null,
      arguments: {},
      details: {},
      durationMs: null,
      ...more,
    });
  const write = (one = entry(), isReached = true) =>
    workspace.run(() =>
      isReached
        ? withClient(db.url, (client) =>
            writeOperationEntry(one, { ...place(), login: 'alice', db: client, mayCreateSchema: true }),
          )
        : writeOperationEntry(one, { ...place(), login: 'alice', db: null, mayCreateSchema: false }),
    );
  const pendingFolder = () => join(workspace.root, '.manage_db/operation-log/pending');
  const pending = () => (existsSync(pendingFolder()) ? readdirSync(pendingFolder()) : []);
  /** As a superuser who knows what they do. */
  const tamper = (sql: string) =>
    db.query(`
      alter table manage_db.operation_log disable trigger user; alter table manage_db.operation_log_head disable trigger user;
      ${sql};
      alter table manage_db.operation_log enable always trigger chain_operation, enable always trigger refuse_change;
      alter table manage_db.operation_log_head enable always trigger refuse_change`);

  it('tells who attempted what, why, with which level, and what came of it', async () => {
    await withActor('dr. ida', apply);
    const { entries } = await show();
    const [outcome, attempt] = entries;
    expect(entries).to.have.length(2);
    expect(attempt).to.include({
      event: 'attempted',
      operation: 'apply-db-triggers',
      environment: 'testing',
      database: db.name,
      actor: 'dr. ida',
      login: testServer().user,
      level: 'admin',
      durationMs: null,
      source: 'database',
    });
    expect(outcome).to.include({ event: 'succeeded', attempt: attempt?.attempt });
    expect(outcome?.durationMs).to.be.at.least(0);
  });

  it('refuses UPDATE, DELETE and TRUNCATE to its owner, and in a session that replicates', async () => {
    await apply();
    for (const role of ['origin', 'replica']) {
      for (const sql of [
        `update manage_db.operation_log set actor = 'nobody'`,
        'update manage_db.operation_log set actor = actor where false',
        'delete from manage_db.operation_log',
        'truncate manage_db.operation_log',
        'update manage_db.operation_log_head set id = 0, hash = null',
        'delete from manage_db.operation_log_head',
        'truncate manage_db.operation_log_head',
      ]) {
        const refused = await withClient(db.url, async (client) => {
          await client.query(`set session_replication_role = ${role}`);
          return client.query(sql).catch((error: unknown) => error);
        });
        expect(refused, `${role}: ${sql}`).to.be.instanceOf(pg.DatabaseError).and.to.include({ code: '42501' });
      }
    }
    expect(await verify()).to.include({ ok: true, entries: 2 });
  });

  it('chains also what its owner inserts by hand, as who they are', async () => {
    await apply();
    await db.query(`
      insert into manage_db.operation_log select l.* from manage_db.operation_log l where false;
      insert into manage_db.operation_log (id, entry_id, attempt, event, operation, environment, database_name, host, port,
        actor, login, os_user, client_host, application, tool, arguments, details, occurred_at, recorded_at, source, hash)
      values (77, gen_random_uuid(), gen_random_uuid(), 'attempted', 'x', 'testing', 'x', 'x', 1, 'x', 'somebody else', 'x', 'x',
        'x', 'x', '{}', '{}', now(), '2000-01-01', 'database', 'forged')`);
    expect((await show()).entries[0]).to.include({ id: 3, login: testServer().user });
    expect(await verify()).to.include({ ok: true, entries: 3 });
  });

  for (const [what, sql, found] of [
    ['a removed entry', 'delete from manage_db.operation_log where id = 2', ['missing']],
    ['a changed entry', `update manage_db.operation_log set actor = 'nobody' where id = 2`, ['changed']],
    [
      'a removed end, with the head set back',
      `delete from manage_db.operation_log where id = 4;
       update manage_db.operation_log_head h set id = l.id, hash = l.hash from manage_db.operation_log l where l.id = 3`,
      ['mirror'],
    ],
    ['a removed end', 'delete from manage_db.operation_log where id = 4', ['head', 'mirror']],
    [
      'a chain that was computed anew, with another function for it',
      `create or replace function manage_db.operation_log_hash(entry manage_db.operation_log) returns bytea language sql as $f$
         select sha256('anything') $f$;
       update manage_db.operation_log set actor = 'nobody', hash = sha256('anything') where id = 2`,
      ['changed', 'unlinked', 'unguarded'],
    ],
  ] as const) {
    it(`shows ${what} to whoever verifies it`, async () => {
      await apply();
      await apply();
      expect(await kinds()).to.deep.equal([]);
      await tamper(sql);
      expect(await kinds()).to.have.members(found);
      const { code, json } = await workspace.cli(['verify-operation-log', '--env', 'testing', '--json']);
      expect([code, json().error?.code]).to.deep.equal([1, 'OPERATION_LOG_BROKEN']);
    });
  }

  it('shows a whole log that was written anew, by the end that the workspace remembers', async () => {
    await apply();
    await tamper(`
      create table public.kept as select * from manage_db.operation_log;
      delete from manage_db.operation_log; update manage_db.operation_log_head set id = 0, hash = null`);
    await db.query(`
      insert into manage_db.operation_log
      select (jsonb_populate_record(null::manage_db.operation_log, to_jsonb(k) || '{"actor": "nobody"}')).* from public.kept k order by k.id`);
    expect(await kinds()).to.deep.equal(['mirror']);
  });

  it('shows triggers that are gone, switched off or hollow, and a log that was dropped', async () => {
    await apply();
    await db.query('alter table manage_db.operation_log disable trigger refuse_change');
    expect(await kinds()).to.deep.equal(['unguarded']);
    await db.query('alter table manage_db.operation_log enable trigger refuse_change');
    expect(await kinds(), 'not for sessions that replicate').to.deep.equal(['unguarded']);
    await db.query('alter table manage_db.operation_log enable always trigger refuse_change');
    expect(await kinds()).to.deep.equal([]);
    await db.query(
      `create or replace function manage_db.refuse_change() returns trigger language plpgsql as 'begin return null; end'`,
    );
    expect(await kinds()).to.deep.equal(['unguarded']);
    await db.query('drop table manage_db.operation_log, manage_db.operation_log_head cascade');
    expect(await kinds()).to.deep.equal(['gone']);
  });

  it('is verified under any settings of the session, after a dump, and by whoever may read it', async () => {
    await apply();
    const login = `reader_${randomBytes(4).toString('hex')}`;
    await db.query(`
      create role ${login} login password 'pw'; grant usage on schema manage_db to ${login};
      grant select on all tables in schema manage_db to ${login};
      do $$ begin
        execute format('alter database %I set timezone = %L', current_database(), 'Asia/Kolkata');
        execute format('alter database %I set datestyle = %L', current_database(), 'SQL, DMY');
        execute format('alter database %I set bytea_output = escape', current_database());
        execute format('alter database %I set extra_float_digits = -5', current_database());
      end $$`);
    const theirs = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${testUrl(db.name, { user: login, password: 'pw' })}\n`,
    });
    const copy = await scratchDatabase();
    try {
      expect(await theirs.run(() => verifyOperationLog({ env: 'testing' }))).to.include({
        ok: true,
        isMirrored: false,
      });
      spawnSync('/bin/sh', ['-c', `pg_dump --no-acl '${db.url}' | psql -q '${copy.url}'`]);
      theirs.write({ '.env.testing': `TESTING_DATABASE_URL=${copy.url}\n` });
      expect(await theirs.run(() => verifyOperationLog({ env: 'testing' }))).to.include({ ok: true, entries: 2 });
    } finally {
      await theirs.remove();
      await copy.drop();
      await db.query(`drop owned by ${login}; drop role ${login}`);
    }
  });

  it('has no gaps when twenty write at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => write()));
    expect(await verify()).to.include({ ok: true, entries: 20 });
  });

  it('waits for the database in the workspace, readable by its owner only, and is added in order', async () => {
    const late = [entry({ operation: 'first' }), entry({ operation: 'second' })];
    for (const one of late) expect(await write(one, false)).to.equal('file');
    expect(pending()).to.have.length(2);
    expect((await show()).pending).to.equal(2);
    expect((await workspace.cli(['show-operation-log', '--env', 'testing'])).stderr).to.contain('2 entries wait');
    expect(await write(entry({ operation: 'third' }))).to.equal('database');
    expect(pending()).to.deep.equal([]);
    const { entries } = await show();
    expect(entries.map(({ operation, source }) => `${operation} ${source}`)).to.deep.equal([
      'third database',
      'second file',
      'first file',
    ]);
    expect(entries.at(-1)?.occurredAt).to.equal(late[0]?.occurred_at);
  });

  it('adds each waiting entry once, whoever replays at once or died in the middle', async () => {
    const late = Array.from({ length: 10 }, () => entry());
    for (const one of late) await write(one, false);
    // one that was added, and whose file is still there: the process was killed in between
    await withClient(db.url, (client) =>
      client.query('select manage_db.append_operation($1)', [{ ...late[0], source: 'file' }]),
    );
    await Promise.all(Array.from({ length: 5 }, () => write()));
    expect(pending()).to.deep.equal([]);
    expect(await verify()).to.include({ ok: true, entries: 15 });
  });

  it('leaves what waits for another database, and what it cannot read, where it is', async () => {
    await write({ ...entry(), database_name: 'another' }, false);
    writeFileSync(join(pendingFolder(), '2026-broken.json'), '{"entry_id": ');
    await write();
    expect(pending()).to.have.length(2);
  });

  it('falls back to the workspace while somebody holds the log, or where it may not be written', async () => {
    await withClient(db.url, async (blocker) => {
      await blocker.query('begin; select * from manage_db.operation_log_head for update');
      expect(await write()).to.equal('file');
      await blocker.query('rollback');
    });
    const bare = await scratchDatabase();
    try {
      const result = await workspace.run(() =>
        withClient(bare.url, (client) =>
          writeOperationEntry(entry(), { ...place(), login: 'alice', db: client, mayCreateSchema: false }),
        ),
      );
      expect(result).to.equal('file');
      expect((await bare.query(`select from pg_namespace where nspname = 'manage_db'`)).rowCount).to.equal(0);
    } finally {
      await bare.drop();
    }
  });

  it('does not let an operation happen that it can write down nowhere', async () => {
    await db.query('drop function manage_db.append_operation(jsonb)');
    rmSync(join(workspace.root, '.manage_db'), { recursive: true, force: true });
    writeFileSync(join(workspace.root, '.manage_db'), 'in the way');
    const error = await apply().catch((thrown: Error) => thrown);
    expect(error).to.include({ code: 'UNREADABLE_FILE' });
    expect((error as Error).message)
      .to.contain('no log')
      .and.contain('Nothing was changed');
    rmSync(join(workspace.root, '.manage_db'));
    mkdirSync(join(workspace.root, '.manage_db'));
  });

  it('never holds a secret, in the database or in the workspace', async () => {
    const url = `postgresql://u:${CANARY}@h/d`;
    const secrets = entry({
      reason: `see ${url} with password=${CANARY}`,
      details: { message: `failed at ${url}`, apiToken: CANARY },
      arguments: {
        label: `x ${url}`,
        nested: { password: CANARY, passphrase: CANARY, secretKey: CANARY, list: [{ api_key: CANARY }] },
        env: CANARY,
        onProgress: () => CANARY,
        signal: new AbortController().signal,
      },
    });
    expect(JSON.stringify(secrets)).not.to.contain(CANARY);
    await workspace.cli(['create-backup', '--env', 'testing', '--label', url, '--reason', `password=${CANARY}`]);
    await workspace.cli(['apply-db-triggers', '--env', 'testing', '--pack', url, '--reason', `token=${CANARY}`]);
    await workspace.run(() => backupDatabase({ env: 'testing', label: url, consent: { reason: url } }));
    const { rows } = await db.query<{ line: string }>('select l::text as line from manage_db.operation_log l');
    expect(rows).to.have.length.at.least(6);
    expect(rows.map(({ line }) => line).join('\n')).not.to.contain(CANARY);
    const state = readdirSync(join(workspace.root, '.manage_db'), { recursive: true, withFileTypes: true });
    for (const file of state.filter((item) => item.isFile()))
      expect(readFileSync(join(file.parentPath, file.name), 'utf8'), file.name).not.to.contain(CANARY);
  });

  it('takes entries of any size and with any characters', async () => {
    const huge = {
      list: Array.from({ length: 10_000 }, (_, n) => `table ${n}`),
      odd: 'a\u0000b\ud800c',
      long: 'ü'.repeat(5000),
    };
    expect(await write(entry({ arguments: huge, reason: 'é\u0000'.repeat(3000) }))).to.equal('database');
    expect(await write(entry({ arguments: { odd: 'a\u0000b\ud800c', big: 10n } }))).to.equal('database');
    expect(await verify()).to.include({ ok: true, entries: 2 });
  });

  it('can be filtered, and written as CSV that no spreadsheet executes', async () => {
    await apply();
    await write(entry({ operation: 'restore-backup', event: 'denied', reason: '=HYPERLINK("http://x"),\n"quoted"' }));
    expect((await show({ event: 'denied' })).entries.map(({ operation }) => operation)).to.deep.equal([
      'restore-backup',
    ]);
    expect((await show({ operation: 'apply-db-triggers' })).entries).to.have.length(2);
    expect((await show({ actor: testServer().user })).entries).to.have.length(3);
    expect((await show({ actor: 'nobody' })).entries).to.deep.equal([]);
    expect((await show({ since: new Date(Date.now() + 60_000) })).entries).to.deep.equal([]);
    expect((await show({ limit: 1 })).entries).to.have.length(1);
    const csv = await workspace.cli([
      'show-operation-log',
      '--env',
      'testing',
      '--since',
      '2h',
      '--event',
      'denied',
      '--csv',
    ]);
    expect(csv.stdout.split('\n')[0]).to.match(/^id,entryId,attempt,event,operation/);
    expect(csv.stdout).to.contain(`"'=HYPERLINK(""http://x""),\n""quoted"""`);
    for (const wrong of [
      ['--since', 'yesterday'],
      ['--limit', '0'],
      ['--event', 'x'],
      ['--csv', '--json'],
    ])
      expect(
        (await workspace.cli(['show-operation-log', '--env', 'testing', ...wrong])).code,
        wrong.join(' '),
      ).to.equal(2);
  });

  it('says so where nothing was ever logged', async () => {
    const bare = await scratchDatabase();
    try {
      workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${bare.url}\n` });
      expect(await show()).to.deep.equal({ entries: [], pending: 0, refused: 0, hasLog: false });
      expect(await verify()).to.include({ ok: true, entries: 0 });
      await withClient(bare.url, (client) => ensureSchema(client));
      expect(await verify()).to.include({ ok: true, entries: 0, head: null });
    } finally {
      await bare.drop();
    }
  });
});
