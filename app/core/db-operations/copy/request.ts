import { currentEnv } from '../../environment.js';
import { normalizeEnv } from '../../environment-names.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { OperationOptions } from '../../safety/gate.js';
import { defaultJobs } from '../default-jobs.js';
import { type Keeping, keptFor } from '../restore/keeping.js';
import { COPY_STRATEGIES, type CopiedPart, type CopyPlan, type CopyStrategy } from './copy-plan.js';

export interface CopyOptions extends Omit<OperationOptions, 'env' | 'environmentFlag'> {
  /** The environment that is copied, and only read; the active one where absent. */
  readonly from?: string | undefined;
  /** The environment whose database becomes a copy. */
  readonly to: string;
  /** The fastest one that is possible by default; see `because` in the plan. */
  readonly strategy?: CopyStrategy | undefined;
  /** Masks the rows by the rules in this file; `true`: those of the workspace, `masking.yaml`. */
  readonly mask?: string | boolean | undefined;
  /**
   * Lets what a protected environment holds come into an open one as it is: by an operation of its own, which wants the whole
   * ceremony.
   */
  readonly unmasked?: boolean | undefined;
  /** Only the definitions. A target that is there gets those changes, and keeps its rows. */
  readonly schemaOnly?: boolean | undefined;
  /** Only the rows, where both have the same definitions. */
  readonly dataOnly?: boolean | undefined;
  /** With `dataOnly`: triggers fire for every row that comes. By default they are made when all rows are there. */
  readonly fireTriggers?: boolean | undefined;
  /** With `schemaOnly`: also changes by which rows of the target are lost, after a safety backup. */
  readonly allowDataLoss?: boolean | undefined;
  /** With `schemaOnly` and a target that is there: also owners, grants and default privileges become as in the source. */
  readonly withGrants?: boolean | undefined;
  /** Ends the sessions of the target's users at the moment of the swap; without it a target in use is refused. */
  readonly disconnectUsers?: boolean | undefined;
  /** Keeps the replaced database beside the new one: milliseconds, or `true` for 24 hours, as on protected environments. */
  readonly keepPrevious?: Keeping | undefined;
  /** What the server lacks and the copy can do without: `owners`, `grants`, `tablespaces`, `extension:NAME`. */
  readonly without?: readonly string[] | undefined;
  /** Sessions on either side that copy at the same time; by default one per processor, four at most. */
  readonly jobs?: number | undefined;
  /** Told what the copy will be, before anything is changed. */
  readonly onPlan?: ((plan: CopyPlan) => void) | undefined;
}

/** What was asked for, checked as far as it can be without a database. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  readonly part: CopiedPart;
  readonly strategy: CopyStrategy | undefined;
  readonly isMasked: boolean;
  /** The file with the masking rules; `undefined`: the workspace's own. */
  readonly rules: string | undefined;
  readonly isUnmasked: boolean;
  readonly firesTriggers: boolean;
  readonly allowsDataLoss: boolean;
  readonly withGrants: boolean;
  readonly disconnectUsers: boolean;
  readonly keepPrevious: CopyOptions['keepPrevious'];
  readonly without: readonly string[];
  readonly jobs: number;
  readonly isDryRun: boolean;
  /** Flags that were given and are about replacing the target. */
  readonly replacing: readonly string[];
  readonly onPlan: NonNullable<CopyOptions['onPlan']>;
  readonly controls: OperationControls;
}

/** @throws ManageDbError `USAGE` */
export function copyRequest(options: CopyOptions): CopyRequest {
  const { from, to, schemaOnly = false, dataOnly = false, strategy, mask, unmasked = false, jobs } = options;
  const {
    fireTriggers = false,
    allowDataLoss = false,
    withGrants = false,
    disconnectUsers = false,
    without = [],
  } = options;
  const { keepPrevious, onPlan = () => undefined, onProgress, signal } = options;
  if (typeof to !== 'string' || to === '') throw refused('A copy needs a target: --to testing.');
  const names = { from: normalizeEnv(from ?? currentEnv()), to: normalizeEnv(to) };
  if (names.from === names.to) throw refused(`${names.to} cannot be copied onto itself.`);
  if (schemaOnly && dataOnly) throw refused('A copy has the schema only, or the rows only, or both: not both flags.');
  if (strategy !== undefined && !COPY_STRATEGIES.includes(strategy))
    throw refused(`A copy is made by ${COPY_STRATEGIES.join(' or ')}, not by ${String(strategy)}.`);
  const isMasked = mask !== undefined && mask !== false;
  if (isMasked && unmasked) throw refused('A copy is masked or it is not: not --mask and --unmasked.');
  if (fireTriggers && !dataOnly)
    throw refused('Triggers fire only where rows come into tables that are there: --data-only.');
  if ((allowDataLoss || withGrants) && !schemaOnly)
    throw refused('Only an update of the schema knows --allow-data-loss and --with-grants: --schema-only.');
  if (dataOnly && without.length > 0)
    throw refused('Rows alone come into the definitions that are there: nothing of them is left out by --without.');
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1))
    throw refused(`--jobs takes a number from 1, not ${jobs}.`);
  if (keepPrevious !== undefined) keptFor(keepPrevious);
  return {
    ...names,
    part: schemaOnly ? 'schema' : dataOnly ? 'data' : 'all',
    strategy,
    isMasked,
    rules: typeof mask === 'string' && mask !== '' ? mask : undefined,
    isUnmasked: unmasked,
    firesTriggers: fireTriggers,
    allowsDataLoss: allowDataLoss,
    withGrants,
    disconnectUsers,
    keepPrevious,
    without,
    jobs: jobs ?? defaultJobs(),
    isDryRun: options.dryRun === true,
    replacing: replacingFlags(options),
    onPlan,
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
}

function replacingFlags({ strategy, keepPrevious, disconnectUsers, jobs, without = [] }: CopyOptions): string[] {
  return [
    ...(strategy === undefined ? [] : ['--strategy']),
    ...(keepPrevious === undefined || keepPrevious === false ? [] : ['--keep-previous']),
    ...(disconnectUsers === true ? ['--disconnect-users'] : []),
    ...(jobs === undefined ? [] : ['--jobs']),
    ...(without.length === 0 ? [] : ['--without']),
  ];
}

function refused(message: string): ManageDbError {
  return new ManageDbError('USAGE', `${message} Nothing was changed.`, { hint: 'See: manage_db copy-db --help' });
}
