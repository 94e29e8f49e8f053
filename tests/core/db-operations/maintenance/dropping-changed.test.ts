import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { escapeIdentifier } from 'pg';
import { dropAllTables } from '../../../../app/core/db-operations/maintenance.js';
import { connected, type OpenDatabase, openDatabase } from '../../../database/catalog/open-database.js';
import { failureOf } from '../../../support/failure-of.js';
import { dropLogins, type ScratchLogin, scratchLogin } from '../../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../../support/scratch-workspace.js';
import { stampAs } from '../../../support/stamp.js';

const CONSENT = { env: 'testing', consent: { yes: true } } as const;

const CONTENTS = `
  create table public.kept (id int primary key, note text); insert into public.kept values (1, 'one');
  create view public.alone as select 1 as one;
  create function public.say() returns text language sql as $$ select 'old' $$;
  select lo_from_bytea(4711, 'old')`;

const REPLACE_FUNCTION = `create or replace function public.say() returns text language sql as $$ select 'new' $$`;
const IS_NEW_FUNCTION = `select prosrc ~ 'new' as so from pg_proc where oid = 'public.say()'::regprocedure`;

describe('dropping everything, of which something is changed meanwhile', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  let owner: ScratchLogin;
  beforeEach(async () => {
    db = await openDatabase();
    owner = await scratchLogin('owner');
    await stampAs(db.client, 'testing');
    await db.client.query(`alter database ${escapeIdentifier(db.name)} owner to ${owner.user};
      alter schema public owner to ${owner.user}; alter schema manage_db owner to ${owner.user};
      do $$ declare one regclass; begin
        for one in select oid from pg_class where relnamespace = 'manage_db'::regnamespace and relkind = 'r' loop
          execute format('alter table %s owner to ${owner.user}', one);
        end loop;
      end $$`);
    await db.client.query(`set role ${owner.user}`);
    await db.client.query(CONTENTS);
    await db.client.query('reset role');
    workspace = scratchWorkspace();
    connectAs(null);
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
    await dropLogins(owner);
  });

  function connectAs(login: ScratchLogin | null): void {
    const url = new URL(db.url);
    if (login !== null) [url.username, url.password] = [login.user, login.password];
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url}\nDATABASE_LOCK_TIMEOUT_MS=1500\n` });
  }

  const isSo = async (sql: string): Promise<boolean> => (await db.client.query(sql)).rows[0]?.so;
  const nothingHappened = async (): Promise<void> => {
    expect(await isSo(`select to_regclass('public.kept') is not null as so`)).to.equal(true);
    const folder = join(workspace.root, 'backups', 'testing');
    expect(existsSync(folder) ? readdirSync(folder) : []).to.deep.equal([]);
  };
  const dropWhile = (isThen: (step: string) => boolean, work: () => Promise<unknown>): Promise<unknown> => {
    let done: Promise<unknown> | null = null;
    const onProgress = ({ step }: { step: string }): void => {
      if (isThen(step)) done ??= work();
    };
    return workspace.run(() => dropAllTables({ ...CONSENT, onProgress })).finally(() => done);
  };
  const isBackingUp = (step: string): boolean => step.startsWith('backing up');

  for (const [what, sql, isNew] of [
    ['replaces a function', REPLACE_FUNCTION, IS_NEW_FUNCTION],
    [
      'replaces a view',
      'create or replace view public.alone as select 2 as one',
      `select pg_get_viewdef('public.alone'::regclass) ~ '2' as so`,
    ],
    ['writes into a large object', `select lo_put(4711, 0, 'new')`, `select lo_get(4711) = 'new' as so`],
    [
      'writes at the end of a large object',
      `select lo_put(4711, 9000, 'new')`,
      `select length(lo_get(4711)) = 9003 as so`,
    ],
  ] as const) {
    it(`drops nothing when somebody ${what} during the backup`, async () => {
      const error = await failureOf(dropWhile(isBackingUp, () => db.client.query(sql)));
      expect(error.code).to.equal('DATABASE_IN_USE');
      expect(error.message)
        .to.contain(`made, changed or dropped objects of ${db.name}`)
        .and.to.contain('Nothing was dropped.');
      expect(await isSo(isNew)).to.equal(true);
      await nothingHappened();
    });
  }

  it('drops nothing when somebody replaces a function after the last look at what will be dropped', async () => {
    await db.client.query('begin; lock table public.alone in access share mode');
    const isThen = (step: string): boolean => step === 'dropping views';
    const error = await failureOf(dropWhile(isThen, () => db.client.query(`${REPLACE_FUNCTION}; commit`)));
    expect(error.code).to.equal('DATABASE_IN_USE');
    expect(await isSo(IS_NEW_FUNCTION)).to.equal(true);
    await nothingHappened();
  });

  it('drops nothing when the replacement of a function is committed while it waits for that', async () => {
    await db.client.query(`begin; ${REPLACE_FUNCTION}`);
    const isThen = (step: string): boolean => step === 'dropping routines';
    const error = await failureOf(
      dropWhile(isThen, () => new Promise((done) => setTimeout(() => done(db.client.query('commit')), 300))),
    );
    expect(error.code).to.equal('DATABASE_IN_USE');
    expect(await isSo(IS_NEW_FUNCTION)).to.equal(true);
    await nothingHappened();
  });

  it('waits for who writes into a large object, and not for ever', async () => {
    await db.client.query(`begin; select lo_put(4711, 9000, 'new')`);
    const error = await failureOf(workspace.run(() => dropAllTables(CONSENT)));
    await db.client.query('commit');
    expect(error.code).to.equal('LOCK_TIMEOUT');
    await nothingHappened();
  });

  describe('by a login that owns everything and may read nothing of PostgreSQL', () => {
    beforeEach(() => connectAs(owner));

    it('drops what nobody changes', async () => {
      const { largeObjects } = await workspace.run(() => dropAllTables(CONSENT));
      expect(largeObjects).to.equal(1);
      expect(await isSo(`select to_regclass('public.kept') is null as so`)).to.equal(true);
    });

    for (const [when, isThen, sql] of [
      ['during the backup', isBackingUp, `select lo_put(4711, 9000, 'new')`],
      [
        'after the last look at what will be dropped',
        (step: string) => step === 'dropping views',
        `select lo_put(4711, 9000, 'new'); commit`,
      ],
    ] as const) {
      it(`drops nothing when somebody writes into a large object ${when}`, async () => {
        if (sql.endsWith('commit')) await db.client.query('begin; lock table public.alone in access share mode');
        const error = await failureOf(dropWhile(isThen, () => db.client.query(sql)));
        expect(error.code).to.equal('DATABASE_IN_USE');
        expect(await isSo('select length(lo_get(4711)) = 9003 as so')).to.equal(true);
        await nothingHappened();
      });
    }
  });

  it('sees what others do also where transactions are repeatable read by default', async () => {
    await db.client.query(
      `alter database ${escapeIdentifier(db.name)} set default_transaction_isolation = 'repeatable read'`,
    );
    const make = () => db.client.query('create view public.meanwhile as select * from public.kept');
    expect(await failureOf(dropWhile(isBackingUp, make))).to.include({ code: 'DATABASE_IN_USE' });
    await nothingHappened();
  });

  it('is not disturbed by what changes no definition', async () => {
    const other = await connected(db.url);
    const work = () =>
      other.query(`create temporary table mine (id serial primary key); comment on table mine is 'mine'`);
    await dropWhile(isBackingUp, work);
    await other.end();
    expect(await isSo(`select to_regclass('public.kept') is null as so`)).to.equal(true);
  });
});
