-- manage_db's own tables. Executed once, by ensure-schema.ts, which holds the lock and records the version.
create schema if not exists manage_db;
comment on schema manage_db is 'Bookkeeping of manage_db: what was applied here, by whom, with what result.';

create table manage_db.schema_versions (
  version integer primary key check (version > 0),
  name text not null,
  tool_version text not null,
  applied_at timestamp with time zone not null default pg_catalog.clock_timestamp()
);

create table manage_db.migrations (
  version text primary key check (version operator(pg_catalog.~) '^[0-9]+$'),
  name text not null,
  checksum text not null check (checksum operator(pg_catalog.~) '^[0-9a-f]{64}$'),
  duration_ms integer not null check (duration_ms >= 0),
  actor text not null,
  tool text not null,
  applied_at timestamp with time zone not null default pg_catalog.clock_timestamp()
);
comment on table manage_db.migrations is 'One row for each migration that is applied. Written in the transaction of the migration itself.';
comment on column manage_db.migrations.checksum is 'SHA-256 of the file without byte order mark and with LF line ends.';
