/**
 * SQL: whether the owner `owner` (an expression of type oid) of something in the schema manage_db is one of those who may
 * decide about this database: its owner, members of that, superusers, or the login itself. Anybody with CREATE could
 * make a schema of that name; what lies in it would be executed with our rights.
 */
export function isTrustedOwner(owner: string): string {
  return `(${owner} = (select l.oid from pg_catalog.pg_roles l where l.rolname = session_user)
    or pg_catalog.pg_has_role(${owner}, (
      select o.datdba from pg_catalog.pg_database o where o.datname = pg_catalog.current_database()), 'USAGE'))`;
}
