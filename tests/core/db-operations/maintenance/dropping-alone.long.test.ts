import { expect } from 'chai';
import { dropAllTables } from '../../../../app/core/db-operations/maintenance.js';
import { restoreDatabase } from '../../../../app/core/db-operations/restore.js';
import { failureOf } from '../../../support/failure-of.js';
import { type OwnServer, ownServer } from '../../../support/own-server.js';
import { withClient } from '../../../support/scratch-database.js';
import { stampAs } from '../../../support/stamp.js';

describe('dropping everything by a login that reaches no other database', () => {
  let server: OwnServer;
  before(async () => {
    server = await ownServer();
  });
  after(() => server.remove());

  it('is done, and says what it takes to bring it back', async () => {
    await server.query('postgres', `create role owner login password 'x'`);
    await server.query('postgres', 'create database clinic owner owner');
    await server.query('postgres', 'revoke connect on database postgres, template1 from public');
    const url = new URL(server.url('clinic'));
    url.username = 'owner';
    url.password = 'x';
    await withClient(server.url('clinic'), (client) => stampAs(client, 'testing'));
    await withClient(url.href, (client) => client.query('create table owned (id int)'));
    server.workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url.href}\n` });
    await server.workspace.run(async () => {
      const { warnings, safetyBackup } = await dropAllTables({ env: 'testing', consent: { yes: true } });
      expect(safetyBackup).to.be.a('string');
      expect(warnings.join('\n')).to.contain('grant connect on database postgres to "owner";');
      const refusal = await failureOf(
        restoreDatabase({ env: 'testing', id: safetyBackup ?? '', consent: { yes: true } }),
      );
      expect(refusal).to.include({
        code: 'PERMISSION_DENIED',
        hint: 'Its owner can allow it: grant connect on database "postgres" to "owner";',
      });
    });
    expect(await server.query('clinic', `select to_regclass('public.owned')::text as oid`)).to.deep.equal([
      { oid: null },
    ]);
  });
});
