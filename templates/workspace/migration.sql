-- The first migration. Change it as you like before it is applied; afterwards write the next one instead.

-- migrate:up

create table notes (
  id bigint generated always as identity primary key,
  title text not null,
  body text not null default '',
  -- these four are kept by the base triggers: manage_db apply-db-triggers
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  created_by text,
  updated_by text
);

comment on table notes is 'An example to begin with.';

-- migrate:down

drop table notes;
