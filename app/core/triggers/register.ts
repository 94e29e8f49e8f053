import type { Queryable } from '../../database/queryable.js';
import {
  type FunctionRecord,
  forgetTrigger,
  forgetTriggersOfMissingTables,
  registerTriggerFunctions,
  registerTriggers,
} from '../../database/records/trigger-registry.js';
import { actorName } from '../../services/actor-name.js';
import { type FunctionFile, functionKey } from './function-file.js';
import type { PlannedTrigger, TriggerPlan } from './planned-trigger.js';

export interface Registration {
  readonly files: readonly FunctionFile[];
  /** Functions ({@link functionKey}) that somebody has changed by hand, and that stay so. */
  readonly leave: ReadonlySet<string>;
  /** Functions ({@link functionKey}) that are registered, and not registered again unless they have a file. */
  readonly known: ReadonlySet<string>;
  readonly environment: string;
}

/** Writes into the registry what has been installed, in the same transaction; what is registered so already is not written. */
export async function register(
  db: Queryable,
  plan: TriggerPlan,
  { files, leave, known, environment }: Registration,
): Promise<void> {
  const by = actorName();
  const functions = functionRecords(plan, files).filter(
    (called) => !leave.has(functionKey(called)) && (called.fileChecksum !== null || !known.has(functionKey(called))),
  );
  await registerTriggerFunctions(db, functions, { by });
  const records = plan.triggers.filter(isNews).map((planned) => ({
    tableOid: planned.target.oid,
    name: planned.declaration.name,
    version: planned.declaration.version,
    declaredMode: planned.declaration.mode,
    wantedMode: planned.wantedMode,
    declaration: planned.state,
    checksum: planned.checksum,
    pack: planned.pack.name,
  }));
  await registerTriggers(db, records, { environment, by });
  for (const { target, name } of plan.removals) {
    await forgetTrigger(db, { schema: target.schema, table: target.name, name });
  }
  if (plan.triggers.some(({ registered }) => registered === null)) await forgetTriggersOfMissingTables(db);
}

/** Not yet registered as it shall be. */
export function isNews(planned: PlannedTrigger): boolean {
  const { action, setsMode, registered, installed, checksum, wantedMode, declaration, pack } = planned;
  return (
    action !== 'unchanged' ||
    setsMode ||
    registered === null ||
    registered.checksum !== checksum ||
    registered.definition !== installed?.definition ||
    !registered.isSameMajor ||
    registered.wantedMode !== wantedMode ||
    registered.declaredMode !== declaration.mode ||
    registered.pack !== pack.name
  );
}

function functionRecords(plan: TriggerPlan, files: readonly FunctionFile[]): readonly FunctionRecord[] {
  const records = new Map<string, FunctionRecord>();
  for (const { function: called } of plan.triggers) {
    const { schema, name } = called;
    records.set(functionKey({ schema, name }), { schema, name, fileChecksum: null });
  }
  for (const { schema, name, checksum } of files) {
    records.set(functionKey({ schema, name }), { schema, name, fileChecksum: checksum });
  }
  return [...records.values()];
}
