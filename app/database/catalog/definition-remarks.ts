/**
 * What is said about objects rather than with them, for `readDefinitionTexts`, whose common table expressions these use. Comments on
 * what came with the server or an extension do not come along in a dump; security labels do.
 */

/** The object of `remark`, called as in COMMENT ON, with `label` before it. */
const NAMED = (label: string, remark: string): string => `
  ${label} || coalesce(
    (select p.full_name from routine p where ${remark}.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = ${remark}.objoid),
    pg_catalog.regexp_replace(object.type, '^.* column$|^(table|domain) constraint$',
      case when object.type like '% column' then 'column' else 'constraint' end) || ' ' || object.identity)`;

/** The schema that an object is in, also where it is a part of a relation; `null` where it is in none. */
const SCHEMA = (remark: string): string => `
  coalesce(object.schema, (
    select n.nspname from pg_catalog.pg_namespace n
    where ${remark}.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and n.oid = ${remark}.objoid
  ), (
    select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = owner.relid
  ))`;

/** The relation that an object is, or is a part of. */
const RELATION_OF = (remark: string): string => `
  case ${remark}.classoid
    when 'pg_catalog.pg_class'::pg_catalog.regclass then ${remark}.objoid
    when 'pg_catalog.pg_trigger'::pg_catalog.regclass then (select t.tgrelid from pg_catalog.pg_trigger t where t.oid = ${remark}.objoid)
    when 'pg_catalog.pg_rewrite'::pg_catalog.regclass then (select r.ev_class from pg_catalog.pg_rewrite r where r.oid = ${remark}.objoid)
    when 'pg_catalog.pg_policy'::pg_catalog.regclass then (select p.polrelid from pg_catalog.pg_policy p where p.oid = ${remark}.objoid)
    when 'pg_catalog.pg_constraint'::pg_catalog.regclass then (select k.conrelid from pg_catalog.pg_constraint k where k.oid = ${remark}.objoid)
  end`;

/** No masked copy has large objects and subscriptions. */
const COMES_ALONG = (remark: string): string =>
  `${remark}.classoid not in ('pg_catalog.pg_largeobject'::pg_catalog.regclass, 'pg_catalog.pg_subscription'::pg_catalog.regclass)`;

/* The schema public and extensions have comments that nobody here has made. FirstNormalObjectId: what is smaller came with the server. */
export const COMMENTS = `
  select ${NAMED(`'comment on '`, 'd')}, null, 'whole', 0, d.description
  from pg_catalog.pg_description d
  cross join lateral (select ${RELATION_OF('d')} as relid) owner
  cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) object
  left join pg_catalog.pg_extension e on d.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass and e.oid = d.objoid
  left join pg_catalog.pg_available_extensions() a (name, version, comment) on a.name = e.extname
  where (d.objoid >= 16384 or (d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
      and object.identity = 'public' and d.description <> 'standard public schema'))
    and d.description is distinct from a.comment
    and ${COMES_ALONG('d')}
    and ${SCHEMA('d')} is distinct from 'manage_db'
    and coalesce(pg_catalog.left(${SCHEMA('d')}, 3), '') <> 'pg_'
    and not exists (
      select from member m
      where (m.classid, m.objid) = (d.classoid, d.objoid)
        or (m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objid = owner.relid
          and d.classoid <> 'pg_catalog.pg_policy'::pg_catalog.regclass))`;

export const SECURITY_LABELS = `
  select ${NAMED(`pg_catalog.format('security label %I on ', l.provider)`, 'l')}, null, 'whole', 0, l.label
  from pg_catalog.pg_seclabel l
  cross join lateral (select ${RELATION_OF('l')} as relid) owner
  cross join lateral pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) object
  where ${COMES_ALONG('l')} and ${SCHEMA('l')} is distinct from 'manage_db'`;
