import { expect } from 'chai';
import type pg from 'pg';
import { ManageDbError } from '../../../../app/core/errors.js';
import { inTransaction } from '../../../../app/services/in-transaction.js';
import { openClient } from '../../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';

describe('the transaction of a migration', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase('create table notes (text text)');
    client = await openClient(database.url);
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  it('does not take a commit for success that the server turned into a rollback', async () => {
    const error: unknown = await inTransaction(client, async () => {
      await client.query(`insert into notes values ('kept?')`);
      await client.query('select 1 / 0').catch(() => undefined);
    }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ManageDbError).with.property('code', 'SQL_FAILED');
    expect((await database.query('select from notes')).rowCount).to.equal(0);
  });
});
