import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

export const checkExtensions: RunCheck = async (db) => {
  const { rows } = await db.query<{ words: string; fix: string | null }>(EXTENSIONS);
  if (rows.length === 0) return ok(0, 'Every extension is in the newest version that the server has.');
  const names = (isLost: boolean) => rows.filter(({ fix }) => (fix === null) === isLost).map(({ words }) => words);
  const [behind, lost] = [names(false), names(true)];
  return {
    status: 'warning',
    value: rows.length,
    detail: [
      ...(behind.length > 0 ? [`Behind the files on the server, as after an upgrade: ${listed(behind)}.`] : []),
      ...(lost.length > 0
        ? [`On a server without their files (no statement brings these back): ${listed(lost)}. ${REINSTALL}`]
        : []),
    ].join(' '),
    fix: behind.length > 0 ? statements(rows.flatMap(({ fix }) => fix ?? [])) : null,
  };
};

const REINSTALL =
  'Install the packages that they come from on the server again: until then their functions fail, and no dump can be restored here.';

/* A version that the server offers is newer only where a way leads to it from the one that is installed. */
const EXTENSIONS = `
  select pg_catalog.concat(e.extname, ' ', e.extversion, ', now ' || a.default_version) as words,
    case when a.name is not null then pg_catalog.format('alter extension %I update', e.extname) end as fix
  from pg_catalog.pg_extension e
  left join pg_catalog.pg_available_extensions a on a.name = e.extname
  where a.name is null or (
    a.default_version <> e.extversion and exists (
      select from pg_catalog.pg_extension_update_paths(e.extname) way
      where way.source = e.extversion and way.target = a.default_version and way.path is not null
    ))
  order by e.extname`;
