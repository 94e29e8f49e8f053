-- What it does: {{title}}

-- migrate:up

-- All of this part is one transaction: it is done, or nothing is. BEGIN and COMMIT have no place in it. What cannot run in
-- one (create index concurrently …) goes into a migration of its own, with transaction:false behind the marker above.

-- alter table clinic.patients add column phone text;

-- migrate:down

-- What takes it back. Where nothing does, leave the marker out.

-- alter table clinic.patients drop column phone;
