import { COMMENT, GRANTS, IDENTITY, IN_USERS_SCHEMA, IS_OF_USERS, OWNER } from './sql-fragments.js';

export const TYPES = `
  select 'type', n.nspname, null, pg_catalog.format('%I.%I', n.nspname, t.typname), true,
    pg_catalog.jsonb_build_object(
      'defined', t.typisdefined, 'input', t.typinput::text, 'output', t.typoutput::text, 'receive', t.typreceive::text,
      'send', t.typsend::text, 'modifiers in', t.typmodin::text, 'modifiers out', t.typmodout::text,
      'analyze', t.typanalyze::text, 'subscript', pg_catalog.to_jsonb(t) ->> 'typsubscript',
      'length', t.typlen, 'by value', t.typbyval, 'alignment', t.typalign, 'storage', t.typstorage,
      'category', t.typcategory, 'preferred', t.typispreferred, 'default', t.typdefault, 'delimiter', t.typdelim,
      'element', case when t.typelem <> 0 then pg_catalog.format_type(t.typelem, null) end, 'collatable', t.typcollation <> 0,
      ${OWNER('t.typowner')}, 'grants', ${GRANTS('t.typacl', 'T', 't.typowner')}, ${COMMENT('pg_type', 't.oid')})
  from pg_catalog.pg_type t
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where t.typtype in ('b', 'p') and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid)
    and ${IN_USERS_SCHEMA('n')} and ${IS_OF_USERS('pg_type', 't.oid')}`;

export const CASTS = `
  select 'cast', null, null, pg_catalog.format('(%s as %s)', pg_catalog.format_type(c.castsource, null), pg_catalog.format_type(c.casttarget, null)),
    true, pg_catalog.jsonb_build_object(
      'method', c.castmethod, 'context', c.castcontext,
      'function', case when c.castfunc <> 0 then c.castfunc::pg_catalog.regprocedure::text end, ${COMMENT('pg_cast', 'c.oid')})
  from pg_catalog.pg_cast c where ${IS_OF_USERS('pg_cast', 'c.oid')}`;

export const OPERATORS = `
  select 'operator', n.nspname, null, ${IDENTITY('pg_operator', 'o.oid')}, true,
    pg_catalog.jsonb_build_object(
      'function', o.oprcode::pg_catalog.oid::pg_catalog.regprocedure::text, 'result', pg_catalog.format_type(o.oprresult, null),
      'commutator', case when o.oprcom <> 0 then o.oprcom::pg_catalog.regoperator::text end,
      'negator', case when o.oprnegate <> 0 then o.oprnegate::pg_catalog.regoperator::text end,
      'restrict', o.oprrest::text, 'join', o.oprjoin::text, 'hashes', o.oprcanhash, 'merges', o.oprcanmerge,
      ${OWNER('o.oprowner')}, ${COMMENT('pg_operator', 'o.oid')})
  from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
  where ${IS_OF_USERS('pg_operator', 'o.oid')}
  union all
  select 'operator class', n.nspname, null, ${IDENTITY('pg_opclass', 'o.oid')}, true,
    pg_catalog.jsonb_build_object(
      'family', ${IDENTITY('pg_opfamily', 'o.opcfamily')}, 'type', pg_catalog.format_type(o.opcintype, null), 'default', o.opcdefault,
      'stored as', case when o.opckeytype <> 0 then pg_catalog.format_type(o.opckeytype, null) end,
      ${OWNER('o.opcowner')}, ${COMMENT('pg_opclass', 'o.oid')})
  from pg_catalog.pg_opclass o join pg_catalog.pg_namespace n on n.oid = o.opcnamespace
  where ${IS_OF_USERS('pg_opclass', 'o.oid')}
  union all
  select 'operator family', n.nspname, null, ${IDENTITY('pg_opfamily', 'o.oid')}, true,
    pg_catalog.jsonb_build_object(
      'operators', (
        select pg_catalog.jsonb_agg(pg_catalog.format('%s %s%s', m.amopstrategy, m.amopopr::pg_catalog.regoperator,
          case when m.amopsortfamily <> 0 then ' for order by ' || ${IDENTITY('pg_opfamily', 'm.amopsortfamily')} else '' end)
          order by m.amopstrategy, m.amopopr::pg_catalog.regoperator::text)
        from pg_catalog.pg_amop m where m.amopfamily = o.oid),
      'functions', (
        select pg_catalog.jsonb_agg(pg_catalog.format('%s (%s, %s) %s', p.amprocnum, pg_catalog.format_type(p.amproclefttype, null),
          pg_catalog.format_type(p.amprocrighttype, null), p.amproc::pg_catalog.oid::pg_catalog.regprocedure)
          order by p.amprocnum, p.amproc::pg_catalog.oid::pg_catalog.regprocedure::text,
            pg_catalog.format_type(p.amproclefttype, null), pg_catalog.format_type(p.amprocrighttype, null))
        from pg_catalog.pg_amproc p where p.amprocfamily = o.oid),
      ${OWNER('o.opfowner')}, ${COMMENT('pg_opfamily', 'o.oid')})
  from pg_catalog.pg_opfamily o join pg_catalog.pg_namespace n on n.oid = o.opfnamespace
  where ${IS_OF_USERS('pg_opfamily', 'o.oid')}`;
