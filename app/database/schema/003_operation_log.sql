-- What was attempted here, by whom, and what came of it. Append-only: each entry holds the hash of the one before, so that
-- what somebody changes or removes in spite of the triggers is found.
create table manage_db.operation_log (
  id bigint primary key check (id > 0),
  entry_id uuid not null unique,
  attempt uuid not null,
  event text not null check (event in ('attempted', 'denied', 'succeeded', 'failed', 'interrupted')),
  operation text not null,
  environment text not null,
  database_name text not null,
  host text not null,
  port integer not null,
  level text check (level in ('viewer', 'operator', 'admin')),
  actor text not null,
  login text not null,
  os_user text not null,
  client_host text not null,
  application text not null,
  tool text not null,
  reason text,
  arguments jsonb not null check (pg_catalog.jsonb_typeof(arguments) = 'object'),
  details jsonb not null check (pg_catalog.jsonb_typeof(details) = 'object'),
  duration_ms bigint check (duration_ms >= 0),
  occurred_at timestamp with time zone not null,
  recorded_at timestamp with time zone not null,
  source text not null check (source in ('database', 'file')),
  previous_hash bytea,
  hash bytea not null,
  check ((duration_ms is not null) = (event in ('succeeded', 'failed', 'interrupted'))),
  check (pg_catalog.isfinite(occurred_at)),
  check ((previous_hash is null) = (id = 1))
);
create index on manage_db.operation_log (occurred_at);
create index on manage_db.operation_log (attempt);
comment on table manage_db.operation_log is 'Every attempt of an operation and what came of it. Append-only, chained by hashes.';
comment on column manage_db.operation_log.actor is 'The application''s user, else that of the operating system; as the client says.';
comment on column manage_db.operation_log.login is 'session_user; as the server knows. Of an entry that came from a file it is whose session added it; whose attempt it was is in details.';
comment on column manage_db.operation_log.source is 'file: written while the database could not be reached, and added later.';

create table manage_db.operation_log_head (
  is_the_only_row boolean primary key default true check (is_the_only_row),
  id bigint not null,
  hash bytea,
  check ((hash is null) = (id = 0))
);
comment on table manage_db.operation_log_head is 'The newest entry. Whoever appends locks this row, so that ids have no gaps.';
insert into manage_db.operation_log_head (id) values (0);

-- In no way dependent on the settings of a session: jsonb writes numbers and texts only one way, and the times are seconds.
create function manage_db.operation_log_hash(entry manage_db.operation_log) returns bytea
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select sha256(coalesce(entry.previous_hash, '') || convert_to(jsonb_build_array(
    entry.id, entry.entry_id, entry.attempt, entry.event, entry.operation, entry.environment, entry.database_name,
    entry.host, entry.port, entry.level, entry.actor, entry.login, entry.os_user, entry.client_host, entry.application,
    entry.tool, entry.reason, entry.arguments, entry.details, entry.duration_ms, extract(epoch from entry.occurred_at),
    extract(epoch from entry.recorded_at), entry.source)::text, 'UTF8'))
$$;

create function manage_db.chain_operation() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  head record;
begin
  select h.id, h.hash into strict head from manage_db.operation_log_head h for update;
  new.id := head.id + 1;
  new.login := session_user;
  new.recorded_at := clock_timestamp();
  new.previous_hash := head.hash;
  new.hash := manage_db.operation_log_hash(new);
  update manage_db.operation_log_head set id = new.id, hash = new.hash;
  -- a second mirror, where no right of this database reaches
  raise log 'manage_db operation log: % %', new.id, encode(new.hash, 'hex');
  return new;
end
$$;

create function manage_db.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  -- the head moves with the entry that is being appended, and only then
  if tg_table_name = 'operation_log_head' and tg_op = 'UPDATE' and pg_trigger_depth() > 1 then
    return null;
  end if;
  raise exception using errcode = '42501',
    message = format('manage_db.%s is append-only: %s is refused, also for its owner.', tg_table_name, tg_op);
end
$$;

create trigger chain_operation before insert on manage_db.operation_log
  for each row execute function manage_db.chain_operation();
create trigger refuse_change before update or delete or truncate on manage_db.operation_log
  for each statement execute function manage_db.refuse_change();
create trigger refuse_change before insert or update or delete or truncate on manage_db.operation_log_head
  for each statement execute function manage_db.refuse_change();
alter table manage_db.operation_log enable always trigger chain_operation, enable always trigger refuse_change;
alter table manage_db.operation_log_head enable always trigger refuse_change;

-- The way in for everybody: an entry once, however often it is sent. Somebody may hold the head in a long transaction.
create function manage_db.append_operation(entry jsonb) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s'
as $$
declare
  sent manage_db.operation_log;
  appended bigint;
begin
  -- what whoever copies or verifies the log holds in memory must not be up to whoever writes into it
  if octet_length(entry::text) > 500000 then
    raise exception using errcode = '54000',
      message = format('An entry of the operation log has at most 500000 bytes, not %s.', octet_length(entry::text));
  end if;
  sent := jsonb_populate_record(null::manage_db.operation_log, entry);
  -- first the lock: another client may be sending the same entry in this moment
  perform from manage_db.operation_log_head h for update;
  select l.id into appended from manage_db.operation_log l where l.entry_id = sent.entry_id;
  if found then
    return appended;
  end if;
  sent.occurred_at := case when sent.source = 'file' then least(sent.occurred_at, clock_timestamp()) else clock_timestamp() end;
  insert into manage_db.operation_log select sent.* returning id into appended;
  if appended is null then
    raise exception using errcode = '55000', message = 'The entry was not written: a trigger that is none of ours swallowed it.';
  end if;
  return appended;
end
$$;

revoke all on function manage_db.operation_log_hash(manage_db.operation_log) from public;
revoke all on function manage_db.append_operation(jsonb) from public;
