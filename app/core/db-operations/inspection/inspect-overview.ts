import { readDatabaseFacts } from '../../../database/catalog/database-facts.js';
import { readRelations } from '../../../database/catalog/relations.js';
import { readSchemas } from '../../../database/catalog/schemas.js';
import type { Queryable } from '../../../database/queryable.js';
import { readStamp } from '../../../database/records/identity.js';
import { readObservation } from '../../../database/records/observation.js';
import type { InspectedDatabase, InspectResult } from './inspected.js';

/** The database, its schemas with how much is in them, and its tables. */
export async function inspectOverview(db: Queryable): Promise<InspectResult> {
  const facts = await readDatabaseFacts(db);
  const schemas = await readSchemas(db);
  const relations = await readRelations(db);
  return {
    database: { ...facts, ...(await stampOf(db)) },
    schemas,
    tables: relations.filter(({ kind }) => kind !== 'sequence'),
  };
}

async function stampOf(db: Queryable): Promise<Pick<InspectedDatabase, 'stamp' | 'isStampHidden'>> {
  const { hasRecords, hasHiddenRecords } = await readObservation(db);
  return { stamp: hasRecords ? await readStamp(db) : null, isStampHidden: hasHiddenRecords };
}
