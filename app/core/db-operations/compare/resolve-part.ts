import { ManageDbError } from '../../errors.js';
import { resolveSelection, type Selection } from '../manifest/selection.js';
import type { Part } from './part.js';
import type { Side, Sides } from './side.js';

export interface WantedPart {
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
  readonly without: readonly string[];
}

/**
 * Looks up what is to be compared, on both sides: what only one of them has is a difference, and no mistake.
 *
 * @throws ManageDbError `NOT_FOUND` for what neither side has, `USAGE` for a table that several schemas have
 */
export async function resolvePart(sides: Sides, { schemas, tables, without }: WantedPart): Promise<Part> {
  const found: Selection[] = [];
  for (const typed of schemas) found.push(...(await findOnEither(sides, { schemas: [typed], tables: [] })));
  for (const typed of tables) found.push(...(await findOnEither(sides, { schemas: [], tables: [typed] })));
  return {
    selection: schemas.length + tables.length === 0 ? null : united(found),
    withOwners: !without.includes('owners'),
    withGrants: !without.includes('grants'),
    oldestMajor: Math.min(sides.from.major, sides.to.major),
    newestMajor: Math.max(sides.from.major, sides.to.major),
  };
}

type Typed = Pick<WantedPart, 'schemas' | 'tables'>;

async function findOnEither({ from, to }: Sides, typed: Typed): Promise<Selection[]> {
  const [one, other] = [await findOn(from, typed), await findOn(to, typed)];
  const found = [one, other].flatMap((side) => (side instanceof ManageDbError ? [] : [side]));
  if (found.length > 0 || !(one instanceof ManageDbError)) return found;
  const what = typed.tables[0] === undefined ? `schema ${typed.schemas[0]}` : `table or view ${typed.tables[0]}`;
  const { hint, details } = one;
  throw new ManageDbError(
    'NOT_FOUND',
    `Neither ${from.target.environment} nor ${to.target.environment} has a ${what}.`,
    { ...(hint === null ? {} : { hint }), details },
  );
}

async function findOn({ client }: Side, { schemas, tables }: Typed): Promise<Selection | ManageDbError> {
  try {
    return await resolveSelection(client, { schemas, tables, excludedData: [] });
  } catch (error) {
    if (error instanceof ManageDbError && error.code === 'NOT_FOUND') return error;
    throw error;
  }
}

function united(selections: readonly Selection[]): Selection {
  return {
    said: {
      schemas: [...new Set(selections.flatMap(({ said }) => said.schemas))],
      tables: [...new Set(selections.flatMap(({ said }) => said.tables))],
      excludedData: [],
    },
    schemas: [...new Set(selections.flatMap(({ schemas }) => schemas))],
    tables: selections.flatMap(({ tables }) => tables),
    excludedData: [],
  };
}
