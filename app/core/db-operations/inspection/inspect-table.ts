import { readColumns } from '../../../database/catalog/columns.js';
import { readConstraints } from '../../../database/catalog/constraints.js';
import { readIndexes } from '../../../database/catalog/indexes.js';
import { readPartitions } from '../../../database/catalog/partitions.js';
import { readPolicies } from '../../../database/catalog/policies.js';
import { readPrivileges } from '../../../database/catalog/privileges.js';
import { readReferencingKeys } from '../../../database/catalog/referencing-keys.js';
import { readRelationDetails } from '../../../database/catalog/relation-details.js';
import { readRelations } from '../../../database/catalog/relations.js';
import { readRules } from '../../../database/catalog/rules.js';
import { readTriggers } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { readTriggerRecords } from '../../../database/records/trigger-registry.js';
import { ManageDbError } from '../../errors.js';
import { findRelation } from './find-relation.js';
import { asInspectedTriggers, asPart, firingOrderOf, type InspectedTable } from './inspected.js';

/**
 * One relation in full. `typed` is what the user wrote; see {@link findRelation} for what it may be.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`
 */
export async function inspectTable(db: Queryable, typed: string, schema?: string): Promise<InspectedTable> {
  const found = await findRelation(db, typed, schema);
  const filter = { schema: found.schema, relation: found.name };
  const [relation] = await readRelations(db, filter);
  const details = await readRelationDetails(db, filter);
  if (relation === undefined || details === undefined) {
    throw new ManageDbError('NOT_FOUND', `${found.schema}.${found.name} was dropped while it was read.`);
  }
  const managed = await readTriggerRecords(db, [{ schema: found.schema, name: found.name }], 'nothing');
  const triggers = await readTriggers(db, filter, { withInherited: true });
  return {
    ...relation,
    ...details,
    columns: (await readColumns(db, filter)).map(asPart),
    constraints: (await readConstraints(db, filter)).map(asPart),
    indexes: (await readIndexes(db, filter)).map(asPart),
    policies: (await readPolicies(db, filter)).map(asPart),
    rules: (await readRules(db, filter)).map(asPart),
    triggers: asInspectedTriggers(triggers, managed.triggers),
    firingOrder: firingOrderOf(triggers),
    privileges: (await readPrivileges(db, filter)).map(asPart),
    referencedBy: await readReferencingKeys(db, filter),
    partitions: await readPartitions(db, filter),
  };
}
