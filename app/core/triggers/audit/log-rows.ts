import { escapeLiteral } from 'pg';
import { anyColumns, changedInJson, idOfJson, keptOfJson, outerLevels, rowsAsJson } from './any-columns.js';
import { COMMON, type Parts, WHO } from './audit-function-parts.js';
import type { RowExpressions } from './row-expressions.js';

/** Each ends the call where it was enough. */
export function fastWays({ table, rows, options, into, s }: Parts): string {
  const old = rows.alias('o');
  const next = rows.alias('n');
  if (table.needsRowTriggers) {
    const differences = rows.differences('old', 'new');
    const kept = (row: string) => (options.data === 'whole' ? rows.data(row) : rows.changedData(row, differences));
    return `    if tg_op = 'INSERT' then
      ${into} values (${COMMON}, ${rows.id('new')}, ${WHO}, null, null, ${rows.data('new')});
    elsif tg_op = 'DELETE' then
      ${into} values (${COMMON}, ${rows.id('old')}, ${WHO}, null, ${rows.data('old')}, null);
    elsif ${anyOf(differences)} then
      ${into} values (${COMMON}, ${rows.id('old')}, ${WHO}, ${changedNames(differences)}, ${kept('old')}, ${kept('new')});
    end if;
    return null;`;
  }
  const { isPartitioned } = table;
  const isFree = isPartitioned
    ? ` and not exists (select from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root)`
    : '';
  return `    if tg_op = 'INSERT'${isFree} then
      ${into}
      select ${COMMON}, ${rows.id(next)}, ${WHO}, null, null, ${rows.data(next)} from new_rows ${next};${isPartitioned ? `\n      perform set_config('manage_db.inserting', '', true);` : ''}
      return null;
    elsif tg_op = 'DELETE'${isFree} then
      ${into}
      select ${COMMON}, ${rows.id(old)}, ${WHO}, null, ${rows.data(old)}, null from old_rows ${old};
      return null;${fastUpdate({ table, rows, options, into, s })}
    end if;`;
}

function fastUpdate({ rows, options, into, s }: Parts): string {
  const old = rows.alias('o');
  const next = rows.alias('n');
  if (rows.key === null) {
    // which row became which, nobody can say
    return `
    elsif tg_op = 'UPDATE' then
      ${into}
      select ${COMMON}, null::text, ${WHO}, null::text[], ${rows.data(old)}, null::jsonb from old_rows ${old}
      union all
      select ${COMMON}, null::text, ${WHO}, null::text[], null::jsonb, ${rows.data(next)} from new_rows ${next};
      return null;`;
  }
  const differences = rows.differences(old, next);
  const isAlone = `${rows.isMissing(old)} or ${rows.isMissing(next)}`;
  const kept = (row: string) => {
    const whole = `case when ${rows.isMissing(row)} then null else ${rows.data(row)} end`;
    return options.data === 'whole'
      ? whole
      : `case when ${isAlone} then ${whole} else ${rows.changedData(row, differences)} end`;
  };
  const logging = (joined: string) => `${into}
      select ${COMMON}, case when ${rows.isMissing(old)} then ${rows.id(next)} else ${rows.id(old)} end, ${WHO},
        case when not (${isAlone}) then ${changedNames(differences)} end, ${kept(old)}, ${kept(next)}
      from ${joined}
      where ${isAlone} or ${anyOf(differences)};`;
  const notes = `select from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root`;
  // what foreign keys do to a row more than once is here more than once
  return `
    elsif tg_op = 'UPDATE' then
      is_once := not exists (select from old_rows ${old} group by ${rows.keyValues(old)} having count(*) > 1);
      if is_once and not exists (${notes}) then
        ${logging(`old_rows ${old} full join new_rows ${next} on ${rows.isSameKey(old, next)}`)}
        return null;
      end if;
      if is_once and not exists (${notes} and m.kind = 'merged') and not exists (${notes} and m.kind = 'left' and not exists (select from old_rows ${old} where ${rows.id(old)} = m.old_id))
        and not exists (select from new_rows ${next} group by ${rows.keyValues(next)} having count(*) > 1)
      then
        with moved as materialized (
          select distinct on (m.new_id) m.old_id, m.new_id from ${s}.moving_rows m
          where m.transaction_id = xid and m.relation = root and m.depth in (depth, depth + 1)
            and m.old_id in (select ${rows.id(old)} from old_rows ${old})
          order by m.new_id, m.id desc
        )
        ${logging(`(old_rows ${old} cross join lateral (select ${rows.id(old)}) before_key (id))
          full join (new_rows ${next} cross join lateral (select ${rows.id(next)}) after_key (id) left join moved on moved.new_id = after_key.id)
          on before_key.id = coalesce(moved.old_id, after_key.id)`)}
        delete from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root and m.depth in (depth, depth + 1);
        perform set_config('manage_db.moving', ${outerLevels('depth - 1')}, true);
        return null;
      end if;`;
}

function anyOf(differences: ReturnType<RowExpressions['differences']>): string {
  return differences.length === 0 ? 'false' : differences.map(([, condition]) => condition).join(' or ');
}

function changedNames(differences: ReturnType<RowExpressions['differences']>): string {
  const names = differences.map(([name, condition]) => `case when ${condition} then ${escapeLiteral(name)} end`);
  return `array_remove(array[${names.join(', ')}]::text[], null)`;
}

/** Whatever the columns are. */
export function slowWay({ table, options, into, s }: Parts): string {
  const isWhole = options.data === 'whole';
  if (!table.needsRowTriggers) return anyColumns({ s, into, isWhole, isPartitioned: table.isPartitioned });
  const kept = (side: 'old' | 'new') => keptOfJson(`${side}_data`, { changed: 'changed', secret: 'secret', isWhole });
  const read = (side: 'old' | 'new') => `
    ${rowsAsJson(side, 'row')}
    execute ${side}_as_json into ${side}_data using old, new;`;
  return `  if tg_op <> 'INSERT' then${read('old')}
  end if;
  if tg_op <> 'DELETE' then${read('new')}
  end if;
  if tg_op = 'UPDATE' then
    changed := ${changedInJson('old_data', 'new_data')};
    if changed = '{}' then return null; end if;
  end if;
  ${into}
  values (${COMMON}, ${idOfJson('coalesce(old_data, new_data)', 'keys')}, ${WHO}, changed, ${kept('old')}, ${kept('new')});`;
}
