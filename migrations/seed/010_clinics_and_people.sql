-- Deterministic: every value is a function of a row's number, so any two seeded databases are the same, byte for byte.
-- A second run inserts nothing. These settings end with the transaction.
set local time zone 'UTC';

do $$
begin
  if exists (select from clinic.clinics) and not exists (select from clinic.clinics where id = 1 and code = 'BLR01') then
    raise exception 'clinic.clinics already holds clinics of your own; the seed data is for an empty database'
      using hint = 'Load it into another one, for instance: manage_db initialize-db --env testing --seed';
  end if;
end
$$;

insert into clinic.clinics (id, code, name, email, phone, settings, created_at, updated_at, created_by, updated_by)
select id, code, 'Skinspire ' || city, lower(code) || '@skinspire.example', '+91 80 4000 ' || pg_catalog.lpad((id * 1111)::text, 4, '0'),
  jsonb_build_object('appointment_minutes', 30, 'currency', 'INR'),
  timestamptz '2025-01-02 06:00Z', timestamptz '2025-01-02 06:00Z', 'seed', 'seed'
from (values (1, 'BLR01', 'Indiranagar'), (2, 'BLR02', 'Jayanagar'), (3, 'MYS01', 'Mysuru'), (4, 'CHN01', 'Adyar'), (5, 'HYD01', 'Banjara Hills'))
  as c (id, code, city)
on conflict do nothing;

insert into clinic.roles (id, name, description, permissions, created_at, updated_at, created_by, updated_by)
select id, name, description, permissions, timestamptz '2025-01-02 06:00Z', timestamptz '2025-01-02 06:00Z', 'seed', 'seed'
from (values
  (1, 'admin', 'May do everything', array['*']),
  (2, 'manager', 'Runs a clinic', array['staff.write', 'billing.read', 'metrics.read']),
  (3, 'doctor', 'Treats patients', array['patients.write', 'appointments.write']),
  (4, 'therapist', 'Gives treatments', array['patients.read', 'appointments.write']),
  (5, 'reception', 'Books and charges', array['appointments.write', 'billing.write']),
  (6, 'auditor', 'Reads everything', array['*.read'])
) as r (id, name, description, permissions)
on conflict do nothing;

-- 12 in each clinic; the hashes are of no password at all
insert into clinic.users (id, clinic_id, role_id, email, full_name, password_hash, created_at, updated_at, created_by, updated_by)
select n, 1 + (n - 1) / 12, case (n - 1) % 12 when 0 then 1 when 1 then 2 when 11 then 6 else 3 + n % 3 end,
  lower(first_name || '.' || last_name) || n || '@skinspire.example', first_name || ' ' || last_name,
  '$2a$06$' || substr(md5('salt' || n) || md5('hash' || n), 1, 53),
  timestamptz '2025-01-03 06:00Z' + n * interval '1 minute', timestamptz '2025-01-03 06:00Z' + n * interval '1 minute', 'seed', 'seed'
from (
  select n,
    (array['Asha', 'Ravi', 'Meera', 'Karan', 'Divya', 'Arjun', 'Lakshmi', 'Vikram', 'Nisha', 'Suresh', 'Priya'])[1 + n * 7 % 11] as first_name,
    (array['Rao', 'Iyer', 'Shetty', 'Nair', 'Reddy', 'Menon', 'Gowda', 'Kulkarni', 'Pillai', 'Das', 'Hegde', 'Bhat', 'Joshi'])[1 + n * 5 % 13] as last_name
  from generate_series(1, 60) as n
) as people
on conflict do nothing;

insert into clinic.user_sessions (id, user_id, started_at, expires_at, revoked_at, client_address, user_agent, created_at, updated_at)
select md5('session ' || n)::uuid, 1 + n * 17 % 60, started_at, started_at + interval '8 hours',
  case when n % 9 = 0 then started_at + interval '3 hours' end, ('10.0.' || n % 5 || '.' || 1 + n * 31 % 250)::inet,
  (array['Firefox', 'Chrome', 'Safari'])[1 + n % 3], started_at, started_at
from (select n, timestamptz '2025-02-01 03:30Z' + n * interval '5 hours' as started_at from generate_series(1, 2000) as n) as s
on conflict do nothing;

