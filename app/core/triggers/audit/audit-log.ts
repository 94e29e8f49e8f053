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
  new_data jsonb
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
