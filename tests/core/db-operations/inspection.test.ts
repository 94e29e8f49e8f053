import { expect } from 'chai';
import { type InspectOptions, inspectDb } from '../../../app/core/db-operations/inspection.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { CLINIC } from '../../database/catalog/clinic-fixture.js';
import { type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';

describe('inspect-db', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(CLINIC);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const inspect = (options: InspectOptions = {}) => workspace.run(() => inspectDb({ env: 'testing', ...options }));
  const failure = async (options: InspectOptions): Promise<ManageDbError> =>
    inspect(options).then(
      () => expect.fail('it should have been refused'),
      (error: ManageDbError) => error,
    );

  it('gives an overview when nothing is asked for', async () => {
    const { database, schemas, tables, ...rest } = await inspect();
    expect(rest).to.deep.equal({});
    expect(database).to.include({ name: new URL(db.url).pathname.slice(1), stamp: null });
    expect(schemas?.map(({ name }) => name)).to.include('shop');
    expect(tables?.map(({ name }) => name))
      .to.include('Benützer')
      .and.not.include('numbers');
  });

  it('lists tables with exactly the promised fields', async () => {
    const { tables, ...rest } = await inspect({ tables: true });
    expect(rest).to.deep.equal({});
    expect(tables?.[0]).to.have.all.keys([
      ...['schema', 'name', 'kind', 'rowEstimate', 'sizeBytes'],
      ...['tableBytes', 'indexBytes', 'toastBytes', 'comment', 'populated'],
    ]);
  });

  it('lists triggers and functions together when both are asked for', async () => {
    const { triggers, functions, ...rest } = await inspect({ triggers: true, functions: true });
    expect(rest).to.deep.equal({});
    expect(triggers?.[0]).to.have.all.keys([
      'schema',
      'table',
      'name',
      'timing',
      'events',
      'level',
      'function',
      'enabled',
      'managed',
      'constraint',
      'inherited',
      'comment',
      'definition',
    ]);
    expect(triggers?.[0]?.managed).to.equal(false);
    expect(functions?.[0]).to.have.all.keys([
      ...['schema', 'name', 'arguments', 'returns', 'language', 'securityDefiner'],
      ...['kind', 'volatility', 'owner', 'comment'],
    ]);
  });

  it('shows the tables, triggers and functions of one schema', async () => {
    const { tables, triggers, functions } = await inspect({ schema: 'Ünï Schema' });
    expect(tables?.map(({ name }) => name)).to.deep.equal(['Benützer']);
    expect(triggers?.map(({ name }) => name)).to.deep.equal(['emptied']);
    expect(functions).to.deep.equal([]);
  });

  it('restricts what is asked for to the schema', async () => {
    const result = await inspect({ schema: 'shop', functions: true });
    expect(result).to.have.all.keys('functions');
  });

  it('names the schemas that there are when one is not', async () => {
    const error = await failure({ schema: 'shopp' });
    expect(error).to.include({ code: 'NOT_FOUND', exitCode: 2 });
    expect(error.message).to.contain('public, shop, Ünï Schema');
    expect(error.hint).to.contain("--schema 'shop'");
  });

  it('shows one table in full', async () => {
    const { table, ...rest } = await inspect({ table: 'shop.clinics' });
    expect(rest).to.deep.equal({});
    expect(table).to.include({ schema: 'shop', name: 'clinics', kind: 'table', comment: 'the clinics' });
    expect(table?.columns.map(({ name }) => name)).to.deep.equal(['id', 'name', 'mood', 'double_id']);
    expect(table?.columns[0]).to.not.have.any.keys('schema', 'table');
    expect(table?.constraints.map(({ kind }) => kind)).to.deep.equal(['primary', 'unique']);
    expect(table?.indexes).to.have.length(2);
    expect(table?.policies.map(({ name }) => name)).to.deep.equal(['own_mood']);
    expect(table?.triggers.map(({ name }) => name)).to.deep.equal(['Touch It', 'a_first', 'b_last']);
    expect(table?.referencedBy.map(({ table: from }) => from)).to.deep.equal(['Benützer']);
  });

  it('shows the partitions of a partitioned table', async () => {
    const { table } = await inspect({ table: 'events' });
    expect(table?.partitions.map(({ name }) => name)).to.deep.equal(['events_2025', 'events_rest']);
    expect(table?.rowEstimate).to.equal(150);
  });

  for (const spelling of ['"Ünï Schema"."Benützer"', 'Ünï Schema.Benützer', 'Benützer', '"Benützer"', 'SHOP.EVENTS']) {
    it(`finds a table by ${spelling}`, async () => {
      const { table } = await inspect({ table: spelling });
      expect(table?.name).to.equal(spelling.startsWith('SHOP') ? 'events' : 'Benützer');
    });
  }

  it('refuses a bare name that two schemas have, and names both', async () => {
    const error = await failure({ table: 'clinics' });
    expect(error).to.include({ code: 'USAGE', exitCode: 2 });
    expect(error.message).to.contain('public.clinics').and.to.contain('shop.clinics');
  });

  it('takes --schema for the schema of a bare name', async () => {
    const { table } = await inspect({ table: 'clinics', schema: 'public' });
    expect(table).to.include({ schema: 'public' });
  });

  it('suggests the nearest table when one is not there', async () => {
    expect((await failure({ table: 'shop.clinic' })).hint).to.contain('shop.clinics');
    expect((await failure({ table: 'benutzer' })).hint).to.contain('"Ünï Schema"."Benützer"');
    expect(await failure({ table: 'shop.x"; drop table shop.clinics; --' })).to.include({ code: 'NOT_FOUND' });
  });
});
