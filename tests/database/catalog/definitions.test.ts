import { expect } from 'chai';
import { readColumns } from '../../../app/database/catalog/columns.js';
import { readConstraints } from '../../../app/database/catalog/constraints.js';
import { readDatabaseFacts } from '../../../app/database/catalog/database-facts.js';
import { readExtensions } from '../../../app/database/catalog/extensions.js';
import { readFunctions } from '../../../app/database/catalog/functions.js';
import { readIndexes } from '../../../app/database/catalog/indexes.js';
import { readPartitions } from '../../../app/database/catalog/partitions.js';
import { readPolicies } from '../../../app/database/catalog/policies.js';
import { readReferencingKeys } from '../../../app/database/catalog/referencing-keys.js';
import { readTriggers } from '../../../app/database/catalog/triggers.js';
import { CLINIC } from './clinic-fixture.js';
import { type OpenDatabase, openDatabase } from './open-database.js';

describe('reading definitions', () => {
  let db: OpenDatabase;
  before(async () => {
    db = await openDatabase(CLINIC);
  });
  after(() => db.drop());

  for (const read of [readColumns, readConstraints, readIndexes, readPolicies, readTriggers, readFunctions]) {
    it(`${read.name} reads the same under any search_path, and leaves the search_path as it was`, async () => {
      const texts = [];
      for (const path of ['shop, public', '"Ünï Schema", shop', '']) {
        await db.client.query('begin');
        await db.client.query(`select set_config('search_path', $1, false)`, [path]);
        texts.push(JSON.stringify(await read(db.client)));
        await read(db.client, { schema: 'no such schema' });
        const { rows } = await db.client.query(`select current_setting('search_path') as path`);
        expect(rows[0].path).to.equal(path);
        await db.client.query('rollback');
      }
      expect(texts[0]).to.have.length.greaterThan(50);
      expect(new Set(texts)).to.have.property('size', 1);
    });
  }

  it('reads triggers in the order in which they fire, without clones and internal ones', async () => {
    const triggers = await readTriggers(db.client);
    const plain = { constraint: null, inherited: false, comment: null };
    const own = { schema: 'shop', table: 'clinics', level: 'ROW', function: 'shop.touch', ...plain };
    expect(triggers.filter(({ table }) => table === 'clinics').map(({ definition, ...rest }) => rest)).to.deep.equal([
      { ...own, name: 'Touch It', timing: 'BEFORE', events: ['INSERT', 'UPDATE'], enabled: 'disabled' },
      { ...own, name: 'a_first', timing: 'AFTER', events: ['INSERT'], enabled: 'always' },
      { ...own, name: 'b_last', timing: 'AFTER', events: ['INSERT'], enabled: 'replica' },
    ]);
    expect(triggers.filter(({ name }) => name === 'counted').map(({ table }) => table)).to.deep.equal(['events']);
    expect(triggers.find(({ name }) => name === 'removed')).to.include({ table: 'open_clinics', timing: 'INSTEAD OF' });
    expect(triggers.find(({ name }) => name === 'emptied')).to.deep.include({
      table: 'Benützer',
      events: ['UPDATE', 'DELETE', 'TRUNCATE'],
      level: 'STATEMENT',
      definition: `CREATE TRIGGER emptied AFTER DELETE OR UPDATE OR TRUNCATE ON "Ünï Schema"."Benützer" FOR EACH STATEMENT EXECUTE FUNCTION shop.touch('x')`,
    });
    expect(triggers).to.have.length(6);
  });

  it('reads functions, procedures and aggregates, without those of extensions', async () => {
    const functions = await readFunctions(db.client);
    const own = { schema: 'shop', language: 'plpgsql', securityDefiner: false };
    expect(functions.find(({ name }) => name === 'close_day')).to.include({
      kind: 'procedure',
      volatility: 'volatile',
    });
    const signatures = functions.map(({ kind, volatility, owner, comment, ...signature }) => signature);
    expect(signatures).to.deep.equal([
      { ...own, name: 'close_day', arguments: `IN day date, INOUT note text DEFAULT 'none'::text`, returns: null },
      { ...own, name: 'secret', arguments: '', returns: 'shop.mood', language: 'sql', securityDefiner: true },
      { ...own, name: 'sum_up', arguments: 'numeric', returns: 'numeric', language: 'internal' },
      { ...own, name: 'touch', arguments: '', returns: 'trigger' },
    ]);
  });

  it('reads every kind of constraint, and no NOT NULL', async () => {
    const constraints = await readConstraints(db.client, { schema: 'Ünï Schema' });
    expect(constraints.map(({ kind, definition }) => [kind, definition])).to.deep.equal([
      ['primary', 'PRIMARY KEY (id)'],
      ['foreign', 'FOREIGN KEY (clinic_id) REFERENCES shop.clinics(id)'],
      ['check', 'CHECK ((("Preis")::numeric < (100)::numeric))'],
      ['exclusion', 'EXCLUDE USING gist (during WITH &&)'],
    ]);
  });

  it('finds who references a table', async () => {
    const keys = await readReferencingKeys(db.client, { schema: 'shop', relation: 'clinics' });
    expect(keys.map(({ schema, table }) => `${schema}.${table}`)).to.deep.equal(['Ünï Schema.Benützer']);
  });

  it('reads indexes, the one of the primary key first', async () => {
    const [first, second] = await readIndexes(db.client, { schema: 'shop', relation: 'clinics' });
    expect(first).to.include({ name: 'clinics_pkey', primary: true, unique: true, valid: true });
    expect(second).to.include({ name: 'clinics_name_key', primary: false, unique: true });
    expect(second?.sizeBytes).to.be.greaterThan(0);
  });

  it('says that a policy does nothing while row level security is off', async () => {
    expect(await readPolicies(db.client)).to.deep.equal([
      {
        schema: 'shop',
        table: 'clinics',
        name: 'own_mood',
        command: 'SELECT',
        permissive: true,
        roles: ['public'],
        using: `(mood = 'calm'::shop.mood)`,
        check: null,
        active: false,
        comment: null,
      },
    ]);
  });

  it('reads the bounds of partitions', async () => {
    expect(await readPartitions(db.client, { schema: 'shop', relation: 'events' })).to.deep.equal([
      { schema: 'shop', name: 'events_2025', bound: `FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')` },
      { schema: 'shop', name: 'events_rest', bound: 'DEFAULT' },
    ]);
  });

  it('reads extensions and facts of the database', async () => {
    const extensions = await readExtensions(db.client);
    expect(extensions.map(({ name, schema }) => `${schema}.${name}`)).to.have.members([
      'pg_catalog.plpgsql',
      'public.hstore',
    ]);
    const facts = await readDatabaseFacts(db.client);
    expect(facts.serverVersion).to.match(/^\d+(\.\d+)?$/);
    expect(facts.serverMajor).to.equal(Number.parseInt(facts.serverVersion, 10));
    expect(facts.sizeBytes).to.be.greaterThan(1_000_000);
  });
});
