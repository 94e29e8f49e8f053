import { escapeIdentifier } from 'pg';
import type { GeneratedFunction } from '../pack.js';

/** A table of the log, and what makes it. */
export interface LogTable {
  readonly name: string;
  /** Its columns with their types, in order. */
  readonly columns: readonly string[];
  readonly create: readonly string[];
}

/** The tables of the log in `schema`. One partition of audit_logs a month comes to that, and one for everything else. */
export function logTables(schema: string): readonly LogTable[] {
  const s = escapeIdentifier(schema);
  const column = (name: string, what: string) =>
    `comment on column ${s}.audit_logs.${name} is '${what.replaceAll("'", "''")}'`;
  return [
    {
      name: 'audit_logs',
      columns: LOG_COLUMNS,
      create: [
        `create table ${s}.audit_logs (
  id bigint generated always as identity,
  created_at timestamp with time zone not null,
  transaction_id bigint not null,
  action text not null check (action in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
  schema_name text not null,
  table_name text collate "C" not null,
  record_id text collate "C",
  user_id text,
  auth_id text not null,
  client text not null,
  changed_columns text[],
  old_data jsonb,
  new_data jsonb,
  position bigint,
  previous_hash bytea,
  hash bytea
) partition by range (created_at)`,
        `create index audit_logs_record on ${s}.audit_logs (record_id)`,
        // written in this order: an index of a few pages, which costs nothing to keep
        `create index audit_logs_time on ${s}.audit_logs using brin (created_at, id)`,
        `comment on table ${s}.audit_logs is 'Every change of the audited tables. Append-only.'`,
        column(
          'record_id',
          'The primary key before the change, as text; of more than one column as a JSON array; a long one is cut and ends with its SHA-256. null: the table has none.',
        ),
        column('user_id', 'app.current_user: the user of the application.'),
        column('auth_id', 'session_user: the login.'),
        column('client', 'application_name, and the address that the session came from.'),
      ],
    },
    {
      name: 'moving_rows',
      columns: [
        'id bigint',
        'transaction_id bigint',
        'relation oid',
        'depth integer',
        'kind text',
        'old_id text',
        'new_id text',
        'data jsonb',
      ],
      create: [
        `create unlogged table ${s}.moving_rows (
  id bigint generated always as identity,
  transaction_id bigint not null,
  relation oid not null,
  depth integer not null,
  kind text not null check (kind in ('key', 'left', 'arrived', 'merged', 'logged')),
  old_id text,
  new_id text,
  data jsonb
)`,
        `create index moving_rows_of on ${s}.moving_rows (transaction_id, relation)`,
        `comment on table ${s}.moving_rows is 'Of running statements: which rows get another primary key, and which go to another partition.'`,
      ],
    },
  ];
}

const LOG_COLUMNS = [
  'id bigint',
  'created_at timestamp with time zone',
  'transaction_id bigint',
  'action text',
  'schema_name text',
  'table_name text',
  'record_id text',
  'user_id text',
  'auth_id text',
  'client text',
  'changed_columns text[]',
  'old_data jsonb',
  'new_data jsonb',
  'position bigint',
  'previous_hash bytea',
  'hash bytea',
];

/** Of audit_logs and its partitions: with their types, in order. */
export function logColumns(): readonly string[] {
  return LOG_COLUMNS;
}

/** Where the entries are chained: the end of the chain, whose row is locked while somebody writes. */
export function chainTable(schema: string): LogTable {
  const s = escapeIdentifier(schema);
  return {
    name: 'audit_chain',
    columns: [
      'is_the_only_row boolean',
      'unchained_until bigint',
      'first_position bigint',
      'position bigint',
      'hash bytea',
    ],
    create: [
      `create table ${s}.audit_chain (
  is_the_only_row boolean primary key default true check (is_the_only_row),
  unchained_until bigint not null default 0,
  first_position bigint not null default 1,
  position bigint not null default 0,
  hash bytea
)`,
      `insert into ${s}.audit_chain default values`,
      `create index audit_logs_position on ${s}.audit_logs (position)`,
      `comment on column ${s}.audit_chain.unchained_until is 'Entries with a greater id are all chained.'`,
    ],
  };
}

/** What {@link refuseChange} executes, word for word. */
export const REFUSE_CHANGE_BODY = `
begin
  raise exception using errcode = '42501', message = format('%I.%I is append-only: %s is refused.', tg_table_schema, tg_table_name, tg_op);
end `;

/** Nobody changes what is written. */
export function refuseChange(schema: string): GeneratedFunction {
  return logFunction(schema, 'refuse_change', REFUSE_CHANGE_BODY);
}

/** Moved rows that MERGE might have shown once more, as new ones, are marked until the end of their transaction. */
export function forgetLogged(schema: string): GeneratedFunction {
  const body = `
begin
  delete from ${escapeIdentifier(schema)}.moving_rows m where m.id = new.id;
  return null;
end `;
  return logFunction(schema, 'forget_logged', body, 'security definer ');
}

/**
 * What chains the entries. The row of audit_chain is locked from a transaction's first entry on: positions have no gaps,
 * and a transaction with an older snapshot fails instead of writing beside the others.
 */
export function chainFunctions(schema: string): readonly GeneratedFunction[] {
  const s = escapeIdentifier(schema);
  return [
    logFunction(
      schema,
      'chain_entry',
      `
declare
  head record;
  newest record;
begin
  select c.position, c.hash into strict head from ${s}.audit_chain c for update;
  -- those of this statement are not in audit_chain yet
  select l.position, l.hash into newest from ${s}.audit_logs l where l.position > head.position order by l.position desc limit 1;
  new.position := coalesce(newest.position, head.position) + 1;
  new.previous_hash := coalesce(newest.hash, head.hash);
  new.hash := ${entryHash('new')};
  return new;
end `,
    ),
    logFunction(
      schema,
      'note_chain',
      `
begin
  update ${s}.audit_chain c set position = l.position, hash = l.hash
  from (select n.position, n.hash from ${s}.audit_logs n where n.position is not null order by n.position desc limit 1) l
  where l.position > c.position;
  return null;
end `,
    ),
  ];
}

function logFunction(schema: string, name: string, body: string, rights = ''): GeneratedFunction {
  const called = `${escapeIdentifier(schema)}.${name}()`;
  return {
    schema,
    name,
    sql: `create or replace function ${called} returns trigger language plpgsql
${rights}set search_path = pg_catalog, pg_temp as $$${body}$$;
revoke all on function ${called} from public`,
  };
}

/** The hash of an entry, in no way dependent on the settings of a session. */
export function entryHash(row: string): string {
  const columns = [
    'transaction_id',
    'action',
    'schema_name',
    'table_name',
    'record_id',
    'user_id',
    'auth_id',
    'client',
  ];
  const all = ['position', 'id', ...columns, 'changed_columns', 'old_data', 'new_data'].map((name) => `${row}.${name}`);
  return `pg_catalog.sha256(coalesce(${row}.previous_hash, '') || pg_catalog.convert_to(pg_catalog.jsonb_build_array(${all.join(', ')},
    extract(epoch from ${row}.created_at))::text, 'UTF8'))`;
}
