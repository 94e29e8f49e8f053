import type { Queryable } from '../queryable.js';
import { callsNothingOfUsers } from './maskable-tables.js';
import { withQualifiedNames } from './qualified-names.js';

/** A CHECK constraint that a masked row has to satisfy in its new place. */
export interface MaskingCheck {
  readonly tableOid: number;
  readonly name: string;
  readonly columns: readonly string[];
  readonly expression: string;
  /** Whether it calls no function that users have made. */
  readonly isBuiltIn: boolean;
}

/** The CHECK constraints of tables that are valid: what was never checked is not checked in a copy either. */
export async function readMaskingChecks(db: Queryable): Promise<readonly MaskingCheck[]> {
  const { rows } = await db.query<MaskingCheck>(CHECKS);
  return rows;
}

const CHECKS = withQualifiedNames(
  `
  select con.conrelid as "tableOid", con.conname::text as name, pg_catalog.pg_get_expr(con.conbin, con.conrelid) as expression,
    array(
      select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = con.conrelid and a.attnum = any (con.conkey)
    ) as columns,
    ${callsNothingOfUsers('pg_constraint', 'con.oid')} as "isBuiltIn"
  from pg_catalog.pg_constraint con
  where con.contype = 'c' and con.conrelid <> 0 and con.convalidated
    and coalesce((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)`,
  '"tableOid", name',
);
