import { readFunctionsByName } from '../../database/catalog/trigger-function-names.js';
import type { Queryable } from '../../database/queryable.js';
import type { TriggerDeclaration } from './declaration.js';
import { qualifiedFunction } from './declared-state.js';
import type { TriggerPack } from './pack.js';
import type { PlannedTrigger } from './planned-trigger.js';

type TriggerFunction = PlannedTrigger['function'];

/** Looks up the functions of all declarations of `packs` in one query; `null`: there is none. */
export async function resolveFunctions(
  db: Queryable,
  packs: readonly TriggerPack[],
): Promise<(declaration: TriggerDeclaration, pack: TriggerPack) => TriggerFunction | null> {
  const names = packs.flatMap((pack) => pack.declarations.map((declaration) => qualifiedFunction(declaration, pack)));
  const rows = await readFunctionsByName(db, names);
  const found = new Map(rows.map((row) => [JSON.stringify([row.schema, row.name]), row]));
  return (declaration, pack) => {
    const { schema, name } = qualifiedFunction(declaration, pack);
    return found.get(JSON.stringify([schema, name])) ?? null;
  };
}
