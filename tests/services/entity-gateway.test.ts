import { expect } from 'chai';
import { applyBaseTriggers } from '../../app/core/db-operations/triggers.js';
import { ManageDbError } from '../../app/core/errors.js';
import { withActor } from '../../app/services/actor.js';
import { getDbSession } from '../../app/services/database-service.js';
import { defineEntity } from '../../app/services/entity-gateway.js';
import { beforeInsert, beforeUpdate, onListenerError } from '../../app/services/entity-listeners.js';
import { timestampMixin } from '../../app/services/timestamp-mixin.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

interface Entry {
  readonly id: number;
  readonly 'debit amount': string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly created_by: string;
  readonly updated_by: string;
}

const AUDITED = `
  create schema "Billing & co";
  create table "Billing & co"."Ledger ""1""" (id int generated always as identity primary key, "debit amount" numeric,
    created_at timestamptz not null, updated_at timestamptz not null, created_by text, updated_by text);
  create table public.pairs (a int, b text, note text, primary key (a, b));`;

describe('entities and triggers together', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  const unsubscribe: (() => void)[] = [];
  beforeEach(async () => {
    db = await scratchDatabase(AUDITED);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    await workspace.run(() => applyBaseTriggers({ env: 'testing' }));
  });
  afterEach(async () => {
    for (const stop of unsubscribe.splice(0)) stop();
    await workspace.remove();
    await db.drop();
  });

  const table = 'Billing & co.Ledger "1"';
  const entries = defineEntity<Entry>({ table, key: ['id'], mixins: [timestampMixin] });
  const legacy = defineEntity<Entry>({ table, key: ['id'] });
  const inSession = <T>(fn: Parameters<typeof getDbSession<T>>[0]) =>
    workspace.run(() => getDbSession(fn, { env: 'testing' }));

  it('scenario 1: the mixin gives the times, the listener the user, and the triggers keep both', async () => {
    const before = Date.now() - 1;
    const entry = await withActor('7777777777', () =>
      inSession((session) => entries.insert(session, { 'debit amount': '1' })),
    );
    expect(entry).to.include({ created_by: '7777777777', updated_by: '7777777777' });
    expect(entry.created_at.getTime()).to.be.within(before, Date.now());
    expect(entry.created_at).to.deep.equal(entry.updated_at);
    const changed = await withActor('8', () =>
      inSession((session) => entries.update(session, { id: entry.id }, { 'debit amount': '2' })),
    );
    expect(changed).to.include({ created_by: '7777777777', updated_by: '8', 'debit amount': '2' });
    expect(changed?.updated_at.getTime()).to.be.at.least(entry.updated_at.getTime());
  });

  it('scenario 2: an entity without the mixin is still audited, by the triggers', async () => {
    const entry = await inSession((session) => legacy.insert(session, { 'debit amount': '1' }));
    expect(entry).to.include({ created_by: 'system', updated_by: 'system' });
    expect(entry.created_at).to.be.instanceOf(Date);
    expect(await withActor('ida', () => inSession((session) => legacy.insert(session, {})))).to.include({
      created_by: 'ida',
    });
  });

  it('scenario 3: direct SQL is audited as well', async () => {
    const { rows } = await db.query(
      `insert into "Billing & co"."Ledger ""1""" ("debit amount") values (1) returning *`,
    );
    expect(rows[0]).to.include({ created_by: 'system', updated_by: 'system' });
  });

  it('scenario 4: a listener that fails stops nothing: what it had changed is taken back, and the triggers fill in', async () => {
    const errors: unknown[] = [];
    unsubscribe.push(
      onListenerError((error, context) => errors.push([(error as Error).message, context.table, context.event])),
      beforeInsert(entries, (values) => {
        values.created_by = 'half';
        throw new Error('no request');
      }),
    );
    const entry = await inSession((session) => entries.insert(session, {}));
    expect(entry).to.include({ created_by: 'system', updated_by: 'system' });
    expect(errors).to.deep.equal([['no request', table, 'insert']]);
  });

  it('keeps what the caller has set, and lets listeners of an entity have the last word', async () => {
    unsubscribe.push(
      beforeInsert(timestampMixin, async (values) => {
        await Promise.resolve();
        values['debit amount'] = '10';
      }),
      beforeInsert(entries, (values) => {
        values['debit amount'] = `${values['debit amount']}.5`;
      }),
      beforeUpdate(entries, (values) => {
        values['debit amount'] = '7';
      }),
    );
    const at = new Date('2020-02-02T02:02:02Z');
    const entry = await withActor('ida', () =>
      inSession((session) => entries.insert(session, { created_at: at, created_by: 'import' })),
    );
    expect(entry).to.include({ created_by: 'import', updated_by: 'ida', 'debit amount': '10.5' });
    expect(entry.created_at).to.deep.equal(at);
    const changed = await inSession((session) => entries.update(session, { id: entry.id }, { 'debit amount': '1' }));
    expect(changed).to.include({ 'debit amount': '7', updated_by: 'system' });
  });

  it('finds, changes and removes by the whole key only', async () => {
    const pairs = defineEntity<{ a: number; b: string; note: string | null }>({ table: 'pairs', key: ['a', 'b'] });
    await inSession(async (session) => {
      await pairs.insert(session, { a: 1, b: "it's", note: 'x' });
      await pairs.insert(session, { a: 1, b: 'other' });
      expect(await pairs.find(session, { a: 1, b: "it's" })).to.deep.equal({ a: 1, b: "it's", note: 'x' });
      expect(await pairs.update(session, { a: 1, b: "it's" }, { note: null })).to.include({ note: null });
      expect(await pairs.update(session, { a: 1, b: "it's" }, {})).to.include({ note: null });
      expect(await pairs.update(session, { a: 2, b: 'none' }, { note: 'y' })).to.equal(null);
      const error = await pairs.remove(session, { a: 1 }).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(ManageDbError).and.to.include({ code: 'USAGE' });
      expect(await pairs.remove(session, { a: 1, b: 'other' })).to.equal(true);
      expect(await pairs.remove(session, { a: 1, b: 'other' })).to.equal(false);
    });
    expect((await db.query('select a from pairs')).rowCount).to.equal(1);
  });

  it('refuses what cannot be an entity', () => {
    for (const [name, key] of [
      ['a.b.c', ['id']],
      ['', ['id']],
      ['t', []],
    ] as const)
      expect(() => defineEntity<{ id: number }>({ table: name, key })).to.throw(ManageDbError, 'cannot be an entity');
  });
});
