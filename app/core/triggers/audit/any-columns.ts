import { BASE_TYPE, FIRST_OWN_OID, IS_SEEN } from '../../../database/catalog/auditable-tables.js';
import { isRefusedJson, shortened } from './row-expressions.js';

export interface AnyColumnsOptions {
  /** The schema of the log, quoted. */
  readonly s: string;
  /** `insert into …`, with its columns. */
  readonly into: string;
  readonly isWhole: boolean;
  readonly isPartitioned: boolean;
}

/**
 * A statement that writes into `${side}_as_json` a select of rows as JSON, for whatever columns the table has now: those of
 * the statement, or the one of a row trigger, which is its parameter $1 or $2. As in `RowExpressions`, nobody's casts are
 * called. Needs the variables of the function.
 */
export function rowsAsJson(side: 'old' | 'new', source: 'row' | 'statement'): string {
  const rows = source === 'statement' ? `${side}_rows t` : `(select (${side === 'old' ? '$1' : '$2'}).*) t`;
  const text = `format('case when num_nonnulls(t.%1$I) = 1 then concat(t.%1$I) end as %1$I', a.attname)`;
  const json = `format('case when ${isRefusedJson('t.%1$I').replaceAll("'", "''")} then to_jsonb(t.%1$I::text) else to_jsonb(t.%1$I) end as %1$I', a.attname)`;
  return `select format('select (select to_jsonb(%1$I) from (select %2$s) %1$I) from ${rows}', free.alias, coalesce(string_agg(
          case when base.oid >= ${FIRST_OWN_OID} then ${text}
            when base.oid in ('json'::regtype, 'json[]'::regtype) then ${json}
            else format('t.%I', a.attname) end, ', ' order by a.attnum), ''))
        into ${side}_as_json
        from (select 'r' || min(i) as alias from generate_series(0, cardinality(names)) i where 'r' || i <> all (names)) free
        left join (pg_attribute a cross join lateral ${BASE_TYPE} base)
          on a.attrelid = tg_relid and ${IS_SEEN} and a.attname <> all (ignored)
        group by free.alias;`;
}

/** Of a row as JSON: what identifies it, by the names of its key columns. */
export function idOfJson(data: string, keys: string): string {
  return `(select ${shortened('i.raw')} from (select case cardinality(${keys}) when 0 then null when 1 then ${data} ->> ${keys}[1]
      else (select jsonb_agg(${data} -> u.k order by u.n)::text from unnest(${keys}) with ordinality u (k, n)) end) i (raw))`;
}

/** Of two rows as JSON: the names of the columns that differ. */
export function changedInJson(before: string, after: string): string {
  return `array(select e.key from jsonb_each(${after}) e where (${before} -> e.key)::text is distinct from e.value::text)`;
}

/** Of a row as JSON: what is kept of it, its secrets masked. */
export function keptOfJson(
  data: string,
  { changed, secret, isWhole }: { readonly changed: string; readonly secret: string; readonly isWhole: boolean },
): string {
  return `case when ${data} is not null then (
      select coalesce(jsonb_object_agg(e.key, case when e.key = any (${secret}) and e.value <> 'null' then '"***"'::jsonb else e.value end), '{}')
      from jsonb_each(${data}) e${isWhole ? '' : ` where ${changed} is null or e.key = any (${changed})`}) end`;
}

/** Logs the rows of a statement, whatever columns they have, and however their keys have changed. */
export function anyColumns(options: AnyColumnsOptions): string {
  const { s, isPartitioned } = options;
  const clean = (condition: string) =>
    `delete from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root and ${condition};`;
  const own = 'm.depth in (depth, depth + 1)';
  return `  old_as_json := 'select null::jsonb where false';
  new_as_json := old_as_json;
  if tg_op <> 'INSERT' then
    ${rowsAsJson('old', 'statement')}
  end if;
  if tg_op <> 'DELETE' then
    ${rowsAsJson('new', 'statement')}
  end if;${isPartitioned ? `\n  if tg_op <> 'INSERT' then ${clean(`m.kind = 'logged'`)} end if;` : ''}
  execute format($sql$${slowStatement(options)}$sql$, old_as_json, new_as_json)
  using moment, xid, tg_op, logged_schema, logged_table, root, keys, secret, app_user, client, depth;
  if tg_op = 'UPDATE' then
    ${clean(`${own} and m.kind <> 'logged'`)}
    perform set_config('manage_db.moving', ${outerLevels('depth - 1')}, true);${isPartitioned ? `\n    perform set_config('manage_db.merging', ${outerLevels('depth - 1', 'merging')}, true);` : ''}
  end if;${
    isPartitioned
      ? `
  if tg_op = 'INSERT' then
    perform set_config('manage_db.inserting', '', true);
    ${clean(own)}
  elsif tg_op = 'DELETE' then
    -- what no key goes with was no move
    ${clean(`${own} and m.kind = 'left' and not exists (
      select from ${s}.moving_rows k where k.transaction_id = xid and k.relation = root and k.kind = 'key' and k.old_id = m.old_id)`)}
  end if;`
      : ''
  }`;
}

