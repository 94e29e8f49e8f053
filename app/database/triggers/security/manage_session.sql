-- manage_session(): a session ends, once and for all.
--
-- Arguments: the columns of the expiry and of the revocation (timestamptz), that of the beginning or '', the minutes that a
-- session lasts when nothing is said, and the minutes from its beginning after which it has to end.
-- The expiry is set where it is missing, and never later than the maximum. It can be prolonged until then, but not once it has
-- passed; without a column for the beginning nobody knows the maximum, and it cannot be prolonged at all.
-- A revocation counts from now or earlier, and cannot be taken back or moved. The beginning never changes.
--
-- What is not allowed is left undone, not refused: an application writes a whole row back with what it has read before
-- somebody else has revoked the session, and must neither succeed with that nor fail in what it meant to write.
-- Not ENABLE ALWAYS: what replication brings has been decided where it comes from.
create or replace function manage_session() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  columns constant text := pg_catalog.format('($1).%I, ($1).%I, %s', tg_argv[0], tg_argv[1],
    case tg_argv[2] when '' then 'null::timestamptz' else pg_catalog.format('($1).%I', tg_argv[2]) end);
  expires timestamptz;
  revoked timestamptz;
  begun timestamptz;
  old_expires timestamptz;
  old_revoked timestamptz;
  old_begun timestamptz;
  given jsonb;
  decided jsonb;
  at_present constant timestamptz := pg_catalog.clock_timestamp();
  usual constant interval := interval '1 minute' * tg_argv[3]::float8;
  maximum constant interval := interval '1 minute' * tg_argv[4]::float8;
begin
  execute 'select ' || columns into expires, revoked, begun using new;
  given := pg_catalog.jsonb_build_array(expires, revoked, begun);
  if tg_op = 'UPDATE' then
    execute 'select ' || columns into old_expires, old_revoked, old_begun using old;
    begun := old_begun;
    -- from before there was a trigger
    if old_begun > at_present then old_begun := at_present; end if;
  elsif begun > at_present then
    begun := at_present;
  end if;
  if old_revoked is not null then
    revoked := old_revoked;
  elsif revoked > at_present then
    revoked := at_present;
  end if;

  if old_expires is null then
    expires := least(coalesce(expires, at_present + usual), least(begun, at_present) + maximum);
  elsif expires is null or old_revoked is not null or old_expires <= at_present then
    expires := least(expires, old_expires);
  else
    -- without a beginning, which greatest() passes over, as it was
    expires := least(expires, greatest(old_expires, old_begun + maximum));
  end if;

  decided := pg_catalog.jsonb_build_array(expires, revoked, begun);
  if decided <> given then
    new := pg_catalog.jsonb_populate_record(new, pg_catalog.jsonb_build_object(tg_argv[0], expires, tg_argv[1], revoked));
    if tg_argv[2] <> '' then
      new := pg_catalog.jsonb_populate_record(new, pg_catalog.jsonb_build_object(tg_argv[2], begun));
    end if;
  end if;
  return new;
end
$function$;

comment on function manage_session() is
  'manage_db, pack security: sessions expire, are not prolonged beyond a maximum, and stay revoked.';
