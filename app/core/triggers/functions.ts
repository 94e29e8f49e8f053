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
  const { rows } = await db.query<TriggerFunction>(
    `
    select p.oid, n.nspname as schema, p.proname as name
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.pronargs = 0 and p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
      and (n.nspname, p.proname) in (select s, f from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (s, f))`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
  const found = new Map(rows.map((row) => [JSON.stringify([row.schema, row.name]), row]));
  return (declaration, pack) => {
    const { schema, name } = qualifiedFunction(declaration, pack);
    return found.get(JSON.stringify([schema, name])) ?? null;
  };
}
