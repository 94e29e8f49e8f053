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
import { type AuditFunctionOptions, COMMON, WHO } from './audit-function-parts.js';
import { fastWays, slowWay } from './log-rows.js';
import { noteKeysFast, noteMerging, noteMoves } from './note-moves.js';
import { RowExpressions, textArray } from './row-expressions.js';

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
