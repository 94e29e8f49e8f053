import { basename } from 'node:path';
import { readTriggerCalls, type TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../database/queryable.js';
import type { TriggerRecords } from '../../database/records/trigger-registry.js';
import type { DeclaredTrigger } from './declared-set.js';
import { functionKey } from './function-file.js';
import { coveredPacks, type TriggerPack } from './pack.js';
import { isInFilter, keyOf, type PlannedRemoval, type TriggerFilter } from './planned-trigger.js';

export interface RemovalOptions extends TriggerFilter {
  readonly tables?: readonly number[];
  readonly pack?: string;
  readonly leave?: ReadonlySet<string>;
}

interface Found {
  readonly targets: readonly TriggerTarget[];
  readonly declared: readonly DeclaredTrigger[];
  readonly records: TriggerRecords;
}

/**
 * The triggers that a generating pack has installed once and would not any more, and those that somebody has made of
 * its functions, such as renamed ones: they would do the pack's work twice. Never those on tables in the pack's own
 * schema, which protect what the pack has written.
 */
export async function findRemovals(
  db: Queryable,
  packs: readonly TriggerPack[],
  { targets, declared, records }: Found,
  options: RemovalOptions,
): Promise<readonly PlannedRemoval[]> {
  const generating = coveredPacks(packs, options.pack).filter(({ generate }) => generate !== undefined);
  if (generating.length === 0) return [];
  const wanted = new Set(declared.map(({ target, declaration }) => `${target.oid} ${declaration.name}`));
  const owners = new Map(records.triggers.map((trigger) => [keyOf(trigger), trigger.pack]));
  const byOid = new Map(
    targets
      .filter(({ schema, name, isFromExtension }) => !isFromExtension && isInFilter({ schema, table: name }, options))
      .map((one) => [one.oid, one]),
  );
  const written = writtenFunctions(packs);
  const generated = new Map(generating.map((pack) => [pack, generatedFunctions(pack, records, written)]));
  const calls = await readTriggerCalls(db, options.tables ?? null);
  return calls.flatMap(({ tableOid, name, functionSchema, functionName }) => {
    const target = byOid.get(tableOid);
    if (target === undefined || wanted.has(`${tableOid} ${name}`)) return [];
    const key = keyOf({ schema: target.schema, table: target.name, name });
    if (options.leave?.has(key) === true) return [];
    const called = functionKey({ schema: functionSchema, name: functionName });
    const isObsolete = generating.some(
      (pack) =>
        target.schema !== pack.functionSchema && (owners.get(key) === pack.name || generated.get(pack)?.has(called)),
    );
    return isObsolete ? [{ target, name }] : [];
  });
}

/** Those of now, and those of tables that the pack has forgotten since. */
function generatedFunctions(
  { functions = [], functionSchema }: TriggerPack,
  records: TriggerRecords,
  written: ReadonlySet<string>,
): ReadonlySet<string> {
  const registered = records.functions.filter(
    ({ schema, name, fileChecksum }) => schema === functionSchema && fileChecksum !== null && !written.has(name),
  );
  return new Set([...functions, ...registered].map(functionKey));
}

/** The names of those that have a file. */
function writtenFunctions(packs: readonly TriggerPack[]): ReadonlySet<string> {
  return new Set(packs.flatMap(({ functionFiles }) => functionFiles.map((path) => basename(path, '.sql'))));
}
