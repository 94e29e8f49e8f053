import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

/** What is said of a relation as a whole, besides its kind and its size. */
export interface RelationDetails {
  readonly owner: string;
  readonly persistence: 'permanent' | 'unlogged' | 'temporary';
  /** Null: the database's own. */
  readonly tablespace: string | null;
  /** How its rows are stored: `heap`. Null: it has none of its own. */
  readonly accessMethod: string | null;
  /** What follows WITH: `fillfactor=70`, `security_barrier=true`. */
  readonly options: readonly string[];
  /** `on`: policies hold for all but the owner; `forced`: also for the owner. */
  readonly rowSecurity: 'off' | 'on' | 'forced';
  /** What tells its rows apart for logical replication; null for what is no table. */
  readonly replicaIdentity: 'default' | 'full' | 'nothing' | 'index' | null;
  /** Of a view or materialized view: its query. */
  readonly definition: string | null;
  /** Of a partitioned table: `RANGE (at)`. */
  readonly partitionKey: string | null;
  /** Of a partition: `FOR VALUES IN (1)`. */
  readonly partitionBound: string | null;
  /** What it inherits from, in that order; of a partition, the table that it is one of. With schema, quoted where it must be. */
  readonly parents: readonly string[];
  /** What inherits from it, but for partitions. */
  readonly heirs: readonly string[];
  /** Of a foreign table. */
  readonly server: string | null;
  /** Of a sequence. Numbers as text: they may be larger than one of JavaScript. */
  readonly sequence: SequenceDetails | null;
}

export interface SequenceDetails {
  readonly type: string;
  readonly start: string;
  readonly increment: string;
  readonly minimum: string;
  readonly maximum: string;
  readonly cache: string;
  readonly cycles: boolean;
  /** What it gave last; null: nothing yet, or this login may not know. */
  readonly lastValue: string | null;
  /** The column that it numbers and goes with: `shop.clinics.id`. */
  readonly ownedBy: string | null;
}

/** The details of the relation of `filter`; undefined where there is none. */
export async function readRelationDetails(
  db: Queryable,
  filter: Required<CatalogFilter>,
): Promise<RelationDetails | undefined> {
  const { rows } = await db.query<{ [Key in keyof RelationDetails]: RelationDetails[Key] }>(
    DETAILS,
    filterValues(filter),
  );
  return rows[0];
}

/** pg_sequence_last_value gives null, rather than an error, only for what was never called: hence the privilege. */
const DETAILS = withQualifiedNames(
  `
  select pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
    case c.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' else 'permanent' end as persistence,
    sp.spcname::text as tablespace, am.amname::text as "accessMethod",
    coalesce(c.reloptions, '{}') as options,
    case when not c.relrowsecurity then 'off' when c.relforcerowsecurity then 'forced' else 'on' end as "rowSecurity",
    case when c.relkind in ('r', 'p') then
      case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then 'index' else 'default' end
    end as "replicaIdentity",
    case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end as definition,
    case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as "partitionKey",
    pg_catalog.pg_get_expr(c.relpartbound, c.oid) as "partitionBound",
    array(
      select i.inhparent::pg_catalog.regclass::text from pg_catalog.pg_inherits i
      where i.inhrelid = c.oid and c.relkind in ('r', 'p', 'f') order by i.inhseqno
    ) as parents,
    array(
      select i.inhrelid::pg_catalog.regclass::text from pg_catalog.pg_inherits i
      where i.inhparent = c.oid and c.relkind in ('r', 'f') order by 1
    ) as heirs,
    fs.srvname::text as server,
    case when s.seqrelid is not null then pg_catalog.jsonb_build_object(
      'type', pg_catalog.format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
      'minimum', s.seqmin::text, 'maximum', s.seqmax::text, 'cache', s.seqcache::text, 'cycles', s.seqcycle,
      'lastValue', case when pg_catalog.has_sequence_privilege(c.oid, 'select, usage')
        then pg_catalog.pg_sequence_last_value(c.oid)::text end,
      'ownedBy', (
        select pg_catalog.concat_ws('.', d.refobjid::pg_catalog.regclass::text, pg_catalog.quote_ident(a.attname))
        from pg_catalog.pg_depend d
        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i'))
    ) end as sequence
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_tablespace sp on sp.oid = c.reltablespace
  left join pg_catalog.pg_am am on am.oid = c.relam
  left join pg_catalog.pg_foreign_table ft on ft.ftrelid = c.oid
  left join pg_catalog.pg_foreign_server fs on fs.oid = ft.ftserver
  left join pg_catalog.pg_sequence s on s.seqrelid = c.oid
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and ${inUserSchema('n')}
    and c.relname = $2::text`,
  'owner',
);
