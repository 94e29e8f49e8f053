import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import type { QuarantineSettings } from '../../../app/config/copy-settings.js';
import { checkQuarantine, quarantine } from '../../../app/core/db-operations/copy/quarantine/quarantine.js';
import type { OperationControls } from '../../../app/core/progress.js';
import { withConnection } from '../../../app/services/with-connection.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../../support/scratch-login.js';
import { settingsOf } from '../../support/settings-of.js';
import { testServer, testUrl } from '../../support/test-server.js';

const CANARY = 'canary-5f1d';

const SHOP = `
  create type mail_state as enum ('new', 'sent', 'quarantined');
  create table outbox (id integer primary key, state mail_state not null default 'new', body json, "Sent At" timestamptz,
    label varchar(20), size integer generated always as (id * 2) stored);
  insert into outbox (id, state, body) values (1, 'new', '{"to": "a@b"}'), (2, 'sent', '{}'), (3, 'new', null);
  create table webhooks (id integer primary key, url text);
  insert into webhooks select n, 'https://example.com/' || n from generate_series(1, 3) n;
  create table deliveries (webhook integer references webhooks deferrable initially deferred);
  create table fired (what text);`;

describe('the quarantine of a copy', () => {
  let database: ScratchDatabase;
  afterEach(() => database.drop());

  const prepare = async (sql: string): Promise<void> => {
    database = await scratchDatabase(sql);
  };
  const run = async (
    settings: Partial<QuarantineSettings> = {},
    controls: OperationControls = {},
    login?: { user: string; password: string },
  ) =>
    withConnection(await settingsOf(login === undefined ? database.url : testUrl(database.name, login)), {}, (client) =>
      quarantine(client, { rows: {}, keep: [], ...settings }, controls),
    );
  const value = async (sql: string): Promise<unknown> => {
    const { rows } = await database.query<{ value: unknown }>(`select ${sql} as value`);
    return rows[0]?.value;
  };

  it('says that there was nothing where there was nothing', async () => {
    await prepare(SHOP);
    expect(await run()).to.deep.equal({ objects: [], rows: [], kept: [] });
  });

  describe('of subscriptions', () => {
    let listener: Server;
    let connections: number;
    let publisher: ScratchDatabase;

    before(async () => {
      listener = createServer((socket) => {
        connections += 1;
        socket.destroy();
      });
      await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    });
    after(() => new Promise((resolve) => listener.close(resolve)));
    beforeEach(async () => {
      connections = 0;
      publisher = await scratchDatabase(
        'create table notes (id integer primary key); create publication "All" for table notes',
      );
    });
    afterEach(() => publisher.drop());

    it('drops them without a word to their publishers, also where tables are not synchronized yet', async () => {
      await prepare('create table notes (id integer primary key)');
      const { host, port, user, password } = testServer();
      const way = `host=${host} port=${port} dbname=${publisher.name} user=${user} password=${password}`;
      await database.query(
        `create subscription "of all" connection '${way}' publication "All"
          with (create_slot = false, enabled = false, slot_name = 'shop')`,
      );
      expect(await value(`(select string_agg(srsubstate::text, '') from pg_subscription_rel)`)).to.equal('i');
      const { port: deaf } = listener.address() as { port: number };
      await database.query(
        `alter subscription "of all" connection 'host=127.0.0.1 port=${deaf} dbname=production user=a password=${CANARY}'`,
      );
      await database.query(
        `create subscription other connection 'host=127.0.0.1 port=${deaf} dbname=production' publication p
          with (connect = false)`,
      );
      const { objects } = await run();
      expect(objects).to.deep.equal([
        { kind: 'subscriptions', name: 'of all' },
        { kind: 'subscriptions', name: 'other' },
      ]);
      expect(await value('(select count(*)::integer from pg_subscription)')).to.equal(0);
      expect(connections).to.equal(0);
    });

    it('leaves those of other databases alone', async () => {
      await prepare('');
      await publisher.query(
        `create subscription elsewhere connection 'host=/nonexistent dbname=x' publication p with (connect = false)`,
      );
      try {
        expect((await run()).objects).to.deep.equal([]);
        expect(await value(`(select count(*)::integer from pg_subscription where subname = 'elsewhere')`)).to.equal(1);
      } finally {
        await publisher.query(`alter subscription elsewhere set (slot_name = none)`);
        await publisher.query(`drop subscription elsewhere`);
      }
    });
  });

  describe('of foreign data', () => {
    const ELSEWHERE = `
      create foreign data wrapper plain options (api_key '${CANARY}');
      create server "Far Away" foreign data wrapper plain options (host 'production', "Password" '${CANARY}');
      create user mapping for public server "Far Away" options (user 'a', password '${CANARY}');
      create user mapping for current_user server "Far Away" options (password '${CANARY}');
      create foreign table far (id integer) server "Far Away" options (tablekey 'x', token '${CANARY}')`;

    it('drops user mappings and options that are secrets; servers and tables stay', async () => {
      await prepare(ELSEWHERE);
      const result = await run();
      expect(JSON.stringify(result)).not.to.contain(CANARY);
      expect(result.objects).to.deep.equal([
        { kind: 'foreign-secrets', name: '"Password" of server "Far Away"' },
        { kind: 'foreign-secrets', name: 'api_key of foreign data wrapper plain' },
        { kind: 'foreign-secrets', name: 'token of foreign table public.far' },
        { kind: 'user-mappings', name: `${testServer().user} on server "Far Away"` },
        { kind: 'user-mappings', name: 'public on server "Far Away"' },
      ]);
      expect(await value('(select count(*)::integer from pg_user_mapping)')).to.equal(0);
      expect(await value('(select srvoptions::text from pg_foreign_server)')).to.equal('{host=production}');
      expect(await value('(select ftoptions::text from pg_foreign_table)')).to.equal('{tablekey=x}');
    });

    it('keeps what it is told to keep, and says so', async () => {
      await prepare(ELSEWHERE);
      const { objects, kept } = await run({ keep: ['user-mappings', 'subscriptions'] });
      expect(objects.map(({ kind }) => kind)).to.deep.equal(['foreign-secrets', 'foreign-secrets', 'foreign-secrets']);
      expect(kept.map(({ kind }) => kind)).to.deep.equal(['user-mappings', 'user-mappings']);
      expect(await value('(select count(*)::integer from pg_user_mapping)')).to.equal(2);
    });

    it('is not undone by event triggers; where it may not switch them, it finds what they have armed again', async () => {
      await prepare(`create foreign data wrapper plain; create server far foreign data wrapper plain;
        create function again() returns event_trigger language plpgsql as $$ begin
          create user mapping for public server far options (password '${CANARY}'); end $$;
        create event trigger again on ddl_command_end when tag in ('DROP USER MAPPING') execute function again();
        alter event trigger again enable always;
        create user mapping for public server far options (password '${CANARY}')`);
      const login = await scratchLogin(database.name);
      await database.query(`alter foreign data wrapper plain owner to current_user; grant usage on foreign data wrapper plain to ${login.user};
        alter server far owner to ${login.user}`);
      try {
        const error = await failureOf(run({}, {}, login));
        expect(error.message).to.contain('Still armed after the quarantine: public on server far (user-mappings).');
        await run();
        expect(await value('(select count(*)::integer from pg_user_mapping)')).to.equal(0);
        expect(await value('(select evtenabled from pg_event_trigger)')).to.equal('A');
      } finally {
        await database.drop();
        await dropLogins(login);
      }
    });
  });

  describe('of rows', () => {
    it('deletes those of a condition, and sets columns of others', async () => {
      await prepare(SHOP);
      const { rows } = await run({
        rows: {
          'public.outbox': {
            action: 'set',
            set: { state: 'quarantined', body: '{"a":  1}', 'Sent At': '2026-01-01', label: null },
            where: `state = 'new' -- those that wait`,
          },
          webhooks: { action: 'delete', where: 'id > 1' },
          deliveries: { action: 'delete', where: null },
        },
      });
      expect(rows).to.deep.equal([
        { schema: 'public', table: 'outbox', action: 'set', rows: 2 },
        { schema: 'public', table: 'webhooks', action: 'delete', rows: 2 },
        { schema: 'public', table: 'deliveries', action: 'delete', rows: 0 },
      ]);
      expect(await value(`(select string_agg(id || state::text, ' ' order by id) from outbox)`)).to.equal(
        '1quarantined 2sent 3quarantined',
      );
      expect(await value('(select array_agg(id) from webhooks)')).to.deep.equal([1]);
    });

    it('reads conditions as the database does', async () => {
      await prepare(`create schema app; create function app.is_open(integer) returns boolean language sql as 'select $1 > 1';
        ${SHOP}`);
      await database.query(`alter database ${database.name} set search_path = app, public`);
      const { rows } = await run({ rows: { webhooks: { action: 'delete', where: 'is_open(id)' } } });
      expect(rows[0]?.rows).to.equal(2);
    });

    it('lets no trigger and no rule fire, also on partitions, and leaves them in their modes', async () => {
      await prepare(`${SHOP}
        create table events (id integer, status text) partition by list (id);
        create table events_1 partition of events for values in (1, 2);
        insert into events values (1, 'new'), (2, 'new');
        create function note() returns trigger language plpgsql as $$ begin insert into fired values (tg_name); return null; end $$;
        create trigger always after update on events for each row execute function note();
        alter table events enable always trigger always;
        create trigger plain after update on events for each statement execute function note();
        create trigger replica before update on events_1 for each row execute function note();
        alter table events_1 enable replica trigger replica;
        create trigger off after update on events_1 for each row execute function note();
        alter table events_1 disable trigger off;
        create constraint trigger late after delete on webhooks deferrable initially deferred for each row execute function note();
        create rule noted as on delete to webhooks do also insert into fired values ('rule');
        create function ddl() returns event_trigger language plpgsql as $$ begin insert into fired values ('ddl'); end $$;
        create event trigger ddl on ddl_command_end execute function ddl();
        delete from fired`);
      const modes = `(select jsonb_object_agg(tgrelid::regclass || ' ' || tgname, tgenabled) from pg_trigger where not tgisinternal)
        || (select jsonb_object_agg(rulename, ev_enabled) from pg_rewrite where rulename = 'noted')
        || (select jsonb_object_agg(evtname, evtenabled) from pg_event_trigger)`;
      const before = await value(modes);
      const { rows } = await run({
        rows: {
          events: { action: 'set', set: { status: 'quarantined' }, where: `status = 'new'` },
          webhooks: { action: 'delete', where: null },
        },
      });
      expect(rows.map((one) => one.rows)).to.deep.equal([2, 3]);
      expect(await value('(select array_agg(what) from fired)')).to.equal(null);
      expect(await value(modes)).to.deep.equal(before);
      await database.query(`update events set status = 'again'`);
      expect(await value('(select array_agg(what order by what) from fired)')).to.deep.equal([
        'always',
        'always',
        'plain',
      ]);
    });

    it('keeps foreign keys, also deferred ones', async () => {
      await prepare(`${SHOP} insert into deliveries values (2)`);
      const error = await failureOf(run({ rows: { webhooks: { action: 'delete', where: null } } }));
      expect(error.message).to.contain('deliveries_webhook_fkey');
      expect(await value('(select count(*)::integer from webhooks)')).to.equal(3);
      await run({
        rows: { deliveries: { action: 'delete', where: null }, webhooks: { action: 'delete', where: null } },
      });
      expect(await value('(select count(*)::integer from webhooks)')).to.equal(0);
    });

    it('names all tables and columns that are not there at once, with near names, and changes nothing', async () => {
      await prepare(`${SHOP} create view open as select * from outbox`);
      const rows: QuarantineSettings['rows'] = {
        'public.outbx': { action: 'delete', where: null },
        webhooks: { action: 'set', set: { uri: 'x' }, where: null },
        open: { action: 'delete', where: null },
        outbox: { action: 'set', set: { size: 1 }, where: null },
        '"outbox"': { action: 'delete', where: null },
        deliveries: { action: 'delete', where: null },
        '"deliveries"': { action: 'delete', where: null },
      };
      const expected = [
        'copy.quarantine.rows public.outbx: There is no table or view public.outbx. Did you mean public.outbox?',
        'copy.quarantine.rows webhooks: there is no column uri in public.webhooks. Did you mean url?',
        'copy.quarantine.rows open: it is no table.',
        'copy.quarantine.rows outbox: the column size is generated, and follows from the others.',
        'copy.quarantine.rows "deliveries": it is the same table as deliveries.',
      ];
      const error = await failureOf(run({ rows }));
      expect(error).to.include({ code: 'INVALID_CONFIGURATION' });
      for (const line of expected) expect(error.message).to.contain(line);
      expect(await value('(select count(*)::integer from outbox)')).to.equal(3);
      const check = withConnection(await settingsOf(database.url), {}, (client) =>
        checkQuarantine(client, { rows, keep: [] }),
      );
      expect((await failureOf(check)).details).to.deep.equal({ problems: expected });
    });

    for (const [what, where, words] of [
      [
        'a column that is not there',
        `id > 0\n  and stat = 'new'`,
        `:2:7: column "stat" does not exist\n  and stat = 'new'\n      ^`,
      ],
      ['a second statement', `true); delete from outbox; select (true`, 'cannot insert multiple commands'],
    ] as const) {
      it(`shows the place of ${what} in a condition, and has changed nothing`, async () => {
        await prepare(SHOP);
        const error = await failureOf(
          run({ rows: { webhooks: { action: 'delete', where: null }, outbox: { action: 'delete', where } } }),
        );
        expect(error.message).to.contain(words).and.to.contain('copy.quarantine.rows outbox');
        expect(error.message).to.contain('The copy could not be quarantined.');
        expect(
          await value('(select count(*)::integer from outbox) + (select count(*)::integer from webhooks)'),
        ).to.equal(6);
      });
    }

    const AFTERWARDS: Readonly<Record<string, QuarantineSettings['rows']>> = {
      'other rows': { webhooks: { action: 'delete', where: 'id = (select min(id) from webhooks)' } },
      'rows because of what is done to another table': {
        webhooks: { action: 'set', set: { url: 'none' }, where: 'not exists (select from outbox)' },
        outbox: { action: 'delete', where: null },
      },
    };
    for (const [what, rows] of Object.entries(AFTERWARDS)) {
      it(`refuses a condition that afterwards finds ${what}`, async () => {
        await prepare(SHOP);
        const error = await failureOf(run({ rows }));
        expect(error.message).to.contain('webhooks: the condition still finds rows of public.webhooks that are armed');
        expect(
          await value('(select count(*)::integer from outbox) + (select count(*)::integer from webhooks)'),
        ).to.equal(6);
      });
    }

    it('refuses values that a column does not take', async () => {
      await prepare(SHOP);
      const error = await failureOf(run({ rows: { outbox: { action: 'set', set: { state: 'nwe' }, where: null } } }));
      expect(error).to.include({ code: 'SQL_FAILED' });
      expect(error.message).to.match(/^copy\.quarantine\.rows outbox: invalid input value for enum mail_state: "nwe"/);
    });

    it('refuses rows that would be on another server', async () => {
      await prepare(`create foreign data wrapper plain; create server far foreign data wrapper plain;
        create table events (id integer) partition by list (id);
        create foreign table events_far partition of events for values in (1) server far`);
      const error = await failureOf(run({ rows: { events: { action: 'delete', where: null } } }));
      expect(error.message).to.contain('its partition public.events_far is on another server');
    });
  });

  it('is refused, whole, to a login that may not do it', async () => {
    await prepare(`${SHOP} create foreign data wrapper plain; create server far foreign data wrapper plain;
      create user mapping for public server far options (password '${CANARY}')`);
    const login = await scratchLogin(database.name);
    try {
      const error = await failureOf(run({}, {}, login));
      expect(error).to.include({ code: 'PERMISSION_DENIED' });
      expect(await value('(select count(*)::integer from pg_user_mapping)')).to.equal(1);
    } finally {
      await database.drop();
      await dropLogins(login);
    }
  });

  it('stops when it is interrupted, with nothing done', async () => {
    await prepare(SHOP);
    const stop = new AbortController();
    const error = await failureOf(
      run(
        { rows: { outbox: { action: 'delete', where: null }, webhooks: { action: 'delete', where: null } } },
        { signal: stop.signal, onProgress: ({ done }) => (done === 1 ? stop.abort() : undefined) },
      ),
    );
    // the second step had begun, and the first is rolled back
    expect(error).to.include({ code: 'INTERRUPTED' });
    expect(await value('(select count(*)::integer from outbox)')).to.equal(3);
  });
});
