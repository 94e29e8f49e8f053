import type { Queryable } from '../queryable.js';
import { type CatalogFilter, inUserSchema, notFromExtension } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface FunctionSignature {
  readonly schema: string;
  readonly name: string;
  /** Names, types and defaults: `amount numeric, currency text DEFAULT 'EUR'::text`. */
  readonly arguments: string;
  /** Null for a procedure. */
  readonly returns: string | null;
  readonly language: string;
  readonly securityDefiner: boolean;
  readonly kind: 'function' | 'procedure' | 'aggregate' | 'window';
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  readonly owner: string;
  readonly comment: string | null;
}

/** Functions, procedures, aggregates and window functions. What came with an extension is left out. */
export async function readFunctions(
  db: Queryable,
  filter: Pick<CatalogFilter, 'schema'> = {},
): Promise<readonly FunctionSignature[]> {
  const { rows } = await db.query<FunctionSignature>(FUNCTIONS, [filter.schema ?? null]);
  return rows;
}

const FUNCTIONS = withQualifiedNames(
  `
  select n.nspname::text as schema, p.proname::text as name,
    pg_catalog.pg_get_function_arguments(p.oid) as arguments,
    case when p.prokind <> 'p' then pg_catalog.pg_get_function_result(p.oid) end as returns,
    l.lanname::text as language,
    p.prosecdef as "securityDefiner",
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window' else 'function' end as kind,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    pg_catalog.pg_get_userbyid(p.proowner)::text as owner,
    pg_catalog.obj_description(p.oid, 'pg_proc') as comment
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
  join pg_catalog.pg_language l on l.oid = p.prolang
  where ${inUserSchema('n')}
    and ${notFromExtension('p', 'pg_proc')}`,
  'schema, name, arguments',
);