/** Of the setting that says at which levels rows are being moved or merged, innermost first: those outside of `level`. */
export function outerLevels(level: string, what: 'moving' | 'merging' = 'moving'): string {
  return `coalesce((select string_agg(l.level, ',' order by l.n)
      from unnest(string_to_array(nullif(current_setting('manage_db.${what}', true), ''), ',')) with ordinality l (level, n)
      where l.level ~ '^[0-9]{1,9}$' and case when l.level ~ '^[0-9]{1,9}$' then l.level::integer end < ${level}), '')`;
}

function slowStatement({ s, into, isWhole, isPartitioned }: AnyColumnsOptions): string {
  // what foreign keys cascade fires BEFORE one level deeper, and AFTER with the statement that began it
  const note = (kind: string) =>
    `m.transaction_id = $2 and m.relation = $6 and m.depth in ($11, $11 + 1) and m.kind = '${kind}'`;
  const identified = (rows: string, condition = '') => `
      select y.pos, y.id, y.data from (
        select row_number() over () as pos, ${idOfJson('x.data', '$7')} as id, x.data from (${rows}) x (data)) y${condition}`;
  // MERGE shows its triggers no rows that it has moved to another partition, or as deleted and new ones: they were noted
  const lost = (side: 'old' | 'new', kind: 'left' | 'arrived') => `
      union all
      select 0, m.${side}_id, m.data from ${s}.moving_rows m
      where $3 = 'UPDATE' and ${note(kind)} and exists (select from k where k.${side}_id = m.${side}_id)
        and not exists (select from ${side === 'old' ? 'o' : 'n'}0 x where x.id = m.${side}_id)`;
  const left = `
      where $3 <> 'DELETE' or not exists (
        select from ${s}.moving_rows m join ${s}.moving_rows k on k.transaction_id = m.transaction_id and k.relation = m.relation
          and k.depth = m.depth and k.kind = 'key' and k.old_id = m.old_id
        where ${note('left')} and m.old_id = y.id)`;
  const logged = `
      where ($3 <> 'INSERT' or not exists (select from ${s}.moving_rows m where ${note('logged')} and m.new_id = y.id))`;
  // once it has inserted a row, MERGE shows its triggers that one for each that it updates
  const merged = `
        and not exists (select from ${s}.moving_rows m where $3 = 'UPDATE' and ${note('merged')})
      union all
      select m.id, m.new_id, m.data from ${s}.moving_rows m where $3 = 'UPDATE' and ${note('merged')}`;
  const kept = (row: string) => keptOfJson(`c.${row}`, { changed: 'c.changed', secret: '$8', isWhole });
  const noted = `,
    noted as (
      insert into ${s}.moving_rows (transaction_id, relation, depth, kind, new_id)
      select $2, $6, $11, 'logged', n1.id from n1
      where $3 = 'UPDATE' and not exists (select from n0 where n0.id = n1.id)
    )`;
  return `
    with k as materialized (
      select distinct on (m.new_id) m.old_id, m.new_id from ${s}.moving_rows m
      where $3 = 'UPDATE' and ${note('key')} order by m.new_id, m.id desc
    ),
    o0 as materialized (${identified('%1$s', isPartitioned ? left : '')}
    ),
    n0 as materialized (${identified('%2$s', isPartitioned ? logged : '')}${isPartitioned ? merged : ''}
    ),
    o1 as materialized (select pos, id, data from o0${isPartitioned ? lost('old', 'left') : ''}),
    n1 as materialized (select pos, id, data from n0${isPartitioned ? lost('new', 'arrived') : ''}),
    -- foreign keys may have changed a row more than once: its first change with its first, and so on
    o as (select o1.id, o1.data, row_number() over (partition by o1.id order by o1.pos) as nth from o1),
    n as (
      select p.id, p.pair, p.data, row_number() over (partition by p.pair order by p.pos) as nth
      from (
        select v.id, case when v.nth = 1 and k.old_id in (select o1.id from o1) then k.old_id else v.id end as pair, v.data, v.pos
        from (select n1.*, row_number() over (partition by n1.id order by n1.pos) as nth from n1) v
        left join k on k.new_id = v.id
      ) p
    ),
    paired as (
      -- rows that nothing identifies are alone
      select coalesce(o.id, n.id) as id, o.data as o, n.data as n
      from o full join n on coalesce('=' || o.id, 'o') = coalesce('=' || n.pair, 'n') and o.nth = n.nth
    ),
    c as (
      select p.*, case when p.o is not null and p.n is not null then ${changedInJson('p.o', 'p.n')} end as changed from paired p
    )${isPartitioned ? noted : ''}
    ${into}
    select $1, $2, $3, $4, $5, c.id, $9, session_user, $10, c.changed, ${kept('o')}, ${kept('n')}
    from c where c.changed is null or c.changed <> '{}'`;
}
