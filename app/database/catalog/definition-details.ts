import type { Queryable } from '../queryable.js';

/** What pg-delta does not read: kinds that it does not know, and details of those that it knows. */
export interface DefinitionDetail {
  /** In PostgreSQL's words: `table`, `materialized view`, `text search configuration`, `cast`, … */
  readonly kind: string;
  /** `null`: it belongs to the database, and to none of its schemas. */
  readonly schema: string | null;
  /** The relation that it is, or belongs to; `null` where there is none. */
  readonly relation: string | null;
  /** Of a whole object with its schema, quoted, and with what else tells it from others; else its bare name. */
  readonly name: string;
  /** Whether it is the whole object; `false`: details of one that pg-delta finds, too. */
  readonly isWhole: boolean;
  /** By names in words. What is absent is as it is by default; of what is `(not shown)` there is a checksum. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * Definitions beyond those that pg-delta reads, by kind and identity: operators, casts, text search objects, statistics and
 * their like, and how columns are stored and ordered, what is clustered, populated or switched. Without what came with an
 * extension. Under a pinned search_path, so that every name comes with its schema.
 *
 * @param salt makes what stands for the options of foreign data worthless to others: they may hold secrets
 */
export async function readDefinitionDetails(db: Queryable, salt: string): Promise<DefinitionDetail[]> {
  const { rows } = await db.query<{ [Key in keyof DefinitionDetail]: DefinitionDetail[Key] }>(DETAILS, [salt]);
  return rows;
}

/** FirstNormalObjectId: what has a smaller oid came with the server. */
const IS_OF_USERS = (catalog: string, oid: string): string => `
  ${oid} >= 16384 and not exists (
    select from pg_catalog.pg_depend part
    where part.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and part.objid = ${oid} and part.objsubid = 0
      and part.deptype in ('e', 'i'))`;

const IN_USERS_SCHEMA = (namespace: string): string =>
  `pg_catalog.left(${namespace}.nspname, 3) <> 'pg_' and ${namespace}.nspname <> 'information_schema'`;

const NOT_OF_EXTENSION = `not exists (
  select from pg_catalog.pg_depend member
  where member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and member.objid = c.oid and member.deptype = 'e')`;

const IDENTITY = (catalog: string, oid: string): string =>
  `(pg_catalog.pg_identify_object('pg_catalog.${catalog}'::pg_catalog.regclass, ${oid}, 0)).identity`;

const COMMENT = (catalog: string, oid: string): string => `'comment', pg_catalog.obj_description(${oid}, '${catalog}')`;

const OWNER = (column: string): string => `'owner', pg_catalog.pg_get_userbyid(${column})`;

/** One text a privilege, sorted. The owner is called so, whoever it is. */
const GRANTS = (acl: string, kind: string, owner: string): string => `(
  select pg_catalog.jsonb_agg(pg_catalog.format('%s to %s%s', a.privilege_type,
      case a.grantee when 0 then 'public' when ${owner} then '(owner)' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end,
      case when a.is_grantable then ' with grant option' else '' end)
    order by a.privilege_type, a.grantee = ${owner}, a.grantee = 0, pg_catalog.pg_get_userbyid(a.grantee))
  from pg_catalog.aclexplode(coalesce(${acl}, pg_catalog.acldefault('${kind}', ${owner}))) a)`;

const RELATION_KIND = `case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
  when 'S' then 'sequence' when 'i' then 'index' when 'I' then 'index' when 'c' then 'type' else 'table' end`;

const RELATIONS = `
  select ${RELATION_KIND} as kind, n.nspname as schema, coalesce(t.relname, c.relname) as relation,
    c.relname as name, false as is_whole,
    pg_catalog.jsonb_build_object(
      'access method', case when am.amname <> 'heap' and c.relkind in ('r', 'm', 'p') then am.amname end,
      'clustered on', (
        select ic.relname from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
        where i.indrelid = c.oid and i.indisclustered),
      'column order', case when c.relkind in ('r', 'p', 'f', 'c') then (
        select pg_catalog.jsonb_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) end,
      'parents', (
        select case when pg_catalog.count(*) > 1 then
          pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', pn.nspname, pc.relname) order by h.inhseqno) end
        from pg_catalog.pg_inherits h join pg_catalog.pg_class pc on pc.oid = h.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace
        where h.inhrelid = c.oid and c.relkind in ('r', 'f')),
      'of type', case when c.reloftype <> 0 then pg_catalog.format_type(c.reloftype, null) end,
      'persistence', case when c.relkind = 'S' and c.relpersistence = 'u' then 'unlogged' end,
      'populated', case when c.relkind = 'm' then c.relispopulated end,
      'TOAST options', (
        select pg_catalog.to_jsonb(array(select o from pg_catalog.unnest(toast.reloptions) o order by 1))
        from pg_catalog.pg_class toast where toast.oid = c.reltoastrelid and toast.reloptions is not null),
      'statistics', case when c.relkind in ('i', 'I') then (
        select pg_catalog.jsonb_object_agg(a.attnum, j.target)
        from pg_catalog.pg_attribute a
        cross join lateral (select pg_catalog.to_jsonb(a) ->> 'attstattarget' as target) j
        where a.attrelid = c.oid and a.attnum > 0 and j.target <> '-1') end,
      'options (not shown)', (
        select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($1 || pg_catalog.array_to_string(
          array(select o from pg_catalog.unnest(f.ftoptions) o order by 1), E'\\n'), 'UTF8')), 'hex')
        from pg_catalog.pg_foreign_table f where f.ftrelid = c.oid and f.ftoptions is not null),
      'depends on extensions', (
        select pg_catalog.jsonb_agg(e.extname order by e.extname)
        from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'x'
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)
    ) as properties
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_am am on am.oid = c.relam
  left join pg_catalog.pg_index x on x.indexrelid = c.oid
  left join pg_catalog.pg_class t on t.oid = x.indrelid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c') and c.relpersistence <> 't'
    and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}`;

/* pg-delta reads no columns that are inherited, and of views none at all. */
const COLUMNS = `
  select 'column', n.nspname, c.relname, a.attname, false,
    pg_catalog.jsonb_build_object(
      'storage', case when c.relkind in ('r', 'p', 'm', 'f') and a.attstorage <> t.typstorage then a.attstorage end,
      'compression', nullif(a.attcompression, ''),
      'statistics', nullif(pg_catalog.to_jsonb(a) ->> 'attstattarget', '-1'),
      'settings', (select pg_catalog.jsonb_agg(o order by o) from pg_catalog.unnest(a.attoptions) o),
      'options (not shown)', case when a.attfdwoptions is not null then
        pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($1 || pg_catalog.array_to_string(
          array(select o from pg_catalog.unnest(a.attfdwoptions) o order by 1), E'\\n'), 'UTF8')), 'hex') end,
      'default', case when not (k.is_read and a.attislocal) then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
      'not null', case when k.is_read and not a.attislocal and a.attnotnull then true end,
      'generated', case when not a.attislocal then nullif(a.attgenerated, '') end,
      'comment', case when not (k.is_read and a.attislocal) then pg_catalog.col_description(c.oid, a.attnum) end,
      'grants', case when not (k.is_read and a.attislocal) and a.attacl is not null then ${GRANTS('a.attacl', 'c', 'c.relowner')} end)
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  cross join lateral (select c.relkind in ('r', 'p', 'f') as is_read) k
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'c') and c.relpersistence <> 't'
    and a.attnum > 0 and not a.attisdropped
    and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}`;

/* Those that a partition has from its parent, and that somebody has switched; and which extension a trigger goes with. */
const TRIGGERS = `
  select 'trigger', n.nspname, c.relname, t.tgname, false,
    pg_catalog.jsonb_build_object(
      'mode', case when t.tgparentid <> 0 then
        case t.tgenabled when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' end end,
      'depends on extensions', (
        select pg_catalog.jsonb_agg(e.extname order by e.extname)
        from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = t.oid and d.deptype = 'x'
          and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass))
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where not t.tgisinternal and ${IN_USERS_SCHEMA('n')}`;

/*
 * pg-delta reads only constraints that are a table's own, and of indexes neither those of constraints nor those of
 * partitions. Foreign keys of partitions are left out: they are their parent's, and a restore gives them other names.
 */
const INHERITED = `
  select case k.contype when 'n' then 'not-null constraint' else 'constraint' end, n.nspname, c.relname,
    pg_catalog.format('%I on %I.%I', k.conname, n.nspname, c.relname), true,
    pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_constraintdef(k.oid), ${COMMENT('pg_constraint', 'k.oid')},
      'of constraint', (
        select pg_catalog.format('%I on %I.%I', pk.conname, pn.nspname, pc.relname) from pg_catalog.pg_constraint pk
        join pg_catalog.pg_class pc on pc.oid = pk.conrelid join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace
        where pk.oid = k.conparentid))
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where (k.contype = 'n' or (not k.conislocal and k.contype in ('c', 'p', 'u', 'x')))
    and c.relkind in ('r', 'p', 'f') and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}
  union all
  select 'index', n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, ic.relname), true,
    pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_indexdef(ic.oid), 'valid', x.indisvalid,
      'of index', (
        select pg_catalog.format('%I.%I', pn.nspname, pc.relname) from pg_catalog.pg_inherits h
        join pg_catalog.pg_class pc on pc.oid = h.inhparent join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace
        where h.inhrelid = ic.oid),
      ${COMMENT('pg_class', 'ic.oid')})
  from pg_catalog.pg_index x
  join pg_catalog.pg_class ic on ic.oid = x.indexrelid
  join pg_catalog.pg_class c on c.oid = x.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where ic.relispartition and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}
  union all
  select 'index of a constraint', n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, ic.relname), false,
    pg_catalog.jsonb_build_object('valid', case when not x.indisvalid then false end, ${COMMENT('pg_class', 'ic.oid')})
  from pg_catalog.pg_index x
  join pg_catalog.pg_class ic on ic.oid = x.indexrelid and not ic.relispartition and ic.relkind = 'i'
  join pg_catalog.pg_class c on c.oid = x.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}
    and exists (select from pg_catalog.pg_constraint k where k.conindid = ic.oid and k.contype in ('p', 'u', 'x'))`;

/* Those of identity columns: their numbers are the columns', and their owner is the tables'. */
const IDENTITY_SEQUENCES = `
  select 'sequence', n.nspname, t.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), true,
    pg_catalog.jsonb_build_object('persistence', case when c.relpersistence = 'u' then 'unlogged' end,
      'grants', ${GRANTS('c.relacl', 's', 'c.relowner')}, ${COMMENT('pg_class', 'c.oid')})
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype = 'i'
  join pg_catalog.pg_class t on t.oid = d.refobjid
  where c.relkind = 'S' and c.relpersistence <> 't' and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}`;

const FUNCTIONS = `
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
const EXTENSIONS = `
  select 'extension', null, null, e.extname, e.extname = 'plpgsql',
    pg_catalog.jsonb_build_object('version', e.extversion)
  from pg_catalog.pg_extension e`;

const OPTIONS = (options: string): string => `pg_catalog.jsonb_build_object('options (not shown)',
  pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to($1 || pg_catalog.array_to_string(
    array(select o from pg_catalog.unnest(${options}) o order by 1), E'\\n'), 'UTF8')), 'hex'))`;

const FOREIGN_SERVERS = `
  select 'server', null, null, s.srvname, false, ${OPTIONS('s.srvoptions')}
  from pg_catalog.pg_foreign_server s where s.srvoptions is not null
  union all
  select 'foreign-data wrapper', null, null, w.fdwname, false, ${OPTIONS('w.fdwoptions')}
  from pg_catalog.pg_foreign_data_wrapper w where w.fdwoptions is not null`;

const TYPES = `
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

