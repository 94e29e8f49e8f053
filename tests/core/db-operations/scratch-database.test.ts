import { expect } from 'chai';
import { dropDatabase } from '../../../app/core/db-operations/scratch/scratch-database.js';
import { openClient } from '../../database/open-client.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { testUrl } from '../../support/test-server.js';

describe('dropping a scratch database', () => {
  let database: ScratchDatabase;
  beforeEach(async () => {
    database = await scratchDatabase();
  });
  afterEach(() => database.drop());

  it("does not fail for an owner who may not end the server's own process in it, such as an autovacuum worker", async () => {
    const owner = await scratchLogin('scratch_owner', 'createdb');
    // an autovacuum worker cannot be ordered: to FORCE, it is what the session of a superuser is
    const own = await openClient(testUrl(database.name, owner));
    own.on('error', () => undefined);
    const superuser = await openClient(database.url);
    try {
      await onServer((server) => server.query(`alter database ${database.name} owner to ${owner.user}`));
      setTimeout(() => superuser.end(), 700);
      await withClient(testUrl('postgres', owner), (client) => dropDatabase(client, database.name));
      const { rowCount } = await onServer((server) =>
        server.query('select from pg_database where datname = $1', [database.name]),
      );
      expect(rowCount).to.equal(0);
    } finally {
      await own.end().catch(() => undefined);
      await dropLogins(owner);
    }
  });
});
