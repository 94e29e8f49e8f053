import { expect } from 'chai';
import { compareWithLive } from '../../../../app/core/db-operations/migration/live-differences/compare-with-live.js';
import type { LiveDifferences } from '../../../../app/core/db-operations/migration/live-differences/live-difference.js';
import {
  isUnsafeAllowed,
  refuseUnsafe,
} from '../../../../app/core/db-operations/migration/live-differences/refuse-unsafe.js';
import { ManageDbError } from '../../../../app/core/errors.js';
import { registerTriggerFunctions, registerTriggers } from '../../../../app/database/records/trigger-registry.js';
import { ensureSchema } from '../../../../app/database/schema/ensure-schema.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';

const PATH = '/nowhere/1_clinic.sql';

const CLINIC = `
  create schema clinic;
  create table clinic.users (id int, email text, "größe" int);
  create table plain (id int);
  create function clinic.touch() returns trigger language plpgsql as $$
begin
  return new;
end $$;
  create function add(a int, b int default 1) returns int language sql immutable as 'select a + b';
  create function add(a text) returns text language sql as 'select a';
  create function public."Größe"(x int[]) returns int language sql as 'select 1';
  create procedure clinic.tidy() language sql as 'select 1';
  create view clinic.active as select u.id, u.email from clinic.users u where u.id > 0;
  create view on_active as select id from clinic.active;
  create trigger note_email after update of email on clinic.users for each row when (new.email is distinct from old.email) execute function clinic.touch();
  create trigger off before insert on clinic.users for each row execute function clinic.touch();
  alter table clinic.users disable trigger off;
  create constraint trigger checked after insert on clinic.users deferrable for each row execute function clinic.touch();`;

