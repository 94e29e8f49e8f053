import type { Queryable } from '../queryable.js';
import { COMMENTS, SECURITY_LABELS } from './definition-remarks.js';
import { withQualifiedNames } from './qualified-names.js';
import { argumentsSql } from './trigger-sql.js';

/** A text that somebody has put into a definition, and that comes along wherever the definition does. */
export interface DefinitionText {
  /** What it belongs to, in PostgreSQL's words and quoted: `default clinic.patients.status`. One may have several texts. */
  readonly name: string;
  /** The same of the parent that a partition or child table has it from, if it is the same; else `null`. */
  readonly parent: string | null;
  /**
   * `expression`: SQL that the server has written. `body`: SQL or PL/pgSQL as somebody has written it. `option`: the value of an
   * option. `whole`: a text and nothing else.
   */
  readonly manner: 'expression' | 'body' | 'option' | 'whole';
  readonly text: string;
}

/**
 * Every text in the definitions of a database: defaults, constraints, indexes, views, rules, policies, triggers, functions,
 * partitions, types, options, comments, security labels and their like. Not those of extensions, of `manage_db`, of large
 * objects and of what is temporary; nor user mappings, subscriptions, and what belongs to the database as such.
 *
 * @param db with `standard_conforming_strings` on
 */
export async function readDefinitionTexts(db: Queryable): Promise<readonly DefinitionText[]> {
  const { rows: servers } = await db.query<{ major: number }>(
    `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 as major`,
  );
  const parts = (servers[0]?.major ?? 0) >= 15 ? [...PARTS, PUBLICATIONS] : PARTS;
  const texts = `${OURS} select t.* from (${parts.join('\nunion all\n')}) t (name, parent, manner, place, text) where t.text <> ''`;
  const { rows } = await db.query<DefinitionText>(withQualifiedNames(texts, 'name, place, text'));
  return rows;
}

/** What the texts are read from: relations, routines and types of users, with their names as SQL writes them. */
const OURS = `
  with member as (
    select d.classid, d.objid from pg_catalog.pg_depend d where d.deptype = 'e' and d.objsubid = 0
  ), space as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n
    where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
  ), any_relation as (
    select c.*, pg_catalog.format('%I.%I', n.nspname, c.relname) as full_name
    from pg_catalog.pg_class c join space n on n.oid = c.relnamespace
    where c.relpersistence <> 't'
  ), relation as (
    select c.* from any_relation c
    where not exists (select from member m where m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objid = c.oid)
  ), routine as (
    select p.*, l.lanname, pg_catalog.format('%s %I.%I(%s)', case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
      n.nspname, p.proname, pg_catalog.oidvectortypes(p.proargtypes)) as full_name
    from pg_catalog.pg_proc p
    join space n on n.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang
    where not exists (select from member m where m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and m.objid = p.oid)
      -- of a range type
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'i')
  ), data_type as (
    select t.*, pg_catalog.format('%I.%I', n.nspname, t.typname) as full_name
    from pg_catalog.pg_type t join space n on n.oid = t.typnamespace
    where not exists (select from member m where m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and m.objid = t.oid)
  ), ancestor as (
    select h.inhrelid, h.inhparent, p.full_name
    from pg_catalog.pg_inherits h join relation p on p.oid = h.inhparent
  )`;

const VALUE = (option: string): string => `pg_catalog.substr(${option}, pg_catalog.strpos(${option}, '=') + 1)`;

const DEFAULTS = `
  select pg_catalog.format('%s %s.%I', case a.attgenerated when '' then 'default' else 'generated' end, c.full_name, a.attname),
    (select pg_catalog.format('%s %s.%I', case a.attgenerated when '' then 'default' else 'generated' end, h.full_name, a.attname)
     from ancestor h join pg_catalog.pg_attribute pa on pa.attrelid = h.inhparent and pa.attname = a.attname and pa.atthasdef
     where h.inhrelid = c.oid order by h.inhparent limit 1),
    'expression', 0, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  from relation c
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum`;

const CHECKS = `
  select pg_catalog.format('check %s.%I', c.full_name, k.conname),
    (select pg_catalog.format('check %s.%I', h.full_name, k.conname)
     from ancestor h join pg_catalog.pg_constraint pk on pk.conrelid = h.inhparent and pk.conname = k.conname and pk.contype = 'c'
     where h.inhrelid = c.oid order by h.inhparent limit 1),
    'expression', 0, pg_catalog.pg_get_constraintdef(k.oid)
  from relation c join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype = 'c'
  union all
  select pg_catalog.format('check %s.%I', t.full_name, k.conname), null, 'expression', 0, pg_catalog.pg_get_constraintdef(k.oid)
  from data_type t join pg_catalog.pg_constraint k on k.contypid = t.oid and k.contype = 'c'`;

