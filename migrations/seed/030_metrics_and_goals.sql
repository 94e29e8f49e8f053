-- Daily figures that are counted from the rows above, and goals about them.
set local time zone 'UTC';

insert into clinic.data_sources (id, clinic_id, name, kind, configuration, last_synced_at, created_at, updated_at, created_by, updated_by)
select (c - 1) * 2 + k, c, case k when 1 then 'Front desk' else 'Ledger' end, case k when 1 then 'practice_system' else 'accounting' end,
  jsonb_build_object('interval_minutes', 15 * k), timestamptz '2025-07-31 20:00Z', timestamptz '2025-01-06 06:00Z', timestamptz '2025-01-06 06:00Z',
  md5('service ' || k)::uuid, md5('service ' || k)::uuid
from generate_series(1, 5) as c cross join generate_series(1, 2) as k
on conflict do nothing;

insert into clinic.metrics (id, clinic_id, data_source_id, measured_on, name, value, created_at, updated_at, created_by, updated_by)
select (c - 1) * 1000 + day * 5 + m, c, (c - 1) * 2 + case when m = 2 then 2 else 1 end, date '2025-02-03' + day,
  (array['visits', 'revenue', 'new_patients', 'no_shows', 'utilisation'])[m],
  case m when 1 then 80 + (day * 13 + c * 7) % 60 when 2 then 90000 + (day * 977 + c * 4001) % 70000 when 3 then (day * 3 + c) % 12
    when 4 then (day + c) % 7 else 55 + (day * 11 + c * 5) % 45 end,
  timestamptz '2025-02-03 20:00Z' + day * interval '24 hours', timestamptz '2025-02-03 20:00Z' + day * interval '24 hours', 'seed', 'seed'
from generate_series(1, 5) as c cross join generate_series(0, 179) as day cross join generate_series(1, 5) as m
on conflict do nothing;

insert into clinic.goals (id, clinic_id, owner_id, metric_name, starts_on, target_on, target_value, current_value, status,
  created_at, updated_at, created_by, updated_by)
select (c - 1) * 8 + g, c, (c - 1) * 12 + 2, (array['visits', 'revenue', 'new_patients', 'no_shows', 'utilisation'])[1 + g % 5],
  date '2025-01-01' + g * 30, date '2026-12-31', 1000 * (g + c), 125 * (g + c) * (g % 9),
  case when g % 9 >= 8 then 'reached' else 'active' end, timestamptz '2025-01-07 06:00Z', timestamptz '2025-01-07 06:00Z', 'seed', 'seed'
from generate_series(1, 5) as c cross join generate_series(1, 8) as g
on conflict do nothing;

select setval(pg_get_serial_sequence('clinic.' || name, 'id'), greatest(top, 1))
from (
  select 'data_sources', max(id) from clinic.data_sources union all select 'metrics', max(id) from clinic.metrics
  union all select 'goals', max(id) from clinic.goals
) as t (name, top);
