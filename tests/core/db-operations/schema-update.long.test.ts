import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compareDatabases } from '../../../app/core/db-operations/compare.js';
import type { ApplyingUpdate } from '../../../app/core/db-operations/copy/schema-update/applying.js';
import { readRisks } from '../../../app/core/db-operations/copy/schema-update/risks.js';
import { updateInTransaction } from '../../../app/core/db-operations/copy/schema-update/update-in-transaction.js';
import type { UpdateSteps } from '../../../app/core/db-operations/copy/schema-update/update-steps.js';
import { type ApplyingOptions, planSchemaUpdate } from '../../../app/core/db-operations/copy/schema-update.js';
import { engageKillSwitch } from '../../../app/core/db-operations/kill-switch.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../../app/core/errors.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { breakableWay } from '../../support/breakable-way.js';
import { endKeeper } from '../../support/end-keeper.js';
import { failureOf } from '../../support/failure-of.js';
import { ownServer } from '../../support/own-server.js';
import { type SchemaUpdatePair, schemaUpdatePair } from '../../support/schema-update-pair.js';
import { onServer, type ScratchDatabase, withClient } from '../../support/scratch-database.js';
import type { ScratchWorkspace } from '../../support/scratch-workspace.js';
import { HOSTILE_CHANGES } from './compare/hostile-changes.js';
import { HOSTILE_SEARCH_PATH, hostileDatabase, withHostileRoles } from './round-trip/hostile-database.js';

/** What the target is: rows included. */
const OLD = `
  create schema clinic;
  create type clinic.mood as enum ('well', 'ill');
  create table clinic.patients (id int generated always as identity primary key, name varchar(80) not null, age smallint,
    mood clinic.mood default 'well', note text);
  create table clinic.visits (id int primary key, at date not null, patient int);
  create table clinic.logs (id bigserial, at date not null, line text) partition by range (at);
  create table clinic.logs_2025 partition of clinic.logs for values from ('2025-01-01') to ('2026-01-01');
  create view clinic.names as select id, name from clinic.patients;
  create materialized view clinic.counted as select count(*) as visits from clinic.visits;
  create function clinic.touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger touch before update on clinic.patients for each row execute function clinic.touch();
  create table clinic.old_things (id int primary key, what text);
  create table clinic.nothing (id int);
  insert into clinic.patients (name, age, note) select 'patient ' || n, n % 90, 'n' || n from generate_series(1, 300) n;
  insert into clinic.visits select n, date '2026-01-01' + n, n from generate_series(1, 200) n;
  insert into clinic.logs (at, line) select date '2025-01-01' + n, 'line ' || n from generate_series(1, 100) n;
  refresh materialized view clinic.counted;
  analyze;`;

/** What is done to it in the source, without anything that loses a row. */
const CHANGES = `
  drop view clinic.names;
  alter type clinic.mood add value 'dizzy' after 'well';
  create domain clinic.positive as int check (value > 0);
  create type clinic.address as (street text, town text);
  create table clinic.doctors (id int generated always as identity primary key, name text not null,
    rank clinic.positive default 1, home clinic.address);
  alter table clinic.patients alter age type int, alter name type varchar(120), add doctor int references clinic.doctors,
    add since date not null default '2026-01-01', add loud text generated always as (upper(note)) stored;
  alter table clinic.visits add constraint of_patient foreign key (patient) references clinic.patients, alter patient set not null;
  create index visits_at on clinic.visits (at desc);
  create unique index visits_once on clinic.visits (patient, at);
  create table clinic.logs_2026 partition of clinic.logs for values from ('2026-01-01') to ('2027-01-01');
  create index on clinic.logs (line);
  create view clinic.names as select id, name, age from clinic.patients where name <> '';
  drop materialized view clinic.counted;
  create materialized view clinic.counted as select count(*) as visits, max(at) as last from clinic.visits;
  create or replace function clinic.touch() returns trigger language plpgsql as 'begin new.note = new.note; return new; end';
  create trigger late after insert on clinic.visits for each statement execute function clinic.touch();
  alter table clinic.patients enable always trigger touch;
  alter table clinic.patients enable row level security;
  create policy everyone on clinic.patients using (true);
  comment on table clinic.patients is 'those who come';
  drop table clinic.nothing;`;

