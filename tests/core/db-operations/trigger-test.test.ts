import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { initDb } from '../../../app/core/db-operations/initialize.js';
import {
  type TestedEvent,
  type TestTriggersOptions,
  type TestTriggersResult,
  testTriggers,
} from '../../../app/core/db-operations/trigger-test.js';
import { ManageDbError } from '../../../app/core/errors.js';
import { packageRoot } from '../../../app/services/package-root.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

describe('test-db-triggers', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  const make = async (sql: string) => {
    database = await scratchDatabase(sql);
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n` });
  };
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const run = (options: TestTriggersOptions = {}) => workspace.run(() => testTriggers({ env: 'testing', ...options }));
  /** `name event` → state, where nothing is wrong; otherwise with the reason. */
  const states = ({ triggers }: TestTriggersResult) =>
    Object.fromEntries(
      triggers.flatMap(({ name, events }) =>
        events.map((each) => [
          `${name} ${each.event}`,
          each.detail === null ? each.state : `${each.state}: ${each.detail}`,
        ]),
      ),
    );
  /** Of every row of every table that is not ours. */
  const checksums = async () => {
    const { rows } = await database.query<{ tables: string }>(`
      select string_agg(format('%s %s', c.oid::regclass, query_to_xml(
        format('select md5(string_agg(md5(t::text || ctid::text || xmin::text), '''' order by ctid)) from only %s t', c.oid::regclass), true, false, '')), E'\\n' order by c.oid) as tables
      from pg_class c where relkind = 'r' and relnamespace::regnamespace::text !~ '^(pg_|information_schema|manage_db)'`);
    return rows[0]?.tables;
  };

  it('fires every kind of trigger, and leaves nothing behind', async () => {
    await make(`
      create table log (at timestamptz default clock_timestamp(), what text);
      create table visits (id integer generated always as identity primary key, note text not null, paid numeric(6,2));
      insert into visits (note) values ('one'), ('two');
      create function note_it() returns trigger language plpgsql as $$
      begin
        insert into log (what) values (tg_name || tg_op);
        if tg_level = 'STATEMENT' then return null; end if;
        if tg_op = 'DELETE' then return old; end if;
        return new;
      end $$;
      create trigger row_before before insert or update or delete on visits for each row execute function note_it();
      create trigger row_after after insert or update or delete on visits for each row execute function note_it();
      create trigger whole before insert or update or delete or truncate on visits execute function note_it();
      create trigger emptied after truncate on visits execute function note_it();
      create trigger paid after update of paid on visits for each row execute function note_it();
      create constraint trigger late after insert on visits deferrable initially deferred for each row execute function note_it();
      create trigger counted after insert on visits referencing new table as rows for each statement execute function note_it();
      create view open_visits as select * from visits;
      create trigger instead instead of insert or update or delete on open_visits for each row execute function note_it();`);
    const before = await checksums();
    const result = await run();
    const expected = [
      ['row_before', 'INSERT', 'UPDATE', 'DELETE'],
      ['row_after', 'INSERT', 'UPDATE', 'DELETE'],
      ['whole', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'],
      ['emptied', 'TRUNCATE'],
      ['paid', 'UPDATE'],
      ['late', 'INSERT'],
      ['counted', 'INSERT'],
      ['instead', 'INSERT', 'UPDATE', 'DELETE'],
    ].flatMap(([name, ...events]) => events.map((event) => [`${name} ${event}`, 'fired']));
    expect(states(result)).to.deep.equal(Object.fromEntries(expected));
    expect(result.counts).to.deep.equal({ fired: expected.length, did_not_fire: 0, failed: 0, not_tested: 0 });
    expect(result.functionCheck).to.include({ state: 'skipped' });
    const timed = result.triggers.flatMap(({ events }) => events).filter(({ event }) => event !== 'TRUNCATE');
    expect(timed.every(({ milliseconds }: TestedEvent) => milliseconds !== null && milliseconds >= 0)).to.equal(true);
    expect(await checksums()).to.equal(before);
  });

  for (const seed of [false, true]) {
    it(`exercises the triggers of a whole application, ${seed ? 'with' : 'without'} data in it`, async () => {
      await make('');
      cpSync(join(packageRoot(), 'migrations'), join(workspace.root, 'migrations'), { recursive: true });
      await workspace.run(() => initDb({ env: 'testing', seed }));
      const before = await checksums();
      const result = await run();
      const events = result.triggers.flatMap((trigger) => trigger.events.map((event) => ({ ...trigger, ...event })));
      expect(events).to.have.length.of.at.least(30);
      expect(events.filter(({ state }) => state !== 'fired')).to.deep.equal([]);
      expect(await checksums()).to.equal(before);
    });
  }

  const failure = async (options: TestTriggersOptions = {}): Promise<ManageDbError> => {
    const error: unknown = await run(options).then(
      () => new Error('nothing was thrown'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ManageDbError) return error;
    throw error;
  };

  it('names the nearest trigger where there is none', async () => {
    await make('');
    void openClient;
    expect(await failure({ name: 'x' })).to.include({ code: 'NOT_FOUND' });
  });
});
