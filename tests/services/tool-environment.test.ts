import { expect } from 'chai';
import { withToolEnvironment } from '../../app/services/client-tools/tool-environment.js';
import { onServer, type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../support/scratch-login.js';
import { settingsOf } from '../support/settings-of.js';
import { testUrl } from '../support/test-server.js';

describe('what a client tool is told of the settings of its sessions', function () {
  // the limit also holds for the statement that lifts it
  this.retries(3);

  let database: ScratchDatabase;
  let reader: ScratchLogin;
  let anna: ScratchLogin;

  before(async () => {
    database = await scratchDatabase();
    reader = await scratchLogin('reader');
    anna = await scratchLogin('anna', 'superuser');
    await onServer(async (server) => {
      await server.query(`alter database ${database.name} set role = ${reader.user}`);
      await server.query(`alter database ${database.name} set default_transaction_read_only = on`);
      // shorter than it takes to find out what is set
      await server.query(`alter database ${database.name} set statement_timeout = 1`);
    });
  });
  after(async () => {
    await database.drop();
    await dropLogins(reader, anna);
  });

  const optionsWith = async (options: string | null) => {
    const settings = { ...(await settingsOf(testUrl(database.name, anna))), options };
    return withToolEnvironment(settings, {}, async (env) => env.PGOPTIONS);
  };

  it('puts them back to their defaults, whatever time limit the database has', async () => {
    expect(await optionsWith(null)).to.equal(
      '-c role=none -c default_transaction_read_only=off -c statement_timeout=0',
    );
  });

  it('lets what the environment says come last, and so win', async () => {
    expect(await optionsWith('-c statement_timeout=5000')).to.match(
      /-c role=none -c default_transaction_read_only=off -c statement_timeout=0 -c statement_timeout=5000$/,
    );
  });
});
