import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CATEGORIES } from '../../scripts/feature-tests/categories.js';
import { junitXml } from '../../scripts/feature-tests/junit.js';
import { type FeatureTestReport, reportSchema } from '../../scripts/feature-tests/report.js';
import { separateJsonFile } from '../../scripts/json-file.js';
import type { CommandResult } from '../support/command-line.js';
import { type OwnServer, ownServer } from '../support/own-server.js';
import { scratchDatabase, withClient } from '../support/scratch-database.js';
import { scratchWorkspace } from '../support/scratch-workspace.js';

const NAMES = CATEGORIES.map(({ name }) => name);

describe('the feature tests', function () {
  this.timeout(600_000);

  let server: OwnServer;
  let temporary: string;
  before(async () => {
    server = await ownServer();
    const { workspace } = server;
    temporary = join(workspace.root, 'tmp');
    mkdirSync(temporary);
    expect((await workspace.cli(['init'])).code).to.equal(0);
    expect((await workspace.cli(['initialize-db'])).code).to.equal(0);
  });
  after(() => server.remove());

  const test = (...args: readonly string[]): Promise<CommandResult> =>
    server.workspace.cli(['test-db-features', ...args], { timeoutMs: 550_000, env: { TMPDIR: temporary } });
  const file = (name: string): string => join(server.workspace.root, name);
  const scratchDatabases = async (): Promise<readonly string[]> =>
    (await server.databases()).filter((name) => name.includes('_feature_') || name.includes('_scratch_'));

  it('pass, every one of them, and leave nothing behind', async () => {
    const before = await server.databases();
    const { code, stdout, stderr } = await test('--json', 'features.json', '--junit', 'features.xml');
    expect(code, `${stdout}\n${stderr}`).to.equal(0);
    expect(stderr).to.contain('✓ library').and.contain('✓ cli').and.contain('✓ yours');
    const report = reportSchema.parse(JSON.parse(readFileSync(file('features.json'), 'utf8')));
    expect(report.categories.map(({ name }) => name)).to.deep.equal(NAMES);
    for (const { name, counts, tests } of report.categories) {
      expect(counts.failed, name).to.equal(0);
      expect(
        tests.filter(({ outcome, subject }) => outcome === 'skipped' && subject !== 'installation'),
        name,
      ).to.deep.equal([]);
      expect([...new Set(tests.map(({ subject }) => subject))].sort(), name).to.include.members(['cli', 'library']);
    }
    expect(report.dropped).not.to.deep.equal([]);
    // the feature tests themselves have left nothing; what was there is there
    expect(await server.databases()).to.deep.equal(before);
    expect(existsSync(file('.manage_db/environment'))).to.equal(false);
    expect(readdirSync(temporary)).to.deep.equal([]);

    expect(statSync(report.log).mode & 0o777).to.equal(0o600);
    const log = readFileSync(report.log, 'utf8');
    expect(log).to.contain('$ manage_db create-backup').and.contain('== safety');
    const password = decodeURIComponent(new URL(server.url('x')).password);
    for (const text of [log, stdout, stderr, JSON.stringify(report)]) expect(text).not.to.contain(password);

    const xml = readFileSync(file('features.xml'), 'utf8');
    expectWellFormed(xml);
    const total = report.counts.passed + report.counts.skipped;
    expect(xml.match(/<testcase /g)).to.have.length(total);
  });

  it('are listed without being run', async () => {
    const { code, stdout } = await test('--list', '--category', 'safety');
    expect(code).to.equal(0);
    expect(stdout)
      .to.match(/^safety {2}/)
      .and.contain('yours: the stamp says what the database is');
  });

  it('refuse a category that does not exist, with the one that was meant', async () => {
    const { code, stderr } = await test('--category', 'triger');
    expect(code).to.equal(2);
    expect(stderr).to.contain('There is no category "triger".').and.contain('--category triggers');
  });

  it('refuse an environment that does not exist, with those that do, before anything is tested', async () => {
    const { code, stderr } = await test('--env', 'prodution');
    expect(code).to.equal(2);
    expect(stderr)
      .to.contain('There is no environment "prodution" here. Did you mean production?')
      .and.contain('Known: development, testing, staging, production')
      .and.not.contain('✓');
  });

  it('refuse one file for both reports', async () => {
    for (const [json, junit] of [
      ['both.txt', 'both.txt'],
      ['./both.txt', `${server.workspace.root}/both.txt`],
    ] as const) {
      const { code, stderr } = await test('--json', json, '--junit', junit);
      expect([code, existsSync(file('both.txt'))]).to.deep.equal([2, false]);
      expect(stderr).to.contain('USAGE').and.contain(`both name ${junit}`).and.not.contain('✓');
    }
  });

  it('print one JSON object where --json has no file', async () => {
    const { code, json } = await test('--category', 'configuration', '--json');
    expect(code).to.equal(0);
    expect(json()).to.deep.include({ command: 'test-db-features', ok: true, error: null });
    reportSchema.parse(json().data);
  });

  it('tell --json FILE from --json', () => {
    const line = (...words: string[]) => separateJsonFile(['test-db-features', ...words], 'test-db-features').slice(1);
    expect(line('--json', 'a.json')).to.deep.equal(['--json-file', 'a.json']);
    expect(line('--json=a.json')).to.deep.equal(['--json-file=a.json']);
    expect(line('--json', '--list')).to.deep.equal(['--json', '--list']);
    expect(line('--json')).to.deep.equal(['--json']);
    expect(line('--json=false')).to.deep.equal(['--json=false']);
    expect(separateJsonFile(['--json', 'test-db-features'], 'test-db-features')).to.deep.equal([
      '--json',
      'test-db-features',
    ]);
  });

  it('write XML that is well-formed whatever the errors say', () => {
    const message = 'a < b & "c"\u0000 ]]> \n\u001b[31m';
    const error = { code: 'SQL_FAILED', message, hint: message };
    const failed = { name: message, subject: 'cli', outcome: 'failed', durationMs: 5, detail: null, error } as const;
    const counts = { passed: 0, failed: 1, skipped: 0 };
    const categories = [{ name: 'copy', ok: false, durationMs: 5, counts, tests: [failed] }];
    const notDropped = [{ name: 'x', reason: message }];
    const startedAt = '2026-11-21T00:00:00Z';
    const xml = junitXml({ categories, counts, durationMs: 5, startedAt, notDropped } as unknown as FeatureTestReport);
    expectWellFormed(xml);
    expect(xml).to.contain('a &lt; b &amp; &quot;c&quot;').and.not.contain('\u0000');
    expect(xml).to.contain('failures="2"').and.contain('x could not be dropped');
  });

  it('clean up after Ctrl-C, and say so', async () => {
    const { code, stderr, stdout } = await begunAndStopped('SIGINT', '--json', 'stopped.json');
    const stopped = reportSchema.parse(JSON.parse(readFileSync(file('stopped.json'), 'utf8')));
    expect([stopped.ok, stopped.interrupted, stopped.counts.passed > 0]).to.deep.equal([false, true, true]);
    expect(code, `${stdout}${stderr}`).to.equal(130);
    expect(stderr)
      .to.contain('INTERRUPTED')
      .and.match(/scratch databases? (was|were) dropped/);
    expect(await scratchDatabases()).to.deep.equal([]);
    expect(readdirSync(temporary)).to.deep.equal([]);
  });

  it('skip without client tools what needs them, and say so in one place', async () => {
    const empty = file('no-tools');
    mkdirSync(empty);
    const { json } = await server.workspace.cli(['test-db-features', '--json'], {
      timeoutMs: 550_000,
      env: { TMPDIR: temporary, PG_BIN_DIR: empty },
    });
    const { categories } = json().data as FeatureTestReport;
    const failed = categories.flatMap(({ tests }) => tests.filter(({ outcome }) => outcome === 'failed'));
    expect(failed.map(({ name, error }) => [name, error?.code])).to.deep.equal([
      ['node and the client tools are there, and new enough', 'CLIENT_TOOLS_MISSING'],
    ]);
    const safety = categories.find(({ name }) => name === 'safety')?.tests ?? [];
    expect(safety.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).to.deep.equal([
      'the ceremony lets through what is meant',
    ]);
  });

  it('stop a command once when Ctrl-C goes to the whole process group', async () => {
    let locking: Promise<void> | undefined;
    const { code, stderr } = await server.workspace.cli(['test-db-features', '--category', 'backup-restore'], {
      env: { TMPDIR: temporary },
      isDetached: true,
      onStart: (child: ChildProcess) => {
        let said = '';
        child.stderr?.on('data', (text: string) => {
          said += text;
          if (locking === undefined && said.includes('✓ library  finds damage')) locking = interruptBackup(child);
        });
      },
    });
    await locking;
    expect(code, stderr).to.equal(130);
    const log = readFileSync(newestLog(), 'utf8');
    const [, command = ''] = log.split('$ manage_db create-backup');
    // one that was ended at once says nothing any more
    expect(command).to.contain('INTERRUPTED').and.contain('exit 130');
    expect(await scratchDatabases()).to.deep.equal([]);
  });

  /** Holds the table that is backed up, and sends SIGINT to the process group once somebody waits for it. */
  async function interruptBackup(child: ChildProcess): Promise<void> {
    const [name = ''] = (await scratchDatabases()).filter((one) => one.endsWith('_development'));
    await withClient(server.url(name), async (client) => {
      await client.query('begin; lock table public.notes in access exclusive mode');
      const waiting = `select from pg_locks where not granted and locktype = 'relation'`;
      while ((await server.query(name, waiting)).length === 0) await sleep(20);
      process.kill(-(child.pid ?? 0), 'SIGINT');
      await new Promise((resolve) => child.once('close', resolve));
    }).catch(() => undefined);
  }

  function newestLog(): string {
    const folder = file('.manage_db/logs');
    const [newest = ''] = readdirSync(folder)
      .filter((name) => name.startsWith('test-db-features-'))
      .map((name) => join(folder, name))
      .sort((one, other) => statSync(other).mtimeMs - statSync(one).mtimeMs);
    return newest;
  }

  it('say what could not be dropped, and why, and that this is a failure', async () => {
    let marking: Promise<unknown> | undefined;
    const mark = async (isTemplate: boolean): Promise<void> => {
      for (const name of await scratchDatabases())
        await server.query('postgres', `alter database ${name} is_template ${isTemplate}`);
    };
    const { code, stdout, stderr } = await server.workspace.cli(
      ['test-db-features', '--category', 'inspection', '--json', 'left.json', '--junit', 'left.xml'],
      {
        env: { TMPDIR: temporary },
        onStart: (child: ChildProcess) => {
          let said = '';
          child.stderr?.on('data', (text: string) => {
            said += text;
            if (said.includes('✓ library  refuses a table')) marking ??= mark(true);
          });
        },
      },
    );
    await marking;
    const databases = await server.query<{ name: string }>(
      'postgres',
      `select datname::text as name from pg_database where datname like 'manage_db_feature_%'`,
    );
    expect(code, stdout).to.equal(1);
    expect(stderr).to.contain('1 scratch database could not be dropped').and.contain('cannot drop a template');
    const { ok, notDropped, counts } = reportSchema.parse(JSON.parse(readFileSync(file('left.json'), 'utf8')));
    expect({ ok, failed: counts.failed, names: notDropped.map(({ name }) => name) }).to.deep.equal({
      ok: false,
      failed: 0,
      names: databases.map(({ name }) => name),
    });
    expect(readFileSync(file('left.xml'), 'utf8')).to.contain('cannot drop a template');
    for (const { name } of databases) {
      await server.query('postgres', `alter database ${name} is_template false`);
      await server.query('postgres', `drop database ${name}`);
    }
  });

  it('write their reports when the server is killed under them, and the next run drops what it had', async () => {
    const { workspace } = server;
    // by its URL: an embedded server is simply started again
    const url = server.url('clinic_testing');
    const lost = { env: { TMPDIR: temporary, TESTING_DATABASE_URL: url } };
    const line = ['test-db-features', '--env', 'testing', '--category', 'inspection', '--category', 'migration'];
    let killed = false;
    const { code, stderr } = await workspace.cli([...line, '--json', 'lost.json', '--junit', 'lost.xml'], {
      ...lost,
      timeoutMs: 200_000,
      onStart: (child: ChildProcess) => {
        let said = '';
        child.stderr?.on('data', (text: string) => {
          said += text;
          if (killed || !said.includes('✓ library  refuses a table')) return;
          killed = true;
          server.kill();
        });
      },
    });
    await server.start();
    expect(code, stderr).to.equal(1);
    const report = reportSchema.parse(JSON.parse(readFileSync(file('lost.json'), 'utf8')));
    expect(report.categories.map(({ name, ok }) => [name, ok])).to.deep.equal([
      ['inspection', false],
      ['migration', false],
    ]);
    expect(report.counts.passed).to.be.greaterThan(0);
    expect(report.notDropped).to.have.lengthOf(1);
    const [{ name = '', reason = '' } = {}] = report.notDropped;
    expect(reason).to.contain('Cannot reach testing');
    expect(readFileSync(file('lost.xml'), 'utf8'))
      .to.contain(name)
      .and.contain('<testsuite name="cleaning-up"');
    const left = await scratchDatabases();
    expect(left.map((one) => one.startsWith(name.replace('*', '')))).to.deep.equal([true]);
    const { swept } = (await workspace.cli(['test-db-features', '--category', 'inspection', '--json'], lost)).json()
      .data as FeatureTestReport;
    expect(swept).to.deep.equal(left);
  });

  it('only look where nobody has said what the database is, and there is a function in it', async () => {
    const database = await scratchDatabase(`create function answer() returns int language sql as 'select 42'`);
    const workspace = scratchWorkspace();
    try {
      workspace.write({ '.env.development': `DATABASE_URL='${database.url}'\n` });
      const args = ['test-db-features', '--env', 'development', '--category', 'inspection', '--json'];
      const { readOnlyBecause } = (await workspace.cli(args, { timeoutMs: 550_000 })).json().data as FeatureTestReport;
      expect(readOnlyBecause).to.contain('nobody has said yet what the database is');
    } finally {
      await workspace.remove();
      await database.drop();
    }
  });

  it('refuse a report that could not be written before anything is tested', async () => {
    writeFileSync(file('no-folder'), '');
    for (const path of ['no-folder/features.xml', '.']) {
      const { code, stderr } = await test('--junit', path);
      expect(code).to.equal(2);
      expect(stderr).to.contain('UNREADABLE_FILE').and.contain(path).and.not.contain('✓');
    }
  });

  it('drop what a killed run has left, and not what somebody wanted to keep', async () => {
    const kept = (await test('--category', 'inspection', '--keep', '--json')).json().data as FeatureTestReport;
    expect(kept.kept).to.have.length(1);
    await begunAndStopped('SIGKILL');
    const left = (await scratchDatabases()).filter((name) => !kept.kept.includes(name));
    expect(left).not.to.deep.equal([]);
    await noSessionsOfOurs(server);
    const { swept } = (await test('--category', 'inspection', '--json')).json().data as FeatureTestReport;
    expect(swept).to.deep.equal(left);
    expect(await scratchDatabases()).to.deep.equal(kept.kept);
    expect(readdirSync(temporary)).to.deep.equal([]);
    for (const name of kept.kept) await server.query('postgres', `drop database ${name}`);
  });

  /** Runs a category that takes a while, and sends the signal when it has a database. */
  async function begunAndStopped(signal: NodeJS.Signals, ...args: readonly string[]): Promise<CommandResult> {
    return server.workspace.cli(['test-db-features', '--category', 'inspection', ...args], {
      env: { TMPDIR: temporary },
      onStart: (child: ChildProcess) => {
        let said = '';
        let isSent = false;
        child.stderr?.on('data', (text: string) => {
          said += text;
          // a second one would end it at once
          if (isSent || !said.includes('✓ library  refuses a table')) return;
          isSent = child.kill(signal);
        });
      },
    });
  }

  describe('on a protected environment', () => {
    const production = 'clinic_production';
    const override = { env: { KILL_SWITCH_OVERRIDE: 'true' } };
    const ceremony = (operation: string): readonly string[] => [
      ...['--env', 'production', '--reason', 'a test'],
      ...['--confirm', `EXECUTE ${operation} ON ${production}`],
    ];

    before(async () => {
      const { workspace } = server;
      workspace.write({ '.env.production': `DATABASE_URL='${server.url(production)}'\n` });
      for (const [command, operation] of [
        ['initialize-db', 'INITIALIZE_DB'],
        ['apply-db-triggers', 'APPLY_DB_TRIGGERS'],
      ] as const) {
        const { code, stderr } = await workspace.cli([command, ...ceremony(operation)], override);
        expect(code, stderr).to.equal(0);
      }
      expect((await workspace.cli(['create-backup', '--env', 'production'])).code).to.equal(0);
    });

    const look = async (): Promise<{ readonly code: number | null; readonly report: FeatureTestReport }> => {
      const { code, stdout, json } = await test('--env', 'production', '--json');
      return { code, report: reportSchema.parse(json().data, { error: () => stdout }) };
    };

    /** That exactly this category fails, in words that contain all of these. */
    const onlyFails = async (category: string, ...words: readonly string[]): Promise<void> => {
      const { code, report } = await look();
      const failed = report.categories.filter(({ ok }) => !ok);
      expect(failed.map(({ name }) => name)).to.deep.equal([category]);
      expect(code).to.equal(1);
      const said = JSON.stringify(failed[0]?.tests.flatMap(({ error }) => (error === null ? [] : [error])));
      for (const word of words) expect(said).to.contain(word);
    };

    it('only look, and say why', async () => {
      const databases = await server.databases();
      const { code, report } = await look();
      expect(report.categories.filter(({ ok }) => !ok)).to.deep.equal([]);
      expect(code).to.equal(0);
      expect(report.readOnlyBecause).to.contain('production is protected');
      const scratch = report.categories.flatMap(({ tests }) =>
        tests.filter(({ subject }) => subject !== 'installation'),
      );
      expect([...new Set(scratch.map(({ outcome, detail }) => `${outcome}: ${detail}`))]).to.deep.equal([
        'skipped: Production is protected: nothing is created there.',
      ]);
      expect(report.counts.passed).to.be.greaterThan(9);
      expect(await server.databases()).to.deep.equal(databases);
    });

    it('find a trigger function that was changed', async () => {
      const definition = await server.query<{ sql: string }>(
        production,
        `select pg_get_functiondef('public.tidy_note_title'::regproc) as sql`,
      );
      await server.query(
        production,
        `create or replace function public.tidy_note_title() returns trigger language plpgsql as 'begin return new; end'`,
      );
      await onlyFails('triggers', 'notes_tidy_title', 'public.notes', 'manage_db verify-db-triggers');
      await server.query(production, definition[0]?.sql ?? '');
    });

    it('find a backup file that was damaged', async () => {
      const folder = file('backups/production');
      const [id = ''] = readdirSync(folder);
      const [damaged = ''] = readdirSync(join(folder, id, 'dump')).filter((name) => name.endsWith('.gz'));
      const path = join(folder, id, 'dump', damaged);
      const bytes = readFileSync(path);
      truncateSync(path, bytes.length - 1);
      await onlyFails('backup-restore', id, damaged);
      writeFileSync(path, bytes);
    });

    it('find a stamp that is not in order', async () => {
      await server.query(production, `update manage_db.identity set environment = 'testing'`);
      await onlyFails('safety', production, 'stamp-database --env production');
      await server.query(production, `update manage_db.identity set environment = 'production'`);
    });

    it('find a record of a migration that was changed, and one whose file is gone', async () => {
      const { rows } = {
        rows: await server.query<{ checksum: string }>(production, 'select checksum from manage_db.migrations'),
      };
      await server.query(production, `update manage_db.migrations set checksum = repeat('0', length(checksum))`);
      await onlyFails('migration', 'create_notes', 'changed since it was applied', 'show-all-migrations');
      await server.query(production, `update manage_db.migrations set checksum = '${rows[0]?.checksum}'`);
      await server.query(
        production,
        `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
         select '20200101000000', 'forgotten', checksum, 1, actor, tool from manage_db.migrations`,
      );
      await onlyFails('migration', '20200101000000_forgotten', 'its file is gone');
      await server.query(production, `delete from manage_db.migrations where name = 'forgotten'`);
    });

    it('find a record of a migration that is gone, and leave alone what only is pending', async () => {
      const { workspace } = server;
      const later = 'migrations/29990101000000_create_tags.sql';
      workspace.write({ [later]: '-- migrate:up\ncreate table tags (id int);\n' });
      expect((await look()).report.categories.filter(({ ok }) => !ok)).to.deep.equal([]);
      const forget = () =>
        server.query<{ version: string }>(
          production,
          `delete from manage_db.migrations where name = 'create_notes' returning version`,
        );
      const [{ version = '' } = {}] = await forget();
      const said = [
        'migrations/',
        'create_notes.sql makes is there: table notes',
        `manage_db baseline-db-migration --to ${version} --env production`,
      ];
      await onlyFails('migration', 'create_notes is not recorded as applied', ...said);
      const record = async () => {
        const line = ['baseline-db-migration', '--to', version, ...ceremony('BASELINE_DB_MIGRATION')];
        const { code, stderr } = await workspace.cli(line, override);
        expect(code, stderr).to.equal(0);
      };
      await record();
      const applied = await workspace.cli(['apply-db-migration', ...ceremony('APPLY_DB_MIGRATION')], override);
      expect(applied.code, applied.stderr).to.equal(0);
      // now it is one in the middle
      await forget();
      await onlyFails('migration', 'create_notes is not recorded as applied', ...said);
      await record();
      expect((await look()).code).to.equal(0);
    });

    it('find a column for which nobody has said how it is masked', async () => {
      expect((await server.workspace.cli(['masking', 'init', '--env', 'production'])).code).to.equal(0);
      await onlyFails('copy', 'public.notes.title', '(undecided)', 'manage_db masking check --env production');
      rmSync(file('masking.yaml'));
    });

    it('find an environment file that is broken', async () => {
      const { workspace } = server;
      workspace.write({ '.env.testing': 'DATABASE_URL=postgres//nobody\n' });
      await onlyFails('configuration', 'testing, in .env.testing', 'is not a database URL');
      workspace.write({ '.env.testing': '# well\nTHIS IS NOTHING\n' });
      await onlyFails('configuration', '.env.testing, line 2');
      rmSync(file('.env.testing'));
      const staging = readFileSync(file('.env.staging'), 'utf8');
      workspace.write({ '.env.staging': 'DATABSE_URL=postgresql://app@db.example/clinic\n' });
      await onlyFails('configuration', 'DATABSE_URL in .env.staging', 'Write DATABASE_URL in .env.staging');
      workspace.write({ '.env.staging': staging });
    });

    it('find nonsense where the active environment stands', async () => {
      const { workspace } = server;
      for (const nonsense of ['pro;duction', 'prodution']) {
        workspace.write({ '.manage_db/environment': `${nonsense}\n` });
        const { code, json } = await test('--json');
        rmSync(file('.manage_db/environment'));
        const { categories } = json().data as FeatureTestReport;
        expect([code, categories.filter(({ ok }) => !ok).map(({ name }) => name)]).to.deep.equal([1, ['environment']]);
      }
    });
  });
});

/** The sessions of a killed process, and what they lock, are gone a little after it. */
async function noSessionsOfOurs(server: OwnServer): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const locks = await server.query('postgres', `select from pg_locks where locktype = 'advisory'`);
    if (locks.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('Its sessions do not end.');
}

/** Every element is closed, in order, and no character stands where XML has none. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml
    .replace(/<\?xml [^>]*\?>/, '')
    .replaceAll(/<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>/g, (...match) => {
      const [, isEnd, name, , isEmpty] = match as string[];
      if (isEnd === '/') expect(open.pop()).to.equal(name);
      else if (isEmpty === '') open.push(name ?? '');
      return '';
    });
  expect(open).to.deep.equal([]);
  expect(rest).to.match(/^[^<>"]*$/);
  expect(xml).to.match(/^[\t\n\r\u{20}-\u{fffd}]*$/u);
  expect(xml.match(/&(?!(amp|lt|gt|quot|#10);)/)).to.equal(null);
}
