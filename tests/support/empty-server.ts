import { escapeIdentifier } from 'pg';
import { dropDatabase, onServer } from './scratch-database.js';

const DATABASES = `select datname as name from pg_database where not datistemplate and datname <> 'postgres'`;
/** Those that initdb has not made. */
const ROLES = `select rolname as name from pg_roles where oid >= 16384`;

/** Makes the test server what it was at first, whatever a file of tests has left: the next one must not depend on it. */
export async function emptyServer(): Promise<void> {
  for (const name of await onServer(async (server) => namesOf(await server.query(DATABASES)))) await dropDatabase(name);
  await onServer(async (server) => {
    const roles = namesOf(await server.query(ROLES)).map((name) => escapeIdentifier(name));
    for (const role of roles) await server.query(`drop owned by ${role} cascade`);
    for (const role of roles) await server.query(`drop role ${role}`);
    await server.query('alter role all reset all');
    await server.query('alter role current_user reset all');
    await server.query('alter database postgres reset all');
  });
}

function namesOf({ rows }: { readonly rows: readonly { readonly name: string }[] }): readonly string[] {
  return rows.map(({ name }) => name);
}
