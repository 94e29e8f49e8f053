import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { ManageDbError } from '../../app/core/errors.js';
import type { Queryable } from '../../app/database/queryable.js';
import { ensureSchema } from '../../app/database/schema/ensure-schema.js';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { openClient } from './open-client.js';

const shipped = readdirSync(join(import.meta.dirname, '../../app/database/schema')).filter((file) =>
  file.endsWith('.sql'),
).length;

describe("manage_db's own schema", () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase();
    client = await openClient(database.url);
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const versions = async () =>
    (await client.query('select version, name from manage_db.schema_versions order by version')).rows;

  it('is created once when twenty connections want it in the same moment', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => openClient(database.url)));
    const outcomes = await Promise.allSettled(clients.map((each) => ensureSchema(each)));
    await Promise.all(clients.map((each) => each.end()));
    expect(outcomes.filter(({ status }) => status === 'rejected')).to.deep.equal([]);
    expect(await versions()).to.have.length(shipped);
    expect((await versions())[0]).to.deep.equal({ version: 1, name: 'versions_and_migrations' });
  });

  it('costs one query when it is current', async () => {
    await ensureSchema(client);
    const queries: string[] = [];
    const counted: Queryable = {
      query: (text, values) => {
        queries.push(text);
        return client.query(text, values);
      },
    };
    await ensureSchema(counted);
    expect(queries).to.have.length(1);
  });

  it('is created under a hostile search_path, which is left as it was', async () => {
    await client.query(`
      create schema hostile;
      create function hostile.coalesce_text(text, text) returns boolean language sql as 'select false';
      create operator hostile.~ (leftarg = text, rightarg = text, function = hostile.coalesce_text);
      create table hostile.pg_class (oid integer);
      set search_path = hostile, pg_catalog`);
    await ensureSchema(client);
    expect((await client.query('show search_path')).rows[0]).to.deep.equal({ search_path: 'hostile, pg_catalog' });
    await client.query('reset search_path');
    expect(await versions()).to.have.length(shipped);
  });

  it('is created under an empty search_path', async () => {
    await client.query(`set search_path = ''`);
    await ensureSchema(client);
    expect(await versions()).to.have.length(shipped);
  });

  it('belongs to the transaction in which it is created', async () => {
    await client.query('begin');
    await ensureSchema(client);
    await client.query('rollback');
    expect((await client.query(`select from pg_namespace where nspname = 'manage_db'`)).rowCount).to.equal(0);
    await ensureSchema(client);
    expect(await versions()).to.have.length(shipped);
  });

  it('looks at the table itself when its comment was lost', async () => {
    await ensureSchema(client);
    await client.query('comment on table manage_db.schema_versions is null');
    await ensureSchema(client);
    expect(await versions()).to.have.length(shipped);
  });

  it('refuses a database that a newer program has used', async () => {
    await ensureSchema(client);
    await client.query(`insert into manage_db.schema_versions values (99, 'the_future', '9.0.0')`);
    await client.query('comment on table manage_db.schema_versions is null');
    const byTable = await failureOf(client);
    await client.query(`comment on table manage_db.schema_versions is 'version 99'`);
    for (const error of [byTable, await failureOf(client)]) {
      expect(error.code).to.equal('SCHEMA_TOO_NEW');
      expect(error.message).to.contain('version 99').and.to.contain('Nothing was changed');
    }
  });

  it('tells a login without the right to create schemas what to do', async () => {
    await client.query('begin; create role manage_db_test_stranger; set local role manage_db_test_stranger');
    const error = await failureOf(client);
    await client.query('rollback');
    expect(error.code).to.equal('PERMISSION_DENIED');
    expect(error.hint).to.contain('grant create on database');
  });
});

async function failureOf(client: Queryable): Promise<ManageDbError> {
  try {
    await ensureSchema(client);
  } catch (error) {
    if (error instanceof ManageDbError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
