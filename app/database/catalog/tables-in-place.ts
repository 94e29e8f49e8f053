import type { Queryable } from '../queryable.js';
import { BELOW } from './partitions.js';

/** A relation as somebody sees it who wants to replace its rows. */
export interface RelationInPlace {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** With its schema, and quoted. */
  readonly identity: string;
  /** As in pg_class: `r` ordinary, `p` partitioned, `v` a view … */
  readonly kind: string;
  readonly owner: string;
  /** Whether this login has the rights of the owner. */
  readonly isOwned: boolean;
  /** Whether policies hide rows from this login. */
  readonly isHidden: boolean;
  /** The extension that it belongs to. */
  readonly extension: string | null;
  /** What it is a partition of. */
  readonly parent: number | null;
}

/** Those of the relations that there are. */
export async function readRelationsInPlace(
  db: Queryable,
  names: readonly { readonly schema: string; readonly name: string }[],
): Promise<readonly RelationInPlace[]> {
  const values = [names.map(({ schema }) => schema), names.map(({ name }) => name)];
  const { rows } = await db.query<RelationInPlace>(`${RELATIONS} where ${BY_NAME} order by c.oid`, values);
  return rows;
}

/** The partitions of these relations, whatever their depth. */
export async function readRelationsBelow(db: Queryable, oids: readonly number[]): Promise<readonly RelationInPlace[]> {
  const { rows } = await db.query<RelationInPlace>(
    `${BELOW} ${RELATIONS} where c.oid in (select b.oid from below b) order by c.oid`,
    [oids],
  );
  return rows;
}

const RELATIONS = `
  select c.oid, n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as identity, c.relkind::text as kind,
    pg_catalog.pg_get_userbyid(c.relowner)::text as owner, pg_catalog.pg_has_role(c.relowner, 'USAGE') as "isOwned",
    pg_catalog.row_security_active(c.oid) as "isHidden",
    (select e.extname::text from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
       and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e') as extension,
    (select i.inhparent from pg_catalog.pg_inherits i where i.inhrelid = c.oid and c.relispartition) as parent
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace`;

const BY_NAME = `
  (n.nspname::text, c.relname::text) in (
    select w.schema, w.name from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) w (schema, name))`;

/** A foreign key that is in the way of replacing rows, and how it is made again as it was. */
export interface KeyInTheWay {
  readonly name: string;
  readonly table: number;
  readonly referenced: number;
  /** Whether this login may alter the table that has it. */
  readonly isOwned: boolean;
  readonly owner: string;
  /** With schemas, and quoted. */
  readonly identity: string;
  readonly referencedIdentity: string;
  /** Whether somebody has switched triggers of it, or of what partitions have from it. */
  readonly isSwitched: boolean;
  /** Whether this login may do so: only superusers may. */
  readonly maySwitch: boolean;
  readonly drop: string;
  readonly make: readonly string[];
}

/**
 * The foreign keys that point at these tables, and those of the tables that are not validated: what they have let in
 * before would be refused now. A key that a partition has from its parent is the parent's.
 */
export async function readKeysInTheWay(db: Queryable, oids: readonly number[]): Promise<readonly KeyInTheWay[]> {
  const { rows } = await db.query<KeyInTheWay>(KEYS, [oids]);
  return rows;
}

const KEYS = `
  with recursive up (oid, parent) as (
    select k.oid, k.conparentid from pg_catalog.pg_constraint k
    where k.contype = 'f' and (k.confrelid = any ($1::oid[]) or (k.conrelid = any ($1::oid[]) and not k.convalidated))
    union
    select k.oid, k.conparentid from pg_catalog.pg_constraint k join up on up.parent = k.oid
  )
  select k.conname::text as name, k.conrelid as "table", k.confrelid as referenced,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as "isOwned", pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as identity,
    pg_catalog.format('%I.%I', rn.nspname, r.relname) as "referencedIdentity",
    exists (
      with recursive below (oid) as (
        select k.oid
        union
        select b.oid from pg_catalog.pg_constraint b join below on b.conparentid = below.oid
      )
      select from below join pg_catalog.pg_trigger t on t.tgconstraint = below.oid and t.tgisinternal
      where t.tgenabled <> 'O') as "isSwitched",
    pg_catalog.current_setting('is_superuser')::boolean as "maySwitch",
    pg_catalog.format('alter table %I.%I drop constraint %I', n.nspname, c.relname, k.conname) as "drop",
    array[pg_catalog.format('alter table %I.%I add constraint %I %s',
        n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))]
      || case when d.description is null then array[]::text[] else array[pg_catalog.format(
        'comment on constraint %I on %I.%I is %L', k.conname, n.nspname, c.relname, d.description)] end as make
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class r on r.oid = k.confrelid
  join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
  left join pg_catalog.pg_description d
    on d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objoid = k.oid and d.objsubid = 0
  where k.conparentid = 0 and k.oid in (select up.oid from up)
  order by k.oid`;

/** The materialized views that were computed from these tables, also through views. */
export async function readMaterializedViewsOf(db: Queryable, oids: readonly number[]): Promise<readonly string[]> {
  const { rows } = await db.query<{ identity: string }>(MATERIALIZED_VIEWS, [oids]);
  return rows.map(({ identity }) => identity);
}

const MATERIALIZED_VIEWS = `
  with recursive above (oid) as (
    select pg_catalog.unnest($1::oid[])
    union
    select r.ev_class from above
    join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = above.oid
      and d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    join pg_catalog.pg_rewrite r on r.oid = d.objid
    join pg_catalog.pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
  )
  select pg_catalog.format('%I.%I', n.nspname, c.relname) as identity
  from above join pg_catalog.pg_class c on c.oid = above.oid and c.relkind = 'm'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  order by 1`;
