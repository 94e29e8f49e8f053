import { getWorkspace } from '../../../config/workspace.js';
import { ManageDbError } from '../../errors.js';
import { basePack } from '../../triggers/base-pack.js';
import type { TriggerPack } from '../../triggers/pack.js';
import { loadWorkspaceTriggers } from '../../triggers/workspace-pack.js';

/**
 * Every pack: those that come with manage_db, as the workspace has configured them, and its own.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` naming the file
 */
export async function readPacks(): Promise<TriggerPack[]> {
  const { triggersDir } = await getWorkspace();
  const workspace = await loadWorkspaceTriggers(triggersDir);
  return [basePack(workspace.base), workspace.pack];
}

/** @throws ManageDbError `USAGE` with the names that there are */
export function choosePacks(packs: readonly TriggerPack[], name: string | undefined): readonly TriggerPack[] {
  if (name === undefined) return packs;
  const chosen = packs.filter((pack) => pack.name === name);
  if (chosen.length > 0) return chosen;
  throw new ManageDbError('USAGE', `There is no trigger pack "${name}".`, {
    hint: `Packs: ${packs.map((pack) => pack.name).join(', ')}`,
  });
}
