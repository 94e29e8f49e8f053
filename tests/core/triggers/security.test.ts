import { expect } from 'chai';
import type pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import { applyTriggers } from '../../../app/core/db-operations/triggers.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

const TABLES = `
  create schema clinic;
  create table clinic.users (id integer primary key, email text, password_hash varchar(200), failed_login_attempts integer not null default 0,
    locked_until timestamptz, last_login_at timestamptz, data json);
  create table clinic.sessions (id serial primary key, user_id integer, expires_at timestamptz, revoked_at timestamptz, note text);
  create table public.patients (id integer primary key, name text);`;

describe('the security pack', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let client: pg.Client;

  beforeEach(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
    await stampAs(client, 'testing');
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`,
      'triggers/security.trigger.ts': `import { configureSecurityPack } from 'manage_db';
        export default configureSecurityPack({ passwords: { cost: 10 }, lockout: { attempts: 3, minutes: 10 }, sessions: { limit: 2, minutes: 60 } });`,
    });
    await apply();
  });
  afterEach(async () => {
    await client.end();
    await workspace.remove();
    await database.drop();
  });

  const apply = () => workspace.run(() => applyTriggers({ env: 'testing' }));
  const query = async (sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows;
  const refusal = (sql: string): Promise<pg.DatabaseError> =>
    client.query(sql).then(
      () => expect.fail('it was not refused'),
      (error) => error,
    );
  const stored = async () =>
    (await query('select password_hash as hash from clinic.users order by id')).map(({ hash }) => hash);

  it('applies only where the columns are, once, and is in sync', async () => {
    const { counts } = await workspace.run(() => verifyTriggers({ env: 'testing' }));
    expect(counts).to.include({ in_sync: 4, pending: 0, drifted: 0 });
    expect(await apply()).to.deep.include({ created: [], statements: [] });
  });

  describe('with pgcrypto', () => {
    beforeEach(() => client.query(`create schema "Extensions X"; create extension pgcrypto schema "Extensions X"`));

    it('stores no plain password, however it is written, and verifies with crypt()', async () => {
      await client.query(`insert into clinic.users (id, password_hash, data) values (1, 'geheim ü 🔑', '{"b":1,  "a":2}'), (2, null, null)
        on conflict (id) do update set password_hash = excluded.password_hash`);
      await client.query(
        `insert into clinic.users (id, password_hash) values (2, 'second') on conflict (id) do update set password_hash = 'third'`,
      );
      await client.query(
        `set session_replication_role = replica; insert into clinic.users (id, password_hash) values (3, 'fourth'); set session_replication_role = origin`,
      );
      await client.query(`create function spoil() returns trigger language plpgsql as $$ begin new.password_hash := 'spoilt'; return new; end $$;
        create trigger yy_spoil before insert on clinic.users for each row execute function spoil()`);
      await client.query(`insert into clinic.users (id) values (4)`);
      for (const [index, plain] of ['geheim ü 🔑', 'third', 'fourth', 'spoilt'].entries()) {
        const [{ ok, cost }] = (await query(
          `select "Extensions X".crypt($1, password_hash) = password_hash as ok, left(password_hash, 7) as cost from clinic.users where id = $2`,
          [plain, index + 1],
        )) as [{ ok: boolean; cost: string }];
        expect([ok, cost], plain).to.deep.equal([true, '$2a$10$']);
      }
      expect((await query('select data::text as data from clinic.users where id = 1'))[0]?.data).to.equal(
        '{"b":1,  "a":2}',
      );
    });

    it('keeps what is hashed already, and takes what only looks like it for a password', async () => {
      const hashes = [
        '$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234',
        '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b0dWRWJTmaaJObG',
        'pbkdf2_sha256$600000$salt$abcdefghijklmnopqrstuvwxyz0123456789abcdef=',
        'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy',
      ];
      for (const [index, hash] of hashes.entries())
        await client.query('insert into clinic.users (id, password_hash) values ($1, $2)', [index, hash]);
      expect(await stored()).to.deep.equal(hashes);
      await client.query(
        `delete from clinic.users; insert into clinic.users (id, password_hash) values (1, '$2b$12$short'), (2, '$argon2id$')`,
      );
      for (const hash of await stored()) expect(hash).to.match(/^\$2a\$10\$.{53}$/);
    });

    it('does not hash a hash again: by an update of another column, by a dump and restore', async () => {
      await client.query(`insert into clinic.users (id, password_hash) values (1, 'secret')`);
      const before = await stored();
      await client.query(`update clinic.users set email = 'x', password_hash = password_hash`);
      expect(await stored()).to.deep.equal(before);
      await workspace.run(() => backupDatabase({ env: 'testing' }));
      await client.end();
      await workspace.run(() => closeEngines('testing'));
      await workspace.run(() => restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true } }));
      client = await openClient(database.url);
      expect(await stored()).to.deep.equal(before);
    });

    it('refuses what bcrypt would cut', async () => {
      const error = await refusal(`insert into clinic.users (id, password_hash) values (1, repeat('ü', 37))`);
      expect([error.code, error.message]).to.deep.equal([
        '22001',
        'A password for clinic.users has more than 72 bytes, of which bcrypt reads no more; it was not stored.',
      ]);
      await client.query(`insert into clinic.users (id, password_hash) values (1, repeat('ü', 36))`);
    });
  });

  it('refuses a plain password without pgcrypto, keeps hashes, and everything else works', async () => {
    const error = await refusal(`insert into clinic.users (id, password_hash) values (1, 'canary-password')`);
    expect(error.message).to.equal(
      'A password for clinic.users is not hashed, and pgcrypto is not installed; it was not stored.',
    );
    expect(error.hint).to.contain('create extension pgcrypto');
    expect(JSON.stringify(error)).not.to.contain('canary');
    await client.query(
      `insert into clinic.users (id, password_hash) values (1, '$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234'), (2, null)`,
    );
    await client.query(`update clinic.users set failed_login_attempts = 3 where id = 1`);
    expect((await query('select locked_until > now() as locked from clinic.users where id = 1'))[0]?.locked).to.equal(
      true,
    );
  });

  describe('locks accounts', () => {
    const account = async () =>
      (
        await query(`select failed_login_attempts as failed, locked_until > now() as locked,
        round(extract(epoch from locked_until - now()) / 60)::integer as minutes from clinic.users`)
      )[0];
    const fail = () => client.query('update clinic.users set failed_login_attempts = failed_login_attempts + 1');
    beforeEach(() => client.query(`insert into clinic.users (id) values (1)`));

    it('after so many failures, for a time', async () => {
      await fail();
      await fail();
      expect(await account()).to.deep.equal({ failed: 2, locked: null, minutes: null });
      await fail();
      expect(await account()).to.deep.equal({ failed: 3, locked: true, minutes: 10 });
      await fail();
      expect((await account())?.locked).to.equal(true);
      for (const login of ['last_login_at = now()', 'failed_login_attempts = 0']) {
        const error = await refusal(`update clinic.users set ${login}`);
        expect([error.code, error.hint], login).to.deep.equal([
          '28000',
          'It opens by itself then. To open it now, set locked_until to null.',
        ]);
      }
      await client.query(`update clinic.users set email = 'still possible'`);
    });

    it('and opens them by itself, with a new count; by hand; and forgets failures after a login', async () => {
      await fail();
      await fail();
      await client.query('update clinic.users set last_login_at = now()');
      expect((await account())?.failed).to.equal(0);
      for (const _ of [1, 2, 3]) await fail();
      await client.query(`alter table clinic.users disable trigger lock_account; update clinic.users set locked_until = now() - interval '1 second';
        alter table clinic.users enable trigger lock_account`);
      await fail();
      expect(await account()).to.deep.equal({ failed: 1, locked: null, minutes: null });
      for (const _ of [1, 2]) await fail();
      expect((await account())?.locked).to.equal(true);
      await client.query('update clinic.users set locked_until = null');
      expect(await account()).to.deep.equal({ failed: 0, locked: null, minutes: null });
    });
  });

  describe('manages sessions', () => {
    const open = (user: number, more = '') =>
      client.query(
        `insert into clinic.sessions (user_id${more === '' ? '' : ', expires_at'}) values (${user}${more === '' ? '' : `, ${more}`})`,
      );
    const active = async (user: number) =>
      (
        await query(
          'select id from clinic.sessions where user_id = $1 and revoked_at is null and expires_at > now() order by id',
          [user],
        )
      ).map(({ id }) => id);

    it('which expire, are never longer than allowed, and are not prolonged when they have ended', async () => {
      await open(1);
      await open(1, `now() + interval '1 year'`);
      expect(
        await query(
          `select round(extract(epoch from expires_at - now()) / 60)::integer as minutes from clinic.sessions`,
        ),
      ).to.deep.equal([{ minutes: 60 }, { minutes: 60 }]);
      await open(2, `now() - interval '1 minute'`);
      expect(
        (await refusal(`update clinic.sessions set expires_at = now() + interval '5 minutes' where user_id = 2`))
          .message,
      ).to.contain('has ended, and is not prolonged');
      await client.query(`update clinic.sessions set expires_at = now() + interval '5 minutes' where user_id = 1`);
    });

    it('which are revoked for ever', async () => {
      await open(1);
      await client.query(`update clinic.sessions set revoked_at = now()`);
      for (const change of [
        'revoked_at = null',
        `revoked_at = now() + interval '1 day'`,
        `expires_at = expires_at + interval '1 minute'`,
      ])
        expect((await refusal(`update clinic.sessions set ${change}`)).code, change).to.equal('23514');
      await client.query(`update clinic.sessions set note = 'x'`);
    });

    it('of which a user has so many, also when many begin at once', async () => {
      for (const _ of [1, 2, 3]) await open(7);
      await open(8);
      expect([await active(7), await active(8)]).to.deep.equal([[2, 3], [4]]);
      const others = await Promise.all([1, 2, 3, 4].map(() => openClient(database.url)));
      await Promise.all(
        others.map((other) => other.query('insert into clinic.sessions (user_id) select 9 from generate_series(1, 3)')),
      );
      for (const other of others) await other.end();
      expect(await active(9)).to.have.length(2);
    });
  });
});