/** Also those of constraints: an exclusion constraint has its expressions in its index. */
const INDEXES = `
  select 'index ' || ic.full_name, (select 'index ' || h.full_name from ancestor h where h.inhrelid = ic.oid),
    part.manner, part.place, part.text
  from pg_catalog.pg_index x
  join relation c on c.oid = x.indrelid
  join relation ic on ic.oid = x.indexrelid
  cross join lateral (
    select 'expression', 0, pg_catalog.pg_get_expr(x.indexprs, x.indrelid)
    union all select 'expression', 1, pg_catalog.pg_get_expr(x.indpred, x.indrelid)
    union all select 'option', 2, ${VALUE('o')} from pg_catalog.unnest(ic.reloptions) o
    union all
    select 'option', 3, ${VALUE('o')} from pg_catalog.pg_attribute a cross join pg_catalog.unnest(a.attoptions) o where a.attrelid = ic.oid
  ) part (manner, place, text)`;

const VIEWS = `
  select case c.relkind when 'm' then 'materialized view ' else 'view ' end || c.full_name, null, 'expression', 0, pg_catalog.pg_get_viewdef(c.oid)
  from relation c where c.relkind in ('v', 'm')
  union all
  select pg_catalog.format('rule %s.%I', c.full_name, r.rulename), null, 'expression', 0, pg_catalog.pg_get_ruledef(r.oid)
  from relation c join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'`;

/** Those on tables of extensions come along, too. */
const POLICIES = `
  select pg_catalog.format('policy %s.%I', c.full_name, p.polname), null, 'expression', part.place, part.text
  from any_relation c
  join pg_catalog.pg_policy p on p.polrelid = c.oid
  cross join lateral (values (0, pg_catalog.pg_get_expr(p.polqual, p.polrelid)), (1, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))) part (place, text)`;

/** The name of a column that a trigger is told is a name, and no literal. */
const TRIGGERS = `
  select pg_catalog.format('trigger %s.%I', c.full_name, t.tgname),
    (select pg_catalog.format('trigger %s.%I', pc.full_name, pt.tgname)
     from pg_catalog.pg_trigger pt join relation pc on pc.oid = pt.tgrelid where pt.oid = t.tgparentid),
    part.manner, part.place, part.text
  from relation c
  join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
  cross join lateral (
    select pg_catalog.pg_get_triggerdef(t.oid) as text, ${argumentsSql(`pg_catalog.encode(t.tgargs, 'hex')`)} as args
  ) d
  cross join lateral (
    select coalesce(pg_catalog.string_agg(pg_catalog.quote_literal(a.value), ', ' order by a.place), '') || ')' as text
    from pg_catalog.jsonb_array_elements_text(d.args) with ordinality a (value, place)
  ) ending
  cross join lateral (
    select 'expression', 0, case when pg_catalog.right(d.text, pg_catalog.length(ending.text)) = ending.text
      then pg_catalog.left(d.text, -pg_catalog.length(ending.text)) else d.text end
    union all
    select 'whole', 1, a.value
    from pg_catalog.jsonb_array_elements_text(d.args) a (value)
    where not exists (
      select from pg_catalog.pg_attribute x where x.attrelid = c.oid and x.attnum > 0 and not x.attisdropped and x.attname = a.value)
  ) part (manner, place, text)`;

const PARTITIONS = `
  select 'partition ' || c.full_name, null, 'expression', 0, pg_catalog.pg_get_expr(c.relpartbound, c.oid)
  from relation c where c.relispartition
  union all
  select 'partition key ' || c.full_name, null, 'expression', 0, pg_catalog.pg_get_partkeydef(c.oid)
  from relation c where c.relkind = 'p'`;

/** Names of schemas that are there say no more than these do. */
const IS_PATH_OF_SCHEMAS = `
  pg_catalog.starts_with(o, 'search_path=') and not exists (
    select from pg_catalog.regexp_split_to_table(${VALUE('o')}, ',') as named (part)
    where pg_catalog.btrim(named.part, ' "') not in ('', '$user', 'pg_temp')
      and not exists (select from pg_catalog.pg_namespace s where s.nspname = pg_catalog.btrim(named.part, ' "')))`;

const ROUTINES = `
  select p.full_name, null, part.manner, part.place, part.text
  from routine p
  cross join lateral (
    select 'expression', 0, pg_catalog.pg_get_expr(p.proargdefaults, 0)
    union all select 'expression', 1, pg_catalog.pg_get_function_sqlbody(p.oid)
    union all
    select case when p.lanname in ('sql', 'plpgsql') then 'body' else 'whole' end, 2, p.prosrc
    where p.prosqlbody is null and p.prokind <> 'a' and p.lanname <> 'internal'
    union all select 'whole', 3, p.probin
    union all select 'option', 4, ${VALUE('o')} from pg_catalog.unnest(p.proconfig) o where not (${IS_PATH_OF_SCHEMAS})
    union all
    select 'whole', 5, initial.text
    from pg_catalog.pg_aggregate g cross join lateral (values (g.agginitval), (g.aggminitval)) initial (text)
    where g.aggfnoid = p.oid
  ) part (manner, place, text)`;

