import { COLUMN_SIGNATURE } from '../../../database/catalog/auditable-tables.js';
import { idOfJson, outerLevels, rowsAsJson } from './any-columns.js';
import type { Parts } from './audit-function-parts.js';
import { textArray } from './row-expressions.js';

/**
 * Before a statement that may insert and update through a partitioned table: rows are noted one by one then, as PostgreSQL
 * (15 to 18) shows the triggers of MERGE wrong ones. ON CONFLICT does the same without that fault, so it is left out where
 * the client has sent it: a mistake costs pairs, and no row.
 */
export function noteMerging({ table }: Parts): string {
  if (!table.isPartitioned || table.needsRowTriggers) return '';
  return `  if tg_when = 'BEFORE' and tg_level = 'STATEMENT' then
    if tg_op = 'INSERT' then
      perform set_config('manage_db.inserting', depth::text, true);
    elsif current_setting('manage_db.inserting', true) = depth::text and not (current_query() ~* 'on\\s+conflict' and current_query() !~* 'merge') then
      perform set_config('manage_db.merging', concat_ws(',', depth - 1, nullif(${outerLevels('depth - 1', 'merging')}, '')), true);
    end if;
    return null;
  end if;
`;
}

/** As {@link noteMoves}, where the key is what it was: each row is asked for, so as little as possible is looked up. */
export function noteKeysFast({ table, rows, s }: Parts): string {
  if (rows.key === null || table.needsRowTriggers) return '';
  const key = table.columns.filter(({ name }) => rows.key?.columns.includes(name));
  return `  if tg_when = 'BEFORE' and (
    select count(*) from pg_attribute a where a.attrelid = tg_relid and a.attname = any (keys) and not a.attisdropped
      and ${COLUMN_SIGNATURE} = any (${textArray(key.map(({ signature }) => signature))})) = ${key.length}
  then
    insert into ${s}.moving_rows (transaction_id, relation, depth, kind, old_id, new_id)
    values (xid, root, depth, 'key', ${rows.id('old')}, ${rows.id('new')});
    ${SET_LEVEL}
    return new;
  end if;
`;
}

/** Row by row: which key becomes which, for the end of the statement; of partitions also the rows that go and come. */
export function noteMoves({ table, rows, s }: Parts): string {
  if (rows.key === null || table.needsRowTriggers) return '';
  const insert = `insert into ${s}.moving_rows (transaction_id, relation, depth, kind, old_id, new_id, data)`;
  // a name that is no column any more would be an error even where it is not used: each way is a statement of its own
  const id = (side: 'old' | 'new') => `
    if is_known then ${side}_id := ${rows.id(side)};
    else ${rowsAsJson(side, 'row')}
      execute ${side}_as_json into ${side}_data using old, new;
      ${side}_id := ${idOfJson(`${side}_data`, 'keys')};
    end if;`;
  const data = (side: 'old' | 'new') => `
    if is_known then ${side}_data := ${rows.unmasked(side)}; end if;`;
  const moves = `
  if tg_level = 'ROW' and tg_nargs = 1 then
    if tg_op = 'DELETE' then${id('old')}${data('old')}
      ${insert} values (xid, root, depth, 'left', old_id, null, old_data);
    elsif tg_op = 'UPDATE' then${id('new')}${data('new')}
      ${insert} values (xid, root, depth, 'merged', null, new_id, new_data);
    else${id('new')}${data('new')}
      ${insert} values (xid, root, depth, 'arrived', null, new_id, new_data);
    end if;
    return null;
  end if;`;
  return `  if tg_when = 'BEFORE' then${id('old')}${id('new')}
    if old_id is not null and new_id is not null then
      ${insert} values (xid, root, depth, 'key', old_id, new_id, null);
      ${SET_LEVEL}
    end if;
    return new;
  end if;${table.isPartitioned ? moves : ''}
`;
}

/** At which level rows are being moved, inside of those that are. */
const SET_LEVEL = `if split_part(current_setting('manage_db.moving', true), ',', 1) is distinct from (depth - 1)::text then
      perform set_config('manage_db.moving', concat_ws(',', depth - 1, nullif(${outerLevels('depth - 1')}, '')), true);
    end if;`;
