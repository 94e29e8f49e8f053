-- What operators may do to triggers of tables that they do not own. Runs with the rights of the owner of this schema, and
-- logs in the transaction of the change.
create function manage_db.set_trigger_mode(
  schema_name text, table_name text, trigger_name text, mode text, attempt uuid, reason text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  what constant text := case mode when 'disabled' then 'Disabling a trigger' else 'Enabling a trigger' end;
  words constant text := case mode
    when 'origin' then 'enable' when 'disabled' then 'disable' when 'replica' then 'enable replica'
    when 'always' then 'enable always' end;
  relation record;
  before text;
begin
  perform manage_db.require_level('operator', what);
  perform manage_db.require_kill_switch_off(what);
  if words is null then
    raise exception using errcode = '22023', message = format('There is no trigger mode %s.', mode),
      hint = 'Modes: origin, disabled, replica, always.';
  end if;
  if schema_name = 'manage_db' then
    raise exception using errcode = '42501',
      message = 'The triggers of manage_db protect its records and cannot be switched.';
  end if;

  select c.oid, c.relkind, c.relowner into relation
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = schema_name and c.relname = table_name;
  if not found then
    raise exception using errcode = '42P01', message = format('There is no table %I.%I.', schema_name, table_name);
  end if;
  if not pg_has_role(current_user, relation.relowner, 'USAGE') then
    raise exception using errcode = '42501',
      message = format('%I.%I belongs to %s, and the schema manage_db to %s, which has no rights on it.', schema_name,
        table_name, pg_get_userbyid(relation.relowner), current_user),
      hint = format('Let a superuser run: grant %I to %I;', pg_get_userbyid(relation.relowner), current_user);
  end if;
  -- with the lock of the change, so that "before" is what it says; an owner may have taken that right from itself
  if relation.relkind in ('r', 'p') and has_table_privilege(relation.oid, 'UPDATE, DELETE, TRUNCATE') then
    execute format('lock table only %I.%I in share row exclusive mode', schema_name, table_name);
  end if;
  before := manage_db.trigger_mode(relation.oid, trigger_name);
  if before is null then
    raise exception using errcode = '42704',
      message = format('The table %I.%I has no trigger %I.', schema_name, table_name, trigger_name);
  end if;

  -- without ONLY: the clones on partitions follow
  execute format('alter table %I.%I %s trigger %I', schema_name, table_name, words, trigger_name);
  update manage_db.trigger_registry r set wanted_mode = mode
  where r.schema_name = set_trigger_mode.schema_name and r.table_name = set_trigger_mode.table_name
    and r.trigger_name = set_trigger_mode.trigger_name;
  perform manage_db.append_operation(manage_db.trigger_entry(
    schema_name, table_name, trigger_name, before, mode, attempt, reason));
  return before;
end
$$;
comment on function manage_db.set_trigger_mode is 'Enables or disables a trigger for an operator, who need not own the table. Returns the mode before.';

-- null: no such trigger. Those of constraints and the clones on partitions are none of anybody's.
create function manage_db.trigger_mode(relation oid, trigger_name text) returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end
  from pg_trigger t
  where t.tgrelid = relation and t.tgname = trigger_name and not t.tgisinternal and t.tgparentid = 0
$$;

create function manage_db.trigger_entry(
  schema_name text, table_name text, trigger_name text, before text, after text, attempt uuid, reason text
) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_build_object(
    'entry_id', gen_random_uuid(),
    'attempt', attempt,
    'event', 'succeeded',
    'operation', case after when 'disabled' then 'disable-db-trigger' else 'enable-db-trigger' end,
    'environment', coalesce((select i.environment from manage_db.identity i), 'unknown'),
    'database_name', current_database(),
    'host', coalesce(host(inet_server_addr()), 'local'),
    'port', coalesce(inet_server_port(), current_setting('port')::integer),
    'level', manage_db.current_level(),
    'actor', coalesce(nullif(current_setting('app.current_user', true), ''), session_user),
    'os_user', session_user,
    'client_host', coalesce(host(inet_client_addr()), 'local'),
    'application', coalesce(current_setting('application_name', true), ''),
    'tool', 'set_trigger_mode',
    'reason', reason,
    'arguments', jsonb_build_object('table', format('%I.%I', schema_name, table_name), 'name', trigger_name, 'mode', after),
    'details', jsonb_build_object(
      'schema', schema_name, 'table', table_name, 'trigger', trigger_name, 'before', before, 'after', after),
    'duration_ms', 0,
    'occurred_at', clock_timestamp(),
    'source', 'database');
end
$$;

revoke all on function manage_db.set_trigger_mode(text, text, text, text, uuid, text) from public;
revoke all on function manage_db.trigger_mode(oid, text) from public;
revoke all on function manage_db.trigger_entry(text, text, text, text, text, uuid, text) from public;
