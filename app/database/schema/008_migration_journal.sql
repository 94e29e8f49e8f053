alter table manage_db.migrations add column is_baseline boolean;
comment on column manage_db.migrations.is_baseline is 'True: it was in place before manage_db came, so it was recorded and not executed.';

-- Written only for migrations that do not run in a transaction; gone when the migration is recorded.
create table manage_db.migration_journal (
  version text not null check (version operator(pg_catalog.~) '^[0-9]+$'),
  direction text not null check (direction in ('up', 'down')),
  position integer not null check (position > 0),
  statement_checksum text not null check (statement_checksum operator(pg_catalog.~) '^[0-9a-f]{64}$'),
  state text not null check (state in ('begun', 'done')),
  before jsonb,
  actor text not null,
  changed_at timestamp with time zone not null default pg_catalog.clock_timestamp(),
  primary key (version, direction, position)
);
comment on table manage_db.migration_journal is 'How far a migration has come that runs statement by statement. What can run in a transaction commits together with its row; all else writes that it has begun first.';
comment on column manage_db.migration_journal.before is 'What the catalog said before the statement, for looking up afterwards what has become of it.';
