import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { MaskableTable } from '../../database/catalog/maskable-tables.js';
import type { Queryable } from '../../database/queryable.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError, messageOf } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { workspaceRoot } from '../workspace-root.js';
import { leftOutOf } from './copy/masking/left-out.js';
import { literalLines } from './copy/masking/literals/literal-lines.js';
import { type MaskingPlan, planMasking } from './copy/masking/plan.js';
import { proposeMasking } from './copy/masking/propose-masking.js';
import { findRulesFile, readMaskingRules } from './copy/masking/read-rules.js';
import type { MaskingProblem } from './copy/masking/resolve-rules.js';
import { ruleLines, rulesText, type Undecided } from './copy/masking/rule-lines.js';
import { explained } from './failure.js';
import { readAuditSettings } from './trigger-work/packs.js';

export interface CheckMaskingOptions extends OperationOptions {
  /** The file with the rules; by default `masking.yaml` (or .yml, .ts, .mts, .js, .mjs) of the workspace. */
  readonly rules?: string | undefined;
}

export interface CheckedMasking {
  readonly ok: boolean;
  readonly rules: string | null;
  /** SHA-256 of what the rules say, in hex. */
  readonly checksum: string;
  readonly tables: number;
  readonly columns: number;
  /** Columns that do not come as they are. */
  readonly masked: number;
  /** Tables that a masked copy has without rows. */
  readonly withoutRows: readonly { readonly schema: string; readonly name: string }[];
  readonly undecided: readonly Omit<Undecided, 'proposal'>[];
  /** What to add below `tables:`, with a proposal where there is one. */
  readonly lines: readonly string[];
  readonly problems: readonly MaskingProblem[];
  /** Definitions whose literals nobody has acknowledged as they are. */
  readonly literals: readonly { readonly name: string; readonly digest: string; readonly isChanged: boolean }[];
  /** What to add below `literals:` once somebody has looked at each. */
  readonly literalLines: readonly string[];
  readonly warnings: readonly string[];
}

export interface InitMaskingOptions extends OperationOptions {
  /** The file that is written; by default `masking.yaml` of the workspace. */
  readonly rules?: string | undefined;
}

export interface ProposedMasking {
  /** Relative to the workspace. */
  readonly rules: string;
  readonly tables: number;
  readonly columns: number;
  /** Columns that somebody has to decide about. */
  readonly undecided: number;
  /** Definitions that say something somebody has to look at. */
  readonly literals: number;
}

/** Waiting longer than this for a lock is an error: looking must not queue up behind work. */
const LOCK_TIMEOUT = '5s';

/**
 * Checks masking rules against a database: every column is decided, every rule fits, keys and constraints would still hold,
 * and what definitions say is acknowledged. Masks some rows of each table on the server to find that out, and reads none of them.
 *
 * @throws ManageDbError `NOT_FOUND` where there are no rules, `INVALID_CONFIGURATION` with the place of each problem in them,
 *   and what the gate and connecting throw; what does not fit the database is in the result
 * @example const { ok, lines } = await checkMasking({ env: 'production' });
 */
export function checkMasking(options: CheckMaskingOptions = {}): Promise<CheckedMasking> {
  return guarded('check-masking', options, async ({ environment }) => {
    const rules = await readMaskingRules(options.rules);
    const leftOut = await leftOutHere();
    const plan = await looking(environment, options, (db) => planMasking(db, rules, { leftOut }));
    return checked(plan, rules.file);
  });
}

/**
 * Proposes masking rules for a database from names, types and statistics, and writes them into a file for people to go
 * through. No value is read; where it is not sure, the column stays undecided.
 *
 * @throws ManageDbError `USAGE` where there are rules already, `UNREADABLE_FILE`, and what the gate and connecting throw
 * @example const { rules, undecided } = await initMasking({ env: 'production' });
 */
export function initMasking(options: InitMaskingOptions = {}): Promise<ProposedMasking> {
  return guarded('propose-masking', options, async ({ environment, database }) => {
    const root = workspaceRoot();
    const path = resolve(root, options.rules ?? 'masking.yaml');
    const existing = options.rules === undefined ? findRulesFile(root) : existsSync(path) ? path : null;
    if (existing !== null) throw thereAlready(existing, environment);
    const leftOut = await leftOutHere();
    const { columns, literals } = await looking(environment, options, (db) => proposeMasking(db, { leftOut }));
    write(path, await rulesText(columns, literals, `${environment} (${database})`));
    const tables = new Set(columns.map(({ schema, table }) => JSON.stringify([schema, table])));
    return {
      rules: relative(root, path),
      tables: tables.size,
      columns: columns.length,
      undecided: columns.filter(({ proposal }) => proposal.rule === null).length,
      literals: literals.length,
    };
  });
}

async function checked(plan: MaskingPlan, file: string | null): Promise<CheckedMasking> {
  const { checksum, tables, undecided, problems, literals, warnings } = plan;
  const copied = tables.filter(({ hasRows }) => hasRows);
  return {
    ok: undecided.length === 0 && problems.length === 0 && literals.unacknowledged.length === 0,
    rules: file,
    checksum,
    tables: copied.length,
    columns: copied.reduce((count, { select }) => count + select.length, 0),
    masked: copied.reduce((count, { maskedColumns }) => count + maskedColumns.length, 0),
    withoutRows: tables.filter(({ hasRows }) => !hasRows).map(({ schema, name }) => ({ schema, name })),
    undecided: undecided.map(({ proposal, ...column }) => column),
    lines: await ruleLines(undecided),
    problems,
    literals: literals.unacknowledged.map(({ name, digest, isChanged }) => ({ name, digest, isChanged })),
    literalLines: await literalLines(literals.unacknowledged),
    warnings: [...warnings, ...literals.warnings],
  };
}

function looking<T>(
  environment: string,
  { signal }: OperationOptions,
  work: (db: Queryable) => Promise<T>,
): Promise<T> {
  return getOperationSession(
    async (db) => {
      await db.query(`select pg_catalog.set_config('lock_timeout', $1, true)`, [LOCK_TIMEOUT]);
      return work(db);
    },
    { env: environment, readOnly: true, isolation: 'repeatable read', ...(signal === undefined ? {} : { signal }) },
  ).catch((error: unknown) => {
    throw error instanceof ManageDbError ? error : explained(error, 'Nothing was changed.');
  });
}

async function leftOutHere(): Promise<(tables: readonly MaskableTable[]) => ReturnType<typeof leftOutOf>> {
  const audit = await readAuditSettings();
  return (tables) => leftOutOf(tables, audit);
}

function thereAlready(path: string, environment: string): ManageDbError {
  return new ManageDbError('USAGE', `There are masking rules already: ${path}. They were not changed.`, {
    hint: `See what they lack: manage_db masking check --env ${environment}`,
  });
}

function write(path: string, text: string): void {
  try {
    writeFileAtomically(path, text, 0o644);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be written: ${messageOf(error)}.`, {
      hint: `Check that you may write there: ls -ld ${join(path, '..')}`,
      cause: error,
    });
  }
}
