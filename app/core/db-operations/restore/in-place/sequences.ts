import { IS_NUMBERED } from '../../../../database/catalog/numbered-columns.js';
import type { Queryable } from '../../../../database/queryable.js';
import type { SequencePosition } from './parsed-statements.js';

/** A sequence that numbers a column of a restored table. */
export interface RestoredSequence {
  /** With its schema, quoted where that is needed. */
  readonly sequence: string;
  /** What it gives next. */
  readonly next: string;
  /** `live`: it was ahead, and stays where it is. `rows`: the backup's position was behind the rows. */
  readonly from: 'backup' | 'live' | 'rows';
}

interface OwnedSequence {
  readonly identity: string;
  readonly increment: string;
  readonly least: string;
  readonly most: string;
  readonly statement: string;
}

/**
 * Moves the sequences of these tables to where the backup has them, or the rows need them; never back: a number that was
 * given since may be known elsewhere. As ALTER SEQUENCE does it, which is undone with the transaction, unlike `setval`.
 */
export async function moveSequences(
  db: Queryable,
  tables: readonly number[],
  positions: readonly SequencePosition[],
): Promise<RestoredSequence[]> {
  const { rows: owned } = await db.query<OwnedSequence>(OWNED, [tables]);
  const { rows: known } = await db.query<{ identity: string; value: string; called: boolean }>(KNOWN, [
    positions.map(({ sequence }) => sequence),
    positions.map(({ value }) => value),
    positions.map(({ isCalled }) => isCalled),
  ]);
  const moved: RestoredSequence[] = [];
  for (const { identity, increment, least, most, statement } of owned) {
    const { rows } = await db.query<{ last: string; called: boolean; edge: string | null }>(statement);
    const [now] = rows;
    if (now === undefined) continue;
    const step = BigInt(increment);
    const after = (value: string, isCalled: boolean) => (isCalled ? BigInt(value) + step : BigInt(value));
    const then = known.find((one) => one.identity === identity);
    const candidates: { from: RestoredSequence['from']; next: bigint }[] = [
      { from: 'live', next: after(now.last, now.called) },
      ...(then === undefined ? [] : [{ from: 'backup' as const, next: after(then.value, then.called) }]),
      ...(now.edge === null ? [] : [{ from: 'rows' as const, next: BigInt(now.edge) + step }]),
    ];
    const isFurther = (one: bigint, other: bigint) => (step > 0n ? one > other : one < other);
    const furthest = candidates.reduce((best, one) => (isFurther(one.next, best.next) ? one : best));
    const isSame = then !== undefined && after(then.value, then.called) === furthest.next;
    const next = furthest.next;
    // at its end it gives nothing more, or begins again: as before
    if (furthest.from !== 'live' && next >= BigInt(least) && next <= BigInt(most)) {
      await db.query(`alter sequence ${identity} restart with ${next}`);
    }
    moved.push({ sequence: identity, next: String(next), from: isSame ? 'backup' : furthest.from });
  }
  return moved;
}

const KNOWN = `
  select pg_catalog.format('%I.%I', n.nspname, c.relname) as identity, p.value, p.called
  from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::boolean[]))
    p (name, value, called)
  join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(p.name)
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace`;

/**
 * The statements ask where a sequence is, and how far its column has come among the values that it can give; where that is no number,
 * such as `'k' || nextval(…)`, nobody can tell.
 */
const OWNED = `
  select pg_catalog.format('%I.%I', sn.nspname, s.relname) as identity, q.seqincrement::text as increment,
    q.seqmin::text as least, q.seqmax::text as most,
    case when ${IS_NUMBERED} then pg_catalog.format('select s.last_value::text as last, s.is_called as called,
        case when e.edge between %1$s and %2$s then e.edge::pg_catalog.int8::text end as edge
      from %3$I.%4$I s cross join (select pg_catalog.%5$s(t.%6$I)::pg_catalog.numeric as edge from %7$I.%8$I t) e',
      q.seqmin, q.seqmax, sn.nspname, s.relname,
      case when q.seqincrement > 0 then 'max' else 'min' end, a.attname, tn.nspname, t.relname)
    else pg_catalog.format('select s.last_value::text as last, s.is_called as called, null as edge from %I.%I s', sn.nspname, s.relname)
    end as statement
  from pg_catalog.pg_sequence q
  join pg_catalog.pg_class s on s.oid = q.seqrelid
  join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.oid and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
  join pg_catalog.pg_class t on t.oid = d.refobjid
  join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
  where t.oid = any ($1::oid[]) and not q.seqcycle
  order by 1`;
