import { listed, ok, type RunCheck, statements } from '../check.js';

export const checkExtensions: RunCheck = async (db) => {
  const { rows } = await db.query<{ words: string; fix: string | null }>(EXTENSIONS);
  if (rows.length === 0) return ok(0, 'Every extension is in the newest version that the server has.');
  const fixes = rows.flatMap(({ fix }) => (fix === null ? [] : [fix]));
  return {
    status: 'warning',
    value: rows.length,
    detail: `Behind the files on the server, as after an upgrade: ${listed(rows.map(({ words }) => words))}.`,
    fix: fixes.length > 0 ? statements(fixes) : 'select * from pg_available_extensions;',
  };
};

/* A version that the server offers is newer only where a way leads to it from the one that is installed. */
const EXTENSIONS = `
  select pg_catalog.concat(e.extname, ' ', e.extversion,
      case when a.name is null then ', whose files are gone' else ', now ' || a.default_version end) as words,
    case when a.name is not null then pg_catalog.format('alter extension %I update', e.extname) end as fix
  from pg_catalog.pg_extension e
  left join pg_catalog.pg_available_extensions a on a.name = e.extname
  where a.name is null or (
    a.default_version <> e.extversion and exists (
      select from pg_catalog.pg_extension_update_paths(e.extname) way
      where way.source = e.extversion and way.target = a.default_version and way.path is not null
    ))
  order by e.extname`;
