-- limit_sessions(): a user has no more than so many active sessions; a new one revokes the oldest.
--
-- Arguments: the columns of the user, the expiry, the revocation and the beginning (or ''), and the limit.
-- Logins of one user come one after the other (an advisory lock until the end of the transaction), and each reads what those
-- before it have committed: two at once cannot both take the last place. REPEATABLE READ cannot read that, and waiting for the
-- other would be of no use: it fails at once, and may be repeated (40001). What has been committed since the transaction's first
-- statement is not seen there either; it may be too many until the next login. SERIALIZABLE lets one of them fail.
--
-- Users are the same where the type of the column says so, wherever its operator is: `=` of citext or ltree is in no schema that
-- is searched here, and arrays are compared as the type compares its elements.
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
  at_present constant timestamptz := pg_catalog.clock_timestamp();
  active text;
  user_key bigint;
  is_concerned boolean;
  count_active bigint;
begin
  execute pg_catalog.format('select ($1).%I is not null and ($1).%I is null and ($1).%I > $2', tg_argv[0], tg_argv[2], tg_argv[1])
    into is_concerned using new, at_present;
  if is_concerned is not true then
    return null;
  end if;
  if tg_op = 'UPDATE' then
    execute pg_catalog.format('select array[($1).%1$I] is distinct from array[($2).%1$I]', tg_argv[0]) into is_concerned using old, new;
    if not is_concerned then
      return null;
    end if;
  end if;

  begin
    execute pg_catalog.format('select pg_catalog.hash_record_extended(row(%s, ($1).%I), 0)', sessions::oid, tg_argv[0])
      into user_key using new;
  exception when undefined_function then
    -- a type that cannot be hashed: then all users wait for each other
    user_key := pg_catalog.hashtextextended('manage_db.limit_sessions', sessions::oid::bigint);
  end;
  if pg_catalog.current_setting('transaction_isolation') <> 'repeatable read' then
    perform pg_catalog.pg_advisory_xact_lock(user_key);
  elsif not pg_catalog.pg_try_advisory_xact_lock(user_key) then
    raise exception using
      errcode = 'serialization_failure', schema = tg_table_schema, table = tg_table_name, constraint = tg_name,
      message = pg_catalog.format(
        'The session in %I.%I was refused: another one of the same user is just being opened, and REPEATABLE READ will not see it. Nothing was written.',
        tg_table_schema, tg_table_name),
      hint = 'Repeat the transaction, or open sessions under READ COMMITTED.';
  end if;

  with recursive below (type) as (
    select a.atttypid from pg_catalog.pg_attribute a where a.attrelid = tg_relid and a.attname = tg_argv[0]
    union all
    select t.typbasetype from below join pg_catalog.pg_type t on t.oid = below.type where t.typtype = 'd'
  )
  select pg_catalog.format(
    -- with the operator itself an index can be used
    case when t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace or t.typtype = 'e' then '%1$I = ($1).%1$I' else 'array[%1$I] = array[($1).%1$I]' end
      || ' and %2$I is null and %3$I > $2',
    tg_argv[0], tg_argv[2], tg_argv[1]) into active
  from below join pg_catalog.pg_type t on t.oid = below.type
  where t.typtype <> 'd';
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
