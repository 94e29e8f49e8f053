import type { Action, FactBase } from '@supabase/pg-delta';
import {
  type ColumnName,
  type Position,
  putAt,
  readPosition,
  readSequencesInPlace,
  type SequenceInPlace,
} from '../../../../database/catalog/sequences-in-place.js';
import { inSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import { qualified } from '../../inspection/find-relation.js';
import type { StatementRisk } from './statement-risk.js';
import type { UpdateSteps } from './update-steps.js';

type Steps = Pick<UpdateSteps, 'actions' | 'desired'>;

/** A position that the column's next sequence takes over. */
export interface CarriedPosition {
  readonly column: ColumnName;
  readonly from: string;
  readonly increment: string;
  readonly position: Position;
}

/** Sequences that have given numbers and go by this action, with nothing that goes on with their numbers. */
export async function lossesOfSequences(db: Queryable, action: Action, steps: Steps): Promise<StatementRisk[]> {
  const losses: StatementRisk[] = [];
  for (const sequence of await sequencesThatGo(db, [action])) {
    const { owner, start, increment } = sequence;
    // what has numbered the rows of something goes with it
    if (owner !== null && !steps.desired.has(columnId(owner))) continue;
    const position = await knownPosition(db, sequence);
    if (position !== null && !position.isCalled && position.last === start) continue;
    if (position !== null && owner !== null && takesOver(steps.desired, owner, { position, increment })) continue;
    const next = position === null ? null : nextOf(position, increment);
    const words = next === null ? '' : `: it would give ${next} next`;
    losses.push({
      kind: 'loss',
      text: `The sequence ${qualified(sequence)} is dropped, with its position${words}.`,
      table: null,
    });
  }
  return losses;
}

/** To be read before the statements are executed. */
export async function positionsToCarry(db: Queryable, { actions, desired }: Steps): Promise<CarriedPosition[]> {
  const carried: CarriedPosition[] = [];
  for (const sequence of await sequencesThatGo(db, actions)) {
    const { owner: column, increment } = sequence;
    if (column === null || !desired.has(columnId(column))) continue;
    const position = await knownPosition(db, sequence);
    if (position === null || !takesOver(desired, column, { position, increment })) continue;
    carried.push({ column, from: qualified(sequence), increment, position });
  }
  return carried;
}

/** Never back: a sequence that was there before may be ahead. */
export async function carryPositions(db: Queryable, positions: readonly CarriedPosition[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const { column, from, increment, position } of positions) {
    const [sequence] = await readSequencesInPlace(db, [], [column]);
    if (sequence === undefined || !isWithin(position, sequence)) continue;
    const now = await readPosition(db, sequence);
    const [ours, theirs] = [nextOf(position, increment), nextOf(now, sequence.increment)];
    if (BigInt(sequence.increment) > 0n ? ours <= theirs : ours >= theirs) continue;
    await putAt(db, sequence, position);
    const next = nextOf(position, sequence.increment);
    warnings.push(`The sequence ${qualified(sequence)} goes on where ${from} was: it gives ${next} next.`);
  }
  return warnings;
}

/** Those that are dropped, and those of identities that end. */
async function sequencesThatGo(db: Queryable, actions: readonly Action[]): Promise<SequenceInPlace[]> {
  const dropped = actions.flatMap(({ destroys }) => destroys.flatMap((id) => (id.kind === 'sequence' ? [id] : [])));
  const ended = actions.filter(({ sql }) => sql.endsWith(' DROP IDENTITY'));
  const columns = ended.flatMap(({ produces, consumes, destroys, releases }) =>
    [...produces, ...consumes, ...destroys, ...releases].flatMap((id) =>
      id.kind === 'column' ? [{ schema: id.schema, table: id.table, column: id.name }] : [],
    ),
  );
  if (dropped.length === 0 && columns.length === 0) return [];
  return readSequencesInPlace(db, dropped, columns);
}

/** `null`: the login may not read it. */
async function knownPosition(db: Queryable, sequence: SequenceInPlace): Promise<Position | null> {
  try {
    return await inSavepoint(db, () => readPosition(db, sequence));
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error;
    return null;
  }
}

/** Whether the column will have a sequence that can go on from there. */
function takesOver(
  desired: FactBase,
  column: ColumnName,
  { position, increment }: { readonly position: Position; readonly increment: string },
): boolean {
  const isOwned = (owner: unknown) =>
    isRecord(owner) && owner.schema === column.schema && owner.table === column.table && owner.column === column.column;
  const identity = desired.get(columnId(column))?.payload.identity;
  const serial = desired.facts().find(({ id, payload }) => id.kind === 'sequence' && isOwned(payload.ownedBy));
  const options = isRecord(identity) ? identity.options : serial?.payload;
  if (!isRecord(options)) return false;
  const limits = { least: String(options.minValue), most: String(options.maxValue) };
  return isWithin(position, limits) && BigInt(String(options.increment)) > 0n === BigInt(increment) > 0n;
}

function isWithin({ last }: Position, { least, most }: Pick<SequenceInPlace, 'least' | 'most'>): boolean {
  return BigInt(last) >= BigInt(least) && BigInt(last) <= BigInt(most);
}

function nextOf({ last, isCalled }: Position, increment: string): bigint {
  return isCalled ? BigInt(last) + BigInt(increment) : BigInt(last);
}

function columnId({ schema, table, column }: ColumnName) {
  return { kind: 'column', schema, table, name: column } as const;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
