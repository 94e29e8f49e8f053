-- One row for each time that somebody has engaged the kill switch: while one of them is open, no operation changes anything.
create table manage_db.kill_switch (
  id uuid primary key default pg_catalog.gen_random_uuid(),
  engaged_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  engaged_by text not null default session_user,
  actor text not null,
  reason text not null check (pg_catalog.btrim(reason) <> ''),
  expires_at timestamp with time zone check (expires_at > engaged_at),
  released_at timestamp with time zone,
  released_by text,
  release_actor text,
  release_reason text,
  check ((released_at is null) = (released_by is null)),
  check ((released_at is null) = (release_reason is null))
);
comment on table manage_db.kill_switch is 'Engagements of the kill switch. Open ones (not released, not expired) block every change.';

create function manage_db.open_kill_switch() returns setof manage_db.kill_switch
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select k.* from manage_db.kill_switch k
  where k.released_at is null and (k.expires_at is null or k.expires_at > pg_catalog.clock_timestamp())
  order by k.expires_at desc nulls first, k.engaged_at
$$;
comment on function manage_db.open_kill_switch is 'The engagements that block now, the longest first.';

-- For functions that change something on behalf of operators. The override is a setting of the transaction, which the
-- gate sets when somebody has given it.
create function manage_db.require_kill_switch_off(operation text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  open_one record;
begin
  select * into open_one from manage_db.open_kill_switch() limit 1;
  if found then
    raise exception using errcode = 'MDB02',
      message = pg_catalog.format('%s is blocked: the kill switch was engaged by %s at %s: %s.', operation, open_one.actor,
        open_one.engaged_at, open_one.reason),
      hint = 'An admin can release it: manage_db kill-switch release';
  end if;
  if coalesce(pg_catalog.current_setting('manage_db.kill_switch_override', true), '') <> 'true'
    and exists (select from manage_db.identity i where i.kill_switch)
  then
    raise exception using errcode = 'MDB02',
      message = pg_catalog.format('%s is blocked: this database is behind the kill switch.', operation),
      hint = 'Use manage_db with KILL_SWITCH_OVERRIDE=true.';
  end if;
end
$$;

-- What stops everything is on record in its own transaction, also when it is called with psql.
create function manage_db.kill_switch_entry(operation text, actor text, reason text) returns jsonb
language sql volatile set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('entry_id', gen_random_uuid(), 'attempt', gen_random_uuid(), 'event', 'succeeded',
    'operation', operation, 'environment', coalesce((select i.environment from manage_db.identity i), 'unknown'),
    'database_name', current_database(), 'host', coalesce(host(inet_server_addr()), 'local'),
    'port', coalesce(inet_server_port(), current_setting('port')::integer), 'level', manage_db.current_level(),
    'actor', actor, 'os_user', session_user, 'client_host', coalesce(host(inet_client_addr()), 'local'),
    'application', current_setting('application_name'), 'tool', operation, 'reason', reason, 'arguments', '{}'::jsonb,
    'details', '{}'::jsonb, 'duration_ms', 0, 'source', 'database')
$$;

create function manage_db.engage_kill_switch(actor text, reason text, expires_at timestamp with time zone) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  new_id uuid;
begin
  perform manage_db.require_level('operator', 'Engaging the kill switch');
  insert into manage_db.kill_switch (actor, reason, expires_at) values ($1, $2, $3) returning id into new_id;
  begin
    perform manage_db.append_operation(manage_db.kill_switch_entry('engage-kill-switch', $1, $2));
  exception when lock_not_available then
    -- stopping everything cannot wait for somebody who holds the log; the engagement itself is a record
    raise warning 'The kill switch is engaged; the operation log is held by somebody, and has no entry of it.';
  end;
  return new_id;
end
$$;

create function manage_db.release_kill_switch(actor text, reason text) returns setof manage_db.kill_switch
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform manage_db.require_level('admin', 'Releasing the kill switch');
  perform manage_db.append_operation(manage_db.kill_switch_entry('release-kill-switch', $1, $2));
  return query
    update manage_db.kill_switch k
    set released_at = pg_catalog.clock_timestamp(), released_by = session_user, release_actor = $1, release_reason = $2
    where k.id in (select o.id from manage_db.open_kill_switch() o)
    returning k.*;
end
$$;

revoke all on function manage_db.require_kill_switch_off(text) from public;
revoke all on function manage_db.kill_switch_entry(text, text, text) from public;
revoke all on function manage_db.engage_kill_switch(text, text, timestamp with time zone) from public;
revoke all on function manage_db.release_kill_switch(text, text) from public;
