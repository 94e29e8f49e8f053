-- Invoices for completed appointments. The header's sums are made from the same lines that are inserted below it, and the
-- subledger from invoices and payments; so all of them add up.
set local time zone 'UTC';

insert into billing.services (id, clinic_id, code, name, price, tax_rate, minutes, created_at, updated_at, created_by, updated_by)
select (c - 1) * 8 + s, c, 'S' || lpad(s::text, 3, '0'), name, price + c * 50, tax_rate, minutes,
  timestamptz '2025-01-05 06:00Z', timestamptz '2025-01-05 06:00Z', 'seed', 'seed'
from generate_series(1, 5) as c
cross join (values
  (1, 'Consultation', 800, 0, 20), (2, 'Follow-up', 500, 0, 15), (3, 'Laser session', 4500, 18, 45), (4, 'Chemical peel', 3200, 18, 40),
  (5, 'Acne treatment', 1800, 18, 30), (6, 'Mole removal', 2700, 12, 30), (7, 'Hair therapy', 3900, 18, 60), (8, 'Skin analysis', 1200, 5, 25)
) as v (s, name, price, tax_rate, minutes)
on conflict do nothing;

with lines as (
  select * from (
    select a.id as appointment_id, line, (a.clinic_id - 1) * 8 + 1 + (a.id * 3 + line * 5) % 8 as service_id, (1 + (a.id + line) % 2)::smallint as quantity
    from clinic.appointments as a cross join generate_series(1, 3) as line
    -- one to three lines, two on average
    where a.created_by = 'seed' and a.status = 'completed' and a.id <= 5800 and line <= 1 + a.id % 3
  ) as l
), sums as (
  select l.appointment_id, sum(l.quantity * s.price) as subtotal, sum(round(l.quantity * s.price * s.tax_rate / 100, 2)) as tax
  from lines as l join billing.services as s on s.id = l.service_id
  group by l.appointment_id
)
insert into billing.invoices (id, clinic_id, patient_id, appointment_id, invoice_number, issued_on, due_on, status, subtotal, tax,
  created_at, updated_at, created_by, updated_by)
select a.id, a.clinic_id, a.patient_id, a.id, 'INV-' || to_char(a.starts_at, 'YYYY') || '-' || lpad(a.id::text, 6, '0'),
  a.starts_at::date, a.starts_at::date + 30, case when a.id % 5 = 0 then 'issued'::billing.invoice_status else 'paid' end, sums.subtotal, sums.tax,
  a.ends_at, a.ends_at, 'seed', 'seed'
from sums join clinic.appointments as a on a.id = sums.appointment_id
on conflict do nothing;

insert into billing.invoice_lines (invoice_id, line_number, service_id, description, quantity, unit_price, tax_rate, created_at, created_by)
select i.id, line, s.id, s.name, (1 + (i.id + line) % 2)::smallint, s.price, s.tax_rate, i.created_at, 'seed'
from billing.invoices as i
cross join generate_series(1, 3) as line
join billing.services as s on s.id = (i.clinic_id - 1) * 8 + 1 + (i.id * 3 + line * 5) % 8
where i.created_by = 'seed' and line <= 1 + i.id % 3
on conflict do nothing;

-- paid invoices in one payment, or every fourth in two; of the open ones every second has a part paid
insert into billing.payments (id, invoice_id, paid_on, method, amount, reference, created_at, updated_at, created_by, updated_by)
select i.id * 2 + part, i.id, i.issued_on + (part * 14 + i.id % 4)::integer,
  (array['cash', 'card', 'upi', 'bank_transfer', 'insurance'])[1 + (i.id + part) % 5]::billing.payment_method, amount,
  upper(substr(md5('payment ' || i.id || ' ' || part), 1, 10)), i.created_at + part * interval '14 days', i.created_at + part * interval '14 days', 'seed', 'seed'
from billing.invoices as i
cross join lateral (
  select 0 as part, case when i.status = 'paid' and i.id % 4 <> 0 then i.total else round(i.total * 0.4, 2) end as amount
  where i.status = 'paid' or i.id % 2 = 0
  union all
  select 1, i.total - round(i.total * 0.4, 2) where i.status = 'paid' and i.id % 4 = 0
) as parts
where i.created_by = 'seed'
on conflict do nothing;

insert into billing.ar_subledger (entry_id, entry_date, clinic_id, patient_id, invoice_id, payment_id, entry_type, debit_amount, credit_amount,
  created_at, updated_at, created_by, updated_by)
select i.id * 3, i.issued_on, i.clinic_id, i.patient_id, i.id, null::bigint, 'invoice'::billing.entry_type, i.total, 0, i.created_at, i.updated_at, 'seed', 'seed'
from billing.invoices as i
where i.created_by = 'seed'
union all
select p.id / 2 * 3 + 1 + p.id % 2, p.paid_on, i.clinic_id, i.patient_id, i.id, p.id, 'payment', 0, p.amount, p.created_at, p.updated_at, 'seed', 'seed'
from billing.payments as p join billing.invoices as i on i.id = p.invoice_id
where p.created_by = 'seed'
order by 1
on conflict do nothing;

select setval(pg_get_serial_sequence('billing.' || name, col), greatest(top, 1))
from (
  select 'services', 'id', max(id) from billing.services union all select 'invoices', 'id', max(id) from billing.invoices
  union all select 'payments', 'id', max(id) from billing.payments union all select 'ar_subledger', 'entry_id', max(entry_id) from billing.ar_subledger
) as t (name, col, top);
