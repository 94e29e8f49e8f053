import { type DefinitionVersions, readDefinitionVersions } from '../../../database/catalog/definition-versions.js';
import {
  lockLargeObjects,
  mayReadLargeObjectPages,
  readLargeObjectVersion,
} from '../../../database/catalog/large-object-versions.js';
import type { Queryable } from '../../../database/queryable.js';
import { withConnection } from '../../../services/with-connection.js';
import type { Target } from '../../safety/gate.js';
import type { DropPlan } from '../dropping/drop-plan.js';

/** What a database was before it was backed up, as far as no lock keeps it so: definitions, and the contents of large objects. */
export interface Seen {
  readonly definitions: DefinitionVersions;
  readonly largeObjects: { readonly isReader: boolean; readonly version: string } | null;
}

export async function see(db: Queryable, { largeObjects }: DropPlan): Promise<Seen> {
  const definitions = await readDefinitionVersions(db);
  if (largeObjects.length === 0) return { definitions, largeObjects: null };
  const isReader = await mayReadLargeObjectPages(db);
  return { definitions, largeObjects: { isReader, version: await readLargeObjectVersion(db, isReader) } };
}

/** Whether the definitions are what they were: asked before anything is dropped. Keeps writers of large objects out where it may. */
export async function areDefinitionsAsSeen(db: Queryable, { definitions, largeObjects }: Seen): Promise<boolean> {
  if (largeObjects?.isReader) await lockLargeObjects(db);
  return isSame(definitions, await readDefinitionVersions(db));
}

/**
 * Whether all of it is what it was, asked when everything is dropped and not committed. Only a session of its own still sees
 * what was there, and so also what somebody wrote before it was dropped; who writes into what is dropped has to wait, and fails.
 */
export function isAllAsSeen({ settings }: Target, seen: Seen, signal: AbortSignal | undefined): Promise<boolean> {
  return withConnection(settings, { signal }, async (db) => {
    await db.query('begin isolation level read committed read only');
    if (!isSame(seen.definitions, await readDefinitionVersions(db))) return false;
    const { largeObjects } = seen;
    return largeObjects === null || largeObjects.version === (await readLargeObjectVersion(db, largeObjects.isReader));
  });
}

function isSame(a: DefinitionVersions, b: DefinitionVersions): boolean {
  const catalogs = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...catalogs].every((catalog) => a[catalog] === b[catalog]);
}
