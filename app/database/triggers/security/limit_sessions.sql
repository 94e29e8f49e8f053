-- limit_sessions(): a user has no more than so many active sessions; a new one revokes the oldest.
--
-- Arguments: the columns of the user, the expiry, the revocation and the beginning (or ''), and the limit.
-- Logins of one user come one after the other (an advisory lock until the end of the transaction), and each reads what those
-- before it have committed: two at once cannot both take the last place. REPEATABLE READ cannot read that; there it may be one
-- too many until the next login. SERIALIZABLE lets one of them fail.
--
-- The rows are locked first, in a statement of their own: a session that is being written to meanwhile has a new version
-- afterwards, and an UPDATE that had begun before would not find it.
-- With the rights of who logs in, who needs SELECT and UPDATE, and sees what row security shows: with those of the owner of the
-- function it would be a way for whoever owns a table of that shape to have things done in somebody else's name.
create or replace function limit_sessions() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- a user's sessions may be spread over partitions
  sessions constant regclass := coalesce(pg_catalog.pg_partition_root(tg_relid), tg_relid);
  active constant text := pg_catalog.format('%1$I = ($1).%1$I and %2$I is null and %3$I > $2', tg_argv[0], tg_argv[2], tg_argv[1]);
  at_present constant timestamptz := pg_catalog.clock_timestamp();
  user_key text;
  is_concerned boolean;
  count_active bigint;
begin
  execute pg_catalog.format('select ($1).%I::text, ($1).%I is null and ($1).%I > $2', tg_argv[0], tg_argv[2], tg_argv[1])
    into user_key, is_concerned using new, at_present;
  if user_key is null or is_concerned is not true then
    return null;
  end if;
  if tg_op = 'UPDATE' then
    execute pg_catalog.format('select ($1).%I::text is distinct from $2', tg_argv[0]) into is_concerned using old, user_key;
    if not is_concerned then
      return null;
    end if;
  end if;

  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(
    pg_catalog.format('manage_db.limit_sessions %s %s', sessions::oid, user_key), 0));
  execute pg_catalog.format('select count(*) from %s where %s', sessions, active) into count_active using new, at_present;
  if count_active <= tg_argv[4]::bigint then
    return null;
  end if;
  execute pg_catalog.format(
    'select from %s where %s order by tableoid, ctid for no key update', sessions, active) using new, at_present;
  execute pg_catalog.format(
    'update %1$s set %2$I = $2 where %3$s and (tableoid, ctid) in (
       select tableoid, ctid from %1$s where %3$s
       order by (tableoid = $3 and ctid = $4) desc, %4$s %5$I desc, ctid desc
       offset $5)',
    sessions, tg_argv[2], active,
    case tg_argv[3] when '' then '' else pg_catalog.format('%I desc nulls last,', tg_argv[3]) end, tg_argv[1]
  ) using new, at_present, tg_relid, new.ctid, tg_argv[4]::bigint;
  return null;
end
$function$;

comment on function limit_sessions() is
  'manage_db, pack security: a user has no more than so many active sessions; a new one revokes the oldest.';
