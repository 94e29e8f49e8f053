import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { ManageDbError } from '../../../app/core/errors.js';
import { parseSqlScript, type SqlStatement } from '../../../app/services/sql-script.js';

const path = '/nowhere/visits.sql';

describe('reading an SQL file', () => {
  const parse = (sql: string, firstLine = 1) => parseSqlScript({ path, sql, firstLine });
  const failure = async (sql: string): Promise<ManageDbError> => {
    const error: unknown = await parse(sql).then(
      () => new Error(`nothing was thrown for ${sql}`),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };
  const one = async (sql: string): Promise<SqlStatement> => {
    const [statement, ...more] = await parse(sql);
    if (statement === undefined || more.length > 0) throw new Error(`not one statement: ${sql}`);
    return statement;
  };

  describe('finds the statements', () => {
    const files: readonly [what: string, sql: string, texts: readonly string[]][] = [
      ['of an empty file', '', []],
      ['of a file with comments only', '-- a; b\n/* c; /* d; */ e; */\n', []],
      ['of lonely semicolons', ';;\n;', []],
      ['without a semicolon at the end', 'select 1; select 2', ['select 1', 'select 2']],
      ['with comments between', "select 1; -- it's; \n/* ; */ select /* 2; */ 2;", ['select 1', 'select /* 2; */ 2']],
      [
        'around dollar quotes in dollar quotes',
        'do $a$ begin perform $$;$$; end $a$; select $b$;$$;$b$',
        ['do $a$ begin perform $$;$$; end $a$', 'select $b$;$$;$b$'],
      ],
      [
        'around a BEGIN ATOMIC body',
        'create function f() returns int begin atomic select 1; select 2; end; select 3',
        ['create function f() returns int begin atomic select 1; select 2; end', 'select 3'],
      ],
      [
        'with strings of every kind',
        String.raw`select E'\';'; select 'a'';'; select U&'\0041;'; select U&"d!0061;" uescape '!'; select b'1', ';'`,
        [
          String.raw`select E'\';'`,
          `select 'a'';'`,
          String.raw`select U&'\0041;'`,
          `select U&"d!0061;" uescape '!'`,
          `select b'1', ';'`,
        ],
      ],
      ['with CRLF', 'select 1;\r\n-- é\r\nselect\r\n2;\r\n', ['select 1', 'select\r\n2']],
      [
        'after characters of two, three and four bytes',
        `select 'é€😀';/*😀*/select "é😀" from "𝒯";`,
        [`select 'é€😀'`, `select "é😀" from "𝒯"`],
      ],
      [
        'of a rule with several actions',
        'create rule r as on insert to t do also (delete from a; delete from b); select 1',
        ['create rule r as on insert to t do also (delete from a; delete from b)', 'select 1'],
      ],
    ];
    for (const [what, sql, texts] of files) {
      it(what, async () => {
        const statements = await parse(sql);
        expect(statements.map(({ text }) => text)).to.deep.equal(texts);
        for (const { text, offset } of statements) expect(sql.slice(offset, offset + text.length)).to.equal(text);
      });
    }
  });

  it('counts lines and characters as an editor does', async () => {
    const statements = await parse("select 'é';\n\t/*😀*/ select 2; select '𝒯'; select 3;\n\nselect 4", 7);
    expect(statements.map(({ line, column }) => [line, column])).to.deep.equal([
      [7, 1],
      [8, 8],
      [8, 18],
      [8, 30],
      [10, 1],
    ]);
  });

  describe('says what a statement does', () => {
    const table = (schema: string | null, name: string, kind = 'table') => ({ type: 'named', kind, schema, name });
    const statements: readonly [sql: string, kind: string, objects: readonly object[]][] = [
      ['create table "Clinic".visits (id int)', 'create table', [table('Clinic', 'visits')]],
      ['create foreign table f (id int) server s', 'create foreign table', [table(null, 'f', 'foreign table')]],
      ['create table t as select 1', 'create table as', [table(null, 't')]],
      ['select 1 into t', 'select into', [table(null, 't')]],
      ['select 1', 'select', []],
      ['create materialized view m as select 1', 'create materialized view', [table(null, 'm', 'materialized view')]],
      ['create view s.v as select 1', 'create view', [table('s', 'v', 'view')]],
      ['create index i on s.t (a)', 'create index', [table('s', 'i', 'index')]],
      ['create index on s.t (a)', 'create index', []],
      ['create sequence s.q', 'create sequence', [table('s', 'q', 'sequence')]],
      ['create extension if not exists pgcrypto', 'create extension', [table(null, 'pgcrypto', 'extension')]],
      ["create type s.mood as enum ('ok')", 'create type', [table('s', 'mood', 'type')]],
      ['create type pair as (a int, b int)', 'create type', [table(null, 'pair', 'type')]],
      ["alter type s.mood add value 'bad'", 'alter type', [table('s', 'mood', 'type')]],
      ['create domain email as text', 'create domain', [table(null, 'email', 'domain')]],
      [
        'create schema s create table t (a int) create view v as select 1',
        'create schema',
        [table(null, 's', 'schema'), table('s', 't'), table('s', 'v', 'view')],
      ],
      ['alter table s.t add column a int', 'alter table', [table('s', 't')]],
      ['alter index i rename to j', 'alter index', [table(null, 'i', 'index')]],
      ['alter table t rename column a to b', 'alter table', [table(null, 't')]],
      ['alter view v set schema s', 'alter view', [table(null, 'v', 'view')]],
      ['alter schema s owner to bob', 'alter schema', [table(null, 's', 'schema')]],
      ['drop table a, s.b', 'drop table', [table(null, 'a'), table('s', 'b')]],
      ['drop materialized view m', 'drop materialized view', [table(null, 'm', 'materialized view')]],
      ["comment on table t is 'x'", 'comment', [table(null, 't')]],
      ['grant select on t, s.u to bob', 'grant', [table(null, 't'), table('s', 'u')]],
      ['grant select on all tables in schema s to bob', 'grant', []],
      ['revoke all on schema s from public', 'revoke', [table(null, 's', 'schema')]],
      ['insert into s.t values (1)', 'insert', [table('s', 't')]],
      ['with x as (select 1) update t set a = 1', 'update', [table(null, 't')]],
      ['delete from t', 'delete', [table(null, 't')]],
      ['merge into t using u on true when matched then do nothing', 'merge', [table(null, 't')]],
      ['truncate a, s.b', 'truncate', [table(null, 'a'), table('s', 'b')]],
      ["copy t from '/tmp/x'", 'copy', [table(null, 't')]],
      ['copy t to stdout', 'copy', []],
      ['create role bob', 'create role', [table(null, 'bob', 'role')]],
      ['drop role bob, eve', 'drop role', [table(null, 'bob', 'role'), table(null, 'eve', 'role')]],
      ['do $$ begin end $$', 'do', []],
      ['set local search_path to s', 'set', []],
      ['reset all', 'reset', []],
      ['vacuum t', 'vacuum', []],
      ['analyze', 'analyze', []],
      [
        'create event trigger e on ddl_command_end execute function f()',
        'create event trigger',
        [table(null, 'e', 'event trigger')],
      ],
      [
        'create policy p on s.t',
        'create policy',
        [{ type: 'part of table', kind: 'policy', name: 'p', table: { schema: 's', name: 't' } }],
      ],
      [
        'create trigger "Touch" before update on s.t for each row execute function f()',
        'create trigger',
        [{ type: 'part of table', kind: 'trigger', name: 'Touch', table: { schema: 's', name: 't' } }],
      ],
      [
        'drop trigger if exists a on t',
        'drop trigger',
        [{ type: 'part of table', kind: 'trigger', name: 'a', table: { schema: null, name: 't' } }],
      ],
      [
        'alter trigger a on s.t rename to b',
        'alter trigger',
        [{ type: 'part of table', kind: 'trigger', name: 'a', table: { schema: 's', name: 't' } }],
      ],
      [
        "comment on column s.t.c is 'x'",
        'comment',
        [{ type: 'part of table', kind: 'column', name: 'c', table: { schema: 's', name: 't' } }],
      ],
    ];
    for (const [sql, kind, objects] of statements) {
      it(sql, async () => {
        const statement = await one(sql);
        expect([statement.kind, statement.objects]).to.deep.equal([kind, objects]);
      });
    }

    const routine = (
      kind: string,
      schema: string | null,
      name: string,
      argumentTypes: unknown,
      returns: unknown = null,
    ) => ({
      type: 'routine',
      kind,
      schema,
      name,
      argumentTypes,
      returns,
    });
    const routines: readonly [sql: string, object: object][] = [
      [
        'create function s."F"(a int, out b text, inout c timestamptz[], variadic d varchar(3)[]) returns record language sql as $$select 1$$',
        routine('function', 's', 'F', ['integer', 'timestamp with time zone[]', 'character varying[]'], 'record'),
      ],
      [
        'create function f(s.t.a%type, s.mood) returns setof s.t language sql as $$select 1$$',
        routine('function', null, 'f', ['s.t.a%type', 's.mood'], 'setof s.t'),
      ],
      [
        'create or replace function f() returns table (a int) language sql as $$select 1$$',
        routine('function', null, 'f', [], 'setof integer'),
      ],
      [
        'create function touch() returns pg_catalog.trigger language plpgsql as $$begin end$$',
        routine('function', null, 'touch', [], 'trigger'),
      ],
      ['create procedure p(a bigint) language sql as $$select 1$$', routine('procedure', null, 'p', ['bigint'])],
      ['drop function f', routine('function', null, 'f', null)],
      ['drop function s.f(int, text)', routine('function', 's', 'f', ['integer', 'text'])],
      ['alter function f() security definer', routine('function', null, 'f', [])],
      ['revoke all on function f() from public', routine('function', null, 'f', [])],
    ];
    for (const [sql, object] of routines) {
      it(sql, async () => {
        expect((await one(sql)).objects).to.deep.equal([object]);
      });
    }
  });

  it('tells what a statement does with transactions', async () => {
    const statements = await parse(`begin; start transaction; commit; end; rollback; abort; savepoint a;
      release a; rollback to a; prepare transaction 'x'; commit prepared 'x'; rollback prepared 'x'; select 1; set transaction read only`);
    expect(statements.map(({ transactionControl }) => transactionControl)).to.deep.equal([
      'begin',
      'begin',
      'commit',
      'commit',
      'rollback',
      'rollback',
      'savepoint',
      'release savepoint',
      'rollback to savepoint',
      'prepare transaction',
      'commit prepared',
      'rollback prepared',
      null,
      null,
    ]);
  });

  describe('refuses what only psql understands, by name', () => {
    const files: readonly [sql: string, place: string, name: string, hint: RegExp][] = [
      ['\\i other.sql', '1:1', '\\i', /statements of that file/],
      ['select 1;\n\\ir other.sql', '2:1', '\\ir', /statements of that file/],
      ["select 'é';\n  \\copy t from x.csv", '2:3', '\\copy', /INSERT … VALUES/],
      ['\\connect other', '1:1', '\\connect', /--env/],
      ['--\n-- PostgreSQL database dump\n--\n\n\\restrict aBc\n\nselect 1;', '5:1', '\\restrict', /take \\restrict/],
      ["select format('%s', 1) \\gexec", '1:24', '\\gexec', /DO block/],
      ['\\set x 1', '1:1', '\\set', /values themselves/],
      ['\\! rm x', '1:1', '\\!', /Run the program yourself/],
      ['\\timing on', '1:1', '\\timing', /Take it out/],
      ["select :'name'", '1:8', ":'name'", /Write the value itself/],
      ['select * from t where id = :id', '1:28', ':id', /Write the value itself/],
      ['select 1;\n/* é */ copy t (a) from stdin;\n1\t2\n\\.\n', '2:9', 'COPY … FROM STDIN', /pg_dump --inserts/],
      ['copy t from stdin;\nselect\tfrom 1\n\\.\n', '1:1', 'COPY … FROM STDIN', /pg_dump --inserts/],
      ['copy t from stdin;\n\\.\n', '1:1', 'COPY … FROM STDIN', /pg_dump --inserts/],
      ['copy t from stdin;', '1:1', 'COPY … FROM STDIN', /pg_dump --inserts/],
    ];
    for (const [sql, place, name, hint] of files) {
      it(JSON.stringify(sql), async () => {
        const error = await failure(sql);
        expect(error.code).to.equal('SQL_FAILED');
        expect(error.message)
          .to.match(new RegExp(`^/nowhere/visits\\.sql:${place}: `))
          .and.to.contain(`: ${name} `);
        expect(error.message).to.contain('Nothing of the file was executed.');
        expect(error.hint).to.match(hint);
      });
    }

    it('but not what looks like it', async () => {
      await parse(
        `select '\\i', $$\\copy$$, 1::int, a[1:2], "\\x" from t; -- \\connect\ncopy t from '/x'; copy t to stdout;`,
      );
    });
  });

  it('shows a syntax error with its line and a caret, after characters of several bytes too', async () => {
    const error = await failure("select 1;\n\nselect 'é€😀' as a fron t;\n");
    expect(error.message).to.equal(
      `/nowhere/visits.sql:3:19: syntax error at or near "fron"\nselect 'é€😀' as a fron t;\n${' '.repeat(18)}^`,
    );
    expect(error.details).to.include({ file: path, line: 3, column: 19, sqlState: '42601' });
  });

  it('shows of a very long line the part that matters', async () => {
    const error = await failure(`select '${'😀'.repeat(5_000)}' fron ${'x'.repeat(5_000)} y`);
    const [, line = '', caret = ''] = error.message.split('\n');
    expect(Array.from(line)).to.have.length.below(200);
    expect(
      Array.from(line)
        .slice(caret.length - 1)
        .join(''),
    ).to.match(/^x+…$/);
  });

  it('shows where a string, a comment or a dollar quote begins that does not end', async () => {
    expect((await failure("select 1;\nselect 'a")).message).to.contain(':2:8: unterminated quoted string');
    expect((await failure('select 1;\n /* a')).message).to.contain(':2:2: unterminated /* comment');
    expect((await failure('do $x$ begin')).message).to.contain(':1:4: unterminated dollar-quoted string');
    expect((await failure('create table t (')).message).to.contain(':1:17: syntax error at end of input');
  });

  it('refuses a zero byte, behind which nobody would look', async () => {
    expect((await failure('select 1;\nselect 2\0; commit;')).message).to.contain(':2:9: A zero byte');
  });

  it('refuses what is too large or too deep for it, and goes on', async () => {
    expect((await failure(`select '${'x'.repeat(5_000_000)}'`)).message).to.contain('cannot be taken apart');
    expect((await failure(`select ${'1+'.repeat(100_000)}1`)).message).to.contain('cannot be taken apart');
    expect((await one('select 1')).kind).to.equal('select');
  });

  it('is loaded when the first file is read, and not before', () => {
    const library = new URL('../../../dist/app/index.js', import.meta.url);
    const program = `import { createRequire } from 'node:module'; await import(${JSON.stringify(library)});
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.filter((path) => path.includes('libpg-query')).length);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(stdout, stderr).to.equal('0\n');
  });

  it('takes 1,500 statements apart in little more than ten times the time of 150', async () => {
    const sql = (length: number) =>
      Array.from({ length }, (_, i) => `create table t${i} (id bigint primary key, name text); -- é\n`).join('');
    const time = async (length: number): Promise<number> => {
      const text = sql(length);
      const start = performance.now();
      const statements = await parse(text);
      const took = performance.now() - start;
      expect(statements.at(-1)).to.include({ line: length, column: 1, kind: 'create table' });
      return took;
    };
    // until the code is compiled
    await time(1_500);
    const ratios: number[] = [];
    for (let round = 0; round < 10; round += 1) ratios.push((await time(1_500)) / (await time(150)));
    // each looked at once more for every other one, it would be a hundred; the machine may be busy with something else
    expect(Math.min(...ratios), ratios.join(', ')).to.be.below(30);
  });
});