const TYPES = `
  select 'enum ' || t.full_name, null, 'whole', 0, e.enumlabel::text
  from data_type t join pg_catalog.pg_enum e on e.enumtypid = t.oid
  union all
  select 'domain ' || t.full_name, null, 'expression', 0, coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault)
  from data_type t where t.typtype = 'd'
  union all
  select 'type ' || t.full_name, null, 'whole', 0, t.typdefault from data_type t where t.typtype <> 'd'
  union all
  select pg_catalog.format('collation %I.%I', n.nspname, l.collname), null, 'whole', 0, pg_catalog.to_jsonb(l) ->> 'collicurules'
  from pg_catalog.pg_collation l join space n on n.oid = l.collnamespace
  where not exists (select from member m where m.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass and m.objid = l.oid)
  union all
  select pg_catalog.format('text search dictionary %I.%I', n.nspname, d.dictname), null, 'body', 0, d.dictinitoption
  from pg_catalog.pg_ts_dict d join space n on n.oid = d.dictnamespace
  where not exists (select from member m where m.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass and m.objid = d.oid)`;

/** What bounds a type is no decision of anybody. */
const SEQUENCES = `
  select 'sequence ' || c.full_name, null, 'expression', part.place, part.number::text
  from relation c
  join pg_catalog.pg_sequence s on s.seqrelid = c.oid
  cross join lateral (values (0, s.seqstart), (1, s.seqincrement), (2, s.seqmin), (3, s.seqmax), (4, s.seqcache)) part (place, number)
  where part.number not in (-32768, 32767, -2147483648, 2147483647, -9223372036854775808, 9223372036854775807)`;

const OPTIONS = `
  select case c.relkind when 'v' then 'view ' when 'm' then 'materialized view ' when 'f' then 'foreign table ' else 'table ' end || c.full_name,
    null, 'option', 1, ${VALUE('o')}
  from relation c
  left join pg_catalog.pg_class toast on toast.oid = c.reltoastrelid
  left join pg_catalog.pg_foreign_table f on f.ftrelid = c.oid
  cross join lateral pg_catalog.unnest(c.reloptions || toast.reloptions || f.ftoptions) o
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select pg_catalog.format('column %s.%I', c.full_name, a.attname), null, 'option', 0, ${VALUE('o')}
  from relation c
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  cross join lateral pg_catalog.unnest(a.attoptions || a.attfdwoptions) o
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
  union all
  select pg_catalog.format('server %I', s.srvname), null, 'option', 0, o.text
  from pg_catalog.pg_foreign_server s
  cross join lateral (
    select ${VALUE('o')} from pg_catalog.unnest(s.srvoptions) o union all values (s.srvtype), (s.srvversion)
  ) o (text)
  where not exists (select from member m where m.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass and m.objid = s.oid)
  union all
  select pg_catalog.format('foreign data wrapper %I', w.fdwname), null, 'option', 0, ${VALUE('o')}
  from pg_catalog.pg_foreign_data_wrapper w cross join lateral pg_catalog.unnest(w.fdwoptions) o
  where not exists (select from member m where m.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass and m.objid = w.oid)`;

const STATISTICS = `
  select pg_catalog.format('statistics %I.%I', n.nspname, s.stxname), null, 'expression', 0, pg_catalog.pg_get_statisticsobjdef(s.oid)
  from pg_catalog.pg_statistic_ext s
  join space n on n.oid = s.stxnamespace
  join relation c on c.oid = s.stxrelid`;

/** Rows are filtered since PostgreSQL 15. */
const PUBLICATIONS = `
  select pg_catalog.format('publication %I for %s', p.pubname, c.full_name), null, 'expression', 0, pg_catalog.pg_get_expr(r.prqual, r.prrelid)
  from pg_catalog.pg_publication_rel r
  join pg_catalog.pg_publication p on p.oid = r.prpubid
  join any_relation c on c.oid = r.prrelid`;

const PARTS = [
  DEFAULTS,
  CHECKS,
  INDEXES,
  VIEWS,
  POLICIES,
  TRIGGERS,
  PARTITIONS,
  ROUTINES,
  TYPES,
  SEQUENCES,
  OPTIONS,
  STATISTICS,
  COMMENTS,
  SECURITY_LABELS,
];
