import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { quarantine } from '../../../app/core/db-operations/copy/quarantine/quarantine.js';
import { copyDatabase } from '../../../app/core/db-operations/copy.js';
import { withConnection } from '../../../app/services/with-connection.js';
import { type DebianServer, debianServer, programsWith } from '../../support/debian-server.js';
import { failureOf } from '../../support/failure-of.js';
import { withClient } from '../../support/scratch-database.js';
import { scratchWorkspace } from '../../support/scratch-workspace.js';
import { settingsOf } from '../../support/settings-of.js';
import { stampAs } from '../../support/stamp.js';

const PROGRAMS = programsWith('pg_cron');
const LOADED = { shared_preload_libraries: 'pg_cron', 'cron.database_name': 'clinic' };

/** pg_cron looks into one database of a server only: a template copy has its tables, and may come into that place. */
describe('the quarantine of a copy with pg_cron', () => {
  let server: DebianServer;

  before(async function () {
    if (PROGRAMS === null) {
      this.test?.parent?.tests.forEach((test) => {
        test.title += ' (skipped: pg_cron is not installed; Debian package postgresql-15-cron)';
      });
      return this.skip();
    }
    server = await debianServer(PROGRAMS);
    await server.start(LOADED);
    await query('postgres', 'create database clinic');
    await query(
      'clinic',
      `create extension pg_cron;
       select cron.schedule('nightly', '0 3 * * *', 'select 1'), cron.schedule('0 4 * * *', 'select 2'),
         cron.schedule('off', '0 5 * * *', 'select 3');
       update cron.job set active = false where jobname = 'off'`,
    );
  });
  after(() => server?.remove());
  afterEach(() => query('postgres', 'drop database if exists copy with (force)'));

  const query = (database: string, sql: string) => withClient(server.url(database), (client) => client.query(sql));
  const jobs = async (database: string) =>
    (await query(database, 'select jobid::integer as id, active from cron.job order by jobid')).rows;
  /** pg_cron itself is connected to the database that it looks into. */
  const copy = async (): Promise<void> => {
    for (let attempt = 0; ; attempt += 1) {
      await query('postgres', `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'clinic'`);
      const made = await query('postgres', 'create database copy template clinic').catch((error: unknown) => error);
      if (!(made instanceof Error)) return;
      if (attempt > 20) throw made;
      await sleep(100);
    }
  };
  const run = async (keep: readonly 'cron-jobs'[] = []) =>
    withConnection(await settingsOf(server.url('copy')), {}, (client) => quarantine(client, { rows: {}, keep }));
  const ARMED = [
    { kind: 'cron-jobs', name: 'job 1 nightly' },
    { kind: 'cron-jobs', name: 'job 2' },
  ];

  it('switches its jobs off, and only those of the copy', async () => {
    await copy();
    expect((await run()).objects).to.deep.equal(ARMED);
    expect(await jobs('copy')).to.deep.equal([1, 2, 3].map((id) => ({ id, active: false })));
    expect((await jobs('clinic')).map(({ active }) => active)).to.deep.equal([true, true, false]);
    expect((await run()).objects).to.deep.equal([]);
    const { rows } = await query('copy', `select tgenabled from pg_trigger where tgrelid = 'cron.job'::regclass`);
    expect(rows).to.deep.equal([{ tgenabled: 'O' }]);
  });

  it('keeps them where it is told to, and says which', async () => {
    await copy();
    expect(await run(['cron-jobs'])).to.deep.equal({ objects: [], rows: [], kept: ARMED });
    expect((await jobs('copy')).map(({ active }) => active)).to.deep.equal([true, true, false]);
  });

  it('is left at home by a stream, and a database that it works in is not replaced', async () => {
    // it ends for good when a test before has ended its session
    await server.start(LOADED);
    await query('clinic', 'create table patients (id int primary key); insert into patients values (1)');
    await withClient(server.url('clinic'), (client) => stampAs(client, 'testing'));
    const workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${server.url('clinic')}\n`,
      '.env.development': `DEVELOPMENT_DATABASE_URL=${server.url('copy')}\n`,
    });
    try {
      const between = (from: string, to: string) =>
        workspace.run(() => copyDatabase({ from, to, consent: { yes: true, reason: 'a test' } }));
      const { strategy, warnings } = await between('testing', 'development');
      expect(strategy).to.equal('stream');
      expect(warnings.join()).to.include('pg_cron can be in one database of a server only');
      expect((await query('copy', 'select id from patients')).rows).to.deep.equal([{ id: 1 }]);
      expect((await query('copy', 'select extname from pg_extension')).rows).to.deep.equal([{ extname: 'plpgsql' }]);
      const error = await failureOf(between('development', 'testing'));
      expect(error).to.include({ code: 'DATABASE_IN_USE' });
      expect(error.message).to.include('pg_cron');
    } finally {
      await workspace.remove();
    }
  });

  it('takes no part in an update of the schema, on either side', async () => {
    await server.start(LOADED);
    await query('postgres', 'create database copy');
    await query('copy', 'create table patients (id int primary key)');
    await query(
      'clinic',
      'create table if not exists patients (id int primary key); alter table patients add note text',
    );
    await withClient(server.url('clinic'), (client) => stampAs(client, 'testing'));
    await withClient(server.url('copy'), (client) => stampAs(client, 'development'));
    const workspace = scratchWorkspace({
      '.env.testing': `TESTING_DATABASE_URL=${server.url('clinic')}\n`,
      '.env.development': `DEVELOPMENT_DATABASE_URL=${server.url('copy')}\n`,
    });
    const update = (from: string, to: string) =>
      workspace.run(() => copyDatabase({ from, to, schemaOnly: true, consent: { yes: true, reason: 'a test' } }));
    try {
      const there = await update('testing', 'development');
      expect(there.warnings.join()).to.include('stay as they are: extension pg_cron');
      await query('copy', 'alter table patients add more text');
      const back = await update('development', 'testing');
      expect(back.warnings.join()).to.include('stay as they are: extension pg_cron');
      expect((await query('clinic', 'select more, note from patients')).rowCount).to.be.a('number');
      expect(await jobs('clinic')).to.have.length(3);
      await query('copy', 'drop table patients');
      await update('testing', 'development');
      expect((await query('copy', 'select more, note from patients')).rows).to.deep.equal([]);
    } finally {
      await workspace.remove();
    }
  });

  it('does so also on a server that does not load it, where nobody could write into its tables otherwise', async () => {
    await server.start({});
    await copy();
    const refused = await query('copy', 'update cron.job set active = false').catch((error: unknown) => error);
    expect(String(refused)).to.contain('shared_preload_libraries');
    expect((await run()).objects).to.deep.equal(ARMED);
    await server.start(LOADED);
  });
});
