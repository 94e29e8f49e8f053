-- hash_password(column, cost, pattern): a password is stored as a bcrypt hash, or not at all.
--
-- What looks like a hash of a known form (pattern) is kept: the application has hashed it. Without pgcrypto nothing else is
-- stored. bcrypt reads 72 bytes and no more: a longer password would be as good as its beginning, and is refused.
create or replace function hash_password() returns trigger
language plpgsql
as $function$
declare
  password constant text := pg_catalog.to_jsonb(new) operator(pg_catalog.->>) tg_argv[0];
  crypto text;
  hash text;
begin
  if password is null or password operator(pg_catalog.~) tg_argv[2] then
    return new;
  end if;
  if tg_op operator(pg_catalog.=) 'UPDATE'
    and password operator(pg_catalog.=) (pg_catalog.to_jsonb(old) operator(pg_catalog.->>) tg_argv[0])
  then
    -- it was there before us: whoever touches the row in another column cannot be asked for it
    return new;
  end if;
  if pg_catalog.octet_length(password) operator(pg_catalog.>) 72 then
    raise exception using errcode = '22001',
      message = pg_catalog.format('A password for %I.%I has more than 72 bytes, of which bcrypt reads no more; it was not stored.', tg_table_schema, tg_table_name),
      hint = 'Let the application refuse it, or hash it with argon2.';
  end if;
  select n.nspname into crypto
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) e.extnamespace
  where e.extname operator(pg_catalog.=) 'pgcrypto'::name;
  if not found then
    raise exception using errcode = '0A000',
      message = pg_catalog.format('A password for %I.%I is not hashed, and pgcrypto is not installed; it was not stored.', tg_table_schema, tg_table_name),
      hint = 'Let a superuser run: create extension pgcrypto; or let the application hash it.';
  end if;
  execute pg_catalog.format('select %1$I.crypt($1, %1$I.gen_salt(''bf'', $2))', crypto)
    into hash using password, tg_argv[1]::integer;
  return pg_catalog.jsonb_populate_record(new, pg_catalog.jsonb_build_object(tg_argv[0], hash));
end
$function$;

comment on function hash_password() is
  'manage_db, pack security: stores passwords as bcrypt hashes (pgcrypto), keeps hashes, refuses the rest.';
