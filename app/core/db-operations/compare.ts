import { currentEnv } from '../environment.js';
import { normalizeEnv } from '../environment-names.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { type ComparedContents, compareContents } from './compare/compare-contents.js';
import { type ComparedDefinitions, compareDefinitions } from './compare/compare-definitions.js';
import type { NotCompared } from './compare/incomparable.js';
import { resolvePart, type WantedPart } from './compare/resolve-part.js';
import { withSides } from './compare/side.js';
import { explained } from './failure.js';

export type { ComparedContents } from './compare/compare-contents.js';
export type { ComparedLargeObjects, LargeObjectDifference } from './compare/compare-large-objects.js';
export type { ComparedSequence, SequenceValue } from './compare/compare-sequences.js';
export type { ComparedTable, TableContent } from './compare/compare-tables.js';
export type { DefinitionDifference, DifferenceState, PropertyChange } from './compare/found-difference.js';
export type { NotCompared } from './compare/incomparable.js';
export type { DdlScript, DdlStatement } from './compare/plan-ddl.js';

export interface CompareOptions extends Pick<OperationOptions, 'signal' | 'onProgress' | 'onTarget'> {
  /** The environment that is as it should be; the active one where absent. */
  readonly from?: string | undefined;
  /** The environment that is compared with it. */
  readonly to: string;
  /** Also compares rows, sequences and large objects. */
  readonly data?: boolean | undefined;
  /** Only these schemas; `manage_db` is compared only when it is named here. */
  readonly schemas?: readonly string[] | undefined;
  /** Only these tables and views, with their partitions: `name`, `schema.name`, quoted as in SQL or not. */
  readonly tables?: readonly string[] | undefined;
  /** What is not compared: `owners`, `grants`. */
  readonly without?: readonly string[] | undefined;
}

export interface ComparedSide {
  readonly environment: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly serverVersion: string | null;
}

export interface ComparedDatabases {
  readonly from: ComparedSide;
  readonly to: ComparedSide;
  /** No difference, and nothing that could not be compared. */
  readonly isEqual: boolean;
  readonly definitions: ComparedDefinitions['definitions'];
  /** `null` without `data`. */
  readonly contents: ComparedContents | null;
  readonly notCompared: readonly NotCompared[];
  /** How many differences there are, of whatever kind; parts of what is missing are not counted. */
  readonly differences: number;
  readonly warnings: readonly string[];
  readonly durationMs: number;
}

/** What a comparison can leave out. */
export const LEAVABLE = ['owners', 'grants'] as const;

/**
 * Compares the databases of two environments: everything that is defined in them, and with `data` what is in them. Both
 * are only read, each in one snapshot, at the same time.
 *
 * @throws ManageDbError `USAGE` where both are the same, `NOT_FOUND` for a schema or table that neither has,
 *   `LOCK_TIMEOUT`, `INTERRUPTED`, and what the gate and connecting throw
 * @example
 * const { isEqual } = await compareDatabases({ from: 'staging', to: 'testing', data: true });
 */
export async function compareDatabases(options: CompareOptions): Promise<ComparedDatabases> {
  const { from, to, wanted } = checked(options);
  const { signal, onProgress, onTarget } = options;
  const common = {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onTarget === undefined ? {} : { onTarget }),
  };
  return guarded('compare-db', { ...common, env: from, environmentFlag: '--from' }, (ours) =>
    guarded('compare-db', { ...common, env: to, environmentFlag: '--to' }, (theirs) =>
      compare(ours, theirs, { wanted, withData: options.data === true, controls: common }),
    ),
  );
}

function checked({ from, to, schemas = [], tables = [], without = [] }: CompareOptions) {
  const refuse = (message: string) => new ManageDbError('USAGE', message, { hint: 'See: manage_db compare-db --help' });
  if (typeof to !== 'string' || to === '') throw refuse('A comparison needs two environments: --from and --to.');
  const names = { from: normalizeEnv(from ?? currentEnv()), to: normalizeEnv(to) };
  if (names.from === names.to) throw refuse(`${names.to} is compared with another environment, not with itself.`);
  if (schemas.length > 0 && tables.length > 0)
    throw refuse('Some schemas are compared, or some tables: not --schema and --table.');
  const unknown = without.find((kind) => !LEAVABLE.some((one) => one === kind));
  if (unknown !== undefined)
    throw refuse(`A comparison can leave out ${LEAVABLE.join(' and ')}, not ${JSON.stringify(unknown)}.`);
  return { ...names, wanted: { schemas, tables, without } };
}

interface Comparison {
  readonly wanted: WantedPart;
  readonly withData: boolean;
  readonly controls: Pick<CompareOptions, 'signal' | 'onProgress'>;
}

async function compare(
  from: Target,
  to: Target,
  { wanted, withData, controls }: Comparison,
): Promise<ComparedDatabases> {
  const startedAt = Date.now();
  const { signal, onProgress } = controls;
  const given = { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) };
  try {
    return await withSides(from, to, given, async (sides) => {
      const part = await resolvePart(sides, wanted);
      const defined = await compareDefinitions(sides, part);
      const filled = withData ? await compareContents(sides, part) : null;
      const contents = filled?.contents ?? null;
      const notCompared = [...defined.notCompared, ...(filled?.notCompared ?? [])];
      const all = defined.definitions.differences;
      const differences =
        (all.filter(({ isPart }) => !isPart).length || all.length) +
        (contents === null ? 0 : countDifferences(contents));
      return {
        from: described(from),
        to: described(to),
        isEqual: differences === 0 && notCompared.length === 0,
        definitions: defined.definitions,
        contents,
        notCompared,
        differences,
        warnings: defined.warnings,
        durationMs: Date.now() - startedAt,
      };
    });
  } catch (error) {
    throw explained(error, 'Nothing was changed.', signal);
  }
}

function countDifferences({ tables, sequences, largeObjects }: ComparedContents): number {
  const differs = ({ state }: { readonly state: string }) => state === 'different';
  return tables.filter(differs).length + sequences.filter(differs).length + (largeObjects?.different ?? 0);
}

function described({ environment, host, port, database, serverVersion }: Target): ComparedSide {
  return { environment, host, port, database, serverVersion };
}
