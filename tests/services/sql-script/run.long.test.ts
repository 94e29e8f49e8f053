import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { ManageDbError } from '../../../app/core/errors.js';
import { type ClientTools, findClientTools } from '../../../app/services/client-tools.js';
import { parseSqlScript, readSqlFile, runSqlFile } from '../../../app/services/sql-script.js';
import { openClient } from '../../database/open-client.js';
import { needFittingTools } from '../../support/fitting-tools.js';
import { needOlderServer } from '../../support/need-server.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

/** Everything that has ever fooled a program that looks for semicolons. Each file leaves something behind. */
const FILES: Readonly<Record<string, string | Buffer>> = {
  'empty.sql': '',
  'comments only.sql': '-- a; b\n/* c; /* nested; */ */',
  'plain.sql':
    "create table plain (a text);\ninsert into plain values ('1'), ('2;'), ('it''s'); insert into plain select '3'",
  'do block.sql': `do $$ begin execute 'create table made (a int);'; insert into made values (1); end $$;
    do language plpgsql $outer$ begin execute $inner$ insert into made values (2); $inner$; end $outer$;`,
  'atomic.sql': `create table log (a int);
    create function atomic(a int) returns int language sql begin atomic insert into log values (a); select a * 2; end;
    create procedure steps() begin atomic insert into log values (7); insert into log values (8); end;
    select atomic(4); call steps();`,
  'strings.sql': String.raw`create table strings (a text, "b;c" text);
    insert into strings values (E'\';', 'back\'), (U&'d!0061t!+000061' uescape '!', $tag$;$$;$tag$), ('a'
    'b', 'c'), (e'\u00e9', $é$;$é$);`,
  'names.sql': String.raw`create table "semi;colon ""quoted""" ("é😀" int, U&"\0061;" text); comment on table "semi;colon ""quoted""" is 'x;y';`,
  'multibyte.sql': `create table 訪問 (名 text); insert into 訪問 values ('é'); /* 😀; */ insert into 訪問 values ('𝒯;'), ('🇨🇭')`,
  'crlf.sql': 'create table crlf (a int);\r\n-- a comment; with a semicolon\r\ninsert into crlf\r\nvalues (1);\r\n',
  'bom.sql': '\uFEFFcreate table bom (a int); insert into bom values (1);',
  'rule.sql': `create table ruled (a int); create table ruled_log (a int);
    create rule r as on insert to ruled do also (insert into ruled_log values (new.a); insert into ruled_log values (-new.a));
    insert into ruled values (5);`,
  'settings.sql': `set local search_path to pg_catalog; create table public.made_elsewhere as select 'x'::text as a;
    set local search_path to public; insert into made_elsewhere values ('y');`,
  'savepoints.sql':
    'create table kept (a int); savepoint a; insert into kept values (1); rollback to a; insert into kept values (2); release a',
  'triggers.sql': `create table touched (a int, t text); create function touch() returns trigger language plpgsql as $body$
    begin new.t := $$;$$ || tg_op; return new; end; $body$;
    create trigger touch before insert on touched for each row execute function touch(); insert into touched values (1);`,
  'prepared.sql': `create table prepared_rows (a int); prepare give (int) as insert into prepared_rows values ($1);
    execute give(3); deallocate give;`,
  'cursor.sql':
    'create table one_row as select 1 as a; declare c cursor for select a from one_row; fetch all from c; close c; copy one_row to stdout;',
};

