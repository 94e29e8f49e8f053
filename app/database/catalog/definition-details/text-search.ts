import { COMMENT, IDENTITY, IS_OF_USERS, OWNER } from './sql-fragments.js';

export const TEXT_SEARCH = `
  select 'text search parser', n.nspname, null, ${IDENTITY('pg_ts_parser', 'p.oid')}, true,
    pg_catalog.jsonb_build_object('start', p.prsstart::text, 'token', p.prstoken::text, 'end', p.prsend::text,
      'headline', p.prsheadline::text, 'types', p.prslextype::text, ${COMMENT('pg_ts_parser', 'p.oid')})
  from pg_catalog.pg_ts_parser p join pg_catalog.pg_namespace n on n.oid = p.prsnamespace
  where ${IS_OF_USERS('pg_ts_parser', 'p.oid')}
  union all
  select 'text search template', n.nspname, null, ${IDENTITY('pg_ts_template', 't.oid')}, true,
    pg_catalog.jsonb_build_object('init', t.tmplinit::text, 'lexize', t.tmpllexize::text, ${COMMENT('pg_ts_template', 't.oid')})
  from pg_catalog.pg_ts_template t join pg_catalog.pg_namespace n on n.oid = t.tmplnamespace
  where ${IS_OF_USERS('pg_ts_template', 't.oid')}
  union all
  select 'text search dictionary', n.nspname, null, ${IDENTITY('pg_ts_dict', 'd.oid')}, true,
    pg_catalog.jsonb_build_object('template', ${IDENTITY('pg_ts_template', 'd.dicttemplate')}, 'options', d.dictinitoption,
      ${OWNER('d.dictowner')}, ${COMMENT('pg_ts_dict', 'd.oid')})
  from pg_catalog.pg_ts_dict d join pg_catalog.pg_namespace n on n.oid = d.dictnamespace
  where ${IS_OF_USERS('pg_ts_dict', 'd.oid')}
  union all
  select 'text search configuration', n.nspname, null, ${IDENTITY('pg_ts_config', 'f.oid')}, true,
    pg_catalog.jsonb_build_object(
      'parser', ${IDENTITY('pg_ts_parser', 'f.cfgparser')},
      'mappings', (
        select pg_catalog.jsonb_agg(m.line order by m.line)
        from (
          select pg_catalog.format('%s: %s', k.alias, pg_catalog.string_agg(${IDENTITY('pg_ts_dict', 'm.mapdict')}, ', ' order by m.mapseqno)) as line
          from pg_catalog.pg_ts_config_map m join pg_catalog.ts_token_type(f.cfgparser) k on k.tokid = m.maptokentype
          where m.mapcfg = f.oid group by k.alias) m),
      ${OWNER('f.cfgowner')}, ${COMMENT('pg_ts_config', 'f.oid')})
  from pg_catalog.pg_ts_config f join pg_catalog.pg_namespace n on n.oid = f.cfgnamespace
  where ${IS_OF_USERS('pg_ts_config', 'f.oid')}`;
