import type { Queryable } from '../queryable.js';
import { IS_NUMBERED } from './numbered-columns.js';

/** A sequence that numbers columns: one that owns it, and those whose default takes its next value. */
export interface NumberingSequence {
  readonly schema: string;
  readonly name: string;
  /** A statement that moves it behind the last of the values that are there, or to its start where there is none. */
  readonly statement: string;
}

/** Sequences of the users that number columns of whole numbers, in order. The others stand where nothing can say. */
export async function readNumberingSequences(db: Queryable): Promise<readonly NumberingSequence[]> {
  const { rows } = await db.query<NumberingSequence>(NUMBERING);
  return rows;
}

const NUMBERING = `
  with used (sequence, relation, number) as (
    select d.objid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.refobjsubid > 0 and d.deptype in ('a', 'i')
    union
    select d.refobjid, f.adrelid, f.adnum from pg_catalog.pg_depend d
    join pg_catalog.pg_attrdef f on f.oid = d.objid
    where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  )
  select n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format(
      'select pg_catalog.setval(%1$L::pg_catalog.regclass, coalesce(v.last, %2$s), v.last is not null)
      from (select case when %3$s(u.last) between %4$s and %5$s then %3$s(u.last)::pg_catalog.int8 end as last from (%6$s) u (last)) v',
      pg_catalog.format('%I.%I', n.nspname, c.relname), s.seqstart,
      case when s.seqincrement > 0 then 'pg_catalog.max' else 'pg_catalog.min' end, s.seqmin, s.seqmax,
      pg_catalog.string_agg(
        pg_catalog.format('select %s(t.%I)::pg_catalog.numeric from %I.%I t',
          case when s.seqincrement > 0 then 'pg_catalog.max' else 'pg_catalog.min' end, a.attname, rn.nspname, r.relname),
        ' union all ' order by rn.nspname, r.relname, a.attnum)) as statement
  from pg_catalog.pg_sequence s
  join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join used on used.sequence = s.seqrelid
  join pg_catalog.pg_class r on r.oid = used.relation
  join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum = used.number
  where r.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and ${IS_NUMBERED}
  group by n.nspname, c.relname, s.seqstart, s.seqincrement, s.seqmin, s.seqmax
  order by 1, 2`;
