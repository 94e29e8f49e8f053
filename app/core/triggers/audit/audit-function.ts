import { createHash } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import {
  type AuditableColumn,
  type AuditableTable,
  COLUMN_SIGNATURE,
  IS_KEY,
  IS_SEEN,
  KEY_COLUMNS,
} from '../../../database/catalog/auditable-tables.js';
import type { GeneratedFunction } from '../pack.js';
import { anyColumns, changedInJson, idOfJson, keptOfJson, outerLevels, rowsAsJson } from './any-columns.js';
import { type AuditedColumns, RowExpressions, textArray } from './row-expressions.js';

export interface AuditFunctionOptions extends AuditedColumns {
  /** Where the log is. */
  readonly schema: string;
  readonly data: 'changed' | 'whole';
  readonly isChained: boolean;
}

/** Settings of the session that change how values are written. */
const PINNED = [
  'search_path = pg_catalog, pg_temp',
  `timezone = 'UTC'`,
  `datestyle = 'ISO, YMD'`,
  `intervalstyle = 'postgres'`,
  'extra_float_digits = 1',
  `bytea_output = 'hex'`,
  `lc_monetary = 'C'`,
  'quote_all_identifiers = off',
  'standard_conforming_strings = on',
];

/**
 * The function that logs one table, for all its triggers: written for the columns that the table has now, because a
 * comparison column by column costs less than half of one that takes rows apart as JSON. Each call first looks whether
 * these are still the columns; where they are not, it logs every row whole, by the slower way, until it is generated anew.
 */
export function auditFunction(table: AuditableTable, options: AuditFunctionOptions): GeneratedFunction {
  const name = functionName(table);
  const body = bodyOf(table, options);
  const tag = tagFor(body);
  const signature = `${escapeIdentifier(options.schema)}.${escapeIdentifier(name)}()`;
  return {
    schema: options.schema,
    name,
    sql: `create or replace function ${signature} returns trigger
language plpgsql security definer ${PINNED.map((setting) => `set ${setting}`).join(' ')} as ${tag}${body}${tag};
revoke all on function ${signature} from public`,
  };
}

/** `log_clinic$users`; with a hash where that is too long, or could be another table's. */
function functionName({ schema, name }: AuditableTable): string {
  const plain = `log_${schema}$${name}`;
  if (/^log_[^$.]+\$[^$.]+$/.test(plain) && Buffer.byteLength(plain) <= 63) return plain;
  return `log_${tableHash({ schema, name })}`;
}

/** 12 letters that hardly another table has. */
export function tableHash({ schema, name }: Pick<AuditableTable, 'schema' | 'name'>): string {
  return createHash('sha256')
    .update(JSON.stringify([schema, name]))
    .digest('hex')
    .slice(0, 12);
}

function tagFor(body: string): string {
  for (let index = 0; ; index += 1) {
    const tag = `$audit${index === 0 ? '' : index}$`;
    if (!body.includes(tag)) return tag;
  }
}

const COLUMNS =
  'created_at, transaction_id, action, schema_name, table_name, record_id, user_id, auth_id, client, changed_columns, old_data, new_data';
/** Of the names of variables, for the entries of one call. */
const COMMON = 'moment, xid, tg_op, logged_schema, logged_table';
const WHO = 'app_user, session_user, client';

