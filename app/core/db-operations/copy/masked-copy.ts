import type { Client } from 'pg';
import { readMaskingSalt } from '../../../config/masking-settings.js';
import type { StreamableTable } from '../../../database/catalog/streamable-tables.js';
import { withEnvironment } from '../../environment.js';
import { readAuditSettings } from '../trigger-work/packs.js';
import { setMaskingSalt } from './masking/keyed-hash.js';
import { leftOutOf } from './masking/left-out.js';
import { type MaskingPlan, planMasking, requireDecided } from './masking/plan.js';
import { readMaskingRules } from './masking/read-rules.js';
import type { MaskingRules } from './masking/rules.js';

/** How a copy is masked. */
export interface CopyMasking {
  readonly plan: MaskingPlan;
  readonly rules: MaskingRules;
  /** `null`: no row comes along that would be masked with it. */
  readonly salt: string | null;
  /** The same plan again, of what the source is by then. */
  readonly again: (db: Client) => Promise<MaskingPlan>;
}

/**
 * What masking a copy of an environment means. Nothing is undecided in it, and the server keeps the salt to itself.
 *
 * @param db in a transaction of the source
 * @param file with the rules; `undefined`: that of the workspace
 * @throws ManageDbError `DRIFT` with the lines to add, `NOT_FOUND` without rules, `INVALID_CONFIGURATION`, `MISSING_SETTING`
 *   without a salt, `PERMISSION_DENIED` where the server's log would have it
 */
export async function maskCopy(db: Client, environment: string, file: string | undefined): Promise<CopyMasking> {
  const rules = await readMaskingRules(file);
  const salt = await readMaskingSalt(environment);
  await setMaskingSalt(db, salt);
  const audit = await withEnvironment(environment, readAuditSettings);
  const planned = async (client: Client, isTried: boolean): Promise<MaskingPlan> => {
    const plan = await planMasking(client, rules, { leftOut: (tables) => leftOutOf(tables, audit), isTried });
    await requireDecided(plan);
    return plan;
  };
  return { plan: await planned(db, true), rules, salt, again: (client) => planned(client, false) };
}

/**
 * What masking means where definitions come alone: somebody has looked at the values in them. What the rules say of columns is
 * about rows, which stay at home.
 *
 * @param db in a transaction of the source
 * @param file with the rules; `undefined`: that of the workspace
 * @throws ManageDbError `DRIFT` with the lines to add, `NOT_FOUND` without rules, `INVALID_CONFIGURATION`
 */
export async function maskDefinitions(db: Client, file: string | undefined): Promise<CopyMasking> {
  const rules = await readMaskingRules(file);
  const planned = async (client: Client): Promise<MaskingPlan> => {
    const plan = await planMasking(client, rules, { isTried: false });
    const ofDefinitions = { ...plan, undecided: [], problems: [], warnings: [] };
    await requireDecided(ofDefinitions);
    return ofDefinitions;
  };
  return { plan: await planned(db), rules, salt: null, again: planned };
}

/**
 * The tables of a masked copy that stay empty: those that the rules leave out, those of extensions, about whose rows nobody has
 * decided.
 */
export function emptyInMasked({ tables: ruled }: MaskingPlan, tables: readonly StreamableTable[]): readonly string[] {
  const key = ({ schema, name }: { readonly schema: string; readonly name: string }) => JSON.stringify([schema, name]);
  const without = ruled.filter(({ hasRows }) => !hasRows);
  const empty = new Set(without.flatMap((table) => [table, ...table.partitions].map(key)));
  return tables
    .filter((table) => table.extensionRows !== null || empty.has(key(table)))
    .map(({ quotedName }) => quotedName);
}
