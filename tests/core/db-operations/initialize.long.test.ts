import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type InitializeOptions, initDb } from '../../../app/core/db-operations/initialize.js';
import type { MigrationPart } from '../../../app/core/db-operations/migration/migration-files.js';
import { verifyTriggers } from '../../../app/core/db-operations/trigger-drift.js';
import { ManageDbError } from '../../../app/core/errors.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { packageRoot } from '../../../app/services/package-root.js';
import { dropDatabase, onServer, type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { testUrl } from '../../support/test-server.js';

const ONE = '-- migrate:up\ncreate table one (id integer);\n-- migrate:down\ndrop table one;\n';
const TWO =
  '-- migrate:up\ncreate table two (id integer, updated_at timestamptz);\n\n-- migrate:down\ndrop table two;\n';

/** A trigger of the workspace's own, and the audit of everything. */
const OWN_TRIGGERS = {
  'triggers/shout.trigger.ts': `import { defineTrigger } from 'manage_db';
    export default defineTrigger('shout', { table: 'two', on: ['insert'], timing: 'before', function: 'shout', version: 1 });`,
  'triggers/functions/shout.sql': `create or replace function public.shout() returns trigger language plpgsql set search_path = '' as
    $$ begin return new; end $$;`,
  'triggers/audit.trigger.ts': `import { configureAuditPack } from 'manage_db'; export default configureAuditPack();`,
};

describe('initialize-db', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  beforeEach(async () => {
    database = await scratchDatabase();
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const initialize = (options: InitializeOptions = {}) => workspace.run(() => initDb({ env: 'testing', ...options }));
  const failure = async (): Promise<ManageDbError> => {
    const error: unknown = await initialize().then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };
  const applied = async () =>
    (await database.query<{ version: string }>('select version from manage_db.migrations order by version')).rows.map(
      ({ version }) => version,
    );
  const exists = async (relation: string) =>
    (await database.query<{ oid: string | null }>('select to_regclass($1) as oid', [relation])).rows[0]?.oid !== null;

  it('applies the migrations in order, records them, and installs the base triggers', async () => {
    workspace.write({
      'migrations/20_two.sql': TWO,
      'migrations/3_one.sql': ONE,
      'migrations/README.md': 'not a migration',
    });
    const result = await initialize();
    expect(result.databaseCreated).to.equal(false);
    expect(result.migrations.map(({ version, name }) => [version, name])).to.deep.equal([
      ['3', 'one'],
      ['20', 'two'],
    ]);
    expect(result.triggers.created).to.deep.equal([{ schema: 'public', table: 'two', name: 'update_timestamp' }]);
    const { rows } =
      await database.query(`select name, actor <> '' as actor, tool ~ '^manage_db \\d' as tool, duration_ms >= 0 as time
      from manage_db.migrations order by name`);
    expect(rows).to.deep.equal(['one', 'two'].map((name) => ({ name, actor: true, tool: true, time: true })));
  });

  it('applies every pack that the workspace asks for, as apply-db-triggers would', async () => {
    workspace.write({ 'migrations/2_two.sql': TWO, ...OWN_TRIGGERS });
    const { triggers } = await initialize();
    expect(triggers.created.map(({ name }) => name)).to.include.members(['update_timestamp', 'shout']);
    expect(triggers.created.filter(({ name }) => name.includes('audit'))).to.not.deep.equal([]);
    const { ok } = await workspace.run(() => verifyTriggers({ env: 'testing' }));
    expect(ok).to.equal(true);
    expect((await initialize()).triggers.statements).to.deep.equal([]);
  });

  it('does nothing at all when a trigger file is wrong', async () => {
    workspace.write({ 'migrations/1_one.sql': ONE, 'triggers/wrong.trigger.ts': 'export default 5;' });
    expect(await failure()).to.include({ code: 'INVALID_CONFIGURATION' });
    expect(await exists('one')).to.equal(false);
    expect(await applied()).to.deep.equal([]);
  });

  it('stamps what is new, once, and says so', async () => {
    expect((await initialize()).stamped).to.equal(true);
    expect((await initialize()).stamped).to.equal(false);
    expect((await database.query('select environment from manage_db.identity')).rows).to.deep.equal([
      { environment: 'testing' },
    ]);
  });

  it('is not ended by limits that the database sets, in none of the migrations', async () => {
    await database.query(`alter database ${database.name} set statement_timeout = '150ms'`);
    const slow = (table: string) =>
      `-- migrate:up\nselect pg_sleep(0.4); create table ${table} (id int);\n-- migrate:down\ndrop table ${table};\n`;
    workspace.write({
      'migrations/1_a.sql': slow('a'),
      'migrations/2_b.sql': slow('b'),
      'migrations/3_c.sql': slow('c'),
    });
    const { migrations } = await initialize();
    expect(migrations.map(({ name }) => name)).to.deep.equal(['a', 'b', 'c']);
  });

  it('leaves out our own schema from the search_path of a login that is called like it', async () => {
    await onServer((server) => server.query(`create role manage_db login superuser password 'pw'`));
    try {
      const { host, port } = new URL(database.url);
      workspace.write({
        '.env.testing': `TESTING_DATABASE_URL=postgresql://manage_db:pw@${host.split(':')[0]}:${port}/${database.name}\n`,
        'migrations/1_one.sql': ONE,
      });
      await initialize();
      expect(await exists('public.one')).to.equal(true);
    } finally {
      await workspace.run(() => closeEngines());
      await database.query('reassign owned by manage_db to postgres; drop owned by manage_db');
      await onServer((server) => server.query('drop role manage_db'));
    }
  });

  it('does nothing when run again, also when Git has changed the line ends', async () => {
    workspace.write({ 'migrations/1_one.sql': ONE, 'migrations/2_two.sql': TWO });
    await initialize();
    workspace.write({ 'migrations/1_one.sql': `\uFEFF${ONE.replaceAll('\n', '\r\n')}` });
    const { migrations, migrationsBefore, triggers } = await initialize();
    expect({ migrations, migrationsBefore, statements: triggers.statements }).to.deep.equal({
      migrations: [],
      migrationsBefore: 2,
      statements: [],
    });
  });

  it('says so when there is no migrations folder', async () => {
    const result = await initialize({ seed: true });
    expect(result).to.deep.include({ migrationsFolder: null, migrations: [], seed: null });
    expect(await applied()).to.deep.equal([]);
  });

  it('creates the database when it is missing', async () => {
    const name = `${database.name} "ü`;
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(name)}\n`, 'migrations/1_one.sql': ONE });
    try {
      expect((await initialize()).databaseCreated).to.equal(true);
      expect((await initialize()).databaseCreated).to.equal(false);
      expect(
        (await onServer((db) => db.query('select from pg_database where datname = $1', [name]))).rowCount,
      ).to.equal(1);
    } finally {
      await workspace.remove();
      await dropDatabase(name);
    }
  });

  it('leaves nothing of a migration that fails, keeps the ones before it, and shows the place', async () => {
    workspace.write({
      'migrations/1_one.sql': ONE,
      'migrations/2_bad.sql': `-- migrate:up\r\ncreate table half (id integer);\r\n\r\ninsert into 😀 half select 'é' ||  1 from nowhere;\r\n-- migrate:down\r\n`,
      'migrations/3_two.sql': TWO,
    });
    const error = await failure();
    expect(error.code).to.equal('SQL_FAILED');
    expect(error.details).to.include({ line: 4, sqlState: '42601' });
    expect(error.message).to.match(
      /2_bad\.sql:4:15: syntax error[^\n]*\ninsert into 😀 half select 'é' \|\| {2}1 from nowhere;\n {14}\^/u,
    );
    expect(await applied()).to.deep.equal(['1']);
    expect([await exists('one'), await exists('half'), await exists('two')]).to.deep.equal([true, false, false]);
  });

  it('refuses to go on when an applied file was edited', async () => {
    workspace.write({ 'migrations/1_one.sql': ONE });
    await initialize();
    workspace.write({ 'migrations/1_one.sql': ONE.replace('integer', 'bigint'), 'migrations/2_two.sql': TWO });
    const error = await failure();
    expect(error.code).to.equal('MIGRATION_EDITED');
    expect(error.message).to.contain('1_one.sql');
    expect(await applied()).to.deep.equal(['1']);
  });

  it('records rightly whatever a file sets for its session, and lets none of it reach the next file', async () => {
    workspace.write({
      'migrations/1_one.sql': `-- migrate:up
        create schema elsewhere; create table elsewhere.migrations (like pg_class);
        select set_config('search_path', 'elsewhere', false); set role pg_monitor; set lock_timeout = '1ms';`,
      'migrations/2_two.sql': TWO,
    });
    await initialize();
    expect(await applied()).to.deep.equal(['1', '2']);
    expect(await exists('public.two')).to.equal(true);
  });

  it('lets no time limit of the database end a migration or a seed, the commit included', async () => {
    await database.query(`do $$ begin
      execute format('alter database %I set statement_timeout = %L', current_database(), '30s');
      execute format('alter database %I set idle_in_transaction_session_timeout = %L', current_database(), '31s'); end $$`);
    const note = (file: string) => `insert into seen values ('${file}', current_setting('statement_timeout'),
      current_setting('idle_in_transaction_session_timeout'));`;
    workspace.write({
      'migrations/1_one.sql': `-- migrate:up
        create table seen (file text, statement text, idle text); ${note('1')}
        create table late (id integer);
        create function at_commit() returns trigger language plpgsql as $$ begin ${note('commit')} return null; end $$;
        create constraint trigger late after insert on late initially deferred for each row execute function at_commit();
        insert into late values (1);`,
      'migrations/2_two.sql': `-- migrate:up\n${note('2')}`,
      'migrations/seed/1_one.sql': note('seed'),
    });
    await initialize({ seed: true });
    const { rows } = await database.query('select * from seen order by file');
    expect(rows).to.deep.equal(['1', '2', 'commit', 'seed'].map((file) => ({ file, statement: '0', idle: '0' })));
  });

  it('executes nothing of a migration that ends the transaction itself, and shows where', async () => {
    workspace.write({
      'migrations/1_one.sql': '-- migrate:up\ncreate table one (id integer); commit; create table more ();\n',
    });
    const error = await failure();
    expect(error.message).to.match(/1_one\.sql:2:32: The file begins or ends the transaction itself \(COMMIT\)/);
    expect(await applied()).to.deep.equal([]);
    expect([await exists('one'), await exists('more')]).to.deep.equal([false, false]);
  });

  it('keeps nothing of the seeds when one of them ends the transaction itself', async () => {
    workspace.write({
      'migrations/1_one.sql': ONE,
      'migrations/seed/1_rows.sql': 'insert into one values (1);',
      'migrations/seed/2_end.sql': 'insert into one values (2);\nend;\ninsert into one values (3);',
    });
    const error: unknown = await initialize({ seed: true }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ManageDbError).with.property('code', 'SQL_FAILED');
    expect(error)
      .to.have.property('message')
      .that.matches(/2_end\.sql:2:1: .*\(COMMIT\)/);
    expect((await database.query('select from one')).rowCount).to.equal(0);
  });

  it('names the row that a seed gives twice, by its place in the file', async () => {
    workspace.write({
      'migrations/1_one.sql': '-- migrate:up\ncreate table one (id integer primary key);\n',
      'migrations/seed/1_rows.sql':
        'insert into one values (1);\n-- é\ninsert into one values (2);\n  insert into one values (1);\n',
    });
    const error: unknown = await initialize({ seed: true }).catch((thrown: unknown) => thrown);
    expect(error)
      .to.have.property('message')
      .that.matches(
        /1_rows\.sql:4:3: duplicate key .*\n {2}insert into one values \(1\);\n {2}\^\nKey \(id\)=\(1\) already exists\.$/,
      );
  });

  it('stops in the middle of a migration when it is interrupted, and goes on the next time', async () => {
    const stop = new AbortController();
    workspace.write({
      'migrations/1_one.sql': ONE,
      'migrations/2_slow.sql': '-- migrate:up\ncreate table slow (id integer); select pg_sleep(2);\n',
    });
    const onProgress = ({ step }: { step: string }) => {
      if (step.includes('slow')) setTimeout(() => stop.abort(), 300);
    };
    const error: unknown = await initialize({ signal: stop.signal, onProgress }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ManageDbError).with.property('code', 'INTERRUPTED');
    expect((error as ManageDbError).message).to.contain('Applied before and staying so: 1_one');
    expect(await applied()).to.deep.equal(['1']);
    expect((await initialize()).migrations.map(({ version }) => version)).to.deep.equal(['2']);
  });

  const wrong: readonly [string, Record<string, string>, RegExp][] = [
    ['a file without markers', { 'migrations/1_one.sql': 'create table one ();' }, /has no line "-- migrate:up"/],
    [
      'two files of one version',
      { 'migrations/1_one.sql': ONE, 'migrations/1_two.sql': TWO },
      /has the same version as/,
    ],
    [
      'an empty file',
      { 'migrations/1_one.sql': ONE, 'migrations/2_two.sql': '-- migrate:up\n\n' },
      /2_two\.sql:1 has nothing below "-- migrate:up"/,
    ],
  ];
  for (const [what, files, message] of wrong) {
    it(`refuses ${what} before anything is done`, async () => {
      workspace.write(files);
      const error = await failure();
      expect(error.code).to.equal('INVALID_CONFIGURATION');
      expect(error.message).to.match(message);
      expect(await applied()).to.deep.equal([]);
      expect(await exists('one')).to.equal(false);
    });
  }

  it('applies each migration once when several processes do it at once on a database that is not there yet', async () => {
    const name = `${database.name}_many`;
    const slow = (n: number) => `-- migrate:up\ncreate table t${n} (id integer); select pg_sleep(0.05);\n`;
    workspace.write({
      '.env.testing': `TESTING_DATABASE_URL=${testUrl(name)}\n`,
      ...Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`migrations/${n + 1}_t.sql`, slow(n)])),
    });
    try {
      const processes = Array.from({ length: 5 }, () => initializeInProcess(workspace.root, 4));
      const results = (await Promise.all(processes)).flat();
      expect(results).to.have.length(20);
      expect(
        results
          .flatMap(({ versions }) => versions)
          .map(Number)
          .sort((a, b) => a - b),
      ).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      expect(results.filter(({ created }) => created)).to.have.length(1);
    } finally {
      await workspace.remove();
      await dropDatabase(name);
    }
  });

  describe('with the clinic', () => {
    const TABLES = `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('clinic', 'billing') and c.relkind in ('r', 'p') and not c.relispartition order by 1`;

    beforeEach(() =>
      cpSync(join(packageRoot(), 'migrations'), join(workspace.root, 'migrations'), { recursive: true }),
    );

    const contents = async (db: ScratchDatabase) => {
      const { rows } = await db.query<{ name: string }>(TABLES);
      const parts = rows.map(
        ({ name }) =>
          `select '${name}' as name, count(*)::integer as rows, md5(string_agg(t::text, e'\\n' order by t::text collate "C")) as checksum from ${name} t`,
      );
      return (
        await db.query<{ name: string; rows: number; checksum: string }>(`${parts.join(' union all ')} order by 1`)
      ).rows;
    };

    it('gives about 50,000 rows, the same ones in every database, and no more when seeded twice', async () => {
      const first = await initialize({ seed: true });
      const seeded = await contents(database);
      expect(first.seed?.rows).to.be.within(45_000, 55_000);
      expect(seeded.reduce((sum, { rows }) => sum + rows, 0)).to.equal(first.seed?.rows);
      expect(seeded).to.have.length(15);
      expect(seeded.filter(({ rows }) => rows === 0)).to.deep.equal([]);
      expect((await initialize({ seed: true })).seed?.rows).to.equal(0);
      expect(await contents(database)).to.deep.equal(seeded);

      const other = await scratchDatabase(`do $$ begin
        execute format('alter database %I set timezone = %L', current_database(), 'Asia/Kolkata');
        execute format('alter database %I set datestyle = %L', current_database(), 'SQL, DMY'); end $$`);
      try {
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${other.url}\n` });
        await initialize({ seed: true });
        await other.query(`do $$ begin execute format('alter database %I reset all', current_database()); end $$`);
        expect(await contents(other)).to.deep.equal(seeded);
      } finally {
        await workspace.remove();
        await other.drop();
      }
    });

    it('has invoices that add up, payments that do not exceed them, and sequences that go on', async () => {
      await initialize({ seed: true });
      const { rows } = await database.query(`
        with lines as (select invoice_id, sum(net) as net, sum(tax) as tax from billing.invoice_lines group by 1),
          paid as (select invoice_id, sum(amount) as amount from billing.payments group by 1),
          ledger as (select invoice_id, sum(debit_amount) as debit, sum(credit_amount) as credit from billing.ar_subledger group by 1)
        select count(*) filter (where l.net is distinct from i.subtotal or l.tax is distinct from i.tax)::integer as wrong_sums,
          count(*) filter (where p.amount > i.total or (i.status = 'paid') <> (p.amount = i.total))::integer as wrong_payments,
          count(*) filter (where a.debit is distinct from i.total or a.credit is distinct from coalesce(p.amount, 0))::integer as wrong_ledger
        from billing.invoices i left join lines l on l.invoice_id = i.id left join paid p on p.invoice_id = i.id
          left join ledger a on a.invoice_id = i.id`);
      expect(rows).to.deep.equal([{ wrong_sums: 0, wrong_payments: 0, wrong_ledger: 0 }]);
      await database.query(`insert into clinic.roles (name, description) values ('guest', 'sees nothing')`);
    });

    it('does not mix the seed with clinics of your own', async () => {
      await initialize();
      await database.query(
        `insert into clinic.clinics (code, name, email) values ('OWN01', 'Mine', 'me@here.example')`,
      );
      const error: unknown = await initialize({ seed: true }).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(ManageDbError);
      expect((error as ManageDbError).message).to.contain('already holds clinics of your own');
      expect((await contents(database)).reduce((sum, { rows }) => sum + rows, 0)).to.equal(1);
    });

    it('can be taken back to nothing by the downs, in reverse', async () => {
      const { readMigrations } = await import('../../../app/core/db-operations/migration/migration-files.js');
      await initialize({ seed: true });
      const migrations = (await readMigrations(join(workspace.root, 'migrations'))) ?? [];
      for (const { down } of [...migrations].reverse()) await database.query(sqlOf(down));
      const left = await database.query(`select nspname from pg_namespace where nspname in ('clinic', 'billing')
        union all select typname from pg_type t join pg_namespace n on n.oid = typnamespace where nspname = 'public'`);
      expect(left.rows).to.deep.equal([]);
      for (const { up } of migrations) await database.query(sqlOf(up));
    });
  });
});

function sqlOf(part: MigrationPart | null): string {
  return part?.kind === 'sql' ? part.source.sql : 'no sql';
}

interface Outcome {
  readonly versions: readonly string[];
  readonly created: boolean;
}

/** `times` calls at once, in a process of its own. */
async function initializeInProcess(workspace: string, times: number): Promise<readonly Outcome[]> {
  const script = `
    const { initDb } = await import(${JSON.stringify(join(packageRoot(), 'app/core/db-operations/initialize.ts'))});
    const { closeEngines } = await import(${JSON.stringify(join(packageRoot(), 'app/services/database-service.ts'))});
    const results = await Promise.all(Array.from({ length: ${times} }, () => initDb({ env: 'testing' })));
    await closeEngines();
    process.stdout.write(JSON.stringify(results.map((r) => ({ versions: r.migrations.map((m) => m.version), created: r.databaseCreated }))));`;
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: packageRoot(),
    env: { ...process.env, MANAGE_DB_WORKSPACE: workspace },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout?.on('data', (text) => {
    output += text;
  });
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(errors);
  return JSON.parse(output) as Outcome[];
}
