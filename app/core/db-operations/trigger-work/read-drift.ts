import { readLiveTriggers, readTriggerFunctions } from '../../../database/catalog/live-triggers.js';
import { readTriggerTargets } from '../../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../../database/queryable.js';
import { readTriggerRecords } from '../../../database/records/trigger-registry.js';
import { columnsOf, declaredSet } from '../../triggers/declared-set.js';
import { type JudgedTrigger, judgeTriggers } from '../../triggers/drift.js';
import { readFunctionFiles } from '../../triggers/install-functions.js';
import { type TriggerPack, withGenerated } from '../../triggers/pack.js';
import type { TriggerFilter } from '../../triggers/planned-trigger.js';
import { requireRelation } from '../inspection/find-relation.js';
import { requireSchema } from '../inspection/require-schema.js';

/**
 * Every trigger of the part of the database that `filter` names, with what has become of it: in a fixed number of queries,
 * and with no other right than to read the catalog. Empties the search_path of the transaction.
 *
 * @throws ManageDbError `NOT_FOUND` for a schema or table that is not there; those of reading the files of functions
 */
export async function readDrift(
  db: Queryable,
  given: readonly TriggerPack[],
  filter: TriggerFilter,
): Promise<readonly JudgedTrigger[]> {
  const { schema, table } = filter;
  if (schema !== undefined) await requireSchema(db, schema);
  if (table !== undefined) await requireRelation(db, table, schema);
  // printing a condition waits for whoever has the whole table
  await db.query(
    `select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('lock_timeout', '5s', true),
      pg_catalog.set_config('quote_all_identifiers', 'off', true)`,
  );
  const { rows } = await db.query<{ version: number }>(
    `select pg_catalog.current_setting('server_version_num')::integer as version`,
  );
  const packs = await withGenerated(db, given, null);
  // what protects the log of a pack is part of that pack's setup
  const own = packs.filter(({ generate }) => generate !== undefined).map(({ functionSchema }) => functionSchema);
  const targets = await readTriggerTargets(db, columnsOf(packs), null);
  const judged = judgeTriggers({
    declared: declaredSet(packs, targets, { environment: filter.environment }).triggers,
    files: await readFunctionFiles(packs),
    live: (await readLiveTriggers(db)).filter(({ schema }) => !own.includes(schema)),
    liveFunctions: await readTriggerFunctions(db),
    records: await readTriggerRecords(db, null),
    serverVersionNum: rows[0]?.version ?? 0,
  });
  return judged.filter(({ report }) => isWanted(report, filter));
}

function isWanted(
  found: { readonly schema: string; readonly table: string },
  { schema, table }: TriggerFilter,
): boolean {
  if (schema !== undefined && found.schema !== schema) return false;
  return table === undefined || found.table === table || `${found.schema}.${found.table}` === table;
}
