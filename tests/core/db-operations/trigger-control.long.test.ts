import { expect } from 'chai';
import type pg from 'pg';
import { grantDbRole, setupDbRoles } from '../../../app/core/db-operations/roles.js';
import {
  disableTrigger,
  dropTrigger,
  type EnableTriggerOptions,
  enableTrigger,
} from '../../../app/core/db-operations/trigger-control.js';
import { openClient } from '../../database/open-client.js';
import { failureOf } from '../../support/failure-of.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { dropLevelRoles, dropLogins, type ScratchLogin, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testUrl } from '../../support/test-server.js';

const TABLES = `
  create schema "Clinic Ü";
  create table "Clinic Ü"."Päti""ents" (id integer primary key, note text);
  create table visits (id integer primary key, note text);
  create table notes (visit integer references visits, note text);
  create table days (day date, note text) partition by range (day);
  create table days_2025 partition of days for values from ('2025-01-01') to ('2026-01-01');
  create view visits_view as select * from visits;
  create function stamp() returns trigger language plpgsql as $$ begin new.note := 'stamped'; return new; end $$;
  create trigger "Mark ""it""" before insert on "Clinic Ü"."Päti""ents" for each row execute function stamp();
  create trigger mark before insert on visits for each row when (new.id > 0) execute function stamp();
  create trigger mark_day before insert on days for each row execute function stamp();
  create trigger mark_view instead of insert on visits_view for each row execute function stamp();`;

