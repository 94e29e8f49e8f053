import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import type { RestoreMethod } from '../../../app/core/db-operations/restore/method.js';
import { type RestoreResult, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { ONE_TABLE } from '../../../scripts/dev/bench-databases.js';
import { CLINIC, CLINIC_ROWS } from '../../database/catalog/clinic-fixture.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { HOSTILE_SEARCH_PATH, hostileDatabase, withHostileRoles } from './round-trip/hostile-database.js';
import { differences, expectSame, readWholeState } from './round-trip/whole-state.js';

/** What can happen to a database between its backup and its restore. */
const HOSTILE_DAMAGE = `
  drop schema of_views cascade;
  drop event trigger "noted 1";
  drop table children cascade;
  drop publication "Änderungen";
  drop operator class by_length using btree cascade;
  truncate floats;
  update base_table set kind = 'damaged';
  insert into "TABLE DATA"."TABLE DATA" values (6, 'damaged');
  alter table parents enable trigger "Aus", disable trigger always_on, disable row level security;
  alter table parents rename note to notes;
  alter type mood add value 'damaged';
  alter default privileges grant all on tables to public;
  alter domain positive drop constraint small;
  alter schema "manage_db's" rename to renamed;
  comment on table parents is 'damaged';
  grant all on all tables in schema public to public;
  select setval('free', -50), lo_unlink(4711), lo_from_bytea(4800, 'new'), lo_put(4713, 5, 'damaged');
  create table later (id int primary key);
  create schema later;
  create view later.v as select * from public.later;
  create event trigger later on sql_drop execute function noted()`;

const CLINIC_DAMAGE = `
  drop table shop.events cascade; drop type shop.mood cascade; truncate "Ünï Schema"."Benützer"; drop procedure shop.close_day;
  create table later (id int); drop extension hstore`;

describe('a round trip', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  withHostileRoles();
  const prepare = async (sql: string): Promise<void> => {
    database = await scratchDatabase(sql);
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    await onServer((server) =>
      server.query(`alter database ${database.name} set search_path = ${HOSTILE_SEARCH_PATH}`),
    );
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL='${database.url}'\n` });
  };
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const restore = (method: RestoreMethod): Promise<RestoreResult> =>
    workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', method, consent: { yes: true } }));

  for (const method of ['swap', 'transaction'] as const) {
    const sources = {
      'a clinic': { sql: () => `${CLINIC}; drop schema manage_db cascade; ${CLINIC_ROWS}`, damage: CLINIC_DAMAGE },
      'a hostile database': { sql: hostileDatabase, damage: HOSTILE_DAMAGE },
    };
    for (const [name, { sql, damage }] of Object.entries(sources)) {
      it(`through a backup and a restore by ${method} leaves ${name} as it was`, async () => {
        await prepare(sql());
        const before = await readWholeState(database.url);
        await workspace.run(() => backupDatabase({ env: 'testing' }));
        await database.query(damage);
        const damaged = await readWholeState(database.url);
        expect(damaged.data).not.to.deep.equal(before.data);
        expect(damaged.schema).not.to.deep.equal(before.schema);
        expect(differences(before, damaged)).not.to.deep.equal([]);
        expect(await restore(method)).to.include({ strategy: method });
        expectSame(before, await readWholeState(database.url));
      });
    }
  }

  it('leaves 1 GB of rows in one table as it was', async function () {
    this.timeout(600_000);
    await prepare('');
    await database.query(ONE_TABLE.join(';'));
    const { rows } = await database.query<{ bytes: string }>(`select pg_table_size('notes') as bytes`);
    expect(Number(rows[0]?.bytes)).to.be.greaterThan(1e9);
    const before = await readWholeState(database.url);
    await workspace.run(() => backupDatabase({ env: 'testing' }));
    await database.query(`
      delete from notes where id % 3 = 0;
      update notes set body = reverse(body) where id % 1000 = 1;
      alter table notes drop column amount`);
    expect(await restore('swap')).to.include({ strategy: 'swap' });
    expectSame(before, await readWholeState(database.url));
  });

  it('is shown by a proof where indexes rely on the search_path', async () => {
    await prepare(hostileDatabase());
    const { manifest } = await workspace.run(() => backupDatabase({ env: 'testing', prove: true }));
    expect(manifest.tables.find(({ name }) => name === 'traps')).to.include({ rows: 100 });
  });
});
