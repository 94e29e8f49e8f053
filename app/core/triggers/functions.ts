import type { Queryable } from '../../database/queryable.js';
import { ManageDbError } from '../errors.js';
import type { TriggerDeclaration } from './declaration.js';
import { qualifiedFunction } from './declared-state.js';
import type { TriggerPack } from './pack.js';
import type { PlannedTrigger } from './planned-trigger.js';

type TriggerFunction = PlannedTrigger['function'];

/**
 * Looks up the functions of all declarations of `packs` in one query.
 *
 * @throws ManageDbError `NOT_FOUND` when called for a declaration whose function does not exist
 */
export async function resolveFunctions(
  db: Queryable,
  packs: readonly TriggerPack[],
): Promise<(declaration: TriggerDeclaration, pack: TriggerPack) => TriggerFunction> {
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
    const row = found.get(JSON.stringify([schema, name]));
    if (row !== undefined) return row;
    throw new ManageDbError(
      'NOT_FOUND',
      `Trigger "${declaration.name}" calls ${schema}.${name}(), and there is no trigger function of that name. Nothing was changed.`,
      { hint: `Put it into functions/${name}.sql of the triggers folder, or correct "function" in the declaration.` },
    );
  };
}
