import { join } from 'node:path';
import { expect } from 'chai';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

/** The trigger is older than the rows that it would change, and what it writes down is there already. */
const PARTITIONED = `
  create table public.audit (id serial primary key, what text);
  create function public.note() returns trigger language plpgsql as
    $$ begin new.note := 'changed'; insert into public.audit (what) values (tg_op); return new; end $$;
  create table public.visits (id int, at date not null, note text) partition by range (at);
  create table public.visits_2024 partition of public.visits for values from ('2024-01-01') to ('2025-01-01');
  create table public.visits_2025 partition of public.visits for values from ('2025-01-01') to ('2026-01-01');
  create table public.visits_2026 partition of public.visits for values from ('2026-01-01') to ('2027-01-01');
  insert into public.visits select i, date '2024-01-01' + i % 1000, md5(i::text) from generate_series(1, 150000) i;
  insert into public.audit (what) select 'INSERT' from generate_series(1, 20) i;
  create trigger note before insert on public.visits for each row execute function public.note();
  alter table public.visits_2025 disable trigger note;
  create table public.reads (of int references public.audit);
  insert into public.reads values (1);
  create materialized view public.notes as select count(*) as n from public.audit;
  create role partition_owner;
  alter table public.audit owner to partition_owner;
  alter materialized view public.notes owner to partition_owner;
  revoke all on public.audit from partition_owner;
  grant select on public.audit to partition_owner`;

const CONTENTS = `
  select (select md5(string_agg(v::text, ',' order by id)) from public.visits v) as visits,
    (select md5(string_agg(a::text, ',' order by id)) from public.audit a) as audit,
    (select string_agg(tgrelid::regclass::text || tgname || tgenabled::text, ',' order by tgrelid::regclass::text, tgname)
     from pg_trigger where (not tgisinternal or tgparentid <> 0) and tgrelid::regclass::text like 'visits%') as triggers,
    (select relacl::text from pg_class where oid = 'public.audit'::regclass) as grants, (select n from public.notes) as notes`;

describe('a partitioned table with triggers', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase(PARTITIONED);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
    await onServer((server) => server.query('drop role if exists partition_owner'));
  });

  for (const [format, method, place] of [
    ['directory', 'swap', undefined],
    ['directory', 'transaction', undefined],
    ['custom', 'swap', undefined],
    // as it comes: pg_restore does not know how large the tables are, and takes them in another order
    ['custom', 'swap', 'elsewhere'],
    ['plain', 'swap', undefined],
  ] as const) {
    it(`fires none of them while its rows come back (${[format, method, place].join(' ')})`, async () => {
      const contents = async () => (await db.query(CONTENTS)).rows[0];
      const before = await contents();
      const storage = place === undefined ? undefined : join(workspace.root, place);
      const { id } = await workspace.run(() => backupDatabase({ env: 'testing', format, storage }));
      await workspace.run(() => restoreDatabase({ env: 'testing', id, method, storage, consent: { yes: true } }));
      expect(await contents()).to.deep.equal(before);
    });
  }
});
