import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { readMigrations } from '../../../../app/core/db-operations/migration/migration-files.js';
import { showMigrations } from '../../../../app/core/db-operations/show-migrations.js';
import type { ManageDbError } from '../../../../app/core/errors.js';
import { failureOf } from '../../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';

const DOWN = '-- migrate:down\ndrop table t;\n';

interface Mistake {
  readonly what: string;
  /** Name and text. */
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly code: string;
  readonly says: RegExp;
  readonly hint?: RegExp;
  /** Where it points to, from 1. */
  readonly line?: number;
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'a file without a marker',
    files: { '1_a.sql': 'create table t (id int);\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql has no line "-- migrate:up"/,
    hint: /Write that line above the statements/,
  },
  {
    what: 'an empty file',
    files: { '1_a.sql': '' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql has no line "-- migrate:up"/,
  },
  {
    what: 'two up markers',
    files: { '1_a.sql': `-- migrate:up\nselect 1;\n-- migrate:up\nselect 2;\n${DOWN}` },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:3 has a second "-- migrate:up"; the first is on line 1/,
    line: 3,
  },
  {
    what: 'two down markers',
    files: { '1_a.sql': `-- migrate:up\nselect 1;\n${DOWN}${DOWN}` },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:5 has a second "-- migrate:down"/,
    line: 5,
  },
  {
    what: 'down before up',
    files: { '1_a.sql': `${DOWN}-- migrate:up\nselect 1;\n` },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:1 has "-- migrate:down" before "-- migrate:up"/,
    line: 1,
  },
  {
    what: 'statements above the marker',
    files: { '1_a.sql': `-- about it\ncreate table t (id int);\n-- migrate:up\nselect 1;\n` },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:2 has something else than comments above "-- migrate:up"/,
    line: 2,
  },
  {
    what: 'an unknown option on the marker line',
    files: { '1_a.sql': '-- migrate:up transacton:false\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:1 has an unknown option "transacton:false"/,
    hint: /transaction:false/,
    line: 1,
  },
  {
    what: 'a value of an option that is none',
    files: { '1_a.sql': '-- migrate:up transaction:maybe\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:1 says transaction: maybe/,
    hint: /transaction: false/,
    line: 1,
  },
  {
    what: 'an option in the header that is misspelled',
    files: { '1_a.sql': '-- who: me\n-- transacton: false\n-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:2 has an unknown option "transacton"/,
    hint: /Did you mean transaction\?/,
    line: 2,
  },
  {
    what: 'a time in the header that is none',
    files: { '1_a.sql': '-- lock-timeout: soon\n-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:1 says lock-timeout: soon/,
    hint: /500ms, 2s or 10min/,
    line: 1,
  },
  {
    what: 'an option that is given twice',
    files: { '1_a.sql': '-- lock-timeout: 1s\n-- lock-timeout: 2s\n-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:2 says lock-timeout twice/,
    line: 2,
  },
  {
    what: 'a down marker that is misspelled: what is below it would be executed going up',
    files: { '1_a.sql': '-- migrate:up\ncreate table t (id int);\n-- migrate:dwon\ndrop table t;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:3 has an unknown marker "-- migrate:dwon"/,
    hint: /-- migrate:down/,
    line: 3,
  },
  {
    what: 'a marker that is indented',
    files: { '1_a.sql': '-- migrate:up\ncreate table t (id int);\n  -- migrate:down\ndrop table t;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:3 has an unknown marker "-- migrate:down"/,
    hint: /beginning of the line/,
    line: 3,
  },
  {
    what: 'a marker in capitals, with spaces',
    files: { '1_a.sql': '-- Migrate: Up\ncreate table t (id int);\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.sql:1 has an unknown marker "-- Migrate: Up"/,
    line: 1,
  },
  {
    what: 'two files with one version',
    files: { '1_a.sql': '-- migrate:up\nselect 1;\n', '1_b.sql': '-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_b\.sql has the same version as .*1_a\.sql/,
    hint: /later timestamp/,
  },
  {
    what: 'two files with one version that is written in two ways',
    files: { '1_a.sql': '-- migrate:up\nselect 1;\n', '001_b.sql': '-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /has the same version as/,
  },
  {
    what: 'an SQL file and a TypeScript file with one version',
    files: { '1_a.sql': '-- migrate:up\nselect 1;\n', '1_b.ts': 'export async function up() {}\n' },
    code: 'INVALID_CONFIGURATION',
    says: /has the same version as/,
  },
  ...['007_x.cjs', '007_x.SQL', '007.Sql', '2024notes.SQL', '007_x.psql', '007_x', '007_x.test.SQL'].map((name) => ({
    what: `${name}, which is named like a migration and has another ending`,
    files: { [name]: '-- migrate:up\nselect 1;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /\/migrations\/\S+ is named like a migration, and its ending is that of none\./,
    hint: /in small letters/,
  })),
  {
    what: 'text that is not UTF-8',
    files: { '1_a.sql': Buffer.from("-- migrate:up\nselect 'caf\xe9';\n", 'latin1') },
    code: 'UNREADABLE_FILE',
    says: /1_a\.sql is not UTF-8/,
    hint: /Save it as UTF-8/,
  },
  {
    what: 'text in UTF-16, as Windows may save it',
    files: { '1_a.sql': Buffer.from('\ufeff-- migrate:up\nselect 1;\n', 'utf16le') },
    code: 'UNREADABLE_FILE',
    says: /1_a\.sql is not UTF-8/,
  },
  {
    what: 'a TypeScript file that exports no up',
    files: { '1_a.ts': 'export const down = async () => {};\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.ts is no migration: up/,
    hint: /must export a function up/,
  },
  {
    what: 'a TypeScript file that cannot be loaded',
    files: { '1_a.ts': 'export const up = ;\n' },
    code: 'INVALID_CONFIGURATION',
    says: /1_a\.ts cannot be loaded/,
  },
];

describe('mistakes in the files of migrations', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  before(async () => {
    database = await scratchDatabase();
  });
  after(() => database.drop());
  beforeEach(() => {
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
    mkdirSync(join(workspace.root, 'migrations'));
  });
  afterEach(() => workspace.remove());

  const write = (files: Mistake['files']) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(workspace.root, 'migrations', name), text);
  };
  const show = () => workspace.run(() => showMigrations({ env: 'testing' }));
  const shown = async () => (await show()).migrations.map(({ version, name }) => [version, name]);
  const failure = (): Promise<ManageDbError> => failureOf(show());

  for (const { what, files, code, says, hint, line } of MISTAKES) {
    it(`${what}: ${code}, and says where`, async () => {
      write(files);
      const error = await failure();
      expect([error.code, error.exitCode]).to.deep.equal([code, 2]);
      expect(error.message).to.match(says);
      if (hint !== undefined) expect(error.hint).to.match(hint);
      if (line !== undefined) expect(error.details).to.include({ line });
    });
  }

  it('names files as seen from the current folder', async () => {
    write({ '1_a.sql': '-- migrate:up\n', '01_b.sql': '-- migrate:up\n' });
    const before = process.cwd();
    process.chdir(workspace.root);
    try {
      const { message } = await failure();
      expect(message).to.match(/^migrations\/\w+\.sql has the same version as migrations\/\w+\.sql\. No migration/);
      write({ '1_a.sql': '-- migrate:up nothing\n' });
      expect((await failure()).message).to.match(/^migrations\/1_a\.sql:1 has an unknown option/);
    } finally {
      process.chdir(before);
    }
  });

  it('a file that may not be read', async function () {
    if (process.getuid?.() === 0) {
      process.stdout.write('      skipped: root may read every file\n');
      return this.skip();
    }
    write({ '1_a.sql': '-- migrate:up\n' });
    chmodSync(join(workspace.root, 'migrations', '1_a.sql'), 0);
    const error = await failure();
    expect([error.code, error.hint]).to.deep.equal([
      'UNREADABLE_FILE',
      'Check the name of the file and its permissions.',
    ]);
  });

  it('a link that leads nowhere', async () => {
    symlinkSync('nowhere', join(workspace.root, 'migrations', '1_a.sql'));
    const error = await failure();
    expect([error.code, error.exitCode]).to.deep.equal(['UNREADABLE_FILE', 2]);
    expect(error.message).to.contain('1_a.sql cannot be read');
  });

  it('a folder that is called like a migration', async () => {
    mkdirSync(join(workspace.root, 'migrations', '1_a.sql'));
    const error = await failure();
    expect([error.code, error.exitCode]).to.deep.equal(['UNREADABLE_FILE', 2]);
    expect(error.message)
      .to.contain('1_a.sql')
      .and.contain('is a folder, and is named like a migration')
      .and.not.contain('EISDIR');
  });

  it('a file where the folder should be', async () => {
    workspace.write({ 'manage_db.config.json': '{"migrationsDir":"notes.txt"}', 'notes.txt': 'x' });
    const error = await failure();
    expect([error.code, error.exitCode]).to.deep.equal(['UNREADABLE_FILE', 2]);
    expect(error.message).to.contain('notes.txt').and.contain('not a folder');
  });

  describe('and what is none', () => {
    it('only comments: it is shown like any other, and applying it is what refuses it', async () => {
      write({ '1_a.sql': '-- migrate:up\n-- nothing yet\n/* really */\n-- migrate:down\n' });
      expect(await shown()).to.deep.equal([['1', 'a']]);
    });

    it('CRLF and a byte order mark: the same text, the same checksum', async () => {
      const text = '-- who: me\n-- migrate:up transaction:false\nselect 1;\n-- migrate:down\nselect 2;\n';
      write({ '1_a.sql': text, '2_b.sql': `\ufeff${text.replaceAll('\n', '\r\n')}` });
      const [one, two] = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
      expect(one?.checksum).to.equal(two?.checksum);
      for (const migration of [one, two]) {
        expect(migration?.up.isTransactional).to.equal(false);
        expect(migration?.down?.isTransactional).to.equal(true);
      }
    });

    it('names with spaces, quotes and letters of any language', async () => {
      write({
        '1_add  the "phone".sql': '-- migrate:up\n',
        '2_größe_日本.sql': '-- migrate:up\n',
        "3_it's $(here).sql": '-- migrate:up\n',
      });
      expect(await shown()).to.deep.equal([
        ['1', 'add  the "phone"'],
        ['2', 'größe_日本'],
        ['3', "it's $(here)"],
      ]);
    });

    it('versions of 30 digits, in the order of their numbers', async () => {
      write({
        '100000000000000000000000000002_c.sql': '-- migrate:up\n',
        '100000000000000000000000000001_b.sql': '-- migrate:up\n',
        '9_a.sql': '-- migrate:up\n',
      });
      expect((await shown()).map(([, name]) => name)).to.deep.equal(['a', 'b', 'c']);
    });

    it('files beside them: tests, notes, backups of an editor, seeds', async () => {
      write({
        '1_a.sql': '-- migrate:up\n',
        '1_a.test.sql': 'select 1;\n',
        '1_a.sql.bak': 'x',
        '1_a.sql~': 'x',
        '1_a.test.ts': 'x',
        '1_a.sql.orig': 'x',
        '2_b.sql.disabled': 'x',
        '2026-11-22.md': 'x',
        '3_codes.csv': 'x',
        '2024notes': 'x',
        '.2_b.sql.swp': 'x',
        'README.md': 'x',
        'notes.sql': 'select 1;',
      });
      mkdirSync(join(workspace.root, 'migrations', 'seed'));
      mkdirSync(join(workspace.root, 'migrations', '007_old'));
      expect(await shown()).to.deep.equal([['1', 'a']]);
      const [one] = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
      expect(one?.testPath).to.equal(join(workspace.root, 'migrations', '1_a.test.sql'));
    });

    it('comments above the marker that only look like options', async () => {
      write({
        '1_a.sql': '-- author: anna\n-- see: https://example.com/x\n--\n\n-- ticket: 12\n-- migrate:up\nselect 1;\n',
      });
      expect(await shown()).to.deep.equal([['1', 'a']]);
    });

    it('a marker within a string or a comment of a statement that does not begin the line', async () => {
      write({ '1_a.sql': "-- migrate:up\nselect ' -- migrate:down';\n/* -- migrate:up */\nselect 2;\n" });
      const [one] = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
      expect(one?.down).to.equal(null);
    });
  });
});
