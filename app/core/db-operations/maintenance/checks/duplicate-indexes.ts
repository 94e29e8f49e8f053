import { notFromExtension } from '../../../../database/catalog/catalog-filter.js';
import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

export const checkDuplicateIndexes: RunCheck = async (db) => {
  const { rows } = await db.query<{ index: string; twin: string; size: string; fix: string }>(DUPLICATE_INDEXES);
  if (rows.length === 0) return ok(0, 'No index does the work of another one.');
  return {
    status: 'warning',
    value: rows.length,
    detail: `Another index does their work, and every write pays for both: ${listed(rows.map(({ index, twin, size }) => `${index} (${size}; ${twin} does the same)`))}.`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/*
 * An index is superfluous where another one on the same table has the same method, key columns in the same order and
 * directions, collations, operator classes with their options, expressions and predicate, includes at least the same
 * columns, and is unique where it is. A shorter index is none: it can be much smaller. Of two that are the same, the older
 * one stays. What a constraint, a foreign key that points here, the replica identity or CLUSTER hold on to is never
 * proposed, nor the part of an index that a partition has from its parent.
 */
const DUPLICATE_INDEXES = `
  with index_shape as (
    select x.indexrelid, x.indrelid, i.relkind, i.relam, i.relpages, x.indisunique, x.indimmediate, x.indclass::text as classes,
      x.indcollation::text as collations, x.indoption::text as options, x.indexprs, x.indpred,
      (pg_catalog.string_to_array(x.indkey::text, ' '))[:x.indnkeyatts] as keys,
      (pg_catalog.string_to_array(x.indkey::text, ' '))[x.indnkeyatts + 1:] as included,
      x.indisunique and coalesce((pg_catalog.to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) as nulls_collide,
      case when m.amname <> 'btree' then i.reloptions end as parameters,
      x.indisprimary or x.indisexclusion or x.indisreplident or x.indisclustered or i.relispartition
        or k.conindid is not null or not (${notFromExtension('i', 'pg_class')}) as is_held
    from pg_catalog.pg_index x
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    join pg_catalog.pg_am m on m.oid = i.relam
    join pg_catalog.pg_namespace n on n.oid = i.relnamespace
    left join (
      select distinct k.conindid from pg_catalog.pg_constraint k where k.conindid <> 0
    ) k on k.conindid = x.indexrelid
    where x.indisvalid and x.indisready and x.indislive
      and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
  ), pair as (
    select a.indexrelid, a.relkind, a.relpages, b.indexrelid as twin,
      b.included <@ a.included and (not b.indisunique or (a.indisunique and a.nulls_collide = b.nulls_collide
        and (a.indimmediate or not b.indimmediate))) as is_mutual,
      b.is_held
    from index_shape a
    join index_shape b on b.indrelid = a.indrelid and b.indexrelid <> a.indexrelid and b.relam = a.relam and b.keys = a.keys
      and b.classes = a.classes and b.collations = a.collations and b.options = a.options
      and b.parameters is not distinct from a.parameters
    where not a.is_held and a.included <@ b.included
      and (not a.indisunique or (b.indisunique and a.nulls_collide = b.nulls_collide
        and (b.indimmediate or not a.indimmediate)))
      and (a.indexprs is null) = (b.indexprs is null) and (a.indpred is null) = (b.indpred is null)
      and (a.indexprs is null
        or pg_catalog.pg_get_expr(a.indexprs, a.indrelid) = pg_catalog.pg_get_expr(b.indexprs, b.indrelid))
      and (a.indpred is null
        or pg_catalog.pg_get_expr(a.indpred, a.indrelid) = pg_catalog.pg_get_expr(b.indpred, b.indrelid))
      and not exists (
        select from pg_catalog.pg_attribute t
        left join pg_catalog.pg_attribute u on u.attrelid = b.indexrelid and u.attnum = t.attnum
        where t.attrelid = a.indexrelid and t.attoptions is distinct from u.attoptions)
  )
  select distinct on (p.indexrelid) p.indexrelid::pg_catalog.regclass::text as index, p.twin::pg_catalog.regclass::text as twin,
    pg_catalog.pg_size_pretty(p.relpages::bigint * pg_catalog.current_setting('block_size')::bigint) as size,
    pg_catalog.format(case p.relkind when 'I' then 'drop index %s' else 'drop index concurrently %s' end,
      p.indexrelid::pg_catalog.regclass) as fix
  from pair p
  where not p.is_mutual or p.is_held or p.twin < p.indexrelid
  order by p.indexrelid, p.is_held desc, p.twin`;
