import { COMMENT, GRANTS, IDENTITY, IS_OF_USERS, OWNER } from './sql-fragments.js';

export const STATISTICS = `
  select 'statistics object', n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, s.stxname), true,
    pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_statisticsobjdef(s.oid),
      'target', nullif(pg_catalog.to_jsonb(s) ->> 'stxstattarget', '-1'),
      ${OWNER('s.stxowner')}, ${COMMENT('pg_statistic_ext', 's.oid')})
  from pg_catalog.pg_statistic_ext s
  join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  join pg_catalog.pg_class c on c.oid = s.stxrelid
  where ${IS_OF_USERS('pg_statistic_ext', 's.oid')}`;

/* Also languages that came with the server or an extension: what can be changed about those are the grants. */
export const OTHERS = `
  select 'conversion', n.nspname, null, ${IDENTITY('pg_conversion', 'c.oid')}, true,
    pg_catalog.jsonb_build_object('from', pg_catalog.pg_encoding_to_char(c.conforencoding), 'to', pg_catalog.pg_encoding_to_char(c.contoencoding),
      'function', c.conproc::text, 'default', c.condefault, ${OWNER('c.conowner')}, ${COMMENT('pg_conversion', 'c.oid')})
  from pg_catalog.pg_conversion c join pg_catalog.pg_namespace n on n.oid = c.connamespace
  where ${IS_OF_USERS('pg_conversion', 'c.oid')}
  union all
  select 'access method', null, null, pg_catalog.quote_ident(m.amname), true,
    pg_catalog.jsonb_build_object('type', m.amtype, 'handler', m.amhandler::text, ${COMMENT('pg_am', 'm.oid')})
  from pg_catalog.pg_am m where ${IS_OF_USERS('pg_am', 'm.oid')}
  union all
  select 'transform', null, null, pg_catalog.format('for %s language %I', pg_catalog.format_type(t.trftype, null), l.lanname), true,
    pg_catalog.jsonb_build_object('from', t.trffromsql::text, 'to', t.trftosql::text, ${COMMENT('pg_transform', 't.oid')})
  from pg_catalog.pg_transform t join pg_catalog.pg_language l on l.oid = t.trflang
  where ${IS_OF_USERS('pg_transform', 't.oid')}
  union all
  select 'language', null, null, pg_catalog.quote_ident(l.lanname), true,
    case when u.is_of_users then pg_catalog.jsonb_build_object(
      'trusted', l.lanpltrusted, 'handler', l.lanplcallfoid::pg_catalog.regproc::text, 'inline', l.laninline::pg_catalog.regproc::text,
      'validator', l.lanvalidator::pg_catalog.regproc::text, ${OWNER('l.lanowner')}, ${COMMENT('pg_language', 'l.oid')}) else '{}' end
    || pg_catalog.jsonb_build_object('grants', ${GRANTS('l.lanacl', 'l', 'l.lanowner')})
  from pg_catalog.pg_language l cross join lateral (select ${IS_OF_USERS('pg_language', 'l.oid')} as is_of_users) u`;

/* What somebody has granted or revoked on what came with the server, and pg_dump writes, too. */
export const CATALOG_GRANTS = `
  select o.kind, o.schema, null, o.identity, true, pg_catalog.jsonb_build_object(
    'grants', case when o.acl is null then null else ${GRANTS('o.acl', 'r', 'o.owner')} end)
  from (
    select 'grants on a relation' as kind, n.nspname as schema, pg_catalog.format('%I.%I', n.nspname, c.relname) as identity,
      c.relacl as acl, c.relowner as owner, i.initprivs as initial
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and i.objoid = c.oid and i.objsubid = 0
    where n.nspname = 'pg_catalog' and c.oid < 16384
    union all
    select 'grants on a function', n.nspname, p.oid::pg_catalog.regprocedure::text, p.proacl, p.proowner, i.initprivs
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and i.objoid = p.oid and i.objsubid = 0
    where n.nspname = 'pg_catalog' and p.oid < 16384
    union all
    select 'grants on a schema', n.nspname, pg_catalog.quote_ident(n.nspname), n.nspacl, n.nspowner, i.initprivs
    from pg_catalog.pg_namespace n
    left join pg_catalog.pg_init_privs i on i.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and i.objoid = n.oid and i.objsubid = 0
    where n.nspname = 'pg_catalog') o
  where o.acl is distinct from o.initial`;
