create or replace function tidy_note_title() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  new.title := btrim(new.title);
  if new.title = '' then
    raise exception 'a note needs a title' using errcode = 'check_violation', column = 'title';
  end if;
  return new;
end
$$;
