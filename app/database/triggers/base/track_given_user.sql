-- track_given_user(): tells track_user_changes() that the statement itself gives updated_by the value that it already has.
--
-- PostgreSQL fires a `before update of updated_by` trigger exactly when the column is in the SET list, also for DO UPDATE
-- and for updates through a view; that is the only way to know. (A MERGE has one list for all its UPDATE actions.)
-- The note lies in a transaction-local setting and names table and row version, so that it can be meant for no other
-- row; track_user_changes(), next by name for the same row, reads and clears it. Rollback of a savepoint takes it back.
create or replace function track_given_user() returns trigger
language plpgsql
as $function$
begin
  if new.updated_by is not null and new.updated_by is not distinct from old.updated_by then
    -- For the session's own user both ways lead to the same value.
    if new.updated_by::text is distinct from pg_catalog.current_setting('app.current_user', true) then
      perform pg_catalog.set_config('manage_db.given_user', tg_relid::text || old.ctid::text, true);
    end if;
  end if;
  return new;
end
$function$;

comment on function track_given_user() is
  'manage_db, pack base: notes for track_user_changes that the statement set updated_by to the same value again.';
