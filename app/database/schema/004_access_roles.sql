-- Which roles of the cluster carry the levels of this database. Roles belong to the cluster and this table to the
-- database: a dump that is restored elsewhere may name roles that do not exist there, or that serve another database.
create table manage_db.access_roles (
  level text primary key check (level in ('viewer', 'operator', 'admin')),
  role_name name not null unique
);
comment on table manage_db.access_roles is 'The roles that carry the levels of manage_db in this database. Written by setup-db-roles.';

-- The comment of a role says whom it serves, and no dump of a database brings it along: the operators of the database
-- that this one was copied from are not its operators.
create function manage_db.roles_serving(served name) returns table (level text, role_oid oid, role_name name)
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select a.level, r.oid, r.rolname
  from manage_db.access_roles a
  join pg_roles r on r.rolname = a.role_name
  where shobj_description(r.oid, 'pg_authid') = format('manage_db: %s of database %s', a.level, served)
$$;
comment on function manage_db.roles_serving is 'Of manage_db.access_roles, those that exist and are for the database of that name.';

-- By session_user: in a function that runs with its owner's rights, current_user would be the owner.
create function manage_db.current_level() returns text
language sql stable set search_path = pg_catalog, pg_temp
as $$
  select case
    when pg_has_role(session_user, d.datdba, 'USAGE') then 'admin'
    else coalesce((
      select s.level from manage_db.roles_serving(current_database()) s
      where pg_has_role(session_user, s.role_oid, 'USAGE')
      order by array_position(array['viewer', 'operator', 'admin'], s.level) desc
      limit 1
    ), 'viewer')
  end
  from pg_database d
  where d.datname = current_database()
$$;
comment on function manage_db.current_level is 'The level of the login: admin for superusers and the owner of the database, else that of its roles, else viewer.';

create function manage_db.require_level(required text, what text) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  levels constant text[] := array['viewer', 'operator', 'admin'];
  present constant text := manage_db.current_level();
begin
  if array_position(levels, required) is null then
    raise exception using errcode = '22023', message = format('There is no level %s.', required);
  end if;
  if array_position(levels, present) < array_position(levels, required) then
    raise exception using errcode = '42501',
      message = format('%s needs the level %s; the login %s has the level %s in %s.', what, required, session_user,
        present, current_database()),
      hint = format('An admin can grant it: manage_db grant-db-role %s %s', required, session_user);
  end if;
end
$$;

-- Everything that anybody but the owner may do in this schema, in one place. Repeated after every upgrade of the schema,
-- and by a restore, whose database does not have its name yet.
create function manage_db.grant_access(served name default current_database()) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  target text;
  grantee record;
begin
  grant usage on schema manage_db to public;
  for target in
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db'
      and c.relname = any (array['identity', 'kill_switch', 'access_roles', 'schema_versions',
        'trigger_registry', 'trigger_functions'])
  loop
    execute format('grant select on %s to public', target);
  end loop;
  revoke all on all functions in schema manage_db from public;
  for target in
    select p.oid::regprocedure::text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'manage_db' and p.proname = any (array['current_level', 'roles_serving', 'open_kill_switch'])
  loop
    execute format('grant execute on function %s to public', target);
  end loop;
  -- The owner of the database is admin, and need not be the one who has made this schema. No TRIGGER: what fires there
  -- would run with the rights of the functions that write there. The log is written by its function only.
  revoke truncate, references, trigger on all tables in schema manage_db from pg_database_owner;
  grant select, insert, update, delete on all tables in schema manage_db to pg_database_owner;
  for target in
    select format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relname = any (array['operation_log', 'operation_log_head'])
  loop
    execute format('revoke insert, update, delete on %s from pg_database_owner', target);
  end loop;
  grant execute on all functions in schema manage_db to pg_database_owner;

  for grantee in select s.level, s.role_name from manage_db.roles_serving(served) s loop
    if grantee.level = 'viewer' then
      execute format('grant select on all tables in schema manage_db to %I', grantee.role_name);
    end if;
    for target in
      select p.oid::regprocedure::text
      from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
      join (values
        ('viewer', 'require_level'),
        -- not viewers: whoever has appended holds the end of the log until their transaction is over
        ('operator', 'append_operation'),
        ('operator', 'set_trigger_mode'),
        ('operator', 'engage_kill_switch'),
        ('admin', 'release_kill_switch')
      ) as callable (level, name) on callable.name = p.proname
      where n.nspname = 'manage_db' and callable.level = grantee.level
    loop
      execute format('grant execute on function %s to %I', target, grantee.role_name);
    end loop;
  end loop;
end
$$;
comment on function manage_db.grant_access is 'Grants what the levels may do in this schema. Only its owner can run it usefully.';

revoke all on function manage_db.current_level() from public;
revoke all on function manage_db.require_level(text, text) from public;
revoke all on function manage_db.roles_serving(name) from public;
revoke all on function manage_db.grant_access(name) from public;
select manage_db.grant_access();
