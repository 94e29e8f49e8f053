import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { listBackups } from '../../../../app/core/db-operations/list-backups.js';
import { dropAllTables, resetDb } from '../../../../app/core/db-operations/maintenance.js';
import { restoreDatabase } from '../../../../app/core/db-operations/restore.js';
import { closeEngines } from '../../../../app/services/database-service.js';
import { connected, type OpenDatabase, openDatabase } from '../../../database/catalog/open-database.js';
import { failureOf } from '../../../support/failure-of.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';

const CONSENT = { env: 'testing', consent: { yes: true } } as const;

/** What belongs to the database and to none of its schemas, and what hangs on tables. */
const AROUND = `
  create table public.kept (id int primary key, note text); insert into public.kept values (1, 'one'), (2, 'two');
  create table public.parent (id int); create table public.child () inherits (public.parent);
  create table public.parts (id int) partition by range (id);
  create table public.part partition of public.parts for values from (0) to (10);
  create policy own on public.kept using (id > 0); alter table public.kept enable row level security;
  create rule nothing as on delete to public.kept do instead nothing;
  create type public.pair as (a int, b int);
  create function public.to_pair(text) returns public.pair language sql as 'select null::public.pair';
  create cast (text as public.pair) with function public.to_pair(text);
  create cast (int4 as macaddr8) with inout;
  create publication all_of_it for all tables;
  create publication some_of_it for table public.kept;
  create foreign data wrapper nothing; create server elsewhere foreign data wrapper nothing;
  create user mapping for postgres server elsewhere options (password 'x');
  create access method heap_again type table handler heap_tableam_handler;
  create table public.of_method (id int) using heap_again;
  create text search parser public.parser (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
  create text search template public.template (lexize = dsimple_lexize);
  select lo_from_bytea(0, 'one'), lo_from_bytea(0, 'two');
  create function public.refuse() returns event_trigger language plpgsql as $$ begin raise 'not here'; end $$;
  create event trigger refuses on sql_drop execute function public.refuse();
  create event trigger refuses_commands on ddl_command_start execute function public.refuse();`;

/** How much there is of everything that a user can make. */
const COUNTS = [
  ...[
    'namespace',
    'class',
    'attribute',
    'type',
    'proc',
    'operator',
    'opclass',
    'opfamily',
    'amop',
    'am',
    'cast',
    'conversion',
  ],
  ...[
    'collation',
    'ts_config',
    'ts_dict',
    'ts_parser',
    'ts_template',
    'foreign_data_wrapper',
    'foreign_server',
    'event_trigger',
  ],
  ...[
    'publication',
    'publication_rel',
    'largeobject_metadata',
    'largeobject',
    'language',
    'transform',
    'statistic_ext',
  ],
  ...[
    'policy',
    'rewrite',
    'trigger',
    'constraint',
    'inherits',
    'extension',
    'default_acl',
    'attrdef',
    'sequence',
    'enum',
  ],
]
  .map((name) => `select '${name}' as name, count(*)::int from pg_${name}`)
  .join(' union all ');

