import { readLiveTriggers, readTriggerFunctions } from '../../../database/catalog/live-triggers.js';
import { readTriggerTargets } from '../../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../../database/queryable.js';
import { readTriggerRecords, type TriggerRecords } from '../../../database/records/trigger-registry.js';
import { columnsOf, declaredSet } from '../../triggers/declared-set.js';
import { type Judgement, judgeTriggers } from '../../triggers/drift.js';
import { readFunctionFiles } from '../../triggers/install-functions.js';
import { type TriggerPack, withGenerated } from '../../triggers/pack.js';
import { isInFilter, type Skipped, type TriggerFilter } from '../../triggers/planned-trigger.js';
import { requireRelation } from '../inspection/find-relation.js';
import { requireSchema } from '../inspection/require-schema.js';

/** What has become of the triggers of one part of a database. */
export interface Drift extends Judgement {
  /** What is declared and cannot be there, with the reason. */
  readonly skipped: readonly Skipped[];
  /** What is wrong with whole packs, in sentences. */
  readonly problems: readonly string[];
}

/**
 * Every trigger of the part of the database that `filter` names, with what has become of it: in a fixed number of queries,
 * and with no other right than to read the catalog. Empties the search_path of the transaction.
 *
 * @throws ManageDbError `NOT_FOUND` for a schema or table that is not there; `PERMISSION_DENIED` where the registry cannot be
 *   read or trusted; those of reading the files of functions
 */
export async function readDrift(db: Queryable, given: readonly TriggerPack[], filter: TriggerFilter): Promise<Drift> {
  const { schema, table } = filter;
  if (schema !== undefined) await requireSchema(db, schema);
  if (table !== undefined) await requireRelation(db, table, schema);
  // printing a condition waits for whoever has the whole table
  await db.query(
    `select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('lock_timeout', '5s', true),
      pg_catalog.set_config('quote_all_identifiers', 'off', true)`,
  );
  const packs = await withGenerated(db, given, null);
  const targets = await readTriggerTargets(db, columnsOf(packs), null);
  const declared = declaredSet(packs, targets, { environment: filter.environment });
  const records = await readTriggerRecords(db, null);
  const { triggers, obsolete } = judgeTriggers({
    environment: filter.environment,
    declared: declared.triggers,
    files: await readFunctionFiles(packs),
    live: await readLiveTriggers(db),
    liveFunctions: await readTriggerFunctions(db),
    records,
    generating: packs.filter(({ generate }) => generate !== undefined),
  });
  return {
    triggers: triggers.filter(({ report }) => isInFilter(report, filter)),
    obsolete: obsolete.filter((one) => isInFilter(one, filter)),
    skipped: declared.skipped.filter((one) => isInFilter(one, filter)),
    problems: packs.flatMap((pack) => problemsOf(pack, records, filter.environment)),
  };
}

/** What has never been applied is pending, and its setup with it. */
function problemsOf(
  { name, problems = [], setup = [] }: TriggerPack,
  { triggers }: TriggerRecords,
  environment: string,
): string[] {
  if (setup.length === 0 || triggers.every(({ pack }) => pack !== name)) return [...problems];
  const missing = setup.length === 1 ? 'one statement is' : `${setup.length} statements are`;
  return [
    ...problems,
    `The log of the pack ${name} is not as it should be: ${missing} missing. manage_db verify-db-triggers --fix --env ${environment} executes them.`,
  ];
}
