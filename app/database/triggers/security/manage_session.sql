-- manage_session(expires, revoked, minutes): a session ends by itself, is not prolonged when it has ended, and is revoked
-- for ever.
create or replace function manage_session() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $function$
declare
  before constant jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) end;
  after constant jsonb := to_jsonb(new);
  expires constant text := tg_argv[0];
  revoked constant text := tg_argv[1];
  moment constant timestamp with time zone := clock_timestamp();
  latest constant timestamp with time zone := moment + make_interval(mins => tg_argv[2]::integer);
  wanted constant timestamp with time zone := (after ->> expires)::timestamp with time zone;
  ended constant timestamp with time zone := (before ->> expires)::timestamp with time zone;
begin
  if before ->> revoked is not null and (after ->> revoked) is distinct from (before ->> revoked) then
    raise exception using errcode = '23514',
      message = format('A session in %I.%I was revoked at %s, and stays so; nothing was changed.', tg_table_schema, tg_table_name, before ->> revoked),
      hint = 'Let the user log in again.';
  end if;
  if wanted > ended and (ended <= moment or before ->> revoked is not null) then
    raise exception using errcode = '23514',
      message = format('A session in %I.%I has ended, and is not prolonged; nothing was changed.', tg_table_schema, tg_table_name),
      hint = 'Let the user log in again.';
  end if;
  if wanted is null or wanted > latest then
    return jsonb_populate_record(new, jsonb_build_object(expires, latest));
  end if;
  return new;
end
$function$;

comment on function manage_session() is
  'manage_db, pack security: sessions expire, are not prolonged when they have ended, and are revoked for ever.';