describe('dropping everything', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await openDatabase('create extension hstore');
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${db.url}\nDATABASE_LOCK_TIMEOUT_MS=1500\n`,
    });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const counts = async () => (await db.client.query(COUNTS)).rows;
  const backups = () => workspace.run(() => listBackups({ env: 'testing' }));
  const isThere = async () => (await db.client.query(`select to_regclass('public.kept') as oid`)).rows[0].oid !== null;
  const nothingIsLeftOfIt = async () => {
    expect(await isThere()).to.equal(true);
    const folder = join(workspace.root, 'backups', 'testing');
    expect(existsSync(folder) ? readdirSync(folder) : []).to.deep.equal([]);
  };

  it('leaves exactly what was there before anybody had made something', async () => {
    const before = await counts();
    await db.client.query(AROUND);
    const { dropped, largeObjects } = await workspace.run(() => dropAllTables(CONSENT));
    expect(await counts()).to.deep.equal(before);
    expect(largeObjects).to.equal(2);
    expect(dropped).to.deep.include({ kind: 'publication', schema: null, name: 'all_of_it' });
    expect(dropped).to.deep.include({ kind: 'event trigger', schema: null, name: 'refuses' });
  });

  it('has backed it up, and the backup brings everything back', async () => {
    await db.client.query(AROUND);
    const before = await counts();
    const { safetyBackup, undo } = await workspace.run(() => dropAllTables(CONSENT));
    expect(undo).to.equal(`manage_db restore-backup ${safetyBackup} --env testing`);
    expect((await backups()).map(({ id, state }) => [id, state])).to.deep.equal([[safetyBackup, 'complete']]);
    await db.client.end();
    await workspace.run(() => restoreDatabase({ ...CONSENT, id: safetyBackup ?? '', keepPrevious: false }));
    db = { ...db, client: await connected(db.url) };
    expect((await db.client.query('select note from public.kept order by id')).rows).to.deep.equal([
      { note: 'one' },
      { note: 'two' },
    ]);
    expect(await counts()).to.deep.equal(before);
  });

  it('says in English what it is dropping', async () => {
    await db.client.query(`
      create table public.kept (a int, b int); create statistics public.both on a, b from public.kept;
      create text search dictionary public.plain (template = simple);
      create operator family public.family using btree;
      create operator class public.class for type int4 using btree as function 1 btint4cmp(int4, int4);
      create publication all_of_it for all tables`);
    const steps = new Set<string>();
    await workspace.run(() => dropAllTables({ ...CONSENT, onProgress: ({ step }) => steps.add(step) }));
    expect([...steps].filter((step) => step.startsWith('dropping'))).to.have.members([
      'dropping publications',
      'dropping tables',
      'dropping statistics objects',
      'dropping text search dictionaries',
      'dropping operator classes',
      'dropping operator families',
    ]);
  });

  it('makes no backup of nothing', async () => {
    expect(await workspace.run(() => dropAllTables(CONSENT))).to.include({ safetyBackup: null, undo: null });
    expect(await backups()).to.deep.equal([]);
  });

  for (const [what, work] of [
    ['drop-all-tables', () => dropAllTables(CONSENT)],
    ['reset-database', () => resetDb(CONSENT)],
  ] as const) {
    it(`${what} drops nothing when the backup cannot be made`, async () => {
      await db.client.query(AROUND);
      workspace.write({ backups: 'a file where a folder should be' });
      const error = await failureOf(workspace.run(work));
      expect(error.message.match(/No backup was made/g)).to.have.lengthOf(1);
      expect(error.message).to.contain('Nothing was dropped.');
      expect(await isThere()).to.equal(true);
      rmSync(join(workspace.root, 'backups'));
    });
  }

  it('drops nothing when it is interrupted while the backup is made', async () => {
    await db.client.query(AROUND);
    const stop = new AbortController();
    const onProgress = ({ step }: { step: string }) => {
      if (step.startsWith('backing up')) setTimeout(() => stop.abort(), 20);
    };
    const error = await failureOf(workspace.run(() => dropAllTables({ ...CONSENT, signal: stop.signal, onProgress })));
    expect(error.code).to.equal('INTERRUPTED');
    await nothingIsLeftOfIt();
  });

  it('keeps no backup where dropping fails', async () => {
    await db.client.query(`${AROUND}; drop event trigger refuses; drop event trigger refuses_commands;
      create view public.on_kept as select * from public.kept; alter extension hstore add view public.on_kept`);
    const error = await failureOf(workspace.run(() => dropAllTables(CONSENT)));
    expect(error.message).to.contain('Nothing was dropped.');
    await nothingIsLeftOfIt();
  });

  for (const [what, sql, isThereStill] of [
    [
      'a table in a schema',
      'create table own.meanwhile (id int)',
      `select to_regclass('own.meanwhile') is not null as there`,
    ],
    [
      'a view on a table',
      'create view public.meanwhile as select * from public.kept',
      `select to_regclass('public.meanwhile') is not null as there`,
    ],
    [
      'a large object in place of another',
      `select lo_unlink(4711), lo_from_bytea(4712, 'new')`,
      'select array_agg(oid::int) @> array[4712] as there from pg_largeobject_metadata',
    ],
  ] as const) {
    it(`drops nothing when somebody makes ${what} during the backup`, async () => {
      await db.client.query(`${AROUND}; drop event trigger refuses; drop event trigger refuses_commands;
        create schema own; create table own.first (id int); select lo_from_bytea(4711, 'old')`);
      const onProgress = ({ step }: { step: string }) => {
        if (step.startsWith('backing up')) void db.client.query(sql);
      };
      const error = await failureOf(workspace.run(() => dropAllTables({ ...CONSENT, onProgress })));
      expect(error.code).to.equal('DATABASE_IN_USE');
      expect(error.message).to.contain('made or dropped while it was backed up. Nothing was dropped.');
      expect((await db.client.query(isThereStill)).rows).to.deep.equal([{ there: true }]);
      await nothingIsLeftOfIt();
    });
  }

  it('drops nothing when a transaction that began during the backup makes a table after it', async () => {
    await db.client.query('create schema own; create table public.kept (id int); create table own.first (id int)');
    const other = await connected(db.url);
    const made: Promise<unknown>[] = [];
    const onProgress = ({ step }: { step: string }) => {
      if (step.startsWith('backing up')) made.push(other.query('begin; create table own.meanwhile (id int)'));
      if (step === 'dropping tables') setTimeout(() => made.push(other.query('commit')), 300);
    };
    const error = await failureOf(workspace.run(() => dropAllTables({ ...CONSENT, onProgress })));
    await Promise.all(made);
    await other.end();
    expect(error.code).to.equal('DATABASE_IN_USE');
    expect((await db.client.query(`select to_regclass('own.meanwhile') is not null as there`)).rows).to.deep.equal([
      { there: true },
    ]);
    await nothingIsLeftOfIt();
  });

  it('lets nobody write between the backup and the end', async () => {
    await db.client.query('create table public.kept (id int); insert into public.kept values (1)');
    const other = await connected(db.url);
    let written: Promise<unknown> | null = null;
    const onProgress = ({ step }: { step: string }) => {
      if (step.startsWith('backing up'))
        written ??= other.query('insert into public.kept values (2)').catch((error) => error);
    };
    await workspace.run(() => dropAllTables({ ...CONSENT, onProgress }));
    expect(await written).to.have.property('code', '42P01');
    await other.end();
  });

  it('says after a reset that cannot build anew how everything comes back', async () => {
    await db.client.query(AROUND);
    workspace.write({ 'migrations/1_core.sql': '-- migrate:up\nselect nonsense;' });
    const error = await failureOf(workspace.run(() => resetDb(CONSENT)));
    const [backup] = await backups();
    expect(error.message).to.contain('emptied').and.to.contain(`manage_db restore-backup ${backup?.id} --env testing`);
  });

  it('drops nothing for a reset whose trigger files are wrong', async () => {
    await db.client.query(AROUND);
    workspace.write({ 'triggers/wrong.trigger.ts': 'export default 5;' });
    expect(await failureOf(workspace.run(() => resetDb(CONSENT)))).to.include({ code: 'INVALID_CONFIGURATION' });
    await nothingIsLeftOfIt();
  });

  it('names the backup on the command line, and in the operation log', async () => {
    await db.client.query(AROUND);
    await closeEngines();
    const { code, stdout } = await workspace.cli(['reset-database', '--env', 'testing', '--yes']);
    const [backup] = await backups();
    expect(code).to.equal(0);
    expect(stdout).to.contain(`Bring it back: manage_db restore-backup ${backup?.id} --env testing`);
    const { rows } = await db.client.query(
      `select details::text from manage_db.operation_log where operation = 'reset-database' and details::text like '%' || $1 || '%'`,
      [backup?.id],
    );
    expect(rows).to.have.length(1);
  });
});
