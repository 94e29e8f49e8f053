-- What this database is, as somebody has said it, and where it was when they said it. The row travels with every dump
-- and copy; the fingerprint (cluster and database) does not, and so a copy is recognised.
create table manage_db.identity (
  is_the_only_row boolean primary key default true check (is_the_only_row),
  environment text not null check (environment operator(pg_catalog.~) '^[a-z][a-z0-9_-]{0,47}$'),
  protected boolean not null,
  kill_switch boolean not null,
  system_identifier text not null check (system_identifier operator(pg_catalog.~) '^[0-9]+$'),
  database_oid oid not null,
  database_name text not null,
  expected_hosts text[] not null default '{}',
  stamped_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  stamped_by text not null,
  reason text,
  lineage jsonb not null default '[]' check (pg_catalog.jsonb_typeof(lineage) = 'array')
);
comment on table manage_db.identity is 'The stamp: which environment this database is, and its fingerprint (system_identifier and database_oid).';
comment on column manage_db.identity.database_name is 'Only shown: a renamed database stays the same one.';
comment on column manage_db.identity.kill_switch is 'Whether changes need the override of the kill switch.';
comment on column manage_db.identity.lineage is 'The stamps before this one, the newest first, each with what became of it: restored, copied or restamped.';
