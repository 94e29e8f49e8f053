import type { TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { TriggerDeclaration } from './declaration.js';
import type { TriggerPack } from './pack.js';
import type { Skipped, TriggerFilter } from './planned-trigger.js';
import { findTables } from './tables.js';

/** One declared trigger on one table. */
export interface DeclaredTrigger {
  readonly declaration: TriggerDeclaration;
  readonly pack: TriggerPack;
  readonly target: TriggerTarget;
}

export interface DeclaredSet {
  readonly triggers: readonly DeclaredTrigger[];
  readonly skipped: readonly Skipped[];
}

/** The columns that must be known of the tables before {@link declaredSet} can be asked. */
export function columnsOf(packs: readonly TriggerPack[]): string[] {
  const columns = packs
    .flatMap(({ declarations }) => declarations)
    .flatMap(({ table, updateOf }) => [
      ...(updateOf ?? []),
      ...(typeof table === 'object' && 'kind' in table ? [...Object.keys(table.having), ...table.lacking] : []),
    ]);
  return [...new Set(columns)];
}

/** What `packs` declare on `targets`, and what they would but cannot. */
export function declaredSet(
  packs: readonly TriggerPack[],
  targets: readonly TriggerTarget[],
  filter: TriggerFilter,
): DeclaredSet {
  const skipped: Skipped[] = [];
  const chosen = new Map<string, DeclaredTrigger>();
  for (const pack of packs) {
    skipped.push(...(pack.skipped ?? []));
    for (const declaration of pack.declarations) {
      const found = findTables(declaration, targets, filter);
      skipped.push(...found.skipped);
      // a later pack, such as the workspace, has the last word about a trigger of the same name
      for (const target of found.tables) chosen.set(`${target.oid} ${declaration.name}`, { declaration, pack, target });
    }
  }
  return { triggers: [...chosen.values()], skipped };
}
