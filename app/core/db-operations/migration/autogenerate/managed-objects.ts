import type { StableId } from '@supabase/pg-delta';
import type { Queryable } from '../../../../database/queryable.js';
import { readTriggerRecords } from '../../../../database/records/trigger-registry.js';
import { auditSchema } from '../../../triggers/audit/audit-pack.js';
import { schemaOf } from '../../compare/object-names.js';
import { readAuditSettings } from '../../trigger-work/packs.js';

/** What `apply-db-triggers` has made in a database, and makes again: no migration does. */
export interface ManagedObjects {
  readonly triggers: ReadonlySet<string>;
  /** Of whatever arguments: those of triggers have none. */
  readonly functions: ReadonlySet<string>;
  /** Where the audit pack has its log; `null`: nothing is audited. */
  readonly auditSchema: string | null;
}

/**
 * Reads what is registered in the database of `db`. A function that was there before its trigger is a migration's.
 *
 * @throws ManageDbError `PERMISSION_DENIED` where the registry may not be read, `INVALID_CONFIGURATION` naming a trigger file
 */
export async function readManagedObjects(db: Queryable): Promise<ManagedObjects> {
  const { triggers, functions } = await readTriggerRecords(db, null);
  const audit = await readAuditSettings();
  return {
    triggers: new Set(triggers.map(({ schema, table, name }) => keyOf(schema, table, name))),
    functions: new Set(
      functions.flatMap(({ schema, name, fileChecksum }) => (fileChecksum === null ? [] : [keyOf(schema, name)])),
    ),
    auditSchema: audit === null ? null : auditSchema(audit),
  };
}

/** Also what is said about one: its comment, its grants. */
export function isManaged(managed: ManagedObjects, id: StableId): boolean {
  if ('target' in id) return isManaged(managed, id.target);
  if (managed.auditSchema !== null && schemaOf(id) === managed.auditSchema) return true;
  if (id.kind === 'trigger') return isManagedTrigger(managed, id.schema, id.table, id.name);
  return id.kind === 'function' && managed.functions.has(keyOf(id.schema, id.name));
}

export function isManagedTrigger({ triggers }: ManagedObjects, schema: string, table: string, name: string): boolean {
  return triggers.has(keyOf(schema, table, name));
}

function keyOf(...names: readonly string[]): string {
  return JSON.stringify(names);
}
