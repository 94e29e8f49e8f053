import { escapeIdentifier } from 'pg';

/**
 * The log and what belongs to it, each statement harmless where it is in place already. One partition a month, some of
 * them ahead, and one for everything else, so that writing never fails for want of one. Nobody changes what is written.
 */
export function auditLogSetup(schema: string): readonly string[] {
  const s = escapeIdentifier(schema);
  return [
    `create schema if not exists ${s}`,
    `create table if not exists ${s}.audit_logs (
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
    `create index if not exists audit_logs_record on ${s}.audit_logs (record_id)`,
    // written in this order: an index of a few pages, which costs nothing to keep
    `create index if not exists audit_logs_time on ${s}.audit_logs using brin (created_at, id)`,
    `comment on table ${s}.audit_logs is 'Every change of the audited tables. Append-only.'`,
    `comment on column ${s}.audit_logs.record_id is 'The primary key before the change, as text; of more than one column as a JSON array. null: the table has none.'`,
    `comment on column ${s}.audit_logs.user_id is 'app.current_user: the user of the application.'`,
    `comment on column ${s}.audit_logs.auth_id is 'session_user: the login.'`,
    `create unlogged table if not exists ${s}.moved_keys (
  transaction_id bigint not null,
  table_name text not null,
  old_id text not null,
  new_id text not null
)`,
    `create index if not exists moved_keys_of on ${s}.moved_keys (transaction_id, table_name)`,
    `comment on table ${s}.moved_keys is 'Of running statements: which rows get another primary key.'`,
    `create or replace function ${s}.refuse_change() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = '42501', message = format('%I.%I is append-only: %s is refused.', tg_table_schema, tg_table_name, tg_op);
end $$`,
    `create or replace function ${s}.protect(partition regclass) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_trigger t where t.tgrelid = partition and t.tgname = 'refuse_change') then
    execute format('create trigger refuse_change before update or delete or truncate on %s for each statement execute function ${s}.refuse_change()', partition);
    execute format('alter table %s enable always trigger refuse_change', partition);
  end if;
end $$`,
    `create or replace function ${s}.ensure_partitions(months_ahead integer default 3) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  month timestamp with time zone;
  name text;
begin
  if to_regclass('${s}.audit_logs_default') is null then
    create table ${s}.audit_logs_default partition of ${s}.audit_logs default;
  end if;
  for month in
    select m at time zone 'UTC' from generate_series(date_trunc('month', now() at time zone 'UTC'),
      date_trunc('month', now() at time zone 'UTC') + make_interval(months => months_ahead), interval '1 month') m
  loop
    name := 'audit_logs_' || to_char(month at time zone 'UTC', 'YYYY_MM');
    -- where the default partition has rows of that month, they stay there
    if to_regclass(format('${s}.%I', name)) is null and not exists (
      select from ${s}.audit_logs_default d where d.created_at >= month and d.created_at < month + interval '1 month')
    then
      execute format('create table ${s}.%I partition of ${s}.audit_logs for values from (%L) to (%L)', name, month,
        ((month at time zone 'UTC') + interval '1 month') at time zone 'UTC');
    end if;
  end loop;
  perform ${s}.protect('${s}.audit_logs'::regclass);
  perform ${s}.protect(i.inhrelid::regclass) from pg_inherits i where i.inhparent = '${s}.audit_logs'::regclass;
end $$`,
    `create or replace function ${s}.drop_partitions_before(moment timestamp with time zone) returns setof text language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
  partition record;
begin
  for partition in
    select c.oid::regclass::text as name, c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = '${s}.audit_logs'::regclass and c.relname ~ '^audit_logs_[0-9]{4}_[0-9]{2}$'
      and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= moment
    order by c.relname
  loop
    if to_regclass('${s}.audit_chain') is not null then
      execute format('update ${s}.audit_chain set first_position = greatest(first_position,
        coalesce((select max(p.position) + 1 from %s p), first_position))', partition.name);
    end if;
    execute format('drop table %s', partition.name);
    return next partition.relname;
  end loop;
end $$`,
    `create or replace function ${s}.record_id(data jsonb, keys text[]) returns text language sql immutable
set search_path = pg_catalog, pg_temp as $$
  select case cardinality(keys) when 0 then null when 1 then data ->> keys[1]
    else (select jsonb_agg(data -> k order by n)::text from unnest(keys) with ordinality as u (k, n)) end
$$`,
    `create or replace function ${s}.without(data jsonb, secret text[], ignored text[]) returns jsonb language sql immutable
set search_path = pg_catalog, pg_temp as $$
  select (data - ignored) || coalesce((select jsonb_object_agg(k, '***'::text) from unnest(secret) k where data ? k and data ->> k is not null), '{}')
$$`,
    `revoke all on all functions in schema ${s} from public`,
  ];
}

/**
 * What chains the entries, each statement harmless where it is in place already. The row of audit_chain is locked from a
 * transaction's first entry on: positions have no gaps, and a transaction with an older snapshot fails instead of
 * writing beside the others.
 */
export function auditChainSetup(schema: string): readonly string[] {
  const s = escapeIdentifier(schema);
  return [
    `create table if not exists ${s}.audit_chain (
  is_the_only_row boolean primary key default true check (is_the_only_row),
  first_position bigint not null default 1,
  position bigint not null default 0,
  hash bytea
)`,
    `insert into ${s}.audit_chain default values on conflict do nothing`,
    `create index if not exists audit_logs_position on ${s}.audit_logs (position)`,
    `create or replace function ${s}.chain_entry() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp as $$
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
end $$`,
    `create or replace function ${s}.note_chain() returns trigger language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
  update ${s}.audit_chain c set position = l.position, hash = l.hash
  from (select n.position, n.hash from ${s}.audit_logs n where n.position is not null order by n.position desc limit 1) l
  where l.position > c.position;
  return null;
end $$`,
    `create or replace trigger chain_entry before insert on ${s}.audit_logs for each row execute function ${s}.chain_entry()`,
    `create or replace trigger note_chain after insert on ${s}.audit_logs for each statement execute function ${s}.note_chain()`,
    `alter table ${s}.audit_logs enable always trigger chain_entry, enable always trigger note_chain`,
    `revoke all on all functions in schema ${s} from public`,
  ];
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
