-- lock_account(failed, until, login, attempts, minutes): after so many failures an account is locked for so many minutes.
--
-- The application counts a failure by raising the counter, and notes a login in the login column or by setting the counter
-- to zero. The lock ends by itself: an account is locked while its time is in the future, and the next failure after that
-- begins a new count. Clearing the time by hand unlocks.
create or replace function lock_account() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $function$
declare
  before constant jsonb := to_jsonb(old);
  after jsonb := to_jsonb(new);
  failed constant text := tg_argv[0];
  until constant text := tg_argv[1];
  login constant text := tg_argv[2];
  moment constant timestamp with time zone := clock_timestamp();
  old_count constant integer := coalesce((before ->> failed)::integer, 0);
  new_count integer := coalesce((after ->> failed)::integer, 0);
  locked_until timestamp with time zone := (before ->> until)::timestamp with time zone;
  is_unlocked constant boolean := after ->> until is null and locked_until is not null;
  has_logged_in constant boolean := (new_count = 0 and old_count > 0) or (before ->> login) is distinct from (after ->> login);
begin
  if (after ->> until) is distinct from (before ->> until) and not is_unlocked then
    -- somebody locks it by hand
    return new;
  end if;
  if locked_until > moment and not is_unlocked then
    if has_logged_in then
      raise exception using errcode = '28000',
        message = format('The account in %I.%I is locked until %s; nothing was changed.', tg_table_schema, tg_table_name, locked_until),
        hint = format('It opens by itself then. To open it now, set %I to null.', until);
    end if;
    return jsonb_populate_record(new, jsonb_build_object(failed, greatest(old_count, new_count)));
  end if;
  if locked_until is not null then
    -- the time is over, or somebody has cleared it
    new_count := greatest(new_count - old_count, 0);
    locked_until := null;
  end if;
  if has_logged_in then
    new_count := 0;
  elsif new_count >= tg_argv[3]::integer and new_count > 0 then
    locked_until := moment + make_interval(mins => tg_argv[4]::integer);
  end if;
  return jsonb_populate_record(new, jsonb_build_object(failed, new_count, until, locked_until));
end
$function$;

comment on function lock_account() is
  'manage_db, pack security: locks an account for a time after too many failed logins.';
