import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { withConnection } from '../../app/services/with-connection.js';
import { type OwnServer, ownServer } from '../support/own-server.js';
import { settingsOf } from '../support/settings-of.js';

describe('a connection of its own', () => {
  let server: OwnServer;
  before(async () => {
    server = await ownServer();
  });
  after(() => server.remove());

  const log = () => readFileSync(join(dirname(server.dataDirectory), 'server.log'), 'utf8');

  it("leaves no warning in the server's log, whether or not a transaction is open at its end", async () => {
    const settings = await settingsOf(server.url('postgres'));
    const before = log().length;
    for (const work of ['select 1', 'begin']) await withConnection(settings, {}, (client) => client.query(work));
    await withConnection(settings, {}, (client) => client.query('begin; select 1 / 0')).catch(() => undefined);
    const said = log().slice(before);
    expect(said).to.contain('division by zero').and.not.contain('WARNING');
  });
});