describe('the control of triggers', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let owner: ScratchLogin;
  let anna: ScratchLogin;

  beforeEach(async () => {
    owner = await scratchLogin('owner', 'createrole');
    anna = await scratchLogin('anna');
    database = await scratchDatabase();
    await database.query(
      `alter database ${database.name} owner to ${owner.user}; grant create on schema public to ${owner.user}`,
    );
    await asOwner(TABLES);
    workspace = scratchWorkspace();
    use(owner);
    await withClient(testUrl(database.name, owner), (client) => stampAs(client, 'testing'));
    await workspace.run(() => setupDbRoles({ env: 'testing' }));
    await workspace.run(() => grantDbRole({ env: 'testing', level: 'operator', login: anna.user }));
    use(anna);
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
    await dropLevelRoles(database.name);
    await dropLogins(owner, anna);
  });

  const use = (login: ScratchLogin) =>
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${testUrl(database.name, login)}\n` });
  const asOwner = (sql: string) => withClient(testUrl(database.name, owner), (client) => client.query(sql));
  const asAnna = (sql: string) => withClient(testUrl(database.name, anna), (client) => client.query(sql));
  const enable = (table: string, name: string, mode?: EnableTriggerOptions['mode']) =>
    workspace.run(() => enableTrigger({ env: 'testing', table, name, mode }));
  const disable = (table: string, name: string, reason = 'too loud') =>
    workspace.run(() => disableTrigger({ env: 'testing', table, name, consent: { reason } }));
  const drop = (table: string, name: string) =>
    workspace.run(() => dropTrigger({ env: 'testing', table, name, consent: { yes: true } }));
  const modes = async (name: string) =>
    (
      await database.query<{ mode: string }>(
        'select tgenabled as mode from pg_trigger where tgname = $1 order by tgrelid',
        [name],
      )
    ).rows
      .map(({ mode }) => mode)
      .join('');
  const logged = async () =>
    (
      await asOwner(`select operation, event, login, environment, reason, attempt is not null as tied, details
        from manage_db.operation_log where source = 'database' and tool = 'set_trigger_mode' order by id`)
    ).rows;

  it('lets an operator who owns nothing disable and enable, with a log entry of its own transaction', async () => {
    const place = { schema: 'public', table: 'visits', name: 'mark' };
    expect(await disable('visits', 'mark')).to.deep.equal({ ...place, before: 'origin', after: 'disabled' });
    await asOwner('insert into visits values (1)');
    expect(await enable('public.visits', 'mark')).to.deep.equal({ ...place, before: 'disabled', after: 'origin' });
    await asOwner('insert into visits values (2)');
    expect((await asOwner('select note from visits order by id')).rows).to.deep.equal([
      { note: null },
      { note: 'stamped' },
    ]);
    const common = { event: 'succeeded', login: anna.user, environment: 'testing', tied: true };
    const trigger = { schema: 'public', table: 'visits', trigger: 'mark' };
    expect(await logged()).to.deep.equal([
      {
        ...common,
        operation: 'disable-db-trigger',
        reason: 'too loud',
        details: { ...trigger, before: 'origin', after: 'disabled' },
      },
      {
        ...common,
        operation: 'enable-db-trigger',
        reason: null,
        details: { ...trigger, before: 'disabled', after: 'origin' },
      },
    ]);
  });

  it('changes nothing when the entry cannot be written', async () => {
    await asOwner(`create or replace function manage_db.append_operation(entry jsonb) returns bigint language plpgsql as
      $$ begin raise exception 'the log is full'; end $$`);
    const error = await failureOf(disable('visits', 'mark'));
    expect(error.message).to.contain('the log is full').and.contain(`No trigger of ${database.name} was changed.`);
    expect(await modes('mark')).to.equal('O');
  });

  it('knows every mode, and every kind of name', async () => {
    const [table, name] = ['Clinic Ü.Päti"ents', 'Mark "it"'];
    for (const [mode, letter] of [
      ['always', 'A'],
      ['replica', 'R'],
      ['origin', 'O'],
    ] as const) {
      expect(await enable(table, name, mode)).to.include({ schema: 'Clinic Ü', table: 'Päti"ents', name, after: mode });
      expect(await modes(name)).to.equal(letter);
    }
    expect(await enable(table, name)).to.include({ before: 'origin', after: 'origin' });
  });

  it('takes the copies on partitions along, and not one of them alone', async () => {
    await disable('days', 'mark_day');
    expect(await modes('mark_day')).to.equal('DD');
    await enable('days', 'mark_day', 'always');
    expect(await modes('mark_day')).to.equal('AA');
    const error = await failureOf(disable('days_2025', 'mark_day'));
    expect(error.code).to.equal('NOT_FOUND');
    expect(error.hint).to.contain("A partition's are those of its parent");
    expect((await refusal(asAnna(SWITCH('public', 'days_2025', 'mark_day')))).code).to.equal('42704');
  });

  it('names what was probably meant', async () => {
    const wrongName = await failureOf(disable('visits', 'marc'));
    expect([wrongName.code, wrongName.hint]).to.deep.equal(['NOT_FOUND', 'Did you mean mark?']);
    expect((await failureOf(disable('visit', 'mark'))).hint).to.equal('Did you mean public.visits?');
    use(owner);
    expect((await failureOf(drop('visits', 'marc'))).hint).to.equal('Did you mean mark?');
  });

  it('cannot reach the triggers of foreign keys, nor those of a view', async () => {
    const { rows } = await database.query<{ name: string }>(
      `select tgname as name from pg_trigger where tgrelid = 'notes'::regclass and tgisinternal limit 1`,
    );
    const name = rows[0]?.name ?? '';
    expect((await failureOf(disable('notes', name))).code).to.equal('NOT_FOUND');
    expect((await refusal(asAnna(SWITCH('public', 'notes', name)))).code).to.equal('42704');
    expect((await failureOf(disable('visits_view', 'mark_view'))).code).to.equal('SQL_FAILED');
  });

  it('does not let an operator drop a trigger, nor touch those that protect the records', async () => {
    const dropping = await failureOf(drop('visits', 'mark'));
    expect(dropping.code).to.equal('PERMISSION_DENIED');
    expect(dropping.message).to.contain('needs the level admin');
    expect((await refusal(asAnna('drop trigger mark on visits'))).code).to.equal('42501');
    expect((await refusal(asAnna('alter table visits disable trigger mark'))).code).to.equal('42501');
    await asOwner(`create trigger guard before update on manage_db.migrations execute function stamp()`);
    for (const login of [anna, owner]) {
      use(login);
      expect((await failureOf(disable('manage_db.migrations', 'guard'))).code).to.equal('PERMISSION_DENIED');
      expect((await failureOf(drop('manage_db.migrations', 'guard'))).code).to.equal('PERMISSION_DENIED');
    }
    expect(await modes('guard')).to.equal('O');
  });

  it('refuses a viewer, by the library and by psql', async () => {
    use(owner);
    await workspace.run(() => grantDbRole({ env: 'testing', level: 'viewer', login: anna.user }));
    use(anna);
    for (const work of [disable, enable, drop] as const)
      expect((await failureOf(work('visits', 'mark'))).code).to.equal('PERMISSION_DENIED');
    expect((await refusal(asAnna(SWITCH('public', 'visits', 'mark')))).code).to.equal('42501');
    await asOwner(`grant execute on all functions in schema manage_db to ${anna.user}`);
    const { code, message } = await refusal(asAnna(SWITCH('public', 'visits', 'mark')));
    expect([code, message]).to.deep.equal([
      '42501',
      `Disabling a trigger needs the level operator; the login ${anna.user} has the level viewer in ${database.name}.`,
    ]);
    expect(await modes('mark')).to.equal('O');
  });

  it('stops at an engaged kill switch, by psql too, and not at one that is over', async () => {
    await asAnna(`select manage_db.engage_kill_switch('anna', 'corrupt rows', null)`);
    for (const attempt of [failureOf(disable('visits', 'mark')), refusal(asAnna(SWITCH('public', 'visits', 'mark')))]) {
      const { message } = await attempt;
      expect(message).to.match(/is blocked: .*anna.*: corrupt rows/);
    }
    // an override is for the configured switch, never for a person's
    const overridden = `begin; set local manage_db.kill_switch_override = 'true'; ${SWITCH('public', 'visits', 'mark')}`;
    expect((await refusal(asAnna(overridden))).code).to.equal('MDB02');
    expect(await modes('mark')).to.equal('O');
    await asOwner(
      `update manage_db.kill_switch set engaged_at = now() - interval '2 hours', expires_at = now() - interval '1 second'`,
    );
    await asAnna(SWITCH('public', 'visits', 'mark'));
    expect(await modes('mark')).to.equal('D');
  });

  it('stops at the kill switch of the stamp, by psql too', async () => {
    await database.query('update manage_db.identity set kill_switch = true');
    const error = await refusal(asAnna(SWITCH('public', 'visits', 'mark')));
    expect([error.code, error.message]).to.deep.equal([
      'MDB02',
      'Disabling a trigger is blocked: this database is behind the kill switch.',
    ]);
    expect((await failureOf(disable('visits', 'mark'))).code).to.equal('KILL_SWITCH');
    expect(await modes('mark')).to.equal('O');
  });

  it('says whose table it is when the owner of the schema has no rights on it', async () => {
    const other = await scratchLogin('other');
    await database.query(`alter table visits owner to ${other.user}`);
    const error = await failureOf(disable('visits', 'mark'));
    expect(error.code).to.equal('PERMISSION_DENIED');
    expect(error.message).to.contain(
      `public.visits belongs to ${other.user}, and the schema manage_db to ${owner.user}`,
    );
    expect(error.hint).to.equal(`Let a superuser run: grant ${other.user} to ${owner.user};`);
    await database.query(`grant ${other.user} to ${owner.user}`);
    expect(await disable('visits', 'mark')).to.include({ after: 'disabled' });
    await database.drop();
    await dropLogins(other);
  });

  it('works on a table on which its owner has taken writing from itself', async () => {
    await asOwner(`revoke all on visits from ${owner.user}`);
    expect(await disable('visits', 'mark')).to.include({ before: 'origin', after: 'disabled' });
  });

  it('drops a trigger of its own table, and gives back what creates it again', async () => {
    use(owner);
    await disable('visits', 'mark');
    const { definition, ...dropped } = await drop('visits', 'mark');
    expect(dropped).to.deep.equal({ schema: 'public', table: 'visits', name: 'mark', before: 'disabled', after: null });
    expect(await modes('mark')).to.equal('');
    await asOwner(definition);
    expect(await modes('mark')).to.equal('O');
  });

  it('gives up when the table stays locked, and names who holds it', async () => {
    const client = await openClient(database.url);
    const [{ pid }] = (await client.query('select pg_backend_pid() as pid')).rows as [{ pid: number }];
    await client.query(`begin; update visits set note = ''; select 'holding'`);
    const switching = await failureOf(disable('visits', 'mark'));
    await client.query('rollback; begin; select from visits');
    use(owner);
    const dropping = await failureOf(drop('visits', 'mark'));
    await client.end();
    for (const error of [switching, dropping]) {
      expect(error.code).to.equal('LOCK_TIMEOUT');
      expect(error.message)
        .to.contain(`In the way: pid ${pid} (`)
        .and.contain(`No trigger of ${database.name} was changed.`);
    }
    expect(await modes('mark')).to.equal('O');
  });

  it('says the truth about the mode before when two change it at once', async () => {
    const client = await openClient(testUrl(database.name, anna));
    await client.query('begin');
    await client.query(SWITCH('public', 'visits', 'mark'));
    const second = enable('visits', 'mark', 'always');
    await untilSomebodyWaits();
    await client.query('commit');
    await client.end();
    expect((await second).before).to.equal('disabled');
  });

  it('tells an operator who has to bring the records of manage_db here first', async () => {
    await asOwner(
      `drop function manage_db.set_trigger_mode; comment on table manage_db.schema_versions is 'version 5'`,
    );
    const error = await failureOf(disable('visits', 'mark'));
    expect(error.code).to.equal('PERMISSION_DENIED');
    expect(error.hint).to.contain('manage_db initialize-db');
  });

  const untilSomebodyWaits = async () => {
    for (;;) {
      const { rowCount } = await onServer((server) =>
        server.query(`select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`, [database.name]),
      );
      if (rowCount !== 0) return;
    }
  };
});

const SWITCH = (schema: string, table: string, name: string) =>
  `select manage_db.set_trigger_mode('${schema}', '${table}', '${name}', 'disabled', gen_random_uuid(), 'test')`;

async function refusal(work: Promise<unknown>): Promise<pg.DatabaseError> {
  return work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: pg.DatabaseError) => error,
  );
}
