export const FUNCTIONS = `
  select 'function', n.nspname, null, d.objid::pg_catalog.regprocedure::text, false,
    pg_catalog.jsonb_build_object('depends on extensions', pg_catalog.jsonb_agg(e.extname order by e.extname))
  from pg_catalog.pg_depend d
  join pg_catalog.pg_extension e on e.oid = d.refobjid
  join pg_catalog.pg_proc p on p.oid = d.objid
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.deptype = 'x'
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  group by n.nspname, d.objid`;

/* pg-delta takes plpgsql for granted. */
export const EXTENSIONS = `
  select 'extension', null, null, e.extname, e.extname = 'plpgsql',
    pg_catalog.jsonb_build_object('version', e.extversion)
  from pg_catalog.pg_extension e`;

const OPTIONS = (options: string): string => `pg_catalog.jsonb_build_object('options (not shown)',
  pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($1 || pg_catalog.array_to_string(
    array(select o from pg_catalog.unnest(${options}) o order by 1), E'\\n'), 'UTF8')), 'hex'))`;

export const FOREIGN_SERVERS = `
  select 'server', null, null, s.srvname, false, ${OPTIONS('s.srvoptions')}
  from pg_catalog.pg_foreign_server s where s.srvoptions is not null
  union all
  select 'foreign-data wrapper', null, null, w.fdwname, false, ${OPTIONS('w.fdwoptions')}
  from pg_catalog.pg_foreign_data_wrapper w where w.fdwoptions is not null`;