function bodyOf(given: AuditableTable, options: AuditFunctionOptions): string {
  // restoring a dump gives the columns of heirs another order
  const order = given.needsRowTriggers ? 'a.attname collate "C"' : 'a.attnum';
  const table = given.needsRowTriggers ? { ...given, columns: [...given.columns].sort(byName) } : given;
  const s = escapeIdentifier(options.schema);
  const rows = new RowExpressions(table, options);
  const key = rows.key?.columns ?? [];
  const into = `insert into ${s}.audit_logs (${COLUMNS})`;
  const parts = { table, rows, options, into, s };
  const chain = `
  -- who writes waits for who wrote before: entries have their positions in the order of their times
  perform from ${s}.audit_chain c for update;`;
  // read by those who have to know whether one of them has gone: readSecretColumns
  const noted = options.redact.length === 0 ? '' : `\n-- secret: ${JSON.stringify(options.redact)}`;
  return `${noted}
#variable_conflict use_variable
declare
  moment timestamp with time zone;
  xid constant bigint := pg_current_xact_id()::text::bigint;
  depth constant integer := pg_trigger_depth();
  root constant oid := coalesce(pg_partition_root(tg_relid), tg_relid);
  app_user constant text := nullif(current_setting('app.current_user', true), '');
  client constant text := concat_ws(' ', nullif(current_setting('application_name'), ''), host(inet_client_addr()));
  keys text[] := ${textArray(key)};
  ignored constant text[] := ${textArray(options.ignore)};
  secret text[] := ${textArray(options.redact)};
  logged_schema text;
  logged_table text;
  signature text[];
  names text[];
  is_known boolean;
  has_key boolean;
  is_once boolean;
  old_as_json text;
  new_as_json text;
  old_id text;
  new_id text;
  old_data jsonb;
  new_data jsonb;
  changed text[];
begin
${noteMerging(parts)}\
${noteKeysFast(parts)}\
  select n.nspname, c.relname, array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and ${IS_SEEN} order by ${order}),
    array(select ${COLUMN_SIGNATURE} from pg_attribute a where a.attrelid = c.oid and ${IS_SEEN} order by ${order}),
    exists (select from pg_index i where i.indrelid = c.oid and ${IS_KEY} and ${KEY_COLUMNS} = keys)
  into strict logged_schema, logged_table, names, signature, has_key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = root;
  is_known := signature = ${textArray(table.columns.map((column) => column.signature))}${key.length === 0 ? '' : ' and has_key'}
    and logged_schema = ${escapeLiteral(table.schema)} and logged_table = ${escapeLiteral(table.name)};
  if not is_known then
    ${unknownColumns(table, options)}
  end if;
${noteMoves(parts)}\
${options.isChained ? chain : ''}
  moment := clock_timestamp();
  if tg_op = 'TRUNCATE' then
    ${into}
    values (${COMMON}, null, ${WHO}, null, null, case when tg_relid <> root then
      jsonb_build_object('partition', format('%I.%I', tg_table_schema, tg_table_name)) end);
    delete from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root and m.kind = 'logged';
    return null;
  end if;
  if is_known then
${fastWays(parts)}
  end if;
${slowWay(parts)}
  return null;
end `;
}

function byName(a: AuditableColumn, b: AuditableColumn): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}

interface Parts {
  readonly table: AuditableTable;
  readonly rows: RowExpressions;
  readonly options: AuditFunctionOptions;
  readonly into: string;
  readonly s: string;
}

/**
 * Before a statement that may insert and update through a partitioned table: rows are noted one by one then, as PostgreSQL
 * (15 to 18) shows the triggers of MERGE wrong ones. ON CONFLICT does the same without that fault, so it is left out where
 * the client has sent it: a mistake costs pairs, and no row.
 */
function noteMerging({ table }: Parts): string {
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
function noteKeysFast({ table, rows, s }: Parts): string {
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

/** At which level rows are being moved, inside of those that are. */
const SET_LEVEL = `if split_part(current_setting('manage_db.moving', true), ',', 1) is distinct from (depth - 1)::text then
      perform set_config('manage_db.moving', concat_ws(',', depth - 1, nullif(${outerLevels('depth - 1')}, '')), true);
    end if;`;

/** Row by row: which key becomes which, for the end of the statement; of partitions also the rows that go and come. */
function noteMoves({ table, rows, s }: Parts): string {
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

/** What is the key now, and which columns may hold secrets. */
function unknownColumns({ columns }: AuditableTable, { redact }: AuditFunctionOptions): string {
  const known = textArray(columns.map(({ name }) => name));
  const hiding = `
    if not secret <@ names or array(select c from unnest(${known}) with ordinality u (c, n) where c = any (names) order by n)
      <> array(select c from unnest(names) with ordinality u (c, n) where c = any (${known}) order by n)
    then
      -- a secret column is gone, or has another name: which one, nobody has said
      secret := secret || array(select c from unnest(names) c where not (has_key and c = any (keys)));
    else
      secret := secret || array(select c from unnest(names) c where c <> all (${known}));
    end if;`;
  return `if not has_key then
      keys := coalesce((select ${KEY_COLUMNS} from pg_index i where i.indrelid = root and i.indisprimary), '{}');
    end if;${redact.length === 0 ? '' : hiding}
    if keys && (secret || ignored) then keys := '{}'; end if;`;
}

/** Each ends the call where it was enough. */
function fastWays({ table, rows, options, into, s }: Parts): string {
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
function slowWay({ table, options, into, s }: Parts): string {
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
