import { availableParallelism } from 'node:os';
import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { connected, type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

/* Making one index takes the locks in this order, and making the other one in that; made one after the other, they get them. */
const CONTENTS = `
  create function public.this_way(id int) returns int language plpgsql immutable as $$ begin
    perform pg_advisory_xact_lock(1), pg_sleep(0.5); perform pg_advisory_xact_lock(2); return id; end $$;
  create function public.that_way(id int) returns int language plpgsql immutable as $$ begin
    perform pg_advisory_xact_lock(2), pg_sleep(0.5); perform pg_advisory_xact_lock(1); return id; end $$;
  create table public.one (id int); insert into public.one values (1);
  create table public.other (id int); insert into public.other values (1);
  create index by_one on public.one (public.this_way(id));`;

/** A machine with one processor restores with one job at once. */
const AGAIN = availableParallelism() > 1 ? 1 : 0;

describe('a restore whose jobs are in the way of each other', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  let id: string;
  const steps: string[] = [];
  const onProgress = ({ step }: { step: string }): void => void steps.push(step);
  before(async () => {
    db = await openDatabase(CONTENTS);
    await db.client.query('create index by_other on public.other (public.that_way(id))');
    await stampAs(db.client, 'testing');
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    ({ id } = await workspace.run(() => backupDatabase({ env: 'testing' })));
  });
  beforeEach(() => {
    steps.length = 0;
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  it('is done again with one job', async () => {
    await db.client.query('delete from public.one');
    await db.client.end();
    const consent = { yes: true };
    await workspace.run(() =>
      restoreDatabase({ env: 'testing', id, method: 'swap', keepPrevious: false, consent, onProgress }),
    );
    db = { ...db, client: await connected(db.url) };
    expect((await db.client.query('select id from public.one')).rows).to.deep.equal([{ id: 1 }]);
    const { rows } = await db.client.query(`select indexrelid::regclass::text as name from pg_index
      where indisvalid and indrelid::regclass::text in ('one', 'other') order by 1`);
    expect(rows).to.deep.equal([{ name: 'by_one' }, { name: 'by_other' }]);
    expect(steps.filter((step) => step.startsWith('restoring again, with one job'))).to.have.length(AGAIN);
  });

  it('proves a backup all the same', async () => {
    const { checks } = await workspace.run(() => verifyBackup({ env: 'testing', id, deep: true, onProgress }));
    expect(checks.filter(({ ok }) => !ok)).to.deep.equal([]);
    expect(steps.filter((step) => step.startsWith('restoring again, with one job'))).to.have.length(AGAIN);
  });

  it('does not call a backup bad that is in the way of somebody else, such as autovacuum, also with one job', async () => {
    const own = await openDatabase(`
      create function public.calm(id int) returns int language plpgsql immutable as $$ begin
        if current_setting('test.is_calm', true) is distinct from 'yes' then
          raise exception 'deadlock detected' using errcode = 'deadlock_detected';
        end if;
        return id; end $$;
      create table public.one (id int); insert into public.one values (1);
      set test.is_calm = 'yes';
      create index by_one on public.one (public.calm(id))`);
    try {
      await stampAs(own.client, 'testing');
      const elsewhere = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${own.url}\n` });
      try {
        const { id: calm } = await elsewhere.run(() => backupDatabase({ env: 'testing' }));
        const failure = await failureOf(elsewhere.run(() => verifyBackup({ env: 'testing', id: calm, deep: true })));
        expect(failure).to.include({ code: 'CLIENT_TOOL_FAILED' });
        expect(failure.message).to.contain('deadlock detected').and.not.to.contain('no good');
      } finally {
        await elsewhere.remove();
      }
    } finally {
      await own.drop();
    }
  });
});
