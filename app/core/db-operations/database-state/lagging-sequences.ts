import { IS_NUMBERED } from '../../../database/catalog/numbered-columns.js';
import type { Queryable } from '../../../database/queryable.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { underSearchPath } from './search-path.js';

/** Sequences asked by one statement. */
const BATCH = 100;

/**
 * Owned sequences that will give a value which their column has already: the next insert may fail. In sentences.
 *
 * @param searchPath what the functions of expression indexes rely on
 */
export async function readLaggingSequences(
  db: Queryable,
  searchPath: string,
  { signal }: OperationControls,
): Promise<string[]> {
  const { rows: owned } = await db.query<{ statement: string }>(OWNED_SEQUENCES);
  const found: string[] = [];
  for (let start = 0; start < owned.length; start += BATCH) {
    stopIfAborted(signal);
    const batch = owned.slice(start, start + BATCH).map(({ statement }) => statement);
    const { rows } = await underSearchPath(db, searchPath, () =>
      db.query<{ what: string }>(batch.join('\nunion all\n')),
    );
    found.push(...rows.map(({ what }) => what));
  }
  return found;
}

/** A sequence that has not been used yet gives its last_value first. One that starts again from the beginning may lag. */
const OWNED_SEQUENCES = `
  select pg_catalog.format(
    'select pg_catalog.format(%L, s.last_value, e.edge) as what
     from %I.%I s cross join (select pg_catalog.%s(%I)::numeric as edge from %I.%I) e
     where (case when s.is_called then s.last_value::numeric else s.last_value::numeric operator(pg_catalog.-) %s end)
       operator(pg_catalog.%s) e.edge',
    pg_catalog.format('The sequence %I.%I is at %%s, and %I.%I.%I has %%s already.',
      sn.nspname, s.relname, tn.nspname, t.relname, a.attname),
    sn.nspname, s.relname,
    case when q.seqincrement > 0 then 'max' else 'min' end, a.attname, tn.nspname, t.relname,
    q.seqincrement, case when q.seqincrement > 0 then '<' else '>' end) as statement
  from pg_catalog.pg_sequence q
  join pg_catalog.pg_class s on s.oid = q.seqrelid
  join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.oid and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
  join pg_catalog.pg_class t on t.oid = d.refobjid and t.relkind in ('r', 'p')
  join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
  where not q.seqcycle and s.relpersistence <> 't'
    and ${IS_NUMBERED}
  order by sn.nspname, s.relname`;
