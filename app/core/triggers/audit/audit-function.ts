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
import { anyColumns, rowsAsJson } from './any-columns.js';
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
  return `
#variable_conflict use_variable
declare
${options.isChained ? `  -- who writes waits for who wrote before: entries have their positions in the order of their times\n  head constant bigint := (select c.position from ${s}.audit_chain c for update);\n` : ''}\
  moment constant timestamp with time zone := clock_timestamp();
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
  json_as_text boolean := false;
  old_id text;
  new_id text;
  old_rows_as_json text;
  new_rows_as_json text;
begin
${noteKeys({ table, rows, s })}\
  select n.nspname, c.relname, array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and ${IS_SEEN} order by ${order}),
    array(select ${COLUMN_SIGNATURE} from pg_attribute a where a.attrelid = c.oid and ${IS_SEEN} order by ${order}),
    exists (select from pg_index i where i.indrelid = c.oid and ${IS_KEY} and ${KEY_COLUMNS} = keys)
  into strict logged_schema, logged_table, names, signature, has_key
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = root;

  if tg_op = 'TRUNCATE' then
    ${into}
    values (${COMMON}, null, ${WHO}, null, null, case when tg_relid <> root then
      jsonb_build_object('partition', format('%I.%I', tg_table_schema, tg_table_name)) end);
    return null;
  end if;

  is_known := signature = ${textArray(table.columns.map((column) => column.signature))}${key.length === 0 ? '' : ' and has_key'}
    and logged_schema = ${escapeLiteral(table.schema)} and logged_table = ${escapeLiteral(table.name)};
  if not is_known then
    ${unknownColumns(table, options)}
  end if;
${withJson(table, fastWays(parts), slowWay(parts))}
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

/** Row by row: which key becomes which, for the end of the statement; of partitions also the rows that go and come. */
function noteKeys({ table, rows, s }: Pick<Parts, 'table' | 'rows' | 's'>): string {
  const key = rows.key?.columns ?? [];
  if (key.length === 0) return '';
  const insert = (kind: string, columns: string, values: string) =>
    `insert into ${s}.moving_rows (transaction_id, relation, depth, kind, ${columns}) ${values.replace('KIND', `'${kind}'`)}`;
  const moved = (side: 'old' | 'new', kind: string) => `
        ${rowsAsJson(side)}
        execute format($sql$${insert(kind, `${side}_id, data`, `select $3, $4, $5, KIND, $6, x.data from (%s) x (data)`)}$sql$, ${side}_rows_as_json)
        using old, new, xid, root, depth, ${side}_id;`;
  const moves = `
      elsif tg_op = 'DELETE' then${moved('old', 'left')}
      else${moved('new', 'arrived')}`;
  return `  if tg_when = 'BEFORE' or tg_nargs = 1 then
    json_as_text := true;
    -- where the key has another name now, the rows of this statement are paired without it
    if (select count(*) from pg_attribute a where a.attrelid = tg_relid and not a.attisdropped and a.attname = any (keys)) = cardinality(keys) then
      if tg_op <> 'INSERT' then old_id := ${rows.id('old')}; end if;
      if tg_op <> 'DELETE' then new_id := ${rows.id('new')}; end if;
      if tg_when = 'BEFORE' then
        ${insert('key', 'old_id, new_id', 'values (xid, root, depth, KIND, old_id, new_id)')};
        perform set_config('manage_db.moving', (depth - 1)::text, true);${table.isPartitioned ? moves : ''}
      end if;
    end if;
    if tg_when = 'BEFORE' then return new; end if;
    return null;
  end if;
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

/** Values of the type json may be such that jsonb refuses them: then all of them are kept as text. */
function withJson({ columns }: AuditableTable, fast: string, slow: string): string {
  if (!columns.some(({ isJson }) => isJson)) {
    return `  if is_known then\n${fast}\n  end if;\n${slow}\n  return null;`;
  }
  return `  begin
  if is_known then\n${fast}\n  end if;
${slow}
  return null;
  exception when data_exception or program_limit_exceeded then
    json_as_text := true;
${slow}
  return null;
  end;`;
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
      select ${COMMON}, ${rows.id(next)}, ${WHO}, null, null, ${rows.data(next)} from new_rows ${next};
      return null;
    elsif tg_op = 'DELETE'${isFree} then
      ${into}
      select ${COMMON}, ${rows.id(old)}, ${WHO}, null, ${rows.data(old)}, null from old_rows ${old};
      return null;${rows.key?.isDeferrable === true ? '' : fastUpdate({ table, rows, options, into, s })}
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
  return `
    elsif tg_op = 'UPDATE' and not exists (select from ${s}.moving_rows m where m.transaction_id = xid and m.relation = root) then
      ${into}
      select ${COMMON}, case when ${rows.isMissing(old)} then ${rows.id(next)} else ${rows.id(old)} end, ${WHO},
        case when not (${isAlone}) then ${changedNames(differences)} end, ${kept(old)}, ${kept(next)}
      from old_rows ${old} full join new_rows ${next} on ${rows.isSameKey(old, next)}
      where ${isAlone} or ${anyOf(differences)};
      return null;`;
}

function anyOf(differences: ReturnType<RowExpressions['differences']>): string {
  return differences.length === 0 ? 'false' : differences.map(([, condition]) => condition).join(' or ');
}

function changedNames(differences: ReturnType<RowExpressions['differences']>): string {
  const names = differences.map(([name, condition]) => `case when ${condition} then ${escapeLiteral(name)} end`);
  return `array_remove(array[${names.join(', ')}]::text[], null)`;
}

function slowWay({ table, options, into, s }: Parts): string {
  return anyColumns({
    s,
    into,
    isWhole: options.data === 'whole',
    isPartitioned: table.isPartitioned,
    needsRowTriggers: table.needsRowTriggers,
  });
}
