import { COMMENT, GRANTS, IN_USERS_SCHEMA, NOT_OF_EXTENSION } from './sql-fragments.js';

const RELATION_KIND = `case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
  when 'S' then 'sequence' when 'i' then 'index' when 'I' then 'index' when 'c' then 'type' else 'table' end`;

export const RELATIONS = `
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
export const COLUMNS = `
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
export const TRIGGERS = `
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
export const INHERITED = `
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
export const IDENTITY_SEQUENCES = `
  select 'sequence', n.nspname, t.relname, pg_catalog.format('%I.%I', n.nspname, c.relname), true,
    pg_catalog.jsonb_build_object('persistence', case when c.relpersistence = 'u' then 'unlogged' end,
      'grants', ${GRANTS('c.relacl', 's', 'c.relowner')}, ${COMMENT('pg_class', 'c.oid')})
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype = 'i'
  join pg_catalog.pg_class t on t.oid = d.refobjid
  where c.relkind = 'S' and c.relpersistence <> 't' and ${IN_USERS_SCHEMA('n')} and ${NOT_OF_EXTENSION}`;
