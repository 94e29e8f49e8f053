import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { onServer } from './scratch-database.js';

export interface ScratchLogin {
  readonly user: string;
  readonly password: string;
}

/** A login of its own on the test server. `options` are those of CREATE ROLE: `createrole`. */
export async function scratchLogin(name: string, options = ''): Promise<ScratchLogin> {
  const user = `${name}_${randomBytes(4).toString('hex')}`;
  // a password is kept out of all text from then on, also of that of the tests that come later
  const password = randomBytes(12).toString('hex');
  await onServer((server) => server.query(`create role ${user} login password '${password}' ${options}`));
  return { user, password };
}

/** Drops logins, and with them what they own or were granted in the database `postgres`; other databases are gone by now. */
export async function dropLogins(...logins: readonly ScratchLogin[]): Promise<void> {
  await onServer((server) =>
    server.query(`drop role if exists ${logins.map(({ user }) => escapeIdentifier(user)).join(', ')}`),
  );
}

/** Drops the roles that carry the levels of `databases`, which are gone by now. */
export async function dropLevelRoles(...databases: readonly string[]): Promise<void> {
  await onServer(async (server) => {
    const { rows } = await server.query<{ name: string }>(
      `select r.rolname as name from pg_roles r
       where shobj_description(r.oid, 'pg_authid') like 'manage_db: %'
         and split_part(shobj_description(r.oid, 'pg_authid'), ' of database ', 2) = any ($1)`,
      [databases],
    );
    for (const { name } of rows) await server.query(`drop role ${escapeIdentifier(name)}`);
  });
}
