import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../../database/queryable.js';
import { listed } from '../../../listed.js';
import { type Check, ok, type RunCheck, statements } from '../check.js';

const WARNING_SHARE = 0.75;
const CRITICAL_SHARE = 0.9;

export const checkSequences: RunCheck = async (db, { user }) => {
  const { rows } = await db.query<{ sequence: string; share: number; isColumn: boolean; fix: string }>(SEQUENCES, [
    WARNING_SHARE,
  ]);
  const [fullest] = rows;
  if (fullest === undefined) return unseen(db, user);
  return {
    status: fullest.share >= CRITICAL_SHARE ? 'critical' : 'warning',
    value: rows.length,
    detail: [
      `Near their last number, after which inserts fail: ${listed(rows.map((row) => `${row.sequence} (${Math.floor(row.share * 100)} %)`))}.`,
      ...(rows.some(({ isColumn }) => isColumn) ? [REWRITES] : []),
    ].join(' '),
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

async function unseen(db: Queryable, user: string): Promise<Omit<Check, 'name'>> {
  const none = `No sequence has used more than ${WARNING_SHARE * 100} % of its numbers.`;
  const { rows } = await db.query<{ sequence: string }>(UNREADABLE);
  if (rows.length === 0) return ok(0, none);
  const names = rows.map(({ sequence }) => sequence);
  return {
    status: 'info',
    value: 0,
    detail: `${none} ${user} may not read ${listed(names)}.`,
    fix: statements(names.map((name) => `grant select on sequence ${name} to ${escapeIdentifier(user)}`)),
  };
}

const UNREADABLE = `
  select pg_catalog.format('%I.%I', n.nspname, c.relname) as sequence
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname <> 'manage_db'
    -- the function refuses what is no sequence, and may be asked first
    and not case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') end
  order by 1`;

const REWRITES =
  'Making a column bigint writes its table anew, which nobody can read or write meanwhile (ACCESS EXCLUSIVE); columns that refer to it have to become bigint, too.';

/*
 * A bigint sequence behind an integer column ends where the column does. last_value is null for a sequence that was
 * never used, or that the login may not read; a cycling sequence has no end.
 */
const SEQUENCES = `
  with used as (
    select pg_catalog.format('%I.%I', s.schemaname, s.sequencename) as sequence,
      t.typname, case when s.increment_by > 0 then 'no maxvalue' else 'no minvalue' end as no_end,
      case when c.oid is not null then pg_catalog.format('%I.%I', cn.nspname, c.relname) end as owner, a.attname,
      case when s.increment_by > 0
        then (s.last_value::numeric - s.min_value)
          / nullif(least(s.max_value, case t.typname when 'int2' then 32767 when 'int4' then 2147483647 end) - s.min_value::numeric, 0)
        else (s.max_value::numeric - s.last_value)
          / nullif(s.max_value - greatest(s.min_value, case t.typname when 'int2' then -32768 when 'int4' then -2147483648 end)::numeric, 0)
      end as share
    from pg_catalog.pg_sequences s
    join pg_catalog.pg_namespace n on n.nspname = s.schemaname
    join pg_catalog.pg_class q on q.relnamespace = n.oid and q.relname = s.sequencename
    left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = q.oid
      and d.objsubid = 0 and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0
      and d.deptype in ('a', 'i')
    left join pg_catalog.pg_class c on c.oid = d.refobjid
    left join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
    left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    left join pg_catalog.pg_type t on t.oid = a.atttypid
    where not s.cycle and s.last_value is not null
  )
  select sequence, share::float8 as share, coalesce(typname in ('int2', 'int4'), false) as "isColumn",
    case when typname in ('int2', 'int4')
      then pg_catalog.format('alter sequence %s as bigint %s; alter table %s alter column %I type bigint', sequence, no_end, owner,
        attname)
      else pg_catalog.format('alter sequence %s as bigint %s', sequence, no_end) end as fix
  from used
  where share >= $1
  order by share desc, sequence`;
