import { onServer } from './scratch-database.js';

/** Ends the session of ours that keeps others out of a database while it is restored, emptied or updated. */
export function endKeeper(database: string): Promise<unknown> {
  return onServer((server) => server.query(END, [`restore of ${database}`]));
}

const END = `
  select pg_terminate_backend(l.pid) from pg_locks l
  where l.locktype = 'advisory' and l.granted and l.objid = (hashtext($1)::bigint & 4294967295)::oid`;
