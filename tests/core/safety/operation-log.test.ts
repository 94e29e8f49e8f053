import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import type { QueryResultRow } from 'pg';
import { showOperationLog, verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { carryLateEntries, carryOperationLog } from '../../../app/core/safety/operation-log/carry-over.js';
import { operationEntry } from '../../../app/core/safety/operation-log/entry.js';
import { mirrorHead } from '../../../app/core/safety/operation-log/heads.js';
import { writeOperationEntry } from '../../../app/core/safety/operation-log/write.js';
import type { Queryable } from '../../../app/database/queryable.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { closeEngines } from '../../../app/services/database-service.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { testServer, testUrl } from '../../support/test-server.js';

const CANARY = 'canary-77d10c';

describe('the operation log, attacked', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase();
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const place = () => ({ environment: 'testing', host: testServer().host, port: testServer().port, database: db.name });
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
  const writeOn = (client: pg.Client, one = entry()) =>
    workspace.run(() => writeOperationEntry(one, { ...place(), login: 'alice', db: client, mayCreateSchema: true }));
  const write = (one = entry(), url = db.url) => withClient(url, (client) => writeOn(client, one));
  const keep = (one = entry()) =>
    workspace.run(() => writeOperationEntry(one, { ...place(), login: 'alice', db: null, mayCreateSchema: false }));
  const verify = () => workspace.run(() => verifyOperationLog({ env: 'testing' }));
  const show = (options = {}) => workspace.run(() => showOperationLog({ env: 'testing', ...options }));
  const kinds = async () => (await verify()).findings.map(({ kind }) => kind);
  const folder = (name: string) => join(workspace.root, '.manage_db/operation-log', name);
  const filesIn = (name: string) => readdirSync(folder(name)).sort();
  /** As a superuser who knows what they do. */
  const tamper = (sql: string) =>
    db.query(`
      alter table manage_db.operation_log disable trigger user; alter table manage_db.operation_log_head disable trigger user;
      ${sql};
      alter table manage_db.operation_log enable always trigger chain_operation, enable always trigger refuse_change;
      alter table manage_db.operation_log_head enable always trigger refuse_change`);
  const CUT_THE_END = `
    delete from manage_db.operation_log where id = 2;
    update manage_db.operation_log_head h set id = l.id, hash = l.hash from manage_db.operation_log l where l.id = 1`;

  describe('verifying', () => {
    it('still shows a removed end after more was logged', async () => {
      await write();
      await write();
      await tamper(CUT_THE_END);
      expect(await kinds()).to.deep.equal(['mirror']);
      for (const _ of [1, 2, 3]) await write();
      expect(await kinds()).to.deep.equal(['mirror']);
    });

    for (const [what, sql, found] of [
      ['a head that is gone', 'delete from manage_db.operation_log_head', ['head']],
      [
        'a trigger that never fires',
        `drop trigger refuse_change on manage_db.operation_log;
         create trigger refuse_change before update or delete or truncate on manage_db.operation_log
           for each statement when (false) execute function manage_db.refuse_change()`,
        ['unguarded'],
      ],
      [
        'a trigger that fires on less than it should',
        `drop trigger refuse_change on manage_db.operation_log;
         create trigger refuse_change before truncate on manage_db.operation_log
           for each statement execute function manage_db.refuse_change()`,
        ['unguarded'],
      ],
      [
        'a trigger that fires on one column only',
        `drop trigger refuse_change on manage_db.operation_log;
         create trigger refuse_change before update of id or delete or truncate on manage_db.operation_log
           for each statement execute function manage_db.refuse_change()`,
        ['unguarded'],
      ],
      [
        'a way in that loses what it is given',
        `create or replace function manage_db.append_operation(entry jsonb) returns bigint language sql as 'select 1::bigint'`,
        ['unguarded'],
      ],
      [
        'a rule that loses what it is given',
        'create rule lose as on insert to manage_db.operation_log do instead nothing',
        ['unguarded'],
      ],
      ['a table that a crash empties', 'alter table manage_db.operation_log set unlogged', ['unguarded']],
      ['rows that not everybody sees', 'alter table manage_db.operation_log enable row level security', ['unguarded']],
    ] as const) {
      it(`shows ${what}`, async () => {
        await write();
        await tamper(sql);
        expect(await kinds()).to.deep.equal(found);
      });
    }

    for (const tables of ['operation_log', 'operation_log_head', 'operation_log, manage_db.operation_log_head']) {
      it(`shows that ${tables} was dropped, also to a workspace that never knew the log`, async () => {
        await write();
        await db.query(`drop table manage_db.${tables} cascade`);
        const theirs = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
        try {
          const { findings } = await theirs.run(() => verifyOperationLog({ env: 'testing' }));
          expect(findings).to.deep.equal([{ kind: 'gone', id: null, detail: 'The log is gone.' }]);
        } finally {
          await theirs.remove();
        }
      });
    }

    it('is refused to whoever may not read the log, rather than called good', async () => {
      await write();
      const login = await scratchLogin('stranger');
      try {
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(db.name, login)}\n` });
        expect(await verify().catch((thrown: Error) => thrown)).to.include({ code: 'PERMISSION_DENIED' });
      } finally {
        await closeEngines();
        await dropLogins(login);
      }
    });

    it('is not fooled by operators of the same name that a search_path puts first', async () => {
      await write();
      await tamper(`
        update manage_db.operation_log set actor = 'nobody';
        create schema evil;
        create function evil.same(bytea, bytea) returns boolean language sql as 'select false';
        create operator evil.<> (leftarg = bytea, rightarg = bytea, function = evil.same);
        alter database ${db.name} set search_path = evil, pg_catalog`);
      expect(await kinds()).to.deep.equal(['changed']);
    });
  });

  describe('waiting entries', () => {
    it('are not held up by one that the database refuses; it is put aside', async () => {
      await write();
      await keep({ ...entry(), duration_ms: 5 });
      await keep(entry({ operation: 'second' }));
      expect(await write()).to.equal('database');
      expect((await show()).entries.map(({ operation }) => operation)).to.include('second');
      expect(filesIn('pending')).to.deep.equal([]);
      expect(filesIn('refused')).to.have.length(1);
    });

    it('say whose attempt it was, whoever adds them', async () => {
      await keep(entry({ operation: 'first', details: { code: 'X' } }));
      await write();
      const { entries } = await show();
      expect(entries.find(({ operation }) => operation === 'first')?.details).to.deep.equal({
        code: 'X',
        login: 'alice',
      });
    });

    it('are read as what they are, and nothing else', async () => {
      await keep();
      const [name = ''] = filesIn('pending');
      const whole = JSON.parse(readFileSync(join(folder('pending'), name), 'utf8'));
      for (const [index, odd] of [{ ...whole, host: 5 }, { ...whole, more: 1 }, [whole], 'x', null].entries())
        writeFileSync(join(folder('pending'), `${index}.json`), JSON.stringify(odd));
      expect(await write()).to.equal('database');
      expect(filesIn('pending')).to.deep.equal(['0.json', '1.json', '2.json', '3.json', '4.json']);
    });

    it('are added although their characters are unknown to the database', async () => {
      const name = `${db.name}_latin`;
      await onServer((server) =>
        server.query(`create database ${name} encoding 'LATIN1' locale 'C' template template0`),
      );
      try {
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(name)}\n` });
        expect(await write(entry({ reason: 'für 患者', arguments: { label: '患者' } }), testUrl(name))).to.equal(
          'database',
        );
        expect(await verify()).to.include({ ok: true, entries: 1 });
        const reason = 'f\\u00fcr \\u60a3\\u8005';
        expect((await workspace.run(() => showOperationLog({ env: 'testing' }))).entries[0]).to.include({ reason });
      } finally {
        await closeEngines();
        await dropDatabase(name);
      }
    });

    it('are added by ten sessions at once that all begin in repeatable read', async () => {
      await write();
      await db.query(`alter database ${db.name} set default_transaction_isolation = 'repeatable read'`);
      const written = await Promise.all(Array.from({ length: 10 }, () => write()));
      expect(written).to.deep.equal(Array(10).fill('database'));
      expect(await verify()).to.include({ ok: true, entries: 11 });
    });
  });

  describe('entries', () => {
    it('hold no secret in a name, in bytes or in objects that refer to themselves', async () => {
      const circular: Record<string, unknown> = { url: `postgresql://u:${CANARY}@h/d` };
      circular.self = circular;
      const made = entry({
        arguments: { [`postgresql://u:${CANARY}@h/d`]: 1, bytes: Buffer.from(CANARY), nested: { 'a\u0000\ud800': 1 } },
        details: circular,
      });
      const text = JSON.stringify(made);
      expect(text).not.to.contain(CANARY);
      expect(text).not.to.contain(JSON.stringify([...Buffer.from(CANARY)]));
      expect(await write(made)).to.equal('database');
    });

    it('of more than any of ours are refused to whoever sends them by hand', async () => {
      await write();
      const huge = { ...entry(), details: { text: 'x'.repeat(1_000_000) } };
      const error = await db.query('select manage_db.append_operation($1)', [huge]).catch((thrown: Error) => thrown);
      expect(error).to.include({ code: '54000' });
    });

    it('cannot be from the future, or from no time at all', async () => {
      await write();
      for (const time of ['infinity', '-infinity', '9999-01-01'])
        await db
          .query('select manage_db.append_operation($1)', [{ ...entry(), source: 'file', occurred_at: time }])
          .catch(() => undefined);
      for (const { occurredAt, recordedAt } of (await show()).entries)
        expect(occurredAt <= recordedAt, occurredAt).to.equal(true);
      expect((await workspace.cli(['show-operation-log', '--env', 'testing'])).code).to.equal(0);
    });
  });

  describe('carried over', () => {
    it('byte for byte, also into a database that brought a log of its own', async () => {
      const other = await scratchDatabase();
      try {
        await db.query(
          `alter database ${db.name} set bytea_output = 'escape'; alter database ${db.name} set timezone = 'Asia/Kolkata'`,
        );
        for (const _ of [1, 2, 3]) await write(entry({ reason: 'a \\ b "c" ü', details: { n: 1.5 } }));
        await write(entry(), other.url);
        await withClient(db.url, (from) => withClient(other.url, (to) => carryOperationLog(from, to)));
        const read = async (one: ScratchDatabase) =>
          withClient(one.url, async (client) => {
            await client.query(`set bytea_output = hex; set timezone = 'UTC'`);
            return (await client.query('select l::text from manage_db.operation_log l order by id')).rows;
          });
        expect(await read(other)).to.deep.equal(await read(db));
      } finally {
        await other.drop();
      }
    });

    it('with what came late, unless it has gone on by itself', async () => {
      const other = await scratchDatabase();
      try {
        await write();
        await withClient(other.url, (to) => ensureSchema(to));
        await withClient(db.url, (from) =>
          withClient(other.url, async (to) => {
            await carryOperationLog(from, to);
            await write(entry({ operation: 'late' }));
            expect(await workspace.run(() => carryLateEntries(from, to))).to.equal(1);
            await write(entry({ operation: 'new' }), other.url);
            expect(await workspace.run(() => carryLateEntries(from, to))).to.equal(0);
          }),
        );
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${other.url}\n` });
        expect(await verify()).to.include({ ok: true, entries: 3, isMirrored: true });
      } finally {
        await closeEngines();
        await other.drop();
      }
    });

    it('never loses what was logged on both sides meanwhile', async () => {
      const other = await scratchDatabase();
      try {
        await write();
        await withClient(other.url, (to) => ensureSchema(to));
        await withClient(db.url, (from) => withClient(other.url, (to) => carryOperationLog(from, to)));
        await write(entry({ operation: 'late' }));
        await write(entry({ operation: 'new' }), other.url);
        const late = await workspace.run(() =>
          withClient(db.url, (from) =>
            withClient(other.url, (to) => carryLateEntries(from, to).catch((e: Error) => e)),
          ),
        );
        expect(late).to.be.instanceOf(Error);
      } finally {
        await other.drop();
      }
    });

    it('with what the workspace knows of its end', async () => {
      const other = await scratchDatabase();
      try {
        await write();
        await write();
        await tamper(CUT_THE_END);
        await workspace.run(() =>
          withClient(db.url, (from) =>
            withClient(other.url, async (to) => {
              await ensureSchema(to);
              await carryOperationLog(from, to);
              await carryLateEntries(from, to);
            }),
          ),
        );
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${other.url}\n` });
        expect(await kinds()).to.deep.equal(['mirror']);
      } finally {
        await closeEngines();
        await other.drop();
      }
    });
  });

  describe('shown', () => {
    it('does not let an entry write on the terminal', async () => {
      await write(entry({ reason: 'a\u001b[2J\nb' }));
      const { stdout } = await workspace.cli(['show-operation-log', '--env', 'testing']);
      expect(stdout).not.to.contain('\u001b');
      expect(stdout.trim().split('\n')).to.have.length(2);
    });

    it('has the head line of its CSV also without entries, and refuses times that are none', async () => {
      await withClient(db.url, (client) => ensureSchema(client));
      const csv = await workspace.cli(['show-operation-log', '--env', 'testing', '--csv']);
      expect(csv.stdout).to.match(/^id,entryId,attempt/);
      for (const since of ['2026-11-21', '2026-11-21T08:00', '2026-11-21 08:00:00+05:30', '2h', '7d'])
        expect(
          (await workspace.cli(['show-operation-log', '--env', 'testing', '--since', since])).code,
          since,
        ).to.equal(0);
      for (const since of ['2026-13-45', '2026-02-30', '999999y', '2026-11-21 nonsense']) {
        const { code, stderr } = await workspace.cli(['show-operation-log', '--env', 'testing', '--since', since]);
        expect(code, `${since}: ${stderr}`).to.equal(2);
        expect(stderr, since).to.contain('--since');
      }
    });
  });

  it('remembers the newest head when two processes remember theirs at once', async () => {
    await write();
    await db.query('select manage_db.append_operation($1)', [entry()]);
    await withClient(db.url, async (client) => {
      const overtaken: Queryable = {
        async query<Row extends QueryResultRow>(text: string, values?: unknown[]) {
          const result = await client.query<Row>(text, values);
          if (text.includes('where l.id = $1')) for (const _ of [3, 4]) await write();
          return result;
        },
      };
      await workspace.run(() => mirrorHead(overtaken));
    });
    await tamper(`
      delete from manage_db.operation_log where id > 2;
      update manage_db.operation_log_head h set id = l.id, hash = l.hash from manage_db.operation_log l where l.id = 2`);
    expect((await verify()).findings).to.deep.equal([
      {
        kind: 'mirror',
        id: 4,
        detail: 'Entry 4 is missing: this workspace has seen it, and it was the newest one then.',
      },
    ]);
  });
});
