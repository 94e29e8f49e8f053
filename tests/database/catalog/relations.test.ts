import { expect } from 'chai';
import { readColumns } from '../../../app/database/catalog/columns.js';
import { readRelationNames } from '../../../app/database/catalog/relation-names.js';
import { readRelations } from '../../../app/database/catalog/relations.js';
import { readSchemas } from '../../../app/database/catalog/schemas.js';
import { CLINIC } from './clinic-fixture.js';
import { connected, type OpenDatabase, openDatabase } from './open-database.js';

describe('reading relations', () => {
  let db: OpenDatabase;
  before(async () => {
    db = await openDatabase(CLINIC);
  });
  after(() => db.drop());

  const kinds = async (filter = {}) =>
    Object.fromEntries(
      (await readRelations(db.client, filter)).map(({ schema, name, kind }) => [`${schema}.${name}`, kind]),
    );

  it('names every kind, and leaves out system, temporary and manage_db relations', async () => {
    expect(await kinds()).to.deep.equal({
      'public.clinics': 'table',
      'shop.clinics': 'table',
      'shop.clinics_id_seq': 'sequence',
      'shop.events': 'partitioned table',
      'shop.events_2025': 'partition',
      'shop.events_rest': 'partitioned table',
      'shop.events_rest_all': 'partition',
      'shop.numbers': 'sequence',
      'shop.open_clinics': 'view',
      'shop.totals': 'materialized view',
      'Ünï Schema.Benützer': 'table',
      'Ünï Schema.Benützer_id_seq': 'sequence',
    });
  });

  it('shows manage_db when it is asked for', async () => {
    expect(await kinds({ schema: 'manage_db' })).to.deep.equal({ 'manage_db.migrations': 'table' });
  });

  it('sums rows and bytes over all levels of partitions', async () => {
    const relations = await readRelations(db.client, { schema: 'shop' });
    const find = (name: string) => relations.find((relation) => relation.name === name);
    expect(find('events')?.rowEstimate).to.equal(150);
    expect(find('events')?.sizeBytes).to.equal(
      Number(find('events_2025')?.sizeBytes) + Number(find('events_rest_all')?.sizeBytes),
    );
    expect(find('events')?.sizeBytes).to.be.greaterThan(0);
  });

  it('says that it does not know how many rows a table has that was never analyzed', async () => {
    const [relation] = await readRelations(db.client, { schema: 'shop', relation: 'clinics' });
    expect(relation).to.include({ rowEstimate: null, comment: 'the clinics' });
  });

  it('does not wait behind a session that has locked a table exclusively', async () => {
    const other = await connected(db.url);
    try {
      await other.query('begin; lock table shop.events_2025 in access exclusive mode');
      await db.client.query(`set lock_timeout = '500ms'`);
      const relations = await readRelations(db.client, { schema: 'shop' });
      const sizes = new Map(relations.map(({ name, sizeBytes }) => [name, sizeBytes]));
      expect(sizes.get('events_2025')).to.equal(null);
      expect(sizes.get('events')).to.equal(null);
      expect(sizes.get('clinics')).to.be.greaterThan(0);
    } finally {
      await db.client.query('reset lock_timeout');
      await other.end();
    }
  });

  it('lists names for looking one up, also those of manage_db', async () => {
    const names = (await readRelationNames(db.client)).map(({ schema, name }) => `${schema}.${name}`);
    expect(names).to.include('manage_db.migrations');
  });

  it('counts what is in each schema, without extensions', async () => {
    const schemas = await readSchemas(db.client);
    expect(schemas.map(({ name }) => name)).to.have.members(['public', 'shop', 'Ünï Schema']);
    expect(schemas.find(({ name }) => name === 'shop')).to.include({
      comment: 'what is sold',
      tables: 2,
      views: 2,
      functions: 4,
      triggers: 5,
    });
    expect(schemas.find(({ name }) => name === 'public')).to.include({ tables: 1, functions: 0 });
  });

  it('reads columns with type, default, identity, generation, comment and collation, without dropped ones', async () => {
    const columns = await readColumns(db.client, { schema: 'shop', relation: 'clinics' });
    const nothing = {
      ...{ default: null, identity: null, generated: null, comment: null, collation: null },
      ...{ storage: 'plain', statisticsTarget: null },
    };
    const own = { schema: 'shop', table: 'clinics' };
    expect(columns).to.deep.equal([
      { ...own, name: 'id', type: 'bigint', nullable: false, ...nothing, identity: 'always' },
      {
        ...own,
        name: 'name',
        type: 'text',
        nullable: false,
        ...nothing,
        comment: 'as on the door',
        collation: 'pg_catalog."C"',
        storage: 'extended',
      },
      { ...own, name: 'mood', type: 'shop.mood', nullable: true, ...nothing, default: `'calm'::shop.mood` },
      {
        ...own,
        name: 'double_id',
        type: 'numeric',
        nullable: true,
        ...nothing,
        default: '(id * 2)',
        storage: 'main',
        generated: 'stored',
      },
    ]);
  });

  it('writes types and sequences of quoted names with their schema', async () => {
    const columns = await readColumns(db.client, { schema: 'Ünï Schema', relation: 'Benützer' });
    expect(columns.map(({ type }) => type)).to.include('"Ünï Schema"."Geld"');
    expect(columns[0]?.default).to.equal(`nextval('"Ünï Schema"."Benützer_id_seq"'::regclass)`);
  });
});
