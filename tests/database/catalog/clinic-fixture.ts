/** A schema with what catalog readers get wrong most often: quoted names, partitions, clones, extensions, two schemas. */
export const CLINIC = `
  create extension hstore;
  create schema shop;
  comment on schema shop is 'what is sold';
  create schema "Ünï Schema";
  create schema manage_db;
  create table manage_db.migrations (version text primary key);
  create type shop.mood as enum ('calm', 'busy');
  create domain "Ünï Schema"."Geld" as numeric(12,2) check (value >= 0);
  create table shop.clinics (
    id bigint generated always as identity primary key,
    gone text,
    name text collate "C" not null unique,
    mood shop.mood default 'calm',
    double_id numeric generated always as (id * 2) stored
  );
  alter table shop.clinics drop column gone;
  comment on table shop.clinics is 'the clinics';
  comment on column shop.clinics.name is 'as on the door';
  create table "Ünï Schema"."Benützer" (
    id serial primary key,
    clinic_id bigint references shop.clinics,
    "Preis" "Ünï Schema"."Geld" check ("Preis" < 100),
    during tstzrange,
    exclude using gist (during with &&)
  );
  create table shop.events (id bigint, at date not null, primary key (id, at)) partition by range (at);
  create table shop.events_2025 partition of shop.events for values from ('2025-01-01') to ('2026-01-01');
  create table shop.events_rest partition of shop.events default partition by list (id);
  create table shop.events_rest_all partition of shop.events_rest default;
  insert into shop.events select n, '2025-05-05' from generate_series(1, 100) n;
  insert into shop.events select n, '2026-05-05' from generate_series(1, 50) n;
  analyze shop.events;
  create table public.clinics (id integer);
  create function shop.touch() returns trigger language plpgsql as 'begin return new; end';
  create trigger "Touch It" before update or insert on shop.clinics for each row execute function shop.touch();
  create trigger b_last after insert on shop.clinics for each row execute function shop.touch();
  create trigger a_first after insert on shop.clinics for each row execute function shop.touch();
  create trigger counted after insert on shop.events for each row execute function shop.touch();
  create trigger emptied after truncate or delete or update on "Ünï Schema"."Benützer"
    for each statement execute function shop.touch('x');
  alter table shop.clinics disable trigger "Touch It";
  alter table shop.clinics enable always trigger a_first;
  alter table shop.clinics enable replica trigger b_last;
  create view shop.open_clinics as select * from shop.clinics;
  create trigger removed instead of delete on shop.open_clinics for each row execute function shop.touch();
  create materialized view shop.totals as select 1 as total;
  create sequence shop.numbers;
  create procedure shop.close_day(day date, inout note text default 'none') language plpgsql as 'begin end';
  create function shop.secret() returns shop.mood language sql security definer as 'select ''calm''::shop.mood';
  create aggregate shop.sum_up(numeric) (sfunc = numeric_add, stype = numeric);
  create policy own_mood on shop.clinics for select using (mood = 'calm'::shop.mood);
  create temporary table short_lived (id integer);
`;

/** Rows for it, some thousands. */
export const CLINIC_ROWS = `
  insert into shop.clinics (name, mood) select 'clinic ' || n, case n % 2 when 0 then 'busy'::shop.mood end from generate_series(1, 2000) n;
  insert into "Ünï Schema"."Benützer" (clinic_id, "Preis", during)
    select n, n % 90, tstzrange(timestamptz '2026-01-01' + n * interval '1 h', timestamptz '2026-01-01' + (n + 1) * interval '1 h') from generate_series(1, 2000) n`;
