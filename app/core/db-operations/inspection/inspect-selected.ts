import { readFunctions } from '../../../database/catalog/functions.js';
import { readRelations } from '../../../database/catalog/relations.js';
import { readTriggers } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { readTriggerRecords } from '../../../database/records/trigger-registry.js';
import { asInspectedTriggers, type InspectResult, type InspectSelection } from './inspected.js';

/** The lists that `options` asks for; a schema without any flag asks for all three. Empty when nothing is asked for. */
export async function inspectSelected(db: Queryable, options: InspectSelection): Promise<InspectResult> {
  const { tables, triggers, functions, schema, table } = options;
  const all = schema !== undefined && table === undefined && !tables && !triggers && !functions;
  const filter = schema === undefined ? {} : { schema };
  return {
    ...((tables || all) && { tables: await tablesOf(db, filter) }),
    ...((triggers || all) && { triggers: await triggersOf(db, filter) }),
    ...((functions || all) && { functions: await readFunctions(db, filter) }),
  };
}

async function triggersOf(db: Queryable, filter: { schema?: string }) {
  return asInspectedTriggers(await readTriggers(db, filter), (await readTriggerRecords(db, null, 'nothing')).triggers);
}

async function tablesOf(db: Queryable, filter: { schema?: string }) {
  const relations = await readRelations(db, filter);
  return relations.filter(({ kind }) => kind !== 'sequence');
}
