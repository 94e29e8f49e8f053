import pg from 'pg';
import { setMaskingSalt } from '../../../../app/core/db-operations/copy/masking/keyed-hash.js';
import {
  type MaskingPlan,
  planMasking,
  requireDecided,
  selectionOf,
} from '../../../../app/core/db-operations/copy/masking/plan.js';
import { parseYamlRules } from '../../../../app/core/db-operations/copy/masking/yaml-rules.js';
import { PIN_SESSION } from '../../../../app/services/catalog-path.js';
import { withClient } from '../../../support/scratch-database.js';

export const SALT = 'a salt of twenty bytes';

/** The plan for a database by rules as they stand below `tables:`. */
export function planFor(url: string, rules: string): Promise<MaskingPlan> {
  return withClient(url, async (client) => {
    await client.query(`${PIN_SESSION}; begin isolation level repeatable read read only`);
    return planMasking(client, await parseYamlRules(`tables:\n${rules}`, 'masking.yaml'));
  });
}

/** What the plan for a database finds, as lines. */
export async function problemsOf(url: string, rules: string): Promise<string[]> {
  const { problems } = await planFor(url, rules);
  return problems.map(
    ({ table, column, message, definition }) =>
      `${table}.${column}: ${message}${definition === undefined ? '' : `: ${definition}`}`,
  );
}

/** The masked rows of a table as they would leave the server, as one text each column. */
export async function maskedRows(
  url: string,
  { rules, table, salt = SALT, searchPath = 'pg_catalog, pg_temp' }: MaskedRows,
): Promise<Record<string, string | null>[]> {
  const plan = await planFor(url, rules);
  await requireDecided(acknowledged(plan));
  const [schema = '', name = ''] = table.split('.');
  const columns = (selectionOf(plan)({ schema, name }) ?? []).map(
    ({ column, expression }) => `(${expression})::pg_catalog.text as ${pg.escapeIdentifier(column)}`,
  );
  return withClient(url, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    await client.query(`select set_config('search_path', $1, true)`, [searchPath]);
    await setMaskingSalt(client, salt);
    return (await client.query(`select ${columns.join(', ')} from only ${schema}."${name}" order by 1`)).rows;
  });
}

/** The plan, as if somebody had looked at what definitions say. */
export function acknowledged(plan: MaskingPlan): MaskingPlan {
  return { ...plan, literals: { unacknowledged: [], warnings: [] } };
}

export interface MaskedRows {
  readonly rules: string;
  /** `schema.name` */
  readonly table: string;
  readonly salt?: string;
  readonly searchPath?: string;
}

/**
 * Copies every table into a schema `copy` that is defined like it, with its keys, by what the plan selects; so every
 * constraint but the foreign keys is checked.
 */
export async function copyMasked(url: string, rules: string, salt = SALT): Promise<void> {
  const plan = await planFor(url, rules);
  await requireDecided(acknowledged(plan));
  await withClient(url, async (client) => {
    await client.query('drop schema if exists copy cascade; create schema copy; begin');
    await setMaskingSalt(client, salt);
    for (const { schema, name, hasRows, select } of plan.tables) {
      const source = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
      const target = `copy.${pg.escapeIdentifier(name)}`;
      await client.query(`create table ${target} (like ${source} including all)`);
      if (!hasRows || select.length === 0) continue;
      const names = select.map(({ column }) => pg.escapeIdentifier(column)).join(', ');
      await client.query(
        `insert into ${target} (${names}) overriding system value
         select ${select.map(({ expression }) => expression).join(', ')} from ${source}`,
      );
    }
    await client.query('commit');
  });
}
