import type { Client } from 'pg';
import {
  type ConstraintTriggerMode,
  readConstraintTriggerModes,
  switchConstraintTriggers,
} from '../../../../database/catalog/constraint-trigger-modes.js';
import type { KeyInTheWay } from '../../../../database/catalog/tables-in-place.js';
import { inSavepoint } from '../../../../database/in-savepoint.js';
import { isServerError } from '../../../../services/database-errors.js';
import { readAbsent, readUnswitched } from '../../database-state/unswitched-constraints.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { Plan } from './plan.js';

/** Drops the foreign keys, and returns which of their triggers somebody had switched: no definition of a key says that. */
export async function dropKeys(client: Client, keys: readonly KeyInTheWay[]): Promise<ConstraintTriggerMode[]> {
  const before = keys.some(({ isSwitched }) => isSwitched) ? await readConstraintTriggerModes(client) : [];
  for (const { drop } of keys) await client.query(drop);
  // keys of partitions have gone with those of their tables
  return readAbsent(client, before);
}

/**
 * Makes the foreign keys again, which checks them. One that was switched off may have let in what it would refuse now: it is
 * not validated then. Returns warnings.
 */
export async function makeKeys(client: Client, keys: readonly KeyInTheWay[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const { name, identity, isSwitched, make } of keys) {
    const [definition = '', ...remarks] = make;
    if (!isSwitched) await client.query(definition);
    else if (!(await isMadeValid(client, definition))) {
      warnings.push(
        `The foreign key ${name} of ${identity} is switched off, and rows do not hold it: it is not valid from now on.`,
      );
    }
    for (const remark of remarks) await client.query(remark);
  }
  return warnings;
}

async function isMadeValid(client: Client, definition: string): Promise<boolean> {
  try {
    await inSavepoint(client, () => client.query(definition));
    return true;
  } catch (error) {
    if (!isServerError(error) || error.code !== '23503') throw error;
    await client.query(`${definition} not valid`).catch(() => {
      // partitioned tables have no such keys: what does not hold is what there is to say
      throw error;
    });
    return false;
  }
}

/**
 * Switches the triggers as they were: those of keys that were dropped as the live database had them, those of what is made
 * again as the backup has them. Returns a warning for each that could not be switched.
 */
export async function switchKeys(
  client: Client,
  dropped: readonly ConstraintTriggerMode[],
  { plan, manifest }: { readonly plan: Plan; readonly manifest: Manifest },
): Promise<string[]> {
  const wanted = [...dropped, ...(manifest.constraintTriggers ?? []).filter((mode) => isMade(mode, plan))];
  if (wanted.length === 0) return [];
  await client.query(switchConstraintTriggers(wanted));
  return readUnswitched(client, wanted);
}

function isMade({ ofSchema, ofTable, constraint }: ConstraintTriggerMode, { missing, lostKeys }: Plan): boolean {
  return (
    missing.some(({ schema, name }) => schema === ofSchema && name === ofTable) ||
    lostKeys.some(({ name, table }) => name === constraint && table.schema === ofSchema && table.name === ofTable)
  );
}