describe('executing an SQL file', () => {
  let database: ScratchDatabase;
  let client: pg.Client;
  let tools: ClientTools;
  let folder: string;

  before(async () => {
    tools = await findClientTools({ serverMajor: 15 });
    folder = mkdtempSync(join(tmpdir(), 'manage-db-sql-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    database = await scratchDatabase();
    client = await openClient(database.url);
    await client.query('begin');
  });
  afterEach(async () => {
    await client.end();
    await database.drop();
  });

  const file = (name: string, text: string | Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const run = (sql: string) => runSqlFile(client, { path: '/nowhere/visits.sql', sql, firstLine: 1 });
  const failure = async (work: Promise<unknown>): Promise<ManageDbError> => {
    const error: unknown = await work.then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };
  const rows = async (sql: string) => (await client.query(sql)).rows;
  const transaction = async () => (await rows('select pg_current_xact_id()::text as id'))[0];
  const tool = (program: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { PATH: process.env.PATH } });
    expect(status, stderr).to.equal(0);
    return stdout;
  };
  const dump = (url: string) => tool(tools.pgDump, '--dbname', url).replaceAll(/^\\(un)?restrict .*$/gm, '');

  it('gives what psql gives, at once and statement by statement', async function () {
    await needFittingTools(this);
    const [byPsql, byStatement] = [await scratchDatabase(), await scratchDatabase()];
    const other = await openClient(byStatement.url);
    try {
      await other.query('begin');
      for (const [name, text] of Object.entries(FILES)) {
        const path = file(name, text);
        tool(tools.psql, '-Xq1', '-v', 'ON_ERROR_STOP=1', '-f', path, byPsql.url);
        const source = { path, sql: readSqlFile(path), firstLine: 1 };
        await runSqlFile(client, source);
        for (const { text: statement } of await parseSqlScript(source)) await other.query(statement);
      }
      await Promise.all([client.query('commit'), other.query('commit')]);
      const expected = dump(byPsql.url);
      expect(expected.match(/^CREATE TABLE/gm)).to.have.length.of.at.least(15);
      expect(dump(database.url)).to.equal(expected);
      expect(dump(byStatement.url)).to.equal(expected);
    } finally {
      await other.end();
      await byPsql.drop();
      await byStatement.drop();
    }
  });

  it('counts the rows that were inserted', async () => {
    expect(await run('')).to.equal(0);
    expect(await run('create table t (a int)')).to.equal(0);
    expect(await run('insert into t values (1), (2); update t set a = 3; insert into t select 4; select 1')).to.equal(
      3,
    );
  });

  it('refuses a file in another encoding, instead of storing what cannot be read', () => {
    const path = file('latin1.sql', Buffer.from("insert into t values ('Zürich');", 'latin1'));
    expect(() => readSqlFile(path))
      .to.throw(ManageDbError, /latin1\.sql is not UTF-8/)
      .with.property('code', 'UNREADABLE_FILE');
  });

  for (const sql of [
    'commit',
    'end',
    'rollback',
    'abort',
    'begin',
    'start transaction',
    "prepare transaction 'x'",
    'commit and chain',
  ]) {
    it(`executes nothing of a file with ${sql}`, async () => {
      const before = await transaction();
      const error = await failure(run(`create table t ();\n ${sql}; create table u ();`));
      expect([error.code, error.details.line, error.details.column]).to.deep.equal(['SQL_FAILED', 2, 2]);
      expect(error.message).to.contain('The file begins or ends the transaction itself');
      expect(error.details.statement).to.equal(sql);
      expect(await transaction()).to.deep.equal(before);
      expect(await rows(`select from pg_class where relname in ('t', 'u')`)).to.deep.equal([]);
    });
  }

  it('lets no COMMIT through that only another reading of backslashes would show', async () => {
    await client.query('set standard_conforming_strings = off');
    await run(`create table t (a text); insert into t values ('\\'), ('); commit; --');`);
    expect(await rows('select a from t')).to.deep.equal([{ a: '\\' }, { a: '); commit; --' }]);
    await client.query('rollback');
    expect(await rows(`select from pg_class where relname = 't'`)).to.deep.equal([]);
  });

  it('leaves it to the server to refuse a COMMIT within a block', async () => {
    const error = await failure(run('do $$ begin commit; end $$'));
    expect(error.details.sqlState).to.equal('2D000');
    expect(error.message).to.contain(':1:1: invalid transaction termination');
  });

  describe('refuses what cannot run in a transaction, and nothing else', () => {
    const OBJECTS = `create table t (a int primary key) partition by range (a); create table t1 partition of t for values from (1) to (2);
      create table u (a int primary key); create index i on u (a); create materialized view v as select 1 as a;
      create unique index on v (a); create type mood as enum ('ok'); cluster u using u_pkey;`;
    const refused = [
      'create index concurrently on u (a)',
      'drop index concurrently i',
      'reindex table concurrently u',
      'reindex (concurrently) index i',
      'reindex schema public',
      'alter table t detach partition t1 concurrently',
      'vacuum',
      'vacuum u',
      'cluster',
      'create database other',
      'drop database if exists other',
      'alter database postgres set tablespace pg_default',
      "create tablespace x location '/nowhere'",
      'drop tablespace if exists x',
      "alter system set work_mem = '5MB'",
      'discard all',
      "create subscription s connection 'host=/nowhere' publication p",
    ];
    for (const sql of refused) {
      it(sql, async () => {
        await client.query(OBJECTS);
        await client.query('savepoint here');
        const theirs: unknown = await client.query(sql).catch((thrown: unknown) => thrown);
        expect(theirs).to.have.property('code', '25001');
        await client.query('rollback to here');
        const error = await failure(run(`select 1;\n${sql}`));
        expect([error.code, error.details.line]).to.deep.equal(['SQL_FAILED', 2]);
        expect(error.message).to.contain('cannot run in a transaction');
        expect(await rows('select 1 as a')).to.deep.equal([{ a: 1 }]);
      });
    }
    const accepted = [
      'create index on u (a)',
      'drop index i',
      'reindex table u',
      'reindex (concurrently false) table u',
      'alter table t detach partition t1',
      'analyze u',
      'cluster u',
      "alter type mood add value 'bad'",
      'refresh materialized view concurrently v',
      'alter database postgres set work_mem to default',
      "create subscription s connection 'host=/nowhere' publication p with (connect = false)",
      'discard plans',
    ];
    for (const sql of accepted) {
      it(`but not: ${sql}`, async () => {
        await client.query(OBJECTS);
        await run(sql);
        await client.query('rollback');
      });
    }
  });

  describe('shows which statement failed', () => {
    beforeEach(() => client.query('create table t (a int primary key); insert into t values (1)'));
    const cases: readonly [what: string, sql: string, message: RegExp, statement: string][] = [
      [
        'by the place that PostgreSQL gives',
        "select 'é😀';\n select nothing from t;",
        /visits\.sql:2:9: column "nothing" does not exist\n select nothing from t;\n {8}\^$/,
        'select nothing from t',
      ],
      [
        'where it gives none',
        'select 1; -- é\n\n insert into t\n values (1); select 2;',
        /visits\.sql:3:2: duplicate key [^\n]*\n insert into t\n \^\nKey \(a\)=\(1\) already exists\.$/,
        'insert into t\n values (1)',
      ],
      [
        'behind statements that give no result, or many',
        ';; do $$ begin end $$; select 1 where false; /**/; insert into t values (2), (3); update t set a = 5;',
        /visits\.sql:1:83: duplicate key/,
        'update t set a = 5',
      ],
      [
        'when it was a function',
        'select 1;\ndo $$ begin\n perform 1/0; end $$;',
        /visits\.sql:2:1: division by zero\ndo \$\$ begin\n\^\nSQL statement "SELECT 1\/0"$/,
        'do $$ begin\n perform 1/0; end $$',
      ],
    ];
    for (const [what, sql, message, statement] of cases) {
      it(what, async () => {
        const error = await failure(run(sql));
        expect(error.message).to.match(message);
        expect(error.details.statement).to.equal(statement);
      });
    }
  });

  describe('lets the server decide what the parser of PostgreSQL 18 cannot read', () => {
    it('refuses what neither can, before anything is executed', async () => {
      const sequence = await rows('create sequence counted; select 1');
      expect(sequence).to.equal(undefined);
      const error = await failure(run("select nextval('counted');\nselect 'é' fron t;"));
      expect(error.message).to.match(/visits\.sql:2:17: syntax error at or near "t"\nselect 'é' fron t;\n {16}\^$/);
      expect(error.details).to.include({ line: 2, column: 17, sqlState: '42601' });
    });

    it('executes what only an older server knows', async function () {
      await needOlderServer(this, 16, 'a column system_user');
      const sql = `create table t (system_user text, "n" int);
        create function json_value(a int) returns int language sql as 'select a + 1';
        insert into t values ('it''s', 1), (E'\\\\', 2); insert into t (system_user, n) values ($$x$$, json_value(2));
        update t set n = n * 10;`;
      const unread = await failure(parseSqlScript({ path: '/nowhere/visits.sql', sql, firstLine: 1 }));
      expect(unread.message).to.contain('syntax error');
      expect(await run(sql)).to.equal(3);
      expect(await rows('select * from t order by n')).to.deep.equal([
        { system_user: "it's", n: 10 },
        { system_user: '\\', n: 20 },
        { system_user: 'x', n: 30 },
      ]);
    });

    it('executes a string that goes on behind a comment', async () => {
      await run(`create table t (a text); insert into t values ('a' -- ;\n 'b')`);
      expect(await rows('select a from t')).to.deep.equal([{ a: 'ab' }]);
    });

    it('shows the function that failed there, and not the whole file', async () => {
      const large = `select '${'x'.repeat(4_200_000)}';\n`;
      const inFunction = await failure(
        run(`create temp table t as ${large} do $$ begin raise 'no' using detail = 'why'; end $$`),
      );
      expect(inFunction.message).to.match(
        /visits\.sql: no\nwhy\nPL\/pgSQL function inline_code_block line 1 at RAISE$/,
      );
      await client.query('rollback; begin');
      const inStatement = await failure(run(`create temp table t as ${large} select 1/0`));
      expect(inStatement.message).to.match(/visits\.sql: division by zero$/);
    });

    it('executes what is too large or too deep', async () => {
      await client.query('create table t (a text, b int)');
      const large = Array.from({ length: 60_000 }, (_, i) => `('${'x'.repeat(70)}', ${i})`).join(',\n');
      expect(await run(`insert into t values ${large}; update t set b = -b`)).to.equal(60_000);
      const error = await failure(run(`insert into t values ${large};\ninsert into t values (nothing)`));
      expect(error.message).to.contain(':60001:23: column "nothing" does not exist');
    });

    it('does not let a COMMIT through there either', async () => {
      const before = await transaction();
      await client.query('savepoint here');
      const error = await failure(
        run(`create table t (a text); insert into t values ('${'x'.repeat(4_200_000)}'); commit;`),
      );
      expect(error.details.sqlState).to.equal('0A000');
      expect(error.message).to.have.length.below(500);
      await client.query('rollback to here');
      expect(await transaction()).to.deep.equal(before);
      expect(await rows(`select from pg_class where relname = 't'`)).to.deep.equal([]);
    });
  });
});