insert into clinic.staff (id, clinic_id, user_id, kind, full_name, licence_number, hired_on, created_at, updated_at, created_by, updated_by)
select u.id, u.clinic_id, u.id,
  (case u.role_id when 3 then 'doctor' when 4 then 'therapist' when 5 then 'reception' else 'manager' end)::clinic.staff_kind,
  u.full_name, case when u.role_id = 3 then 'KMC-' || 40000 + u.id * 37 end, date '2020-01-01' + (u.id * 29 % 1800)::integer,
  u.created_at, u.updated_at, 'seed', 'seed'
from clinic.users as u
where u.id <= 60 and u.created_by = 'seed'
on conflict do nothing;

insert into clinic.patients (id, clinic_id, record_number, first_name, last_name, born_on, sex, email, phone,
  created_at, updated_at, created_by, updated_by)
select n, 1 + n % 5, 'P' || lpad(n::text, 6, '0'), first_name, last_name, date '1940-01-01' + n * 7919 % 30000,
  (array['f', 'm', 'f', 'm', 'f', 'x'])[1 + n % 6], case when n % 3 <> 0 then lower(first_name || '.' || last_name) || n || '@mail.example' end,
  '+91 9' || lpad((n::bigint * 7919 * 6151 % 1000000000)::text, 9, '0'), registered_at, registered_at, 'seed', 'seed'
from (
  select n, timestamptz '2025-01-04 04:00Z' + n * interval '83 minutes' as registered_at,
    (array['Aarav', 'Anaya', 'Ishaan', 'Diya', 'Rohan', 'Kavya', 'Aditya', 'Sneha', 'Manoj', 'Pooja', 'Zoë', 'Farah', 'Joseph', 'Leela', 'Imran', 'Gita', 'Tara'])[1 + n * 11 % 17] as first_name,
    (array['Sharma', 'Patel', 'Khan', 'D''Souza', 'Fernandes', 'Chandra', 'Murthy', 'Naidu', 'Thomas', 'Banerjee', 'Ghosh', 'Kapoor', 'Sen', 'Verma', 'Yadav', 'Mehta', 'Bose', 'Prasad', 'Rana'])[1 + n * 13 % 19] as last_name
  from generate_series(1, 4000) as n
) as people
on conflict do nothing;

-- each member of staff has half-hour slots one after the other: 04:00 to 12:00 UTC, 16 a day
insert into clinic.appointments (id, clinic_id, patient_id, staff_id, starts_at, ends_at, status, reason,
  created_at, updated_at, created_by, updated_by)
select n, clinic_id, patient_id, staff_id, starts_at, starts_at + interval '30 minutes',
  (case when n % 23 = 0 then 'cancelled' when n % 29 = 0 then 'no_show' else 'completed' end)::clinic.appointment_status,
  (array['Consultation', 'Follow-up', 'Laser session', 'Chemical peel', 'Acne treatment', 'Mole check', 'Hair therapy'])[1 + n % 7],
  starts_at - interval '9 days', starts_at + interval '40 minutes', 'seed', 'seed'
from (
  select n, s.clinic_id, s.id as staff_id,
    -- a patient of the same clinic: their numbers are those with n % 5 = clinic_id - 1
    (s.clinic_id - 1 + 4) % 5 + 1 + 5 * (n * 37 % 800) as patient_number,
    timestamptz '2025-02-03 04:00Z' + (slot / 16) * interval '24 hours' + (slot % 16) * interval '30 minutes' as starts_at
  from (select n, 1 + (n - 1) % 60 as staff_id, (n - 1) / 60 as slot from generate_series(1, 8000) as n) as numbered
  join clinic.staff as s on s.id = numbered.staff_id
) as booked
cross join lateral (select p.id as patient_id from clinic.patients as p where p.id = booked.patient_number and p.clinic_id = booked.clinic_id) as patient
on conflict do nothing;

select setval(pg_get_serial_sequence('clinic.' || name, 'id'), greatest(top, 1))
from (
  select 'clinics', max(id) from clinic.clinics union all select 'roles', max(id) from clinic.roles
  union all select 'users', max(id) from clinic.users union all select 'staff', max(id) from clinic.staff
  union all select 'patients', max(id) from clinic.patients union all select 'appointments', max(id) from clinic.appointments
) as t (name, top);
