import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ManageDbError } from '../../app/core/errors.js';
import { withActor } from '../../app/services/actor.js';
import {
  closeEngines,
  type DbSession,
  getDbEngine,
  getDbSession,
  type SessionOptions,
  useNestedTransactions,
} from '../../app/services/database-service.js';
import { setDebugMode } from '../../app/services/debug-mode.js';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

describe('a session', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase('create table notes (id int primary key, body text)');
    workspace = scratchWorkspace({ '.env.development': `DATABASE_URL=${db.url}\nDATABASE_POOL_MAX=3\n` });
  });
  beforeEach(() => db.query('truncate notes'));
  afterEach(() => useNestedTransactions(false));
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const run = <T>(fn: () => Promise<T>) => workspace.run(fn);
  const ids = async () => (await db.query<{ id: number }>('select id from notes order by id')).rows.map(({ id }) => id);
  const insert = (id: number, options: SessionOptions = {}) =>
    getDbSession((session) => session.query('insert into notes values ($1)', [id]), options);
  const currentUser = (options: SessionOptions = {}) =>
    getDbSession(async (session) => {
      const { rows } = await session.query<{ actor: string }>(
        `select current_setting('app.current_user', true) as actor`,
      );
      return rows[0]?.actor;
    }, options);

  it('commits what it did when it returns', async () => {
    await run(() => insert(1));
    expect(await ids()).to.deep.equal([1]);
  });

  it('leaves nothing behind when it throws, and throws the same error', async () => {
    const error = new Error('changed my mind');
    const caught = await run(() =>
      getDbSession(async (session) => {
        await session.query('insert into notes values (1)');
        throw error;
      }),
    ).catch((thrown) => thrown);
    expect(caught).to.equal(error);
    expect(await ids()).to.deep.equal([]);
  });

  it('gives the connection back usable after a failed statement', async () => {
    await run(async () => {
      for (let i = 0; i < 10; i += 1)
        await getDbSession((session) => session.query('select 1/0')).catch(() => undefined);
      await insert(7);
    });
    expect(await ids()).to.deep.equal([7]);
  });

  it('cannot write when it is read-only', async () => {
    const error = await run(() => insert(1, { readOnly: true })).catch((thrown) => thrown);
    expect(error.code).to.equal('25006');
  });

  it('has the isolation that was asked for', async () => {
    const level = await run(() =>
      getDbSession(
        async (s) =>
          (await s.query<{ level: string }>(`select current_setting('transaction_isolation') as level`)).rows[0]?.level,
        {
          isolation: 'serializable',
        },
      ),
    );
    expect(level).to.equal('serializable');
  });

  it('tells the database who acts, for this transaction only', async () => {
    await run(async () => {
      expect(await withActor('dr.meier', () => currentUser())).to.equal('dr.meier');
      expect(await withActor('dr.meier', () => currentUser({ user: 'someone else' }))).to.equal('someone else');
      expect(await currentUser()).to.equal('');
      const engine = await getDbEngine();
      const raw = await Promise.all(
        [1, 2, 3].map(() => engine.query(`select current_setting('app.current_user', true) as actor`)),
      );
      expect(raw.map(({ rows }) => rows[0].actor || '')).to.deep.equal(['', '', '']);
    });
  });

  it('keeps actors apart in work that goes on side by side', async () => {
    const seen = await run(() =>
      Promise.all(['a', 'b', 'c', 'd', 'e'].map((user) => withActor(user, () => currentUser()))),
    );
    expect(seen).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
  });

  it('does not let a user that was set for a whole session show through', async () => {
    await run(async () => {
      const engine = await getDbEngine();
      await engine.query(`select set_config('app.current_user', 'leaked', false)`);
      expect(await currentUser()).to.equal('');
    });
  });

  it('takes a user name for what it is, not for SQL', async () => {
    const name = `o'brien'; drop table notes; --`;
    expect(await run(() => withActor(name, () => currentUser()))).to.equal(name);
    expect(await ids()).to.deep.equal([]);
  });

  describe('inside another one', () => {
    it('is a transaction of its own by default', async () => {
      await run(() =>
        getDbSession(async (outer) => {
          await outer.query('insert into notes values (1)');
          await insert(2);
          throw new Error('only the outer one fails');
        }).catch(() => undefined),
      );
      expect(await ids()).to.deep.equal([2]);
    });

    it('is a savepoint when nested transactions are on: it fails alone', async () => {
      useNestedTransactions(true);
      await run(() =>
        getDbSession(async (outer) => {
          await outer.query('insert into notes values (1)');
          await getDbSession(async (inner) => {
            await inner.query('insert into notes values (2)');
            await getDbSession((innermost) => innermost.query('insert into notes values (3)'));
            await inner.query('select 1/0');
          }).catch(() => undefined);
          await insert(4);
        }),
      );
      expect(await ids()).to.deep.equal([1, 4]);
    });

    it('is undone with the outer one', async () => {
      useNestedTransactions(true);
      await run(() =>
        getDbSession(async () => {
          await insert(1);
          throw new Error('everything back');
        }).catch(() => undefined),
      );
      expect(await ids()).to.deep.equal([]);
    });

    it('may be one of several at the same time: they take turns', async () => {
      useNestedTransactions(true);
      await run(() =>
        getDbSession(() =>
          Promise.all(
            [1, 2, 3, 4].map((id) =>
              getDbSession(async (inner) => {
                await inner.query('insert into notes values ($1)', [id]);
                await inner.query('select pg_sleep(0.005)');
                if (id % 2 === 0) throw new Error('even ones fail');
              }).catch(() => undefined),
            ),
          ),
        ),
      );
      expect(await ids()).to.deep.equal([1, 3]);
    });

    it('writes nothing any more when another one of them has failed the outer one', async () => {
      useNestedTransactions(true);
      const failing = () => getDbSession(() => Promise.reject(new Error('A fails')));
      const late = (id: number) => getDbSession((inner) => inner.query('insert into notes values ($1)', [id]));
      const error = await run(() => getDbSession(() => Promise.all([failing(), late(1), late(2)]))).catch(
        (thrown) => thrown,
      );
      expect(error.message).to.equal('A fails');
      expect(await ids()).to.deep.equal([]);
    });

    it('can be read-only in one that is not', async () => {
      useNestedTransactions(true);
      await run(() =>
        getDbSession(async (outer) => {
          const error = await insert(1, { readOnly: true }).catch((thrown) => thrown);
          expect(error.code).to.equal('25006');
          await outer.query('insert into notes values (2)');
          const other = await insert(3, { isolation: 'serializable' }).catch((thrown) => thrown);
          expect(other.code).to.equal('USAGE');
        }),
      );
      expect(await ids()).to.deep.equal([2]);
    });

    it('gives the outer one its user back', async () => {
      useNestedTransactions(true);
      const users = await run(() =>
        getDbSession(
          async (outer) => {
            const read = async () =>
              (await outer.query<{ u: string }>(`select current_setting('app.current_user') as u`)).rows[0]?.u;
            const inner = await withActor('inner', () => currentUser());
            const after = await read();
            await getDbSession(() => Promise.reject(new Error('no')), { user: 'failing' }).catch(() => undefined);
            return [inner, after, await read()];
          },
          { user: 'outer' },
        ),
      );
      expect(users).to.deep.equal(['inner', 'outer', 'outer']);
    });
  });

  it('does not pretend to have committed when a failed statement was ignored', async () => {
    const error: ManageDbError = await run(() =>
      getDbSession(async (session) => {
        await session.query('insert into notes values (1)');
        await session.query('select 1/0').catch(() => undefined);
      }),
    ).catch((thrown) => thrown);
    expect(error.code).to.equal('SQL_FAILED');
    expect(await ids()).to.deep.equal([]);
  });

  it("does not take the application's errors for those of the connection", async () => {
    const missing = Object.assign(new Error("ENOENT: no such file 'certificate.pem'"), { code: 'ENOENT' });
    expect(await run(() => getDbSession(() => Promise.reject(missing))).catch((thrown) => thrown)).to.equal(missing);
    const violated = await run(() =>
      getDbSession((session) =>
        session.query(`do $$ begin raise not_null_violation using message = 'certificate_id, SSL and TLS'; end $$`),
      ),
    ).catch((thrown) => thrown);
    expect(violated.code).to.equal('23502');
  });

  it('does not even begin when it is told to stop before', async () => {
    const started = Date.now();
    const error: ManageDbError = await run(() =>
      getDbSession((session) => session.query('select pg_sleep(60)'), { signal: AbortSignal.abort() }),
    ).catch((thrown) => thrown);
    expect(error.code).to.equal('INTERRUPTED');
    expect(Date.now() - started).to.be.lessThan(5000);
  });

  it('ends a statement that runs when it is told to stop, and rolls back', async () => {
    const controller = new AbortController();
    const started = Date.now();
    setTimeout(() => controller.abort(), 100);
    const error: ManageDbError = await run(() =>
      getDbSession(
        async (session) => {
          await session.query('insert into notes values (1)');
          await session.query('select pg_sleep(60)');
        },
        { signal: controller.signal },
      ).catch((thrown) => thrown),
    );
    expect(error.code).to.equal('INTERRUPTED');
    expect(error.exitCode).to.equal(130);
    expect(Date.now() - started).to.be.lessThan(25_000);
    expect(await ids()).to.deep.equal([]);
  });

  it('begins no statement any more when it is told to stop between two of them, or while it connects', async () => {
    const between = new AbortController();
    const stop = async (session: DbSession): Promise<void> => {
      await session.query('insert into notes values (1)');
      between.abort();
      // until the cancellation has found nothing to cancel
      await sleep(500);
      await session.query('select pg_sleep(60)');
    };
    const nested = new AbortController();
    const stopNested = async (session: DbSession): Promise<void> => {
      nested.abort();
      await sleep(500);
      await session.query('select pg_sleep(60)');
    };
    for (const work of [
      () => getDbSession(stop, { signal: between.signal }),
      () => {
        useNestedTransactions(true);
        return getDbSession(() => getDbSession(stopNested, { signal: nested.signal }));
      },
      () => {
        const connecting = new AbortController();
        const running = getDbSession((session) => session.query('select pg_sleep(60)'), { signal: connecting.signal });
        connecting.abort();
        return running;
      },
    ]) {
      const started = Date.now();
      const error = (await run<unknown>(work).catch((thrown) => thrown)) as ManageDbError;
      expect(error.code).to.equal('INTERRUPTED');
      expect(Date.now() - started).to.be.lessThan(15_000);
    }
    expect(await ids()).to.deep.equal([]);
  });

  it('says in words when the server ends it, and the next one works', async () => {
    const error: ManageDbError = await run(() =>
      getDbSession(async (session) => {
        const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
        await db.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
        await session.query('select 1');
      }).catch((thrown) => thrown),
    );
    expect(error.code).to.equal('CONNECTION_LOST');
    expect(error.message).to.contain('development').and.contain(db.name);
    await run(() => insert(3));
    expect(await ids()).to.deep.equal([3]);
  });

  it('keeps the limits that are configured', async () => {
    workspace.write({
      '.env.testing': `DATABASE_URL=${db.url}\nDATABASE_STATEMENT_TIMEOUT_MS=500\nDATABASE_LOCK_TIMEOUT_MS=77\n`,
    });
    const limits = await run(() =>
      getDbSession(
        async (s) =>
          (await s.query(`select current_setting('statement_timeout') as s, current_setting('lock_timeout') as l`))
            .rows[0],
        { env: 'testing' },
      ),
    );
    expect(limits).to.deep.equal({ s: '500ms', l: '77ms' });
    const error = await run(() => getDbSession((s) => s.query('select pg_sleep(5)'), { env: 'testing' })).catch(
      (thrown) => thrown,
    );
    expect(error.code).to.equal('57014');
  });

  it('is not changed by stray PG variables of the process', async () => {
    process.env.PGOPTIONS = '-c default_transaction_read_only=on';
    process.env.PGHOSTADDR = '192.0.2.1';
    process.env.PGPASSWORD = 'stray';
    try {
      await closeEngines();
      await run(() => insert(9));
    } finally {
      for (const name of ['PGOPTIONS', 'PGHOSTADDR', 'PGPASSWORD']) delete process.env[name];
    }
    expect(await ids()).to.deep.equal([9]);
  });

  it('says so when the pool is exhausted by sessions that wait for one another', async () => {
    workspace.write({
      '.env.testing': `DATABASE_URL=${db.url}\nDATABASE_POOL_MAX=2\nDATABASE_CONNECT_TIMEOUT_MS=3000\n`,
    });
    const nested = () =>
      getDbSession(
        async (outer) => {
          await outer.query('select pg_sleep(0.5)');
          return getDbSession((inner) => inner.query('select 1'), { env: 'testing' });
        },
        { env: 'testing' },
      ).then(
        () => 'in',
        (error: ManageDbError) => error.code,
      );
    const outcomes = await run(() => Promise.all([nested(), nested()]));
    expect(outcomes).to.include('TOO_MANY_CONNECTIONS');
    expect(await run(nested)).to.equal('in');
  });

  it("refuses a statement after its end, when its connection may be somebody else's", async () => {
    const error: ManageDbError = await run(async () => {
      const escaped = await getDbSession(async (session) => session);
      return escaped.query('insert into notes values (66)').catch((thrown) => thrown);
    });
    expect(error.code).to.equal('USAGE');
    expect(await ids()).to.deep.equal([]);
  });

  it('reports its statements in debug mode, never the values', async () => {
    const lines: string[] = [];
    setDebugMode(true, (line) => lines.push(line));
    try {
      await run(() =>
        getDbSession((session) => session.query('insert into notes values ($1, $2)', [5, 'canary-value'])),
      );
    } finally {
      setDebugMode(false);
    }
    expect(lines.join('\n'))
      .to.contain('insert into notes values ($1, $2) -- 2 parameters')
      .and.not.contain('canary-value');
  });
});
