/**
 * One statement that runs `select` with an empty search_path, and then puts the caller's back.
 *
 * pg_get_triggerdef, pg_get_constraintdef, pg_get_expr, format_type and their like write a name without its schema when
 * the session's search_path happens to find it; with an empty one they always write the schema, so that two sessions
 * read the same text. A reader may be given a pool, where a `set` and a `select` of their own could meet two different
 * connections: hence one statement. Its parts run in the right order because each needs the result of the one before;
 * the scalar subqueries are evaluated even when `select` finds no row. If it fails, the setting rolls back with it.
 */
export function withQualifiedNames(select: string, orderBy: string): string {
  return `
    with emptied as materialized (
      select pg_catalog.current_setting('search_path') as previous, pg_catalog.set_config('search_path', '', true) as path
    ), found as materialized (
      select * from (${select}) selected where (select path from emptied) = ''
    ), restored as materialized (
      select pg_catalog.set_config('search_path', (select previous from emptied), true) as path
      where (select pg_catalog.count(*) from found) >= 0
    )
    select * from found where (select path from restored) is not null
    order by ${orderBy}`;
}
