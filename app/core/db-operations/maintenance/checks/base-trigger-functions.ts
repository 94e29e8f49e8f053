import { ok, type RunCheck } from '../check.js';

/** The functions of the base pack: they keep created_at, updated_at, created_by and updated_by. */
const BASE_FUNCTIONS = ['update_timestamp', 'track_user_changes'];

export const checkBaseTriggerFunctions: RunCheck = async (db, { environment }) => {
  const { rows } = await db.query<{ name: string }>(PRESENT, [BASE_FUNCTIONS]);
  const present = rows.map(({ name }) => name);
  const missing = BASE_FUNCTIONS.filter((name) => !present.includes(name));
  if (missing.length === 0) return ok(present.length, 'The functions of the base triggers are there.');
  return {
    status: 'warning',
    value: present.length,
    detail: `Missing: ${missing.map((name) => `public.${name}()`).join(', ')}. Rows say neither when nor by whom they were changed.`,
    fix: `manage_db apply-db-triggers --env ${environment}`,
  };
};

const PRESENT = `
  select p.proname::text as name
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'public' and p.proname = any ($1) and p.pronargs = 0
    and p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype`;