describe('the difference of a migration to what is live', () => {
  let db: ScratchDatabase;
  before(async () => {
    db = await scratchDatabase(CLINIC);
  });
  after(() => db.drop());

  const compare = (...parts: readonly string[]): Promise<LiveDifferences> =>
    withClient(db.url, async (client) => {
      await client.query('begin');
      return compareWithLive(
        client,
        parts.map((sql) => ({ path: PATH, sql, firstLine: 1 })),
      );
    });
  const states = async (...parts: readonly string[]): Promise<string[]> =>
    (await compare(...parts)).differences.map(({ kind, object, state }) => `${state} ${kind} ${object}`);

  const cases: readonly (readonly [what: string, sql: string, states: readonly string[]])[] = [
    [
      'what is new',
      `create function fresh(a int) returns int language sql as 'select 1';
       create view clinic.fresh as select 1 as a;
       create trigger fresh before insert on clinic.users for each row execute function clinic.touch();
       create function add(a int) returns int language sql as 'select 1';`,
      [
        'new function public.fresh(int4)',
        'new view clinic.fresh',
        'new trigger fresh on clinic.users',
        'new function public.add(int4)',
      ],
    ],
    [
      'what is the same in other words',
      `CREATE OR REPLACE FUNCTION add(a integer, b int4 = 1) RETURNS int IMMUTABLE LANGUAGE SQL AS $x$select a + b$x$;
       create or replace view clinic.active (id, email) as select id, email from clinic.users u where id > 0;
       create or replace trigger note_email after update of email on clinic.users
         for each row when (new.email is distinct from old.email and true) execute procedure clinic.touch();
       create or replace procedure clinic.tidy() language sql as 'select 1';
       set search_path = clinic;
       create or replace trigger off before insert on users for each row execute function touch();`,
      [
        'unchanged function add(integer,integer)',
        'unchanged view clinic.active',
        'changed trigger note_email on clinic.users',
        'unchanged procedure clinic.tidy()',
        'unchanged trigger off on clinic.users',
      ],
    ],
    [
      'names in quotes and overloads',
      `create or replace function "Größe"(x int[]) returns int language sql as 'select 2';
       create or replace function add(a text) returns text language sql as 'select a || ''é''';`,
      ['changed function "Größe"(integer[])', 'changed function add(text)'],
    ],
    [
      'the last one of several',
      `create or replace procedure clinic.tidy() language sql as 'select 2';
       create or replace procedure clinic.tidy() language sql as 'select 1';`,
      ['unchanged procedure clinic.tidy()'],
    ],
  ];
  for (const [what, sql, expected] of cases) {
    it(`knows ${what}`, async () => {
      // under an empty search_path the server writes every schema
      expect(
        (await states(sql)).map((line) => line.replaceAll(/(function|view|trigger) public\./g, '$1 ')),
      ).to.deep.equal(expected.map((line) => line.replaceAll(/(function|view|trigger) public\./g, '$1 ')));
    });
  }

  it('shows the lines that change, both as the server prints them', async () => {
    const { differences } =
      await compare(`create or replace function clinic.touch() returns trigger language plpgsql as $$
begin
  raise notice 'é';
  return new;
end $$`);
    expect(differences[0]).to.include({ state: 'changed', isExact: true, isUnsafe: false });
    expect(differences[0]?.patch.split('\n').filter((line) => /^[-+] /.test(line))).to.deep.equal([
      `+  raise notice 'é';`,
    ]);
  });

  it('says which file it could not read', async () => {
    const { differences, unread } = await compare('create tabel x ()');
    expect([differences, unread]).to.deep.equal([[], [PATH]]);
  });

  it('leaves nothing behind', async () => {
    const count = `select count(*)::int as n from pg_proc where proname like 'beside%'`;
    await compare(`create or replace function add(a text) returns text language sql as 'select 1'`);
    expect((await db.query(count)).rows).to.deep.equal([{ n: 0 }]);
  });

  it('compares the texts where what is needed is made by the same run', async () => {
    const { differences } = await compare(
      `create table later (id int); create or replace view clinic.active as select id, null::text as email from later`,
    );
    expect(differences[0]).to.include({ state: 'changed', isExact: false });
    expect(differences[0]?.remarks[0]).to.contain('relation "later" does not exist');
  });

  it('warns of a mode that CREATE OR REPLACE sets back, unless the file sets it again', async () => {
    const replace =
      'create or replace trigger off before insert on clinic.users for each row execute function clinic.touch();';
    expect((await compare(replace)).differences[0]?.remarks).to.deep.equal([
      'Its mode is disabled, and CREATE sets it back to origin: set it again after it.',
    ]);
    expect(
      (await compare(`${replace} alter table clinic.users disable trigger off`)).differences[0]?.remarks,
    ).to.deep.equal([]);
    await db.query(replace);
    const { rows } = await db.query(`select tgenabled from pg_trigger where tgname = 'off'`);
    expect(rows).to.deep.equal([{ tgenabled: 'O' }]);
    await db.query('alter table clinic.users disable trigger off');
  });

  it('knows what somebody has changed by hand since it was installed, and which pack answers for it', async () => {
    const own = await scratchDatabase();
    try {
      await withClient(own.url, async (client) => {
        await ensureSchema(client);
        await client.query(CLINIC);
        await client.query(`select pg_catalog.set_config('search_path', '', false)`);
        const by = { environment: 'testing', by: 'test' };
        const { rows } = await client.query<{ oid: number }>(`select 'clinic.users'::regclass::oid as oid`);
        await registerTriggers(
          client,
          [
            {
              tableOid: rows[0]?.oid ?? 0,
              name: 'note_email',
              version: 1,
              declaredMode: 'origin',
              wantedMode: 'origin',
              declaration: {},
              checksum: '',
              pack: 'base',
            },
          ],
          by,
        );
        await registerTriggerFunctions(client, [{ schema: 'clinic', name: 'touch', fileChecksum: null }], by);
        await client.query(
          `create or replace function clinic.touch() returns trigger language plpgsql as 'begin return old; end';
           create or replace trigger note_email before insert on clinic.users for each row execute function clinic.touch();
           set search_path = public; begin`,
        );
        const sql = `create or replace function clinic.touch() returns trigger language plpgsql as 'begin return null; end';
          create or replace trigger note_email before delete on clinic.users for each row execute function clinic.touch()`;
        const { differences } = await compareWithLive(client, [{ path: PATH, sql, firstLine: 1 }]);
        expect(differences.map(({ object, state, managedBy }) => [object, state, managedBy])).to.deep.equal([
          ['clinic.touch()', 'changed_by_hand', null],
          ['note_email on clinic.users', 'changed_by_hand', 'base'],
        ]);
      });
    } finally {
      await own.drop();
    }
  });

  it('does not make an event trigger fire', async () => {
    const own =
      await scratchDatabase(`${CLINIC} create function no_ddl() returns event_trigger language plpgsql as $$ begin raise 'no'; end $$;
      create event trigger no_ddl on ddl_command_start execute function no_ddl()`);
    try {
      await withClient(own.url, async (client) => {
        await client.query('begin');
        const sql = `create or replace procedure clinic.tidy() language sql as 'select 2'`;
        const { differences } = await compareWithLive(client, [{ path: PATH, sql, firstLine: 1 }]);
        expect(differences[0]).to.include({ object: 'clinic.tidy()', state: 'changed', isExact: false });
      });
    } finally {
      await own.drop();
    }
  });

  describe('of what is dropped and made again', () => {
    const refused: readonly (readonly [what: string, parts: readonly string[], rewrite: string])[] = [
      [
        'a function',
        [
          `DROP FUNCTION IF EXISTS clinic.touch() CASCADE; CREATE FUNCTION clinic.touch() RETURNS trigger LANGUAGE plpgsql AS 'begin return old; end'`,
        ],
        `CREATE OR REPLACE FUNCTION clinic.touch() RETURNS trigger LANGUAGE plpgsql AS 'begin return old; end'`,
      ],
      [
        'a function in another file, found by the search_path, without its arguments',
        [`set search_path = clinic; drop procedure tidy`, `create procedure clinic.tidy() language sql as 'select 3'`],
        `create or replace procedure clinic.tidy() language sql as 'select 3'`,
      ],
      [
        'one of two overloads',
        [`drop function add(text); create function add(a text) returns text language sql as 'select 1'`],
        `create or replace function add(a text) returns text language sql as 'select 1'`,
      ],
      [
        'a trigger',
        [
          `drop trigger off on clinic.users; create trigger off before insert on clinic.users for each row execute function clinic.touch()`,
        ],
        `create or replace trigger off before insert on clinic.users for each row execute function clinic.touch()`,
      ],
      [
        'a view',
        [`drop view clinic.active cascade; create view clinic.active as select id, email, 1 as more from clinic.users`],
        `create or replace view clinic.active as select id, email, 1 as more from clinic.users`,
      ],
    ];
    for (const [what, parts, rewrite] of refused) {
      it(`refuses ${what}, with the place and the rewrite`, async () => {
        const { differences, unsafe } = await compare(...parts);
        expect(unsafe.map((one) => one.rewrite)).to.deep.equal([rewrite]);
        expect(differences.at(-1)?.isUnsafe).to.equal(true);
        // what is refused would have worked
        const [first] = unsafe;
        await withClient(db.url, async (client) => {
          await client.query('begin');
          await client.query(first?.rewrite ?? '');
        });
      });
    }

    const allowed: readonly (readonly [what: string, sql: string, remark: RegExp | null])[] = [
      [
        'a function that returns something else',
        `drop function add(text); create function add(a text) returns int language sql as 'select 1'`,
        /cannot change return type.*that it is dropped first is right/,
      ],
      [
        'a function whose arguments are called otherwise',
        `drop function add(int, int); create function add(a int, c int default 1) returns int language sql as 'select 1'`,
        /cannot change name of input parameter/,
      ],
      [
        'a constraint trigger',
        `drop trigger checked on clinic.users; create constraint trigger checked after insert on clinic.users for each row execute function clinic.touch()`,
        /a constraint trigger cannot be replaced/,
      ],
      [
        'a view that loses a column',
        `drop view clinic.active cascade; create view clinic.active as select id from clinic.users`,
        /cannot drop columns from view/,
      ],
      [
        'a view whose table is changed in between',
        `drop view clinic.active cascade; alter table clinic.users alter email type varchar(80); create view clinic.active as select id, email from clinic.users`,
        null,
      ],
      [
        'what is not there',
        `drop function if exists nothing(); create function nothing() returns int language sql as 'select 1'`,
        null,
      ],
      [
        'another overload',
        `drop function add(text); create function add(a bigint) returns bigint language sql as 'select a'`,
        null,
      ],
      [
        'a trigger of the same name on another table',
        `drop trigger off on clinic.users; create trigger off before insert on plain for each row execute function clinic.touch()`,
        null,
      ],
      ['what is only dropped', 'drop view on_active', null],
    ];
    for (const [what, sql, remark] of allowed) {
      it(`does not refuse ${what}`, async () => {
        const { differences, unsafe } = await compare(sql);
        expect(unsafe).to.deep.equal([]);
        if (remark !== null) expect(differences[0]?.remarks.join(' ')).to.match(remark);
      });
    }

    it('says where, with a caret, and what else; unless it is allowed', async () => {
      const { unsafe } = await compare(
        `select 1;\n  drop view clinic.active cascade; drop procedure clinic.tidy();\ncreate view clinic.active as select id, email from clinic.users;\ncreate procedure clinic.tidy() language sql as 'select 1'`,
      );
      const refusal = (): unknown => {
        try {
          refuseUnsafe(unsafe, { isAllowed: false });
          return null;
        } catch (error) {
          return error;
        }
      };
      const error = refusal();
      if (!(error instanceof ManageDbError)) throw new Error('not refused');
      expect(error.code).to.equal('UNSAFE_MIGRATION');
      expect(error.exitCode).to.equal(2);
      expect(error.message.split('\n')).to.deep.equal([
        `${PATH}:2:3: The view clinic.active, which is there, is dropped and made again in line 3. Its grants, comment and owner are lost by that, and what is built on it is in the way. Nothing was applied.`,
        '  drop view clinic.active cascade; drop procedure clinic.tidy();',
        '  ^',
        'Likewise the procedure clinic.tidy().',
      ]);
      expect(error.hint).to.contain('create or replace view clinic.active as select id, email from clinic.users;');
      refuseUnsafe(unsafe, { isAllowed: isUnsafeAllowed(true) });
      process.env.ALLOW_UNSAFE_MIGRATIONS = 'true';
      try {
        refuseUnsafe(unsafe, { isAllowed: isUnsafeAllowed(false) });
      } finally {
        delete process.env.ALLOW_UNSAFE_MIGRATIONS;
      }
      expect(isUnsafeAllowed(false)).to.equal(false);
    });
  });
});
