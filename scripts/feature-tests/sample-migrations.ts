interface SampleMigration {
  readonly name: string;
  /** In the workspace. */
  readonly path: string;
  readonly sql: string;
}

/** Later than every migration that is written today: it comes after the first one of the workspace. */
export const CREATE_TAGS: SampleMigration = {
  name: 'create_tags',
  path: 'migrations/29990101000000_create_tags.sql',
  sql: `-- migrate:up

create table tags (
  id bigint generated always as identity primary key,
  name text not null unique
);

-- migrate:down

drop table tags;
`,
};

/** Its second statement fails. */
export const SPLIT_BADLY: SampleMigration = {
  name: 'split_badly',
  path: 'migrations/29990102000000_split_badly.sql',
  sql: `-- migrate:up

create table halves (id int primary key);
insert into halves values (1), (1);

-- migrate:down

drop table halves;
`,
};
