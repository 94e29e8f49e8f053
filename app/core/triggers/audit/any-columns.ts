import { BASE_TYPE, FIRST_OWN_OID, IS_SEEN } from '../../../database/catalog/auditable-tables.js';
import { shortened } from './row-expressions.js';

export interface AnyColumnsOptions {
  /** The schema of the log, quoted. */
  readonly s: string;
  /** `insert into …`, with its columns. */
  readonly into: string;
  readonly isWhole: boolean;
  readonly isPartitioned: boolean;
  readonly needsRowTriggers: boolean;
}

/**
 * Statements that write into `old_rows_as_json` or `new_rows_as_json` a select of the rows of a call as JSON, for whatever
 * columns the table has now. As in `RowExpressions`, nobody's casts are called.
 */
export function rowsAsJson(side: 'old' | 'new', source: 'row' | 'statement' = 'row'): string {
  const rows = source === 'statement' ? `${side}_rows t` : `(select (${side === 'old' ? '$1' : '$2'}).*) t`;
  return `select format('select (select to_jsonb(%1$I) from (select %2$s) %1$I) from ${rows}', free.alias, coalesce(string_agg(
          case when base.oid < ${FIRST_OWN_OID} and not (json_as_text and base.oid in ('json'::regtype, 'json[]'::regtype)) then format('t.%I', a.attname)
            else format('case when num_nonnulls(t.%1$I) = 1 then concat(t.%1$I) end as %1$I', a.attname) end, ', ' order by a.attnum), ''))
        into ${side}_rows_as_json
        from (select 'r' || min(i) as alias from generate_series(0, 1600) i
          where not exists (select from pg_attribute x where x.attrelid = tg_relid and x.attname = 'r' || i)) free
        left join (pg_attribute a cross join lateral ${BASE_TYPE} base)
          on a.attrelid = tg_relid and ${IS_SEEN} and a.attname <> all (ignored)
        group by free.alias;`;
}

/** Of a row as JSON: what identifies it. */
const RAW_ID = `select case cardinality($9) when 0 then null when 1 then x.data ->> $9[1]
      else (select jsonb_agg(x.data -> u.k order by u.n)::text from unnest($9) with ordinality u (k, n)) end`;

/** Logs the rows of one call, whatever columns they have. */
export function anyColumns(options: AnyColumnsOptions): string {
  const { s, isPartitioned, needsRowTriggers } = options;
  const source = needsRowTriggers ? 'row' : 'statement';
  const clean = (condition: string) =>
    `delete from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root and ${condition};`;
  const after = [
    ...(needsRowTriggers ? [] : [`if tg_op = 'UPDATE' then`]),
    ...(needsRowTriggers ? [] : [`  ${clean(`m.depth in (depth, depth + 1) and m.kind <> 'logged'`)}`]),
    ...(needsRowTriggers ? [] : [`  perform set_config('manage_db.moving', '', true);`, 'end if;']),
    ...(isPartitioned ? [`if tg_op = 'INSERT' then ${clean(`m.kind = 'logged'`)} end if;`] : []),
  ];
  return `  old_rows_as_json := 'select null::jsonb where false';
  new_rows_as_json := old_rows_as_json;
  if tg_op <> 'INSERT' then
    ${rowsAsJson('old', source)}
  end if;
  if tg_op <> 'DELETE' then
    ${rowsAsJson('new', source)}
  end if;${isPartitioned ? `\n  if tg_op <> 'INSERT' then ${clean(`m.kind = 'logged'`)} end if;` : ''}
  execute format($sql$${slowStatement(options)}$sql$, old_rows_as_json, new_rows_as_json)
  using ${needsRowTriggers ? 'old, new' : 'null::text, null::text'}, moment, xid, tg_op, logged_schema, logged_table, root, keys, secret, app_user, client, depth;
  ${after.join('\n  ')}`;
}

function slowStatement({ s, into, isWhole, isPartitioned }: AnyColumnsOptions): string {
  // what foreign keys cascade fires BEFORE one level deeper, and AFTER with the statement that began it
  const note = (kind: string) =>
    `m.transaction_id = $4 and m.relation = $8 and m.depth in ($13, $13 + 1) and m.kind = '${kind}'`;
  const identified = (rows: string) => `
      select ${shortened('i.raw')} as id, x.data from (${rows}) x (data) cross join lateral (${RAW_ID}) i (raw)`;
  // MERGE shows its triggers no rows that it has moved to another partition, or as deleted and new ones: they were noted
  const lost = (side: 'old' | 'new', kind: 'left' | 'arrived') => `
      union all
      select m.${side}_id, m.data from ${s}.moving_rows m
      where $5 = 'UPDATE' and ${note(kind)} and exists (select from k where k.${side}_id = m.${side}_id)
        and not exists (select from ${side === 'old' ? 'o' : 'n'}0 x where x.id = m.${side}_id)`;
  const logged = `
      where $5 <> 'INSERT' or not exists (select from ${s}.moving_rows m where ${note('logged')} and m.new_id = y.id)`;
  const left = `
      where $5 <> 'DELETE' or not exists (select from ${s}.moving_rows m where ${note('left')} and m.old_id = y.id)`;
  const kept = (row: string) => `case when c.${row} is not null then (
      select coalesce(jsonb_object_agg(e.key, case when e.key = any ($10) and e.value <> 'null' then '"***"'::jsonb else e.value end), '{}')
      from jsonb_each(c.${row}) e${isWhole ? '' : ' where c.changed is null or e.key = any (c.changed)'}) end`;
  const noted = `,
    noted as (
      insert into ${s}.moving_rows (transaction_id, relation, depth, kind, new_id)
      select $4, $8, $13, 'logged', n1.id from n1
      where $5 = 'UPDATE' and not exists (select from n0 where n0.id = n1.id)
    )`;
  return `
    with k as materialized (
      select distinct on (m.new_id) m.old_id, m.new_id from ${s}.moving_rows m
      where $5 = 'UPDATE' and ${note('key')} order by m.new_id, m.id desc
    ),
    o0 as materialized (
      select y.id, y.data from (${identified('%1$s')}) y${isPartitioned ? left : ''}
    ),
    n0 as materialized (
      select y.id, y.data from (${identified('%2$s')}) y${isPartitioned ? logged : ''}
    ),
    o1 as materialized (select id, data from o0${isPartitioned ? lost('old', 'left') : ''}),
    n1 as materialized (select id, data from n0${isPartitioned ? lost('new', 'arrived') : ''}),
    o as (select o1.id, o1.data, row_number() over (partition by o1.id) as nth from o1),
    n as (
      select p.id, p.pair, p.data, row_number() over (partition by p.pair) as nth
      from (
        select n1.id, coalesce(k.old_id, n1.id) as pair, n1.data
        from n1 left join k on k.new_id = n1.id and k.old_id in (select o1.id from o1)
      ) p
    ),
    paired as (
      -- rows that nothing identifies are alone
      select coalesce(o.id, n.id) as id, o.data as o, n.data as n
      from o full join n on coalesce('=' || o.id, 'o') = coalesce('=' || n.pair, 'n') and o.nth = n.nth
    ),
    c as (
      select p.*, case when p.o is not null and p.n is not null then array(
        select e.key from jsonb_each(p.n) e where (p.o -> e.key)::text is distinct from e.value::text) end as changed
      from paired p
    )${isPartitioned ? noted : ''}
    ${into}
    select $3, $4, $5, $6, $7, c.id, $11, session_user, $12, c.changed, ${kept('o')}, ${kept('n')}
    from c where c.changed is null or c.changed <> '{}'`;
}
