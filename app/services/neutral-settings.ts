import type { Queryable } from '../database/queryable.js';

/**
 * What an administrator may have set for every session of a database or a login (`alter database … set`), and what a session
 * of ours, or of a client tool, needs to do its work and to see what is there: their defaults. What the settings of the
 * environment say (`options`) stays, as it was meant for us.
 */
const NEUTRAL: Readonly<Record<string, string>> = {
  bytea_output: 'hex',
  DateStyle: 'ISO, MDY',
  default_transaction_deferrable: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_read_only: 'off',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  IntervalStyle: 'postgres',
  lock_timeout: '0',
  quote_all_identifiers: 'off',
  row_security: 'on',
  session_replication_role: 'origin',
  standard_conforming_strings: 'on',
  statement_timeout: '0',
  transaction_timeout: '0',
  transform_null_equals: 'off',
};

const NAMES = Object.keys(NEUTRAL);
const VALUES = Object.values(NEUTRAL);

const WITHOUT_LIMIT = 'set statement_timeout = 0';

/** Some may be changed by superusers only; to others they stay what they are. */
const TO_CHANGE = `
  from pg_catalog.pg_settings s
  join rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as n (name, value) on n.name = s.name
  where (s.context = 'user' or pg_catalog.current_setting('is_superuser') = 'on')`;

const DIFFERENT = `${TO_CHANGE} and s.setting <> n.value and s.source <> 'client'`;

/** What the session began with, the client's own options as well: what sets them for a tool comes after these settings. */
const DIFFERENT_AT_START = `${TO_CHANGE} and s.reset_val <> n.value`;

/**
 * A role that the database or the login is set to, and that keeps the login from what it may do by itself. One with the
 * rights of the database's owner is meant for work like ours, and one that the login does not inherit from is the only way to
 * its rights: these stay.
 */
const SET_ROLE = `
  from pg_catalog.pg_db_role_setting s
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
  cross join pg_catalog.unnest(s.setconfig) as c (setting)
  where s.setdatabase in (0, d.oid)
    and s.setrole in (0, (select r.oid from pg_catalog.pg_roles r where r.rolname = session_user))
    and c.setting = 'role=' || pg_catalog.current_setting('role')
    and pg_catalog.pg_has_role(session_user, current_user, 'usage')
    and not pg_catalog.pg_has_role(current_user, d.datdba, 'usage')
  limit 1`;

/**
 * Frees the session from a role that it was set to, for the open transaction. A statement without parameters, to be sent
 * together with others; the search_path must be pinned.
 */
export const DROP_SET_ROLE = `select pg_catalog.set_config('role', 'none', true) ${SET_ROLE}`;

/**
 * Gives the session of `db` the settings that ours need, until its end.
 *
 * @param db with the search_path pinned
 * @param options the environment's own, which stay
 */
export async function neutralize(db: Queryable, options: string | null): Promise<void> {
  // first and unseen: asking for what is set takes long enough to run into it
  if (!options?.includes('statement_timeout')) await db.query(WITHOUT_LIMIT);
  await db.query(`select pg_catalog.set_config('role', 'none', false) ${SET_ROLE}`);
  await db.query(`select pg_catalog.set_config(s.name, n.value, false) ${DIFFERENT}`, [NAMES, VALUES]);
}

/**
 * What a client tool has to be given in PGOPTIONS for the same; empty where nothing is set, as a pooler may refuse options.
 *
 * @param db a session as the tool will have one, but with the search_path pinned, and which does nothing else
 */
export async function neutralOptions(db: Queryable): Promise<string[]> {
  await db.query(WITHOUT_LIMIT);
  // before the settings, as it decides which of them may be changed
  const { rows: roles } = await db.query(`select pg_catalog.set_config('role', 'none', false) ${SET_ROLE}`);
  const { rows } = await db.query<{ name: string; value: string }>(`select s.name, n.value ${DIFFERENT_AT_START}`, [
    NAMES,
    VALUES,
  ]);
  const settings = [...(roles.length > 0 ? [{ name: 'role', value: 'none' }] : []), ...rows];
  return settings.map(({ name, value }) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`);
}