const CASTS = `
  select 'cast', null, null, pg_catalog.format('(%s as %s)', pg_catalog.format_type(c.castsource, null), pg_catalog.format_type(c.casttarget, null)),
    true, pg_catalog.jsonb_build_object(
      'method', c.castmethod, 'context', c.castcontext,
      'function', case when c.castfunc <> 0 then c.castfunc::pg_catalog.regprocedure::text end, ${COMMENT('pg_cast', 'c.oid')})
  from pg_catalog.pg_cast c where ${IS_OF_USERS('pg_cast', 'c.oid')}`;

const OPERATORS = `
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

const TEXT_SEARCH = `
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

const STATISTICS = `
  select 'statistics object', n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, s.stxname), true,
    pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_statisticsobjdef(s.oid),
      'target', nullif(pg_catalog.to_jsonb(s) ->> 'stxstattarget', '-1'),
      ${OWNER('s.stxowner')}, ${COMMENT('pg_statistic_ext', 's.oid')})
  from pg_catalog.pg_statistic_ext s
  join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  join pg_catalog.pg_class c on c.oid = s.stxrelid
  where ${IS_OF_USERS('pg_statistic_ext', 's.oid')}`;

/* Also languages that came with the server or an extension: what can be changed about those are the grants. */
const OTHERS = `
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
const CATALOG_GRANTS = `
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

const PARTS = [
  RELATIONS,
  COLUMNS,
  TRIGGERS,
  INHERITED,

  IDENTITY_SEQUENCES,
  FUNCTIONS,
  EXTENSIONS,
  FOREIGN_SERVERS,
  TYPES,
  CASTS,
  OPERATORS,
  TEXT_SEARCH,
  STATISTICS,
  OTHERS,
  CATALOG_GRANTS,
];

/* What has no value is as it is by default, and says nothing; so what is left of most columns is nothing at all. */
const DETAILS = `
  select d.kind, d.schema::text as schema, d.relation::text as relation, d.name::text as name, d.is_whole as "isWhole",
    pg_catalog.jsonb_strip_nulls(d.properties) as properties
  from (${PARTS.join('\nunion all\n')}) d
  where d.is_whole or pg_catalog.jsonb_strip_nulls(d.properties) <> '{}'
  order by 1, 4`;
