-- hash_password(): a column that holds passwords, of the types text, varchar and char, never gets one that can be read.
--
-- Arguments: the column (password_hash); the cost of bcrypt (12); the formats of hashes that are kept beside bcrypt, with
-- commas between them (all); and optionally a regular expression for hashes of another format.
-- What is NULL or a hash in valid form is kept, and so is what an UPDATE leaves as it was: a value of a format that nobody
-- has configured must not be hashed again. Everything else is a password. It is hashed, or the statement fails.
--
-- `before insert or update`, of all columns: with a list of columns it would miss what other triggers set. One that sorts after
-- it could still bring in a password, and hence the function is called once more `after` it, when it only looks.
-- The trigger is ENABLE ALWAYS; what arrives by replication is hashed already.
--
-- bcrypt takes no notice of anything after 72 bytes. A longer password is refused, since hashing it to something shorter
-- first would give hashes that neither crypt() nor any other bcrypt could compare with the password.
create or replace function hash_password() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
declare
  column_name constant text := coalesce(tg_argv[0], 'password_hash');
  place text;
  given text;
  previous text;
  hashed text;
  extension_schema text;
begin
  if tg_op = 'UPDATE' then
    execute pg_catalog.format('select ($1).%1$I::pg_catalog.text, ($2).%1$I::pg_catalog.text', column_name)
      into given, previous using new, old;
  else
    execute pg_catalog.format('select ($1).%I::pg_catalog.text', column_name) into given using new;
  end if;
  if given is null or given = previous then
    return new;
  end if;
  if given ~ tg_argv[3] or exists (
    select from (values
      ('bcrypt', '^\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$'),
      ('argon2', '^\$argon2(id|i|d)\$(v=[0-9]+\$)?m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}$'),
      -- passlib, Werkzeug, Django
      ('scrypt', '^\$scrypt\$ln=[0-9]+,r=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/.]+\$[A-Za-z0-9+/.]{43,}$'),
      ('scrypt', '^scrypt:[0-9]+:[0-9]+:[0-9]+\$[^$]+\$[0-9a-f]{128}$'),
      ('scrypt', '^scrypt\$[0-9]+\$[^$]+\$[0-9]+\$[0-9]+\$[A-Za-z0-9+/]{80,}={0,2}$'),
      ('pbkdf2', '^\$pbkdf2(-sha(1|256|512))?\$[0-9]+\$[A-Za-z0-9+/.]*\$[A-Za-z0-9+/.]{27,}$'),
      ('pbkdf2', '^pbkdf2:sha(1|256|512)(:[0-9]+)?\$[^$]+\$([0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$'),
      ('pbkdf2', '^pbkdf2_sha(1|256|512)\$[0-9]+\$[^$]+\$[A-Za-z0-9+/]{27,}={0,2}$'),
      ('scram', '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'),
      -- not hashes, but marks of accounts without a password. Hashed, they would become passwords.
      ('disabled', '^(!|!!|\*|!\*|![A-Za-z0-9]{40})$')
    ) as known (format, pattern)
    where given ~ pattern
      and (format = 'bcrypt' or tg_argv[2] is null or format = any (pg_catalog.string_to_array(tg_argv[2], ',')))
  ) then
    return new;
  end if;

  place := pg_catalog.format('%I.%I.%I', tg_table_schema, tg_table_name, column_name);
  if tg_when = 'AFTER' then
    raise exception using
      errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, column = column_name,
      message = pg_catalog.format('The password for %s was refused: it is not hashed. Nothing was written.', place),
      hint = 'The trigger that hashes it is disabled, or one that sorts after it has set the password: list-db-triggers shows them.';
  end if;
  if given = '' then
    raise exception using
      errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, column = column_name,
      message = pg_catalog.format('The password for %s was refused: it is empty. Nothing was written.', place),
      hint = 'An account without a password has NULL.';
  end if;
  if pg_catalog.octet_length(given) > 72 then
    raise exception using
      errcode = 'string_data_right_truncation', schema = tg_table_schema, table = tg_table_name, column = column_name,
      message = pg_catalog.format(
        'The password for %s was refused: it has %s bytes, and bcrypt takes no notice of what comes after 72. Nothing was written.',
        place, pg_catalog.octet_length(given)),
      hint = 'Ask for a shorter one. If it is a hash, let configureSecurityPack name its format.';
  end if;

  -- Found as a member of the extension: a function of the same name somewhere in the search_path could keep the password.
  select n.nspname into extension_schema
  from pg_catalog.pg_extension e
  join pg_catalog.pg_depend d
    on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.refobjid = e.oid and d.deptype = 'e'
    and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
  join pg_catalog.pg_proc p on p.oid = d.objid
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where e.extname = 'pgcrypto' and p.proname = 'crypt';
  if extension_schema is null then
    raise exception using
      errcode = 'feature_not_supported', schema = tg_table_schema, table = tg_table_name, column = column_name,
      message = pg_catalog.format(
        'The password for %s was refused: it is not hashed, and the extension pgcrypto, which would hash it, is not installed. Nothing was written.',
        place),
      hint = 'Install it: create extension pgcrypto; or let the application send a hash.';
  end if;
  execute pg_catalog.format(
    'select %1$I.crypt($1, %1$I.gen_salt(''bf''::pg_catalog.text, $2))', extension_schema
  ) into hashed using given, coalesce(tg_argv[1], '12')::integer;
  begin
    new := pg_catalog.jsonb_populate_record(new, pg_catalog.jsonb_build_object(column_name, hashed));
  exception when string_data_right_truncation then
    raise exception using
      errcode = 'string_data_right_truncation', schema = tg_table_schema, table = tg_table_name, column = column_name,
      message = pg_catalog.format(
        'The password for %s was refused: its hash has %s characters, and the column is too short for it. Nothing was written.',
        place, pg_catalog.length(hashed)),
      hint = pg_catalog.format('alter table %I.%I alter column %I type text;', tg_table_schema, tg_table_name, column_name);
  end;
  return new;
end
$function$;

comment on function hash_password() is
  'manage_db, pack security: passwords are stored as bcrypt hashes; what is hashed already is kept, and what cannot be hashed is refused.';
