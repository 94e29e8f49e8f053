import { expect } from 'chai';
import type pg from 'pg';
import { inSavepoint, inUndoneSavepoint } from '../../app/database/in-savepoint.js';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { openClient } from './open-client.js';

describe('work in a savepoint', () => {
  let database: ScratchDatabase;
  let client: pg.Client;
  beforeEach(async () => {
    database = await scratchDatabase('create table notes (id int primary key)');
    client = await openClient(database.url);
    await client.query('begin');
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const add = (id: number) => client.query(`insert into notes values (${id})`);
  const ids = async () =>
    (await client.query<{ id: number }>('select id from notes order by 1')).rows.map(({ id }) => id);

  it('stays when it is done, and is undone when it fails, with what was set; the transaction goes on', async () => {
    await inSavepoint(client, () => add(1));
    const error = await inSavepoint(client, async () => {
      await add(2);
      await client.query(`set local lock_timeout = '7s'`);
      await add(1);
    }).catch((one: unknown) => one);
    expect(error).to.include({ code: '23505' });
    expect((await client.query('show lock_timeout')).rows).to.deep.equal([{ lock_timeout: '0' }]);
    await client.query('commit');
    expect(await ids()).to.deep.equal([1]);
  });

  it('is undone in any case where that is wanted, also within another', async () => {
    const seen = await inSavepoint(client, async () => {
      await add(1);
      return inUndoneSavepoint(client, async () => {
        await add(2);
        return ids();
      });
    });
    expect(seen).to.deep.equal([1, 2]);
    expect(await ids()).to.deep.equal([1]);
  });

  it('says that the session has ended, and not that nothing can be undone in it', async () => {
    client.on('error', () => undefined);
    const error = await inSavepoint(client, () => client.query('select pg_terminate_backend(pg_backend_pid())')).catch(
      (one: unknown) => one,
    );
    expect(error).to.include({ code: '57P01' });
  });
});
