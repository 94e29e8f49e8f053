-- What manage_db has installed, as PostgreSQL printed it then, under an empty search_path: what the catalog says now is
-- compared with it. By name throughout: oids change with a restore.
create table manage_db.trigger_functions (
  schema_name text not null,
  function_name text not null,
  definition text not null,
  owner name not null,
  is_security_definer boolean not null,
  file_checksum text,
  server_version_num integer not null,
  installed_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  installed_by text not null,
  primary key (schema_name, function_name)
);
comment on table manage_db.trigger_functions is 'The functions of registered triggers, as they were installed.';
comment on column manage_db.trigger_functions.file_checksum is 'SHA-256 of the file that it came from; null: it was there already.';

create table manage_db.trigger_registry (
  schema_name text not null,
  table_name text not null,
  trigger_name text not null,
  version integer not null check (version > 0),
  declared_mode text not null check (declared_mode in ('origin', 'replica', 'always', 'disabled')),
  wanted_mode text not null check (wanted_mode in ('origin', 'replica', 'always', 'disabled')),
  declaration jsonb,
  declaration_checksum text,
  fields jsonb not null,
  definition text not null,
  function_schema text not null,
  function_name text not null,
  server_version_num integer not null,
  source text not null check (source in ('dsl', 'generated', 'manual_sql', 'adopted')),
  pack text,
  environment text not null,
  installed_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  installed_by text not null,
  last_verified_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  primary key (schema_name, table_name, trigger_name)
);
comment on table manage_db.trigger_registry is 'The triggers that manage_db answers for, as they were installed.';
comment on column manage_db.trigger_registry.declared_mode is 'What the declaration said.';
comment on column manage_db.trigger_registry.wanted_mode is 'The same, until somebody has enabled or disabled it on purpose.';
comment on column manage_db.trigger_registry.fields is 'What pg_trigger said: type, columns, condition, arguments, transition tables, constraint.';
comment on column manage_db.trigger_registry.definition is 'As pg_get_triggerdef printed it.';
comment on column manage_db.trigger_registry.last_verified_at is
  'When it was last installed, or found in order by verify-db-triggers --fix. Looking alone writes nothing.';
