/**
 * The condition that the index `x` (of pg_index, with `i` of pg_class) serves the foreign key `k` (of pg_constraint): all of
 * its columns lead the index, in whatever order, in their own collations, and the index leaves out no row but those that
 * refer to nothing.
 */
export const SUPPORTS_KEY = `
  x.indisvalid and i.relam in (select m.oid from pg_catalog.pg_am m where m.amname in ('btree', 'hash'))
    and x.indnkeyatts >= pg_catalog.cardinality(k.conkey)
    and k.conkey <@ (pg_catalog.string_to_array(x.indkey::text, ' ')::int2[])[:pg_catalog.cardinality(k.conkey)]
    and not exists (
      select from rows from (pg_catalog.unnest(pg_catalog.string_to_array(x.indkey::text, ' ')::int2[]),
        pg_catalog.unnest(pg_catalog.string_to_array(x.indcollation::text, ' ')::oid[])) with ordinality part (attnum, collation_oid, place)
      join pg_catalog.pg_attribute own on own.attrelid = k.conrelid and own.attnum = part.attnum
      where part.place <= pg_catalog.cardinality(k.conkey) and part.collation_oid <> own.attcollation)
    and (x.indpred is null or not exists (
      select from pg_catalog.regexp_split_to_table(
        pg_catalog.replace(pg_catalog.replace(pg_catalog.pg_get_expr(x.indpred, x.indrelid), '(', ''), ')', ''), ' AND ') part
      where part not in (
        select pg_catalog.format('%I IS NOT NULL', own.attname) from pg_catalog.pg_attribute own
        where own.attrelid = k.conrelid and own.attnum = any (k.conkey))))`;
