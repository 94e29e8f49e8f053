import type { Queryable } from '../queryable.js';
import { findRelationOids } from './named-relations.js';

/** An index of a table. */
export interface TableIndex {
  readonly oid: number;
  /** As it can be written in a statement, with its schema. */
  readonly identity: string;
  readonly name: string;
  /** `false`: it was begun and never finished, or it is being built. */
  readonly isValid: boolean;
  /** Of a partitioned table, whose index is not valid until all partitions have theirs. */
  readonly isPartitioned: boolean;
}

/** The indexes of a table; those of a materialized view likewise. */
export async function readTableIndexes(db: Queryable, table: number): Promise<readonly TableIndex[]> {
  const { rows } = await db.query<TableIndex>(
    `select c.oid::int8::float8 as oid, c.relname::text as name, pg_catalog.format('%I.%I', n.nspname, c.relname) as identity,
       i.indisvalid as "isValid", c.relkind = 'I' as "isPartitioned"
     from pg_catalog.pg_index i
     join pg_catalog.pg_class c on c.oid = i.indexrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where i.indrelid = $1
     order by c.oid`,
    [table],
  );
  return rows;
}

/** The oid of a relation as a statement of `db` would find it, by its search_path; `null`: there is none. */
export async function findRelationOid(db: Queryable, identifier: string): Promise<number | null> {
  const [oid = null] = await findRelationOids(db, [identifier]);
  return oid;
}

/** The table that an index belongs to; `null`: there is no such index. */
export async function readTableOfIndex(db: Queryable, index: number): Promise<number | null> {
  const { rows } = await db.query<{ oid: number }>(
    'select indrelid::int8::float8 as oid from pg_catalog.pg_index where indexrelid = $1',
    [index],
  );
  return rows[0]?.oid ?? null;
}

/** Which of these relations there still are. */
export async function readRelationsLeft(db: Queryable, oids: readonly number[]): Promise<readonly number[]> {
  const { rows } = await db.query<{ oid: number }>(
    'select oid::int8::float8 as oid from pg_catalog.pg_class where oid = any ($1::pg_catalog.oid[])',
    [oids],
  );
  return rows.map(({ oid }) => oid);
}

/** What a partition is of a table: `pending` is detached for new queries, and not yet for all. */
export async function readAttachment(
  db: Queryable,
  { table, partition }: { readonly table: number; readonly partition: number },
): Promise<'attached' | 'pending' | 'detached'> {
  const { rows } = await db.query<{ pending: boolean }>(
    'select inhdetachpending as pending from pg_catalog.pg_inherits where inhparent = $1 and inhrelid = $2',
    [table, partition],
  );
  const [row] = rows;
  if (row === undefined) return 'detached';
  return row.pending ? 'pending' : 'attached';
}

const PLACES = {
  database: 'select from pg_catalog.pg_database where datname = $1',
  tablespace: 'select from pg_catalog.pg_tablespace where spcname = $1',
  subscription:
    'select from pg_catalog.pg_subscription where subname = $1 and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())',
} as const;

export async function isThere(db: Queryable, what: keyof typeof PLACES, name: string): Promise<boolean> {
  const { rows } = await db.query(PLACES[what], [name]);
  return rows.length > 0;
}

/** The backends that build, drop or vacuum on a table at this moment: what is not valid there may be theirs. */
export async function readBuilders(db: Queryable, table: number): Promise<readonly number[]> {
  const { rows } = await db.query<{ pid: number }>(
    `select distinct l.pid
     from pg_catalog.pg_locks l
     where l.locktype = 'relation' and l.relation = $1 and l.mode = 'ShareUpdateExclusiveLock' and l.pid <> pg_catalog.pg_backend_pid()
       and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`,
    [table],
  );
  return rows.map(({ pid }) => pid);
}
