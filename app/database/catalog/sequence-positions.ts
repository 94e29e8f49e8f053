import type { Queryable } from '../queryable.js';

export interface SequencePosition {
  readonly schema: string;
  readonly name: string;
  /** The table whose column it numbers; `null`: it belongs to none. */
  readonly ofTable: { readonly schema: string; readonly name: string } | null;
  /** It came with an extension, which says that where it stands is the users'. */
  readonly isOfExtension: boolean;
  /** As text: it may be larger than a number of JavaScript. `null`: it was not asked. */
  readonly lastValue: string | null;
  /** Whether `lastValue` has been given already. */
  readonly isCalled: boolean | null;
}

/** Sequences asked by one statement. */
const BATCH = 100;

/**
 * Where the sequences of the users stand, by schema and name.
 *
 * @param isWanted the others are listed, and not asked: the login may not read them
 */
export async function readSequencePositions(
  db: Queryable,
  isWanted: (sequence: Pick<SequencePosition, 'schema' | 'name' | 'isOfExtension'>) => boolean = () => true,
): Promise<SequencePosition[]> {
  const { rows: sequences } = await db.query<Listed>(SEQUENCES);
  const asked = sequences.filter(isWanted);
  const known = new Map<number, Pick<SequencePosition, 'lastValue' | 'isCalled'>>();
  for (let start = 0; start < asked.length; start += BATCH) {
    const batch = asked.slice(start, start + BATCH).map(({ statement }) => statement);
    const { rows } = await db.query<{ oid: number; lastValue: string; isCalled: boolean }>(batch.join(' union all '));
    for (const { oid, ...position } of rows) known.set(oid, position);
  }
  return sequences.map(({ oid, statement: _statement, ...names }) => {
    const { lastValue, isCalled } = known.get(oid) ?? { lastValue: null, isCalled: null };
    return { ...names, lastValue, isCalled };
  });
}

/** Moves the sequences of these names to where others stand; what was not asked stays. */
export async function setSequencePositions(db: Queryable, positions: readonly SequencePosition[]): Promise<void> {
  const known = positions.filter(({ lastValue }) => lastValue !== null);
  await db.query(
    `select pg_catalog.setval(pg_catalog.format('%I.%I', p.schema, p.name)::pg_catalog.regclass, p.value, p.called)
    from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::int8[]),
      pg_catalog.unnest($4::boolean[])) p (schema, name, value, called)`,
    [
      known.map(({ schema }) => schema),
      known.map(({ name }) => name),
      known.map(({ lastValue }) => lastValue),
      known.map(({ isCalled }) => isCalled),
    ],
  );
}

interface Listed extends Pick<SequencePosition, 'schema' | 'name' | 'ofTable' | 'isOfExtension'> {
  readonly oid: number;
  readonly statement: string;
}

const SEQUENCES = `
  select c.oid, n.nspname::text as schema, c.relname::text as name,
    (select pg_catalog.jsonb_build_object('schema', tn.nspname, 'name', t.relname)
      from pg_catalog.pg_depend d
      join pg_catalog.pg_class t on t.oid = d.refobjid
      join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      limit 1) as "ofTable",
    m.is as "isOfExtension",
    pg_catalog.format('select %s::oid as oid, s.last_value::text as "lastValue", s.is_called as "isCalled" from %I.%I s',
      c.oid, n.nspname, c.relname) as statement
  from pg_catalog.pg_sequence s
  join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (select exists (
      select from pg_catalog.pg_depend member
      where member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and member.objid = c.oid and member.objsubid = 0
        and member.deptype = 'e') as is) m
  where c.relpersistence <> 't'
    and (exists (select from pg_catalog.pg_extension e where c.oid = any (e.extconfig))
      or (pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema' and not m.is))
  order by 2, 3`;