/** Every row of what is in both, in the columns that neither changes. */
const ROWS = `
  select md5(string_agg(line, e'\\n' order by line)) as rows from (
    select 'p' || id || name || age || mood || note from clinic.patients
    union all select 'v' || id || at || patient from clinic.visits
    union all select 'l' || id || at || line from clinic.logs) all_lines (line)`;

describe('updating the schema of a database', () => {
  let pair: SchemaUpdatePair;
  let from: ScratchDatabase;
  let to: ScratchDatabase;
  let workspace: ScratchWorkspace;

  const prepare = async (wanted: string, present: string): Promise<void> => {
    pair = await schemaUpdatePair(wanted, present);
    ({ from, to, workspace } = pair);
  };
  afterEach(() => pair.remove());

  const onBoth: SchemaUpdatePair['onBoth'] = (work) => pair.onBoth(work);
  const plan: SchemaUpdatePair['plan'] = (options) => pair.plan(options);
  const update: SchemaUpdatePair['update'] = (...given) => pair.update(...given);
  const different = async (without = ['owners', 'grants']): Promise<string[]> => {
    const { definitions } = await workspace.run(() =>
      compareDatabases({ from: 'testing', to: 'development', without }),
    );
    return definitions.differences.map(({ kind, name, state }) => `${state} ${kind} ${name}`);
  };
  const rows = async () => (await to.query<{ rows: string }>(ROWS)).rows[0]?.rows;
  const isThere = async (relation: string) =>
    (await to.query<{ oid: string | null }>('select to_regclass($1) as oid', [relation])).rows[0]?.oid !== null;
  const backups = () => workspace.run(() => listBackups({ env: 'development' }));

  describe('of a clinic', () => {
    it('makes it equal in one transaction, and keeps every row', async () => {
      await prepare(OLD + CHANGES, OLD);
      const before = await rows();
      const updated = await update();
      expect(await different()).to.deep.equal([]);
      expect(await rows()).to.equal(before);
      expect(updated).to.deep.include({ safetyBackup: null, undo: null, losses: [], remaining: [] });
      expect(updated.statements).to.be.greaterThan(15);
      const { rows: counted } = await to.query('select visits::int, last::text from clinic.counted');
      expect(counted).to.deep.equal([{ visits: 200, last: '2026-07-20' }]);
      expect(await backups()).to.deep.equal([]);
      expect((await update()).statements).to.equal(0);
    });

    it('says beforehand what is written anew, what may fail, and who has to wait for what', async () => {
      await prepare(OLD + CHANGES, OLD);
      const { statements, locks, losses, obstacles, remaining } = await plan();
      expect({ losses, obstacles, remaining }).to.deep.equal({ losses: [], obstacles: [], remaining: [] });
      const risks = statements.flatMap((statement) => statement.risks.map(({ kind, text }) => `${kind}: ${text}`));
      expect(risks).to.include('note: The table clinic.nothing is dropped. It is empty.');
      expect(risks).to.include('failure: It fails where a row points at nothing.');
      expect(risks).to.include('failure: It fails where rows have the same values.');
      expect(
        risks.filter((risk) => risk.startsWith('rewrite: The table clinic.patients may be written anew')),
      ).to.have.lengthOf.at.least(1);
      expect(locks.map(({ name, waits }) => [name, waits])).to.deep.include.members([['patients', 'everybody']]);
      expect(JSON.parse(JSON.stringify(await plan()))).to.not.have.property('wanted');
    });

    it('refuses what loses rows, naming each loss, and changes nothing', async () => {
      await prepare(
        `${OLD} drop table clinic.old_things; alter table clinic.patients rename note to remark;`,
        `${OLD} insert into clinic.old_things values (1, 'x')`,
      );
      const before = await different();
      const { code, message, hint } = await failureOf(update());
      expect(code).to.equal('USAGE');
      expect(message).to.include('The table clinic.old_things is dropped, with');
      expect(message).to.include('The column clinic.patients.note is dropped, with its values in about 300 rows');
      expect(hint).to.include('--allow-data-loss');
      expect(await different()).to.deep.equal(before);
      expect(await backups()).to.deep.equal([]);
    });

    it('loses them with leave to do so, after a backup that leads back', async () => {
      await prepare(
        `${OLD} drop table clinic.old_things; alter table clinic.patients rename note to remark;`,
        `${OLD} insert into clinic.old_things values (1, 'x')`,
      );
      const before = await rows();
      const { safetyBackup, undo, losses } = await update({ allowDataLoss: true });
      expect(losses).to.have.length(2);
      expect(await different()).to.deep.equal([]);
      expect(undo).to.equal(`manage_db restore-backup ${safetyBackup} --env development`);
      await workspace.run(() =>
        restoreDatabase({ env: 'development', id: safetyBackup ?? '', consent: { yes: true } }),
      );
      expect(await rows()).to.equal(before);
      expect((await to.query('select * from clinic.old_things')).rows).to.deep.equal([{ id: 1, what: 'x' }]);
    });

    it('loses no row that came after the plan without leave to do so, and backs it up with it', async () => {
      await prepare(OLD + CHANGES, OLD);
      const insert = () => to.query('insert into clinic.nothing values (1)');
      const { code, message } = await failureOf(update({}, insert));
      expect([code, message]).to.satisfy(
        ([is, says]: string[]) => is === 'USAGE' && says?.includes('The table clinic.nothing is dropped, with'),
      );
      await to.query('truncate clinic.nothing');
      const { safetyBackup, losses } = await update({ allowDataLoss: true }, insert);
      expect(losses).to.have.length(1);
      expect((await backups()).map(({ id }) => id)).to.deep.equal([safetyBackup]);
      expect(await different()).to.deep.equal([]);
    });

    it('finds values that a shorter type would cut off, which the server would do without a word', async () => {
      await prepare(OLD.replace('varchar(80)', 'varchar(9)').replace(/'patient ' \|\|/, "'p' ||"), OLD);
      const { losses } = await plan();
      expect(losses).to.deep.equal([
        'The column clinic.patients.name becomes character varying(9) instead of character varying(80): the values of 291 rows do not stay what they are.',
      ]);
      expect((await failureOf(update())).code).to.equal('USAGE');
      await to.query(`update clinic.patients set name = id::text`);
      expect((await plan()).losses).to.deep.equal([]);
      await update();
      expect(await different()).to.deep.equal([]);
    });

    it('says before it begins that a value cannot be converted', async () => {
      await prepare(`${OLD} alter table clinic.patients drop note, add note int`, OLD);
      const { statements } = await plan();
      const risks = statements.flatMap((statement) => statement.risks.map(({ text }) => text));
      expect(risks.join('\n')).to.match(/note becomes integer instead of text: invalid input syntax for type integer/);
    });

    it('commits labels before the statements that use them, and says so', async () => {
      await prepare(
        `${OLD.replace("'ill')", "'ill', 'sad')")} alter table clinic.patients alter mood set default 'sad';
        create view clinic.sad as select id from clinic.patients where mood = 'sad'`,
        OLD,
      );
      const before = await rows();
      const { labelsFirst, warnings } = await plan();
      expect(labelsFirst).to.equal(true);
      expect(warnings.join('\n')).to.include('sad');
      await update();
      expect(await different()).to.deep.equal([]);
      expect(await rows()).to.equal(before);
    });

    it('keeps a label that was committed when the rest fails, and says so', async () => {
      await prepare(
        `${OLD.replace("'ill')", "'ill', 'sad')")} alter table clinic.patients alter mood set default 'sad';
        truncate clinic.visits; alter table clinic.visits add constraint recent check (at > '2026-06-01')`,
        OLD,
      );
      const { code, message } = await failureOf(update());
      expect(code).to.equal('SQL_FAILED');
      expect(message).to.include('No table').and.to.include(`ADD VALUE 'sad'`);
      expect(await different()).to.deep.equal([
        'only_in_from constraint recent on clinic.visits',
        'different default clinic.patients.mood',
      ]);
    });

    it('is of the moment that its onSnapshot has looked at', async () => {
      await prepare(`${OLD} create view clinic.known as select 1 as id`, OLD);
      const seen: unknown[] = [];
      const { statements } = await plan({
        onSnapshot: async (db) => {
          await from.query('create view clinic.late as select 2 as id');
          seen.push(...(await db.query(`select viewname from pg_views where viewname in ('known', 'late')`)).rows);
        },
      });
      expect(seen).to.deep.equal([{ viewname: 'known' }]);
      expect(statements.map(({ sql }) => sql).join())
        .to.include('known')
        .and.not.include('late');
    });

    it('goes on with new numbers after those that rows have', async () => {
      await prepare(`${OLD} alter table clinic.visits alter id add generated by default as identity`, OLD);
      const { warnings } = await update();
      expect(warnings).to.deep.equal([
        'The sequence clinic.visits_id_seq goes on after the rows that are there: it gives 201 next.',
      ]);
      await to.query(`insert into clinic.visits (at) values ('2026-02-02')`);
      expect(await different()).to.deep.equal([]);
    });

    it('goes on with new numbers of a column of a domain', async () => {
      const present = `create domain number as bigint; create table tickets (id number primary key, what text);
        insert into tickets select n, 'ticket' from generate_series(1, 20) n`;
      await prepare(
        `${present}; create sequence numbers owned by tickets.id; alter table tickets alter id set default nextval('numbers')`,
        present,
      );
      expect((await update()).warnings).to.deep.equal([
        'The sequence public.numbers goes on after the rows that are there: it gives 21 next.',
      ]);
      await to.query(`insert into tickets (what) values ('new')`);
    });

    it('changes nothing when a statement in the middle fails, and shows which', async () => {
      await prepare(
        `${OLD} ${CHANGES} truncate clinic.visits; alter table clinic.visits add constraint recent check (at > '2026-06-01')`,
        OLD,
      );
      const [before, differed] = [await rows(), await different()];
      const { code, message, details } = await failureOf(update());
      expect(code).to.equal('SQL_FAILED');
      expect(message).to.match(/Statement \d+ of \d+ failed: check constraint "recent" .* is violated by some row/);
      expect(message).to.include(`The schema of ${to.name} was not changed.`);
      expect(details.statement).to.include('ADD CONSTRAINT "recent"');
      expect(await rows()).to.equal(before);
      expect(await different()).to.deep.equal(differed);
    });

    it('gives up when a table stays locked, names who holds it, and changes nothing', async () => {
      await prepare(OLD + CHANGES, OLD);
      const before = await different();
      await withClient(to.url, async (other) => {
        await other.query('begin; select from clinic.patients');
        const { code, exitCode, message } = await failureOf(update({ lockTimeoutMs: 200, lockBudgetMs: 600 }));
        expect([code, exitCode]).to.deep.equal(['LOCK_TIMEOUT', 5]);
        expect(message).to.include('clinic.patients').and.to.include('pid ');
      });
      expect(await different()).to.deep.equal(before);
    });

    it('gets the lock when it is given back in time', async () => {
      await prepare(OLD + CHANGES, OLD);
      await withClient(to.url, async (other) => {
        await other.query('begin; select from clinic.patients');
        const updating = update({ lockTimeoutMs: 300, lockBudgetMs: 10_000 });
        await sleep(2500);
        await other.query('commit');
        expect((await updating).statements).to.be.greaterThan(15);
      });
      expect(await different()).to.deep.equal([]);
    });

    it('refuses a plan that is not what has to be done any more', async () => {
      await prepare(OLD + CHANGES, OLD);
      const change = () =>
        to.query(`create or replace function clinic.touch() returns trigger language plpgsql as 'begin return null; end';
          create table clinic.mine (id int)`);
      const { code, message } = await failureOf(update({}, change));
      expect(code).to.equal('DATABASE_IN_USE');
      expect(message).to.include('have changed since the update was planned');
      expect(await isThere('clinic.mine')).to.equal(true);
      expect(await isThere('clinic.doctors')).to.equal(false);
    });

    it('rolls back when somebody changes definitions while it works', async () => {
      await prepare(OLD + CHANGES, OLD);
      let isDone = false;
      const onProgress: ApplyingOptions['onProgress'] = ({ step }) => {
        if (isDone || step !== 'updating the schema') return;
        isDone = true;
        void to.query('create table public.mine (id int)');
      };
      const { code, message } = await failureOf(update({ onProgress }));
      expect(code).to.equal('DRIFT');
      expect(message).to.include('table public.mine');
      expect(await isThere('clinic.doctors')).to.equal(false);
    });

    it('changes nothing when the session that keeps others out has ended', async () => {
      await prepare(`${OLD} create table clinic.wards (id int)`, OLD);
      let ended: Promise<unknown> | null = null;
      const { code, message } = await failureOf(
        update({
          onProgress: ({ step }) => {
            if (step === 'locking the tables') ended ??= endKeeper(to.name);
          },
        }),
      );
      await ended;
      expect(code).to.equal('CONNECTION_LOST');
      expect(message).to.match(/keeps others out of .* has ended\. The schema of .* was not changed\.$/);
      expect((await to.query(`select from pg_class where relname = 'wards'`)).rowCount).to.equal(0);
    });

    it('looks at the kill switch again before it commits', async () => {
      await prepare(OLD + CHANGES, OLD);
      const engage = () => workspace.run(() => engageKillSwitch({ env: 'development', consent: { reason: 'stop' } }));
      const { code } = await failureOf(update({}, engage));
      expect(code).to.equal('KILL_SWITCH');
      expect(await isThere('clinic.doctors')).to.equal(false);
    });

    for (const [when, delayMs] of [
      ['before', 0],
      ['after', 5],
    ] as const) {
      it(`tells what has become of it when the connection is cut just ${when} the COMMIT is sent`, async () => {
        await prepare(OLD + CHANGES, OLD);
        const url = new URL(to.url);
        const way = await breakableWay(Number(url.port));
        url.port = String(way.port);
        workspace.write({ '.env.development': `DEVELOPMENT_DATABASE_URL='${url}'\n` });
        try {
          const before = await different();
          const onProgress: ApplyingOptions['onProgress'] = ({ step }) => {
            if (step === 'committing') void (delayMs === 0 ? way.cut() : setTimeout(() => way.cut(), delayMs));
          };
          const outcome = await update({ onProgress }).catch((error: ManageDbError) => error);
          const isDone = !(outcome instanceof Error);
          expect(await different()).to.deep.equal(isDone ? [] : before);
          if (!isDone) expect(outcome.message).to.include('was not changed');
        } finally {
          await way.close();
        }
      });
    }

    it('brings extensions', async () => {
      await prepare(`${OLD} create extension hstore; create table clinic.tags (id int, tags hstore);`, OLD);
      const { obstacles, remaining } = await plan();
      expect([obstacles, remaining]).to.deep.equal([[], []]);
      await update();
      expect(await different()).to.deep.equal([]);
    });

    it('names what the server of the target lacks before it begins', async () => {
      await prepare('', OLD);
      const other = await ownServer();
      try {
        await other.query('postgres', 'create role only_there');
        await other.query('postgres', 'create database wanted');
        await other.query('wanted', `${OLD} create policy theirs on clinic.patients to only_there using (true)`);
        workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${other.url('wanted')}'\n` });
        const { code, message } = await failureOf(update());
        expect(code).to.equal('USAGE');
        expect(message).to.include('lacks roles that the schema names: only_there.');
        await other.query('wanted', 'drop policy theirs on clinic.patients; create table clinic.more (id int)');
        await update();
        expect(await different()).to.deep.equal([]);
      } finally {
        await closeEngines();
        await other.remove();
      }
    });

    it('gives what has to be made again back to its owner and its readers', async () => {
      const role = `keeper_${Date.now()}`;
      await onServer((server) => server.query(`create role ${role}`));
      try {
        await prepare(
          OLD + CHANGES,
          `${OLD} grant select on clinic.names to ${role}; grant select (id) on clinic.names to public;
          alter materialized view clinic.counted owner to ${role}; grant update (note) on clinic.patients to ${role}`,
        );
        await to.query(`grant usage, create on schema clinic to ${role}`);
        const rights = async () =>
          (
            await to.query(`select relname, relacl::text, relowner::regrole::text as owner from pg_class
              where relname in ('names', 'counted', 'patients') order by 1`)
          ).rows;
        const before = await rights();
        // a grant on a column of a view is nothing that could be made again: that is said, and nothing is done
        const refused = await failureOf(update());
        expect([refused.code, refused.message]).to.satisfy(
          ([code, message]: string[]) => code === 'DRIFT' && message?.includes('clinic.names'),
        );
        await to.query('revoke select (id) on clinic.names from public');
        await update();
        expect(await rights()).to.deep.equal(before);
        expect(await different()).to.deep.equal([]);
      } finally {
        await to.query(`drop owned by ${role}`);
        await onServer((server) => server.query(`drop role if exists ${role}`)).catch(() => undefined);
      }
    });

    it('looks at one table after the other, also where it may not read them', async () => {
      const role = `reader_${Date.now()}`;
      await onServer((server) => server.query(`create role ${role}`));
      try {
        await prepare(OLD, OLD);
        const { actions } = await withClient(to.url, async (client) => {
          await client.query(`begin; set local role ${role}`);
          const tables = ['visits', 'patients'].map((name) => ({ kind: 'table', schema: 'clinic', name }));
          const action = { verb: 'drop', dataLoss: 'destructive', destroys: tables, sql: 'DROP TABLE' };
          const ids = { produces: [], consumes: [], releases: [] };
          const none = { has: () => false };
          const steps = { actions: [{ ...action, ...ids }], deltas: [], present: none, desired: none };
          return { actions: await readRisks(client, steps as unknown as UpdateSteps) };
        });
        expect(actions.flat().map(({ kind }) => kind)).to.deep.equal(['loss', 'loss']);
      } finally {
        await onServer((server) => server.query(`drop role if exists ${role}`));
      }
    });

    it('refuses a plan when a table goes while the tables are locked', async () => {
      await prepare(OLD + CHANGES, OLD);
      await to.query('drop materialized view clinic.counted; create table clinic.apart (id int)');
      await from.query('create table clinic.apart (id int, more int)');
      const { code, message } = await onBoth(async (ours, theirs) => {
        const planned = await planSchemaUpdate(ours, theirs, {});
        return failureOf(
          withClient(to.url, (client) => {
            let isGone = false;
            const query = async (...args: Parameters<typeof client.query>) => {
              const result = await (client.query(...args) as unknown as Promise<unknown>);
              // they have been looked up
              if (!isGone && String(args[0]).includes('as identity')) {
                isGone = true;
                await to.query('drop table clinic.apart');
              }
              return result;
            };
            const watched = new Proxy(client, { get: (of, key) => (key === 'query' ? query : Reflect.get(of, key)) });
            const applying = {
              ...{ target: theirs, plan: planned, allowDataLoss: false, controls: {} },
              patience: { lockTimeoutMs: 1000, lockBudgetMs: 1000 },
            };
            const attempt = { part: 'all', searchPath: null, lockTimeoutMs: 1000 } as const;
            return updateInTransaction(watched, applying as unknown as ApplyingUpdate, attempt);
          }),
        );
      });
      expect([code, message]).to.satisfy(
        ([is, says]: string[]) => is === 'DATABASE_IN_USE' && says?.includes('have changed since'),
      );
    });

    it('says what no statement makes equal, and goes on', async () => {
      await prepare(
        `${OLD} create statistics clinic.known (dependencies) on name, age from clinic.patients;
        alter table clinic.patients add middle int; alter table clinic.patients drop note, add note text;
        create table clinic.new (id int, wide text); alter table clinic.new alter wide set storage external`,
        OLD,
      );
      const { remaining } = await plan();
      const names = remaining.map(({ kind, name }) => `${kind} ${name}`);
      expect(names).to.include.members([
        'statistics object clinic.known',
        'column clinic.new.wide',
        'table clinic.patients',
      ]);
      expect((await update()).remaining.map(({ kind, name }) => `${kind} ${name}`).sort()).to.deep.equal(names.sort());
      expect(await different()).to.have.length(names.length);
    });
  });

  describe('with foreign data', () => {
    const FOREIGN = (options: string) => `
      create schema clinic; create foreign data wrapper lake; create server pond foreign data wrapper lake ${options};`;
    const optionsOf = async (server = 'pond') =>
      (
        await to.query<{ option: string }>(
          `select unnest(srvoptions) as option from pg_foreign_server where srvname = '${server}' order by 1`,
        )
      ).rows.map(({ option }) => option);
    const named = (all: readonly { readonly kind: string; readonly name: string }[]) =>
      all.map(({ kind, name }) => `${kind} ${name}`).sort();
    /** Nobody shall read these anywhere. */
    const SECRETS = /of-the-source|__OPTION_/;

    it('leaves options that may be secrets to each environment, and says which are missing', async () => {
      await prepare(
        `${FOREIGN(`options (host 'new', flavour 'of-the-source', password 'of-the-source')`)}
        create foreign data wrapper river options (host 'h', depth 'of-the-source');
        create server stream foreign data wrapper river options (port '1', flavour 'of-the-source');
        create foreign table clinic.fish (id int options (column_name 'of-the-source'), name text) server pond
          options (table_name 'fish', bait 'of-the-source');
        create server plain foreign data wrapper lake options (host 'h')`,
        `${FOREIGN(`options (host 'old', password 'its own', weather 'its own')`)}`,
      );
      const planned = await plan();
      expect(planned.statements.map(({ sql }) => sql).join('\n')).to.not.match(SECRETS);
      expect(planned.obstacles).to.deep.equal([]);
      const updated = await update();
      expect(await optionsOf()).to.deep.equal(['host=new', 'password=its own', 'weather=its own']);
      expect(await optionsOf('stream')).to.deep.equal(['port=1']);
      expect(await optionsOf('plain')).to.deep.equal(['host=h']);
      const remaining = [
        'column clinic.fish.id',
        'foreign table clinic.fish',
        'foreign-data wrapper river',
        'server pond',
        'server stream',
      ];
      expect(named(planned.remaining)).to.deep.equal(remaining);
      expect(named(updated.remaining)).to.deep.equal(remaining);
      const [missing, kept] = planned.warnings;
      expect(missing).to.include('flavour of server pond').and.to.include('flavour of server stream');
      expect(missing).to.include('depth of foreign-data wrapper river');
      expect(missing)
        .to.include('bait of foreign table clinic.fish')
        .and.to.match(/alter .* options \(add /);
      expect(kept).to.include('password of server pond').and.to.include('weather of server pond');
      expect((await update()).statements).to.equal(0);
    });

    it('keeps them in a foreign table, its columns and its wrapper, also with owners and grants', async () => {
      const lake = (own: string, table: string, more = '') => `create schema clinic;
        create foreign data wrapper lake options (depth '${own}'${more}); create server pond foreign data wrapper lake;
        create foreign table clinic.fish (id int options (column_name '${own}')) server pond
          options (table_name '${table}', bait '${own}'${more})`;
      await prepare(`${lake('of-the-source', 'fishes')}`, lake('its own', 'fish', `, weather 'its own'`));
      await update({}, undefined, { withGrants: true });
      const { rows: all } = await to.query(
        `select ftoptions as "table", fdwoptions as wrapper, attfdwoptions as "column" from pg_foreign_table, pg_foreign_data_wrapper, pg_attribute
        where attrelid = ftrelid and attname = 'id'`,
      );
      expect(all).to.deep.equal([
        {
          table: ['table_name=fishes', 'bait=its own', 'weather=its own'],
          wrapper: ['depth=its own', 'weather=its own'],
          column: ['column_name=its own'],
        },
      ]);
    });

    it('makes nothing again that has options which it cannot read', async () => {
      await prepare(
        `create foreign data wrapper lake; create server pond type 'new' foreign data wrapper lake`,
        `create foreign data wrapper lake; create server pond type 'old' foreign data wrapper lake options (flavour 'its own')`,
      );
      expect((await plan()).obstacles.join()).to.include('cannot be made again: server pond.');
      expect((await failureOf(update())).code).to.equal('USAGE');
      expect(await optionsOf()).to.deep.equal(['flavour=its own']);
    });

    it('brings no secrets where nothing is, and says so', async () => {
      await prepare(
        `${FOREIGN(`options (host 'h', flavour 'sweet', password 'of-the-source')`)}
        create foreign table clinic.fish (id int) server pond options (table_name 'fish', api_key 'of-the-source');
        create foreign table clinic.frogs (id int) server pond options (table_name 'frogs', size 'small');
        create function clinic.refuse() returns event_trigger language plpgsql as 'begin raise exception ''none''; end';
        create event trigger refusing on ddl_command_end when tag in ('ALTER SERVER') execute function clinic.refuse()`,
        '',
      );
      const planned = await plan();
      const updated = await update();
      expect(await optionsOf()).to.deep.equal(['flavour=sweet', 'host=h']);
      const { rows: tables } = await to.query(
        'select array(select unnest(ftoptions) order by 1) as options from pg_foreign_table order by ftrelid::regclass::text',
      );
      expect(tables).to.deep.equal([{ options: ['table_name=fish'] }, { options: ['size=small', 'table_name=frogs'] }]);
      expect(named(planned.remaining)).to.deep.equal(['foreign table clinic.fish', 'server pond']);
      expect(named(updated.remaining)).to.deep.equal(['foreign table clinic.fish', 'server pond']);
      expect(planned.warnings.join())
        .to.include('password of server pond')
        .and.to.include('api_key of foreign table clinic.fish');
      expect(planned.warnings.join()).to.not.include('flavour');
      expect(JSON.stringify(planned)).to.not.match(SECRETS);
    });
  });

  describe('of the hostile database', () => {
    withHostileRoles();

    const prepareHostile = async (present: string): Promise<void> => {
      await prepare(hostileDatabase(), present);
      await onServer((server) => server.query(`alter database ${from.name} set search_path = ${HOSTILE_SEARCH_PATH}`));
    };

    it('makes all of it where nothing is', async () => {
      await prepareHostile('');
      const { statements, remaining, obstacles, losses } = await plan();
      expect({ remaining, obstacles, losses }).to.deep.equal({ remaining: [], obstacles: [], losses: [] });
      expect((await update()).statements).to.equal(statements.length);
      const left = await different();
      expect(left.filter((name) => !name.includes('user mapping'))).to.deep.equal([]);
    });

    it('makes it with owners and grants where nothing is', async () => {
      await prepareHostile('');
      await update({}, undefined, { withGrants: true });
      const left = await different([]);
      expect(left.filter((name) => !name.includes('user mapping'))).to.deep.equal([]);
    });

    it('leads back from what was changed, and says of the rest that it stays', async () => {
      await prepareHostile(hostileDatabase());
      await withClient(to.url, async (client) => {
        for (const { sql } of HOSTILE_CHANGES.filter((change) => !NOT_PLANNED.test(change.sql)))
          await client.query(sql);
      });
      const contents = () => to.query('select count(*) from public.parents').then(({ rows: [one] }) => one);
      const before = await contents();
      const { remaining } = await plan({ withGrants: true });
      const updated = await update({}, undefined, { withGrants: true });
      expect(updated.statements).to.be.greaterThan(30);
      const left = await different([]);
      const announced = new Set(remaining.map(({ kind, name, state }) => `${state} ${kind} ${name}`));
      expect(left.filter((one) => !announced.has(one) && !one.includes('user mapping'))).to.deep.equal([]);
      expect(await contents()).to.deep.equal(before);
    });

    it('changes nothing where a statement needs what no statement makes, and names that', async () => {
      await prepareHostile(hostileDatabase());
      await to.query('alter operator class by_length using btree rename to by_size; drop index by_class');
      const before = await different();
      const { code, message } = await failureOf(update());
      expect(code).to.equal('SQL_FAILED');
      expect(message).to.include('operator class "public.by_length" does not exist').and.to.include('CREATE INDEX');
      expect(await different()).to.deep.equal(before);
    });
  });
});

/** What pg-delta cannot lead back from: each is refused with the statement's name, and nothing is changed. */
const NOT_PLANNED = /rename value|add attribute|no inherit|operator class by_length|drop function hstore_to_json/;
