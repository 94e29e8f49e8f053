-- track_user_changes(): created_by and updated_by, of any type.
--
-- Arguments: those of the two columns that the table has, and optionally `system_user=<value>`.
-- INSERT: what is set is kept. UPDATE: created_by never changes; updated_by is the statement's value if it gave one.
-- Otherwise the first of these that fits the column's type:
--   1. the session's user, app.current_user (cut to the length of a varchar(n) or char(n) that is too short);
--   2. the configured value of system_user, else 'system'.
-- Where none fits (a bigint, user 'alice', nothing configured) the column is left as it was, because a missing name
-- must never make a write fail. Foreign keys on the column are beyond this: a user that does not exist is refused.
--
-- A row trigger cannot see whether the statement gave the same value again or none. The trigger track_given_user, which
-- is `before update of updated_by` and sorts before this one, can: see track_given_user.sql. Where it is missing, the
-- same value again counts as none.
create or replace function track_user_changes() returns trigger
language plpgsql
as $function$
declare
  present text[] := tg_argv;
  sets_created_by boolean := false;
  sets_updated_by boolean := false;
  acting_user text;
  system_user_value text;
  candidate text;
begin
  if tg_nargs = 0 then
    present := array(
      select attname::text from pg_catalog.pg_attribute
      where attrelid = tg_relid and attname in ('created_by', 'updated_by') and not attisdropped
    );
  end if;

  if tg_op = 'INSERT' then
    if 'created_by' = any (present) then sets_created_by := new.created_by is null; end if;
    if 'updated_by' = any (present) then sets_updated_by := new.updated_by is null; end if;
  else
    if 'created_by' = any (present) then new.created_by := old.created_by; end if;
    if 'updated_by' = any (present) then
      if new.updated_by is null then
        sets_updated_by := true;
      elsif new.updated_by is not distinct from old.updated_by then
        sets_updated_by := true;
        if pg_catalog.current_setting('manage_db.given_user', true) <> '' then
          sets_updated_by := pg_catalog.current_setting('manage_db.given_user', true)
            <> tg_relid::text || old.ctid::text;
          perform pg_catalog.set_config('manage_db.given_user', '', true);
        end if;
      end if;
    end if;
  end if;
  if not sets_created_by and not sets_updated_by then
    return new;
  end if;

  -- text takes any value; for other types a value is tried, and a block with an exception handler costs a subtransaction.
  acting_user := nullif(pg_catalog.current_setting('app.current_user', true), '');
  system_user_value := 'system';
  if tg_nargs > 0 then
    if pg_catalog.starts_with(tg_argv[tg_nargs - 1], 'system_user=') then
      system_user_value := pg_catalog.substr(tg_argv[tg_nargs - 1], 13);
    end if;
  end if;
  if sets_created_by then
    if pg_catalog.pg_typeof(new.created_by) = 'text'::pg_catalog.regtype then
      new.created_by := coalesce(acting_user, system_user_value);
      sets_created_by := false;
    end if;
  end if;
  if sets_updated_by then
    if pg_catalog.pg_typeof(new.updated_by) = 'text'::pg_catalog.regtype then
      new.updated_by := coalesce(acting_user, system_user_value);
      sets_updated_by := false;
    end if;
  end if;

  foreach candidate in array array[acting_user, system_user_value] loop
    exit when not sets_created_by and not sets_updated_by;
    continue when candidate is null;
    if sets_created_by then
      begin
        new.created_by := candidate;
        sets_created_by := false;
      exception
        when string_data_right_truncation then
          new.created_by := pg_catalog.left(candidate, (
            select nullif(atttypmod, -1) - 4 from pg_catalog.pg_attribute
            where attrelid = tg_relid and attname = 'created_by'
          ));
          sets_created_by := new.created_by is null;
        when others then null;
      end;
    end if;
    if sets_updated_by then
      begin
        new.updated_by := candidate;
        sets_updated_by := false;
      exception
        when string_data_right_truncation then
          new.updated_by := pg_catalog.left(candidate, (
            select nullif(atttypmod, -1) - 4 from pg_catalog.pg_attribute
            where attrelid = tg_relid and attname = 'updated_by'
          ));
          sets_updated_by := new.updated_by is null;
        when others then null;
      end;
    end if;
  end loop;
  return new;
end
$function$;

comment on function track_user_changes() is
  'manage_db, pack base: created_by is written once, updated_by names who wrote last: the statement, app.current_user, or system.';
