import {
  type DatabaseObject,
  readDatabaseObjects,
  readOwnedLargeObjects,
  unlinkLargeObjects,
} from '../../../database/catalog/database-objects.js';
import { readDroppableSchemas } from '../../../database/catalog/droppable-schemas.js';
import { readUserObjects } from '../../../database/catalog/user-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { plural } from '../../plural.js';
import type { Target } from '../../safety/gate.js';
import { type DropStatement, dropStatements } from './drop-statements.js';
import { notOwned } from './not-owned.js';

export interface DroppedObject {
  readonly kind: string;
  /** `null` for what belongs to the database and to none of its schemas. */
  readonly schema: string | null;
  /** Of routines and operators with the types of their arguments. */
  readonly name: string;
}

/** How a database is emptied. */
export interface DropPlan {
  readonly objects: readonly DroppedObject[];
  /** Their oids, in order. */
  readonly largeObjects: readonly number[];
  /** The schemas among the objects. */
  readonly schemas: readonly string[];
  /** The tables, quoted and with their schemas. */
  readonly tables: readonly string[];
  readonly statements: readonly DropStatement[];
}

/**
 * Everything that users have made in a database, and the statements that drop it: objects in schemas, the schemas, and what
 * belongs to the database itself, from publications to large objects. Left out: extensions and what came with them, the
 * schemas `public` and `manage_db`, and subscriptions, which another server knows about.
 *
 * @param unchanged for the messages of refusals: `Nothing was dropped.`
 * @throws ManageDbError `PERMISSION_DENIED` listing what belongs to others
 */
export async function planDrop(db: Queryable, target: Target, unchanged: string): Promise<DropPlan> {
  const inside = await readUserObjects(db);
  const schemas = await readDroppableSchemas(db);
  const outside = await readDatabaseObjects(db);
  const large = await readOwnedLargeObjects(db);
  const foreign = [
    ...inside,
    ...schemas.map((schema) => ({ kind: 'schema', ...schema })),
    ...outside,
    ...large.flatMap(({ oids, owner, droppable }) =>
      oids.map((oid) => ({ kind: 'large object', identity: String(oid), owner, droppable })),
    ),
  ].filter(({ droppable }) => !droppable);
  if (foreign.length > 0) throw notOwned(target, foreign, unchanged);
  const ofPlace = (wanted: (kind: string) => boolean) => outside.filter(({ kind }) => wanted(kind)).map(dropStatement);
  const largeObjects = large.flatMap(({ oids }) => oids).sort((a, b) => a - b);
  return {
    objects: [
      ...inside.map(({ kind, schema, name }) => ({ kind, schema, name })),
      ...schemas.map(({ name }) => ({ kind: 'schema', schema: name, name })),
      ...outside.map(({ kind, identity }) => ({ kind, schema: null, name: identity })),
    ],
    largeObjects,
    schemas: schemas.map(({ name }) => name),
    tables: inside.filter(({ kind }) => kind === 'table').map(({ identity }) => identity),
    statements: [
      // they would see the rest going, and could refuse it
      ...ofPlace((kind) => kind === 'event trigger'),
      ...ofPlace((kind) => kind !== 'event trigger' && kind !== 'access method'),
      ...dropStatements(inside, schemas),
      // tables may be of one
      ...ofPlace((kind) => kind === 'access method'),
      ...unlinkStatements(largeObjects),
    ],
  };
}

/** Whether both find the same things there. */
export function isSamePlan(a: DropPlan, b: DropPlan): boolean {
  const contents = ({ objects, largeObjects }: DropPlan) => JSON.stringify([objects, largeObjects]);
  return contents(a) === contents(b);
}

/** The error for a database that is not the one any more that was planned for. */
export function changedMeanwhile({ database }: Target, unchanged: string, cause?: unknown): ManageDbError {
  return new ManageDbError(
    'DATABASE_IN_USE',
    `Somebody made, changed or dropped objects of ${database} at the same time. ${unchanged}`,
    { hint: 'Run it again when nobody else works in it.', ...(cause === undefined ? {} : { cause }) },
  );
}

/** One statement names at most this many, so that progress shows and an interruption is noticed. */
const LARGE_OBJECTS_A_STATEMENT = 5000;

/** Only those that were found: one that is made meanwhile is in no backup. */
function unlinkStatements(oids: readonly number[]): DropStatement[] {
  const statements: DropStatement[] = [];
  for (let start = 0; start < oids.length; start += LARGE_OBJECTS_A_STATEMENT) {
    const some = oids.slice(start, start + LARGE_OBJECTS_A_STATEMENT);
    statements.push({ kind: 'large objects', count: some.length, sql: unlinkLargeObjects(some) });
  }
  return statements;
}

/** What DROP calls the kinds that the catalog names otherwise. */
const WORDS: Readonly<Record<string, string>> = { 'foreign-data wrapper': 'foreign data wrapper' };

function dropStatement({ kind, identity }: DatabaseObject): DropStatement {
  return { kind: plural(kind), count: 1, sql: `drop ${WORDS[kind] ?? kind} if exists ${identity} cascade` };
}
