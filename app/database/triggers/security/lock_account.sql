-- lock_account(): too many failed logins lock an account for a while. It is unlocked by time alone, without any job.
--
-- Arguments: the column that counts failures, the one until when it is locked (timestamptz), that of the last login or '', the
-- number of failures that locks, and for how many minutes.
-- A failure is an UPDATE that raises the counter, a login one that moves the last login or brings the counter to 0.
-- While an account is locked, logins are refused, and failures are neither counted nor make it last longer: otherwise
-- anybody could lock somebody else out for good. The first failure after it counts as the first.
-- Who sets the time of the lock decides about it: to NULL or into the past unlocks; but not together with a login or a
-- failure, since that is what an application does that knows nothing of the lock and writes back what it has read before.
--
-- Two failures at once both count if they say `failures + 1`: the second waits for the row and then sees the first.
-- Not ENABLE ALWAYS: what replication brings has been decided where it comes from.
create or replace function lock_account() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  failures bigint;
  locked_until timestamptz;
  old_failures bigint := 0;
  old_locked_until timestamptz;
  given_failures bigint;
  given_locked_until timestamptz;
  logs_in boolean := false;
  at_present constant timestamptz := pg_catalog.clock_timestamp();
begin
  execute pg_catalog.format('select ($1).%I, ($1).%I', tg_argv[0], tg_argv[1])
    into given_failures, given_locked_until using new;
  failures := greatest(given_failures, 0);
  locked_until := given_locked_until;
  if tg_op = 'UPDATE' then
    execute pg_catalog.format('select coalesce(($1).%I, 0), ($1).%I', tg_argv[0], tg_argv[1])
      into old_failures, old_locked_until using old;
    if tg_argv[2] <> '' then
      execute pg_catalog.format('select ($1).%1$I <> ($2).%1$I or ($1).%1$I is not null and ($2).%1$I is null', tg_argv[2])
        into logs_in using new, old;
    end if;

    if old_locked_until > at_present then
      if logs_in or (failures < old_failures and locked_until is not distinct from old_locked_until) then
        raise exception using
          errcode = 'invalid_authorization_specification', schema = tg_table_schema, table = tg_table_name, constraint = tg_name,
          message = pg_catalog.format(
            'The login was refused: the account in %I.%I is locked until %s. Nothing was written.',
            tg_table_schema, tg_table_name, pg_catalog.to_json(old_locked_until) #>> '{}'),
          hint = pg_catalog.format('Wait, or unlock it: update %I.%I set %I = null where …;',
            tg_table_schema, tg_table_name, tg_argv[1]);
      end if;
      if failures > old_failures then
        failures := old_failures;
        if locked_until is null or locked_until <= at_present then locked_until := old_locked_until; end if;
      elsif locked_until is null or locked_until <= at_present then
        failures := 0;
      end if;
    elsif failures > old_failures then
      if old_locked_until is not null then
        failures := failures - old_failures;
        if locked_until = old_locked_until then locked_until := null; end if;
      end if;
      if failures >= tg_argv[3]::bigint and (locked_until is null or locked_until <= at_present) then
        locked_until := at_present + interval '1 minute' * tg_argv[4]::float8;
      end if;
    elsif logs_in or (failures = 0 and old_failures > 0) then
      failures := 0;
      if locked_until = old_locked_until then locked_until := null; end if;
    end if;
  end if;

  if failures is distinct from given_failures or locked_until is distinct from given_locked_until then
    new := pg_catalog.jsonb_populate_record(new, pg_catalog.jsonb_build_object(
      tg_argv[0], failures, tg_argv[1], locked_until));
  end if;
  return new;
end
$function$;

comment on function lock_account() is
  'manage_db, pack security: too many failed logins lock an account for a while; logins are refused meanwhile.';
