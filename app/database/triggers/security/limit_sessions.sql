-- limit_sessions(user, expires, revoked, limit): of a user's active sessions only so many stay; those that end first are
-- revoked. Logins of one user at the same time wait for each other.
create or replace function limit_sessions() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $function$
declare
  owner constant text := to_jsonb(new) ->> tg_argv[0];
begin
  if owner is null then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(owner, tg_relid::bigint));
  execute format(
    'update %1$I.%2$I set %4$I = clock_timestamp() where ctid = any (array(
       select s.ctid from %1$I.%2$I s
       where s.%3$I = $1.%3$I and s.%4$I is null and s.%5$I > clock_timestamp()
       order by s.%5$I desc, s.ctid desc offset %6$s))',
    tg_table_schema, tg_table_name, tg_argv[0], tg_argv[2], tg_argv[1], tg_argv[3]::integer)
  using new;
  return null;
end
$function$;

comment on function limit_sessions() is
  'manage_db, pack security: revokes the oldest sessions of a user who has too many.';
