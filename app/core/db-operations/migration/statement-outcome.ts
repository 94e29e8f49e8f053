import { escapeIdentifier } from 'pg';
import {
  findRelationOid,
  isThere,
  readAttachment,
  readBuilders,
  readRelationsLeft,
  readTableIndexes,
  readTableOfIndex,
  type TableIndex,
} from '../../../database/catalog/unfinished-work.js';
import type { Queryable } from '../../../database/queryable.js';
import { pinned } from '../../../services/catalog-path.js';
import type { OutsideWork, WrittenName } from '../../../services/sql-script.js';
import { ManageDbError } from '../../errors.js';

/** What the catalog says before a statement. As JSON it goes into the journal. */
export type Before =
  | { readonly kind: 'create index'; readonly table: number | null; readonly indexes: readonly number[] }
  | { readonly kind: 'drop indexes'; readonly indexes: readonly number[] }
  | {
      readonly kind: 'reindex';
      readonly table: number | null;
      readonly indexes: readonly { readonly oid: number; readonly name: string }[];
    }
  | { readonly kind: 'detach partition'; readonly table: number | null; readonly partition: number | null }
  | { readonly kind: 'create' | 'drop'; readonly isThere: boolean }
  | { readonly kind: 'nothing' };

/** What has become of a statement that was begun. */
export type Outcome =
  /** `repairs` remove what it has left over. */
  | { readonly state: 'done'; readonly repairs: readonly string[] }
  /** `instead`: what finishes it in place of the statement. */
  | { readonly state: 'not done'; readonly repairs: readonly string[]; readonly instead: string | null }
  | { readonly state: 'unknown' };

const NOT_DONE: Outcome = { state: 'not done', repairs: [], instead: null };

/**
 * What has to be known of the present to tell later whether `work` was done.
 *
 * @param db the session that will execute it, in no transaction: its search_path decides what a name means
 */
export async function readBefore(db: Queryable, work: OutsideWork): Promise<Before> {
  const catalog = pinned(db);
  switch (work.kind) {
    case 'create index': {
      const table = await findRelationOid(db, written(work.table));
      const indexes = table === null ? [] : await readTableIndexes(catalog, table);
      return { kind: 'create index', table, indexes: indexes.map(({ oid }) => oid) };
    }
    case 'drop indexes':
      return { kind: 'drop indexes', indexes: await oidsOf(db, work.indexes) };
    case 'reindex': {
      const relation = await findRelationOid(db, written(work.relation));
      const table = relation === null || work.scope === 'table' ? relation : await readTableOfIndex(catalog, relation);
      const all = table === null ? [] : await readTableIndexes(catalog, table);
      const wanted = work.scope === 'table' ? all : all.filter(({ oid }) => oid === relation);
      return { kind: 'reindex', table, indexes: wanted.map(({ oid, name }) => ({ oid, name })) };
    }
    case 'detach partition': {
      const table = await findRelationOid(db, written(work.table));
      const partition = await findRelationOid(db, written(work.partition));
      return { kind: 'detach partition', table, partition };
    }
    case 'create':
    case 'drop':
      return { kind: work.kind, isThere: await isThere(catalog, work.what, work.name) };
    default:
      return { kind: 'nothing' };
  }
}

/** What has become of `work`, which nobody is doing any more. */
export async function readOutcome(db: Queryable, work: OutsideWork, before: Before): Promise<Outcome> {
  const catalog = pinned(db);
  const outcome = await outcomeIn(catalog, work, before);
  // what is not finished may be somebody else's, who is at it now
  if (outcome.state !== 'unknown' && outcome.repairs.length > 0 && 'table' in before && before.table !== null) {
    await refuseBuilders(catalog, before.table);
  }
  return outcome;
}

async function outcomeIn(catalog: Queryable, work: OutsideWork, before: Before): Promise<Outcome> {
  if (work.kind === 'create index' && before.kind === 'create index') return indexCreated(catalog, work.index, before);
  if (before.kind === 'drop indexes') {
    const left = await readRelationsLeft(catalog, before.indexes);
    return left.length === 0 && before.indexes.length > 0 ? { state: 'done', repairs: [] } : NOT_DONE;
  }
  if (before.kind === 'reindex') return reindexed(catalog, before);
  if (work.kind === 'detach partition' && before.kind === 'detach partition') return detached(catalog, work, before);
  if ((work.kind === 'create' || work.kind === 'drop') && 'isThere' in before) {
    const isNow = await isThere(catalog, work.what, work.name);
    const isDone = isNow !== before.isThere && isNow === (work.kind === 'create');
    return isDone ? { state: 'done', repairs: [] } : NOT_DONE;
  }
  return work.kind === 'repeatable' ? NOT_DONE : { state: 'unknown' };
}

