import { expect } from 'chai';
import type pg from 'pg';
import { inspectDb } from '../../../app/core/db-operations/inspection.js';
import { type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';

/** Names whose order by bytes is another one than by the dictionary of any language. */
const NAMES = ['b', 'B', '_b', '10', '9', 'ä', 'zz', 'a b', 'a-b', 'a_b', '~'];
const KINDS = ['before statement', 'before row', 'after row', 'after statement'];
const ORDINARY = 'insert or update or delete';

/** Every kind under every name, made in an order of its own; each writes down its name when it fires. */
const ORDER = `
  create schema ward;
  create table ward.fired (id bigserial, name text);
  create function ward.note() returns trigger language plpgsql security definer as $$
    begin insert into ward.fired (name) values (tg_name); if tg_op = 'DELETE' then return old; end if; return new; end $$;
  create table ward.beds (id int primary key, note text);
  create table ward.stays (at int) partition by range (at);
  create table ward.stays_1 partition of ward.stays for values from (0) to (10);
  create view ward.all_beds as select * from ward.beds;
  ${NAMES.flatMap((name, place) =>
    // so that neither the order of making nor that of kinds is the order of names
    [...KINDS.slice(place % 4), ...KINDS.slice(0, place % 4)].map((kind) =>
      trigger(`${name} ${kind}`, kind, 'ward.beds'),
    ),
  ).join('')}
  ${NAMES.map((name) => trigger(`${name} truncate`, 'after statement', 'ward.beds', 'truncate')).join('')}
  ${NAMES.map((name) => trigger(`${name} before truncate`, 'before statement', 'ward.beds', 'truncate')).join('')}
  create constraint trigger "0 deferred" after insert or update or delete on ward.beds deferrable initially deferred
    for each row execute function ward.note();
  create constraint trigger "B deferrable" after insert or update or delete on ward.beds deferrable
    for each row execute function ward.note();
  create constraint trigger "A deferred" after insert or update or delete on ward.beds deferrable initially deferred
    for each row execute function ward.note();
  create trigger "1 off" before insert on ward.beds for each row execute function ward.note();
  create trigger "2 replica" before insert on ward.beds for each row execute function ward.note();
  create trigger "3 always" before insert on ward.beds for each row execute function ward.note();
  alter table ward.beds disable trigger "1 off", enable replica trigger "2 replica", enable always trigger "3 always";
  ${trigger('c of parent', 'after row', 'ward.stays')}
  ${trigger('a of partition', 'after row', 'ward.stays_1')}
  ${trigger('d of partition', 'after row', 'ward.stays_1')}
  ${trigger('z of parent', 'before row', 'ward.stays')}
  ${trigger('b of parent', 'before statement', 'ward.stays')}
  ${trigger('b of partition', 'before statement', 'ward.stays_1')}
  ${NAMES.map((name) => trigger(`${name} instead`, 'instead of row', 'ward.all_beds')).join('')}
  ${trigger('z before', 'before statement', 'ward.all_beds')}
  ${trigger('a after', 'after statement', 'ward.all_beds')}
`;

function trigger(name: string, kind: string, table: string, events = ORDINARY): string {
  const [, timing = '', level = ''] = /^(.*) (\w+)$/.exec(kind) ?? [];
  return `create trigger "${name}" ${timing} ${events} on ${table} for each ${level} execute function ward.note();\n`;
}

describe('the order in which triggers fire, as inspect-db says it', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(ORDER);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const said = async (table: string, event: string): Promise<readonly string[]> => {
    const { table: inspected } = await workspace.run(() => inspectDb({ env: 'testing', table }));
    return inspected?.firingOrder.find((order) => order.event === event)?.triggers ?? [];
  };
  const fired = (statement: string): Promise<string[]> => firedBy(db.client, statement);

  const STATEMENTS = [
    ['ward.beds', 'INSERT', 'insert into ward.beds values (1)', 4 * NAMES.length + 4],
    ['ward.beds', 'UPDATE', 'update ward.beds set note = 1', 4 * NAMES.length + 3],
    ['ward.beds', 'DELETE', 'delete from ward.beds', 4 * NAMES.length + 3],
    ['ward.beds', 'TRUNCATE', 'truncate ward.beds', 2 * NAMES.length],
    ['ward.stays_1', 'INSERT', 'insert into ward.stays_1 values (1)', 5],
    ['ward.stays_1', 'DELETE', 'delete from ward.stays_1', 5],
    ['ward.all_beds', 'INSERT', 'insert into ward.all_beds values (2)', NAMES.length + 2],
  ] as const;
  for (const [table, event, statement, count] of STATEMENTS) {
    it(`is the one that PostgreSQL keeps: ${event} on ${table}`, async () => {
      const names = await fired(statement);
      expect(names).to.have.length(count);
      expect(await said(table, event)).to.deep.equal(names);
    });
  }

  it('calls the triggers of a partition what they are: its own, or those of its parent', async () => {
    const { table } = await workspace.run(() => inspectDb({ env: 'testing', table: 'ward.stays_1' }));
    expect(table?.triggers.map(({ name, inherited }) => [name, inherited])).to.deep.equal([
      ['b of partition', false],
      ['z of parent', true],
      ['a of partition', false],
      ['c of parent', true],
      ['d of partition', false],
    ]);
    const { table: parent } = await workspace.run(() => inspectDb({ env: 'testing', table: 'ward.stays' }));
    expect(parent?.triggers.map(({ name }) => name)).to.deep.equal(['b of parent', 'z of parent', 'c of parent']);
  });

  it('lists what does not fire in its place, and says why', async () => {
    const { table } = await workspace.run(() => inspectDb({ env: 'testing', table: 'ward.beds' }));
    const modes = table?.triggers
      .filter(({ name }) => /^[123] /.test(name))
      .map(({ name, enabled }) => [name, enabled]);
    expect(modes).to.deep.equal([
      ['1 off', 'disabled'],
      ['2 replica', 'replica'],
      ['3 always', 'always'],
    ]);
    const constraints = table?.triggers.filter((each) => each.constraint !== null);
    expect(constraints?.map(({ name, constraint }) => [name, constraint])).to.deep.equal([
      ['B deferrable', 'deferrable'],
      ['0 deferred', 'deferred'],
      ['A deferred', 'deferred'],
    ]);
  });
});

/** The triggers that one statement, committed by itself, makes fire. */
async function firedBy(client: pg.Client, statement: string): Promise<string[]> {
  await client.query('truncate ward.fired restart identity');
  await client.query(statement);
  const { rows } = await client.query<{ name: string }>('select name from ward.fired order by id');
  return rows.map(({ name }) => name);
}
