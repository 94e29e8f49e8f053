import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { type OwnServer, ownServer } from '../../support/own-server.js';
import { withClient } from '../../support/scratch-database.js';
import { stampAs } from '../../support/stamp.js';

describe('a database with a logical replication slot', () => {
  let server: OwnServer;
  before(async () => {
    server = await ownServer();
    await server.query('postgres', 'alter system set wal_level = logical');
    // at the next start
    server.kill();
    await server.start();
    await server.query('postgres', 'create database clinic');
    await server.query('clinic', 'create table patients (id int primary key); insert into patients values (1)');
    await withClient(server.url('clinic'), (client) => stampAs(client, 'testing'));
    server.workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${server.url('clinic')}\n` });
  });
  after(() => server.remove());

  it('is restored inside itself, and whoever reads from the slot goes on where it was', async () => {
    const { workspace, query } = server;
    const { id } = await workspace.run(() => backupDatabase({ env: 'testing' }));
    await query('clinic', `select pg_create_logical_replication_slot('feed', 'pgoutput')`);
    await query('clinic', 'insert into patients values (2)');
    const slots = () =>
      query(
        'postgres',
        'select slot_name, database, plugin, confirmed_flush_lsn::text as at from pg_replication_slots',
      );
    const before = await slots();
    expect(before).to.have.length(1);

    const result = await workspace.run(() => restoreDatabase({ env: 'testing', id, consent: { yes: true } }));
    expect(result.strategy).to.equal('transaction');
    expect(result.because).to.match(/feed/);
    expect(await query('clinic', 'select id from patients')).to.deep.equal([{ id: 1 }]);
    expect(await slots()).to.deep.equal(before);

    const refused = await workspace
      .run(() => restoreDatabase({ env: 'testing', id, method: 'swap', consent: { yes: true } }))
      .then(
        () => expect.fail('it was swapped'),
        (error) => error,
      );
    expect(refused.message)
      .to.match(/feed/)
      .and.match(/was not changed/);
    expect(await slots()).to.deep.equal(before);
  });
});