/**
 * The index that stands in the way of `work` under its very name because somebody's attempt to create it has failed:
 * CREATE INDEX would refuse, and with IF NOT EXISTS say nothing.
 *
 * @returns what removes it; `null`: there is none
 * @throws ManageDbError `DATABASE_IN_USE` while it may still be being built
 */
export async function removalOfFailedIndex(db: Queryable, work: OutsideWork): Promise<string | null> {
  if (work.kind !== 'create index' || work.index === null) return null;
  const table = await findRelationOid(db, written(work.table));
  if (table === null) return null;
  const catalog = pinned(db);
  const failed = (await readTableIndexes(catalog, table)).find(
    ({ name, isValid, isPartitioned }) => name === work.index && !isValid && !isPartitioned,
  );
  if (failed === undefined) return null;
  await refuseBuilders(catalog, table);
  return removal(failed);
}

/** @throws ManageDbError `DATABASE_IN_USE` while somebody may be building an index of the table */
async function refuseBuilders(catalog: Queryable, table: number): Promise<void> {
  const builders = await readBuilders(catalog, table);
  if (builders.length === 0) return;
  throw new ManageDbError(
    'DATABASE_IN_USE',
    `An index is not finished, and pid ${builders.join(', ')} is at work on its table.`,
    { hint: 'Wait until that is done: select * from pg_stat_progress_create_index;' },
  );
}

async function indexCreated(
  catalog: Queryable,
  name: string | null,
  before: Extract<Before, { kind: 'create index' }>,
): Promise<Outcome> {
  if (before.table === null) return NOT_DONE;
  const indexes = await readTableIndexes(catalog, before.table);
  const created = indexes.filter(
    (index) => !before.indexes.includes(index.oid) && (name === null || index.name === name),
  );
  const repairs = created.filter(({ isValid }) => !isValid).map(removal);
  if (created.some(({ isValid }) => isValid)) return { state: 'done', repairs };
  return { state: 'not done', repairs, instead: null };
}

/** Each index is built anew beside the old one (`_ccnew`), they change names, and the old one (`_ccold`) is dropped. */
async function reindexed(catalog: Queryable, before: Extract<Before, { kind: 'reindex' }>): Promise<Outcome> {
  if (before.table === null || before.indexes.length === 0) return NOT_DONE;
  const now = await readTableIndexes(catalog, before.table);
  const isRebuilt = ({ oid, name }: { readonly oid: number; readonly name: string }) =>
    now.some((index) => index.name === name && index.oid !== oid && index.isValid);
  const repairs = now.filter(({ name, isValid }) => !isValid && /_cc(new|old)\d*$/.test(name)).map(removal);
  return before.indexes.every(isRebuilt) ? { state: 'done', repairs } : { state: 'not done', repairs, instead: null };
}

async function detached(
  catalog: Queryable,
  work: Extract<OutsideWork, { kind: 'detach partition' }>,
  { table, partition }: Extract<Before, { kind: 'detach partition' }>,
): Promise<Outcome> {
  if (table === null || partition === null) return NOT_DONE;
  switch (await readAttachment(catalog, { table, partition })) {
    case 'detached':
      return { state: 'done', repairs: [] };
    case 'pending':
      return {
        state: 'not done',
        repairs: [],
        instead: `alter table ${written(work.table)} detach partition ${written(work.partition)} finalize`,
      };
    default:
      return NOT_DONE;
  }
}

function removal({ identity }: TableIndex): string {
  return `drop index concurrently if exists ${identity}`;
}

async function oidsOf(db: Queryable, names: readonly WrittenName[]): Promise<number[]> {
  const oids: number[] = [];
  for (const name of names) {
    const oid = await findRelationOid(db, written(name));
    if (oid !== null) oids.push(oid);
  }
  return oids;
}

function written({ schema, name }: WrittenName): string {
  return schema === null ? escapeIdentifier(name) : `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}
