-- update_timestamp(): created_at and updated_at, of the types timestamptz and timestamp.
--
-- Arguments: those of the two columns that the table has. Without arguments the catalog is asked for every row.
-- INSERT: what is set is kept, else now(). UPDATE: created_at never changes; updated_at always moves forward, also
-- twice in one transaction and when the clock was set back, whatever the statement says.
--
-- No `set search_path`: it would cost more than the rest of the function. Functions and types are qualified instead.
create or replace function update_timestamp() returns trigger
language plpgsql
as $function$
declare
  present text[] := tg_argv;
begin
  if tg_nargs = 0 then
    present := array(
      select attname::text from pg_catalog.pg_attribute
      where attrelid = tg_relid and attname in ('created_at', 'updated_at') and not attisdropped
    );
  end if;

  if tg_op = 'INSERT' then
    if 'created_at' = any (present) then
      if new.created_at is null then new.created_at := pg_catalog.now(); end if;
    end if;
    if 'updated_at' = any (present) then
      if new.updated_at is null then new.updated_at := pg_catalog.now(); end if;
    end if;
    return new;
  end if;

  if 'created_at' = any (present) then
    new.created_at := old.created_at;
  end if;
  if 'updated_at' = any (present) then
    new.updated_at := pg_catalog.clock_timestamp();
    -- The larger steps are for columns with fewer digits, such as timestamptz(3), where 1 µs is rounded away.
    if new.updated_at <= old.updated_at then
      new.updated_at := old.updated_at + interval '1 microsecond';
      if new.updated_at <= old.updated_at then new.updated_at := old.updated_at + interval '1 millisecond'; end if;
      if new.updated_at <= old.updated_at then new.updated_at := old.updated_at + interval '1 second'; end if;
    end if;
  end if;
  return new;
end
$function$;

comment on function update_timestamp() is
  'manage_db, pack base: created_at is written once, updated_at moves forward with every UPDATE.';
