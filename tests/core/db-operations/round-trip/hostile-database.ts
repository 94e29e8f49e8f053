import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeIdentifier } from 'pg';
import { onServer } from '../../../support/scratch-database.js';

/** The roles that the hostile database names. */
export const HOSTILE_ROLES = ['Ärztin "Dr"; --', "Leser's %s"];

/** They are there for the tests of a suite. */
export function withHostileRoles(): void {
  const forEach = (verb: 'create' | 'drop') => () =>
    onServer(async (server) => {
      for (const role of HOSTILE_ROLES) await server.query(`${verb} role ${escapeIdentifier(role)}`);
    });
  before(forEach('create'));
  after(forEach('drop'));
}

/** The search_path that it relies on, and does not set itself. */
export const HOSTILE_SEARCH_PATH = 'public, "TABLE DATA"';

/** The database of the file, with roles that are quoted wherever they are named. */
export function hostileDatabase(): string {
  const sql = readFileSync(join(import.meta.dirname, 'hostile-database.sql'), 'utf8');
  const [owner = '', reader = ''] = HOSTILE_ROLES.map((role) => escapeIdentifier(role));
  return sql.replaceAll('round_trip_owner', owner).replaceAll('round_trip_reader', reader);
}

/** Copies do not bring them. */
export const DROP_USER_MAPPINGS = `
  do $$ declare one record; begin
    for one in select * from pg_user_mappings loop
      execute format('drop user mapping for %s server %I', case one.umuser when 0 then 'public' else quote_ident(one.usename) end, one.srvname);
    end loop;
  end $$`;
