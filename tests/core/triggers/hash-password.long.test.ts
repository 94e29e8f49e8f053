import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import type pg from 'pg';
import { applyPacks } from '../../../app/core/triggers/apply.js';
import { securityPack } from '../../../app/core/triggers/security-pack.js';
import { configureSecurityPack, type PasswordSettings } from '../../../app/core/triggers/security-pack-settings.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { findClientTools } from '../../../app/services/client-tools.js';
import { openClient } from '../../database/open-client.js';
import { needFittingTools } from '../../support/fitting-tools.js';
import { refusalOf } from '../../support/refusal-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const TABLES = `
  create schema "Ext Ünï";
  create table users (id integer primary key, "Note" text, password_hash text, updated_at timestamptz);
  create table short (id integer primary key, password_hash varchar(59));
  create table padded (id integer primary key, password_hash char(80));
  create table binary_users (id integer primary key, password_hash bytea);
  create table mailboxes (id integer primary key, password text);
  create table members (id integer, region text, password_hash varchar(200), primary key (id, region)) partition by list (region);
  create table members_eu partition of members for values in ('eu');
  create table members_us partition of members for values in ('us');
  create schema "Cl Ü";
  create table "Cl Ü"."Us""ers" (id integer primary key, password_hash text);`;

const BCRYPT = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy';
const HASHES: Readonly<Record<string, string>> = {
  'bcrypt 2a': BCRYPT.replace('$2b', '$2a'),
  'bcrypt 2b': BCRYPT,
  'bcrypt 2y': BCRYPT.replace('$2b', '$2y'),
  argon2id: '$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b3dWRWJTmaaJObG',
  'SCRAM-SHA-256': `SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$${'A'.repeat(43)}=:${'b'.repeat(43)}=`,
  'Werkzeug scrypt': `scrypt:32768:8:1$k5HqZ2bGxq9cQv3N$${'0af'.repeat(42)}00`,
  'Werkzeug PBKDF2': `pbkdf2:sha256:600000$k5HqZ2bGxq9cQv3N$${'0123abcd'.repeat(8)}`,
  'Django PBKDF2': `pbkdf2_sha256$600000$k5HqZ2bGxq9cQv3N$${'A'.repeat(43)}=`,
  'passlib scrypt': `$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$${'A'.repeat(43)}`,
  'an account without a password': '!',
  'the same in Django': `!${'aB3'.repeat(13)}x`,
};

const MALFORMED: Readonly<Record<string, string>> = {
  'a bcrypt hash cut short': BCRYPT.slice(0, 59),
  'a bcrypt hash with more behind it': `${BCRYPT}x`,
  'a bcrypt hash with a line feed behind it': `${BCRYPT}\n`,
  'a bcrypt hash with a line before it': `x\n${BCRYPT}`,
  'a bcrypt of an impossible cost': BCRYPT.replace('$10$', '$32$'),
  'a bcrypt of a kind that does not exist': BCRYPT.replace('$2b', '$2q'),
  'the name of a format alone': '$argon2id$',
  'a password that looks like the beginning of one': '$2b$12$secret',
};

describe('hash_password', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  const applyWith = async (passwords: PasswordSettings = {}) => {
    const { settings } = configureSecurityPack({ passwords: { cost: 4, ...passwords } });
    await client.query('begin');
    await ensureSchema(client);
    const result = await applyPacks(client, [securityPack(settings)], {
      environment: 'testing',
      dryRun: false,
      lockTimeoutMs: 1000,
    });
    await client.query('commit');
    await client.query('reset search_path');
    return result;
  };
  const installPgcrypto = () => client.query('create extension pgcrypto schema "Ext Ünï"');
  const insert = (password: string | null, table = 'users') =>
    client.query(`insert into ${table} (id, password_hash) values (1, $1)`, [password]);
  const stored = async (table = 'users'): Promise<string | null> =>
    (await client.query(`select password_hash as p from ${table} order by id limit 1`)).rows[0]?.p;
  const isHashOf = async (password: string, table = 'users'): Promise<boolean> =>
    (
      await client.query(
        `select password_hash ~ '^\\$2a\\$04\\$.{53}$' and "Ext Ünï".crypt($1, password_hash) = password_hash as same
         from ${table} order by id limit 1`,
        [password],
      )
    ).rows[0].same;

  beforeEach(async () => {
    database = await scratchDatabase(TABLES);
    client = await openClient(database.url);
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  describe('with pgcrypto, wherever it is installed', () => {
    beforeEach(async () => {
      await installPgcrypto();
      await applyWith();
    });

    it('stores bcrypt hashes that crypt() verifies, each with a salt of its own', async () => {
      await client.query(`insert into users (id, password_hash) values (1, 'correct horse'), (2, 'correct horse')`);
      expect(await isHashOf('correct horse')).to.equal(true);
      expect(await isHashOf('Correct horse')).to.equal(false);
      const { rows } = await client.query('select count(distinct password_hash)::integer as n from users');
      expect(rows).to.deep.equal([{ n: 2 }]);
    });

    it('hashes passwords in any script, and with any character', async () => {
      for (const password of [
        'pässwörd',
        '密码🔑',
        'it\'s \\ "q" %I $1',
        ' ',
        '\t',
        'é'.normalize('NFD'),
        '$',
        'null',
      ]) {
        await insert(password);
        expect(await isHashOf(password), password).to.equal(true);
        await client.query('delete from users');
      }
    });

    it('hashes what an UPDATE sets, and leaves the other columns to it', async () => {
      await insert('first');
      await client.query(`update users set "Note" = 'n', password_hash = 'second', updated_at = '2020-01-01Z'`);
      expect(await isHashOf('second')).to.equal(true);
      const { rows } = await client.query(`select "Note", updated_at = '2020-01-01Z' as u from users`);
      expect(rows).to.deep.equal([{ Note: 'n', u: true }]);
    });

    it('does not hash again what is hashed: the same value, another column, a restored row', async () => {
      await insert('secret');
      const hash = await stored();
      await client.query(`update users set "Note" = 'x'`);
      await client.query('update users set password_hash = password_hash');
      await client.query(`update users set password_hash = password_hash || ''`);
      await client.query(
        'create table copy as select * from users; delete from users; insert into users select * from copy',
      );
      expect(await stored()).to.equal(hash);
    });

    it('keeps NULL, and what was in the column before there was a trigger', async () => {
      await insert(null);
      await client.query(`alter table users disable trigger user; insert into users (id, password_hash) values (2, 'old');
        alter table users enable always trigger zz_hash_password_hash; alter table users enable always trigger zz_check_password_hash;`);
      await client.query(`update users set "Note" = 'x'`);
      const { rows } = await client.query('select password_hash as p from users order by id');
      expect(rows).to.deep.equal([{ p: null }, { p: 'old' }]);
    });

    for (const [what, hash] of Object.entries(HASHES)) {
      it(`recognises ${what}, and keeps it`, async () => {
        await insert(hash);
        expect(await stored()).to.equal(hash);
      });
    }

    for (const [what, password] of Object.entries(MALFORMED)) {
      it(`takes ${what} for a password`, async () => {
        await insert(password);
        expect(await isHashOf(password)).to.equal(true);
      });
    }

    it('cannot be passed by: COPY, ON CONFLICT, MERGE-like updates, views, partitions, replication', async () => {
      await client.query('create view v as select * from users');
      const ways = [
        `insert into users (id, password_hash) select 1, 'secret'`,
        `insert into users (id) values (1); insert into users (id, password_hash) values (1, 'secret')
           on conflict (id) do update set password_hash = excluded.password_hash`,
        `insert into users (id) values (1); insert into users (id) values (1)
           on conflict (id) do update set password_hash = 'secret'`,
        `insert into users (id) values (1); update users u set password_hash = n.p from (values ('secret')) as n (p)`,
        `insert into v (id, password_hash) values (1, 'secret')`,
        `set session_replication_role = replica; insert into users (id, password_hash) values (1, 'secret'); reset session_replication_role`,
        `set session_replication_role = replica; insert into users (id) values (1);
           update users set password_hash = 'secret'; reset session_replication_role`,
      ];
      for (const way of ways) {
        await client.query('truncate users');
        await client.query(way);
        expect(await isHashOf('secret'), way).to.equal(true);
      }
    });

    it('hashes what COPY brings, and what is written into a partition', async () => {
      await client.query(
        `do $$ begin execute $c$copy users (id, password_hash) from program 'printf "1\\tsecret\\n"'$c$; end $$`,
      );
      expect(await isHashOf('secret')).to.equal(true);
      await client.query(
        `insert into members values (1, 'eu', 'secret'); insert into members_us values (2, 'us', 'secret')`,
      );
      expect(await isHashOf('secret', 'members_eu')).to.equal(true);
      expect(await isHashOf('secret', 'members_us')).to.equal(true);
      const hash = await stored('members_eu');
      await client.query(`update members set region = 'us', id = 0 where id = 1`);
      expect(await stored('members_us')).to.equal(hash);
    });

    it('hashes what a trigger before it sets, and refuses what one behind it sets', async () => {
      await client.query(`create function set_password() returns trigger language plpgsql as
        $$ begin new.password_hash := 'from a trigger'; return new; end $$`);
      await client.query(
        'create trigger a_first before insert or update on users for each row execute function set_password()',
      );
      await client.query('insert into users (id) values (1)');
      expect(await isHashOf('from a trigger')).to.equal(true);
      await client.query('alter trigger a_first on users rename to zz_last');
      const { message, code } = await refusalOf(() => client.query('insert into users (id) values (2)'));
      expect(code).to.equal('23514');
      expect(message).to.equal(
        'The password for public.users.password_hash was refused: it is not hashed. Nothing was written.',
      );
    });

    it('takes as many bytes as bcrypt does, and refuses more instead of cutting them off', async () => {
      const longest = 'ä'.repeat(36);
      await insert(longest);
      expect(await isHashOf(longest)).to.equal(true);
      const { code, message, hint } = await refusalOf(() =>
        client.query('update users set password_hash = $1', [`${longest}!`]),
      );
      expect(code).to.equal('22001');
      expect(message).to.contain('it has 73 bytes').and.not.contain('ää');
      expect(hint).to.contain('shorter');
      expect(await isHashOf(longest)).to.equal(true);
    });

    it('refuses an empty password, and a column that is too short for a hash', async () => {
      expect((await refusalOf(() => insert(''))).message).to.contain('it is empty');
      const error = await refusalOf(() => insert('secret', 'short'));
      expect(error).to.deep.include({ code: '22001', table: 'short', column: 'password_hash' });
      expect(error.message).to.contain('its hash has 60 characters');
      expect(error.hint).to.equal('alter table public.short alter column password_hash type text;');
      expect(await stored('short')).to.equal(undefined);
    });

    it('works on char(n), and under quoted names', async () => {
      await insert('secret', 'padded');
      await client.query('update padded set password_hash = password_hash');
      expect(await isHashOf('secret', 'padded')).to.equal(false);
      await client.query('alter table padded alter column password_hash type text');
      expect(await isHashOf('secret', 'padded')).to.equal(true);
      await insert('secret', '"Cl Ü"."Us""ers"');
      expect(await isHashOf('secret', '"Cl Ü"."Us""ers"')).to.equal(true);
    });

    it('touches no other column, whatever is in it', async () => {
      await client.query(`create type mood as enum ('calm');
        create function refuse(mood) returns json language plpgsql as $$ begin raise 'cast'; end $$;
        create cast (mood as json) with function refuse(mood);
        create table odd (id integer primary key, "new" mood, "old" json, gone integer, password_hash text,
          "row" text generated always as ('h ' || password_hash) stored);
        alter table odd drop column gone`);
      await applyWith();
      await client.query(`insert into odd values (1, 'calm', '{"a": "\\u0000", "b": 1e400000}', 'secret')`);
      expect(await isHashOf('secret', 'odd')).to.equal(true);
      const { rows } = await client.query(`select "new", "old"::text, "row" = 'h ' || password_hash as g from odd`);
      expect(rows).to.deep.equal([{ new: 'calm', old: '{"a": "\\u0000", "b": 1e400000}', g: true }]);
    });

    it('takes a hash of a format that is not known for a password, until it is configured', async () => {
      const ldap = '{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=';
      await insert(ldap);
      expect(await isHashOf(ldap)).to.equal(true);
      await applyWith({ alsoHashed: '\\{SSHA\\}[A-Za-z0-9+/=]+' });
      await client.query('update users set password_hash = $1', [ldap]);
      expect(await stored()).to.equal(ldap);
    });

    it('asks nobody in a hostile search_path', async () => {
      await client.query(`
        create schema evil;
        create function evil.crypt(text, text) returns text language sql as $$ select $1 $$;
        create function evil.gen_salt(text, integer) returns text language sql as $$ select 'salt' $$;
        create function evil.same(text, text) returns boolean language sql as $$ select true $$;
        create operator evil.~ (leftarg = text, rightarg = text, function = evil.same);
        create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
        create function evil.format(text, variadic text[]) returns text language sql as $$ select 'select 1' $$;
        create temporary table pg_extension (oid oid, extname name);
        create temporary table pg_proc (oid oid, proname name);
        set search_path = evil, pg_temp, pg_catalog, public`);
      await client.query(`insert into public.users (id, password_hash) values (1, 'secret')`);
      await client.query('reset search_path');
      expect(await isHashOf('secret')).to.equal(true);
    });

    it('works for those who may write the table and nothing else', async () => {
      await client.query(`grant usage on schema "Ext Ünï" to pg_read_all_stats; grant insert, update on users to pg_read_all_stats;
        set role pg_read_all_stats; insert into users (id, password_hash) values (1, 'secret'); reset role`);
      expect(await isHashOf('secret')).to.equal(true);
    });

    it('is not hashed again by a dump and its restore', async function () {
      await needFittingTools(this);
      await insert('secret');
      const hash = await stored();
      const copy = await scratchDatabase();
      const dump = join(tmpdir(), `${copy.name}.dump`);
      try {
        const tools = await findClientTools();
        await execa(tools.pgDump, ['-Fc', '-f', dump, database.url]);
        await execa(tools.pgRestore, ['--exit-on-error', '-d', copy.url, dump]);
        expect((await copy.query<{ p: string }>('select password_hash as p from users')).rows).to.deep.equal([
          { p: hash },
        ]);
        await copy.query('delete from users');
        await execa(tools.pgRestore, ['--data-only', '-t', 'users', '-d', copy.url, dump]);
        expect((await copy.query<{ p: string }>('select password_hash as p from users')).rows).to.deep.equal([
          { p: hash },
        ]);
        await copy.query(`update users set password_hash = 'other'`);
        const { rows } = await copy.query<{ p: string }>('select password_hash as p from users');
        expect(rows[0]?.p).to.match(/^\$2a\$04\$/);
      } finally {
        rmSync(dump, { force: true });
        await copy.drop();
      }
    });
  });

  describe('without pgcrypto', () => {
    beforeEach(async () => {
      await applyWith();
    });

    it('refuses a password with what to install, and does not repeat it', async () => {
      await insert(BCRYPT);
      for (const action of [
        () => client.query(`insert into users (id, password_hash) values (2, 'canary-123')`),
        () => client.query(`update users set password_hash = 'canary-123'`),
      ]) {
        const error = await refusalOf(action);
        expect(error).to.deep.include({ code: '0A000', schema: 'public', table: 'users', column: 'password_hash' });
        expect(error.message).to.equal(
          'The password for public.users.password_hash was refused: it is not hashed, and the extension pgcrypto, which would hash it, is not installed. Nothing was written.',
        );
        expect(error.hint).to.equal('Install it: create extension pgcrypto; or let the application send a hash.');
        expect(JSON.stringify({ ...error })).to.not.contain('canary');
      }
      expect(await stored()).to.equal(BCRYPT);
    });

    it('is not deceived by functions of the same names', async () => {
      await client.query(`create function crypt(text, text) returns text language sql as $$ select $1 $$;
        create function gen_salt(text, integer) returns text language sql as $$ select 'x' $$`);
      expect((await refusalOf(() => insert('secret'))).code).to.equal('0A000');
    });

    it('takes hashes and NULL as ever, and passwords as soon as it is installed, or moved', async () => {
      await client.query(`insert into users (id, password_hash) values (2, null), (3, $1)`, [BCRYPT]);
      await installPgcrypto();
      await insert('secret');
      expect(await isHashOf('secret')).to.equal(true);
      await client.query('create schema moved; alter extension pgcrypto set schema moved');
      await client.query(`update users set password_hash = 'again' where id = 1`);
      expect(await stored()).to.match(/^\$2a\$04\$/);
    });
  });

  it('is put on the tables that have the column, and says where it is not', async () => {
    const { created, skipped } = await applyWith();
    const tables = new Set(created.map(({ schema, table }) => `${schema}.${table}`));
    expect([...tables]).to.deep.equal([
      'Cl Ü.Us"ers',
      'public.members',
      'public.padded',
      'public.short',
      'public.users',
    ]);
    expect(skipped.filter(({ name }) => name.startsWith('zz_hash'))).to.deep.equal([
      {
        schema: 'public',
        table: 'binary_users',
        name: 'zz_hash_password_hash',
        reason: 'password_hash is of type bytea; the trigger is for text or character varying or character',
      },
      {
        schema: 'public',
        table: 'mailboxes',
        name: 'zz_hash_password',
        reason:
          "password may have to be read again; if not: configureSecurityPack({ passwords: { columns: ['password'] } })",
      },
    ]);
    const again = await applyWith();
    expect(again).to.deep.include({ created: [], replaced: [], statements: [] });
    expect(again.unchanged).to.have.length(10);
  });

  it('takes the columns, the tables, the cost and the formats that are configured', async () => {
    await installPgcrypto();
    const { created } = await applyWith({
      columns: ['password', 'password_hash'],
      only: ['public.mailboxes', 'public.users'],
      hashes: ['scram'],
      alsoHashed: 'md5[0-9a-f]{32}|x',
    });
    expect(created.map(({ table, name }) => `${table} ${name}`)).to.deep.equal([
      'mailboxes zz_check_password',
      'mailboxes zz_hash_password',
      'users zz_check_password_hash',
      'users zz_hash_password_hash',
    ]);
    const keep = `md5${'0a'.repeat(16)}`;
    for (const [given, isKept] of [
      [keep, true],
      ['x', true],
      ['xx', false],
      [BCRYPT, true],
      ['!', false],
    ] as const) {
      await client.query('truncate users');
      await insert(given);
      expect((await stored()) === given, given).to.equal(isKept);
    }
    await client.query(`insert into mailboxes values (1, 'secret')`);
    expect((await client.query('select password from mailboxes')).rows[0].password).to.match(/^\$2a\$04\$/);
  });

  it('is called by a trigger without arguments for password_hash', async () => {
    await installPgcrypto();
    await applyWith({ only: ['public.nothing'] });
    await client.query('create trigger own before insert on users for each row execute function hash_password()');
    await insert('secret');
    expect(await stored()).to.match(/^\$2a\$12\$/);
  });
});
