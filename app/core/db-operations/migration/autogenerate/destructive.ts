import type { Action, Delta, FactBase, StableId } from '@supabase/pg-delta';
import type { Encode } from '../../compare/found-difference.js';
import { nameOf } from '../../compare/object-names.js';
import { keepsValues } from '../../copy/schema-update/keeps-values.js';
import { conversionOf, isEnum, isOfLabels } from '../../copy/schema-update/risks.js';

export interface PlannedStatement {
  readonly sql: string;
  /** What rows or values are lost by it, in a sentence; `null`: none are. */
  readonly loss: string | null;
  /** Whether it cannot be executed before another one that loses something. */
  readonly isBehindLoss: boolean;
  /** Why it could not be executed where it was tried, so that somebody has to write it; `null`: it could, or was not tried yet. */
  readonly problem: string | null;
}

interface Steps {
  readonly actions: readonly Action[];
  readonly deltas: readonly Delta[];
  readonly present: FactBase;
  readonly desired: FactBase;
}

/**
 * What each statement loses, by its kind: nobody knows the rows of all the databases that it will be executed in. What cannot be
 * executed without one of those that lose something is marked, too.
 */
export async function plannedStatements(steps: Steps): Promise<PlannedStatement[]> {
  const { encodeId } = await import('@supabase/pg-delta');
  const losses = steps.actions.map((action) => lossOf(action, steps));
  const behind = behindLosses(steps, losses, encodeId);
  return steps.actions.map(({ sql }, index) => ({
    sql,
    loss: losses[index] ?? null,
    isBehindLoss: losses[index] == null && behind.has(index),
    problem: null,
  }));
}

function lossOf(action: Action, steps: Steps): string | null {
  return lossOfObjects(action, steps) ?? lossOfNumbers(action, steps) ?? lossOfConversion(action, steps);
}

function lossOfObjects(action: Action, { present, desired }: Steps): string | null {
  if (action.dataLoss !== 'destructive' || isOfLabels(action)) return null;
  const { destroys, verb } = action;
  const tables = destroys.flatMap((id) => (id.kind === 'table' ? [id] : []));
  if (verb === 'drop' && tables.length > 0) {
    const again = tables.some((table) => desired.has(table)) ? ' It is made again, and is empty then.' : '';
    return `${tables.length === 1 ? 'The table' : 'The tables'} ${tables.map(nameOf).join(', ')} and all rows are dropped.${again}`;
  }
  // what is computed can be computed again
  if (destroys.some(({ kind }) => kind === 'materializedView')) return null;
  const columns = destroys.flatMap((id) => (id.kind === 'column' ? [id] : []));
  if (columns.length > 0) {
    const lost = columns.filter((column) => {
      const isComputed = present.get(column)?.payload.generatedExpr != null;
      const stays = desired.get(column);
      return !isComputed || (stays !== undefined && stays.payload.generatedExpr == null);
    });
    return lost.length === 0 ? null : `The column ${lost.map(nameOf).join(', ')} is dropped, with its values.`;
  }
  const attributes = destroys.filter(({ kind }) => kind === 'typeAttribute');
  if (attributes.length > 0) return `The attribute ${attributes.map(nameOf).join(', ')} is dropped, with its values.`;
  return `Rows may be lost by it.`;
}

/** A sequence that is dropped with the column that it numbers is no loss of its own. */
function lossOfNumbers({ destroys, sql }: Action, { present, desired }: Steps): string | null {
  const sequences = destroys.filter((id) => {
    if (id.kind !== 'sequence') return false;
    const owner = ownerOf(present.get(id)?.payload.ownedBy);
    return owner === null || desired.has(owner);
  });
  if (sequences.length > 0) return `The sequence ${sequences.map(nameOf).join(', ')} is dropped, with its position.`;
  return sql.endsWith(' DROP IDENTITY') ? 'The numbers of the column end, with their position.' : null;
}

function ownerOf(ownedBy: unknown): StableId | null {
  if (typeof ownedBy !== 'object' || ownedBy === null) return null;
  if (!('schema' in ownedBy && 'table' in ownedBy && 'column' in ownedBy)) return null;
  const { schema, table, column } = ownedBy;
  return { kind: 'column', schema: String(schema), table: String(table), name: String(column) };
}

function lossOfConversion(action: Action, { deltas, present, desired }: Steps): string | null {
  const conversion = conversionOf(action, deltas);
  if (conversion === null) return null;
  const { column, from, to } = conversion;
  if (present.get(column)?.payload.generatedExpr != null) return null;
  // every value has a text, and a label is written as it was or refused; that of bytes is their numbers, and not what they mean
  if (keepsValues(from, to) || (to === 'text' && from !== 'bytea') || isEnum(to, desired)) return null;
  return `The column ${nameOf(column)} becomes ${to} instead of ${from}: values may not stay what they are.`;
}

/** By their places. */
function behindLosses(
  { actions, deltas, present }: Steps,
  losses: readonly (string | null)[],
  encodeId: Encode,
): ReadonlySet<number> {
  const behind = new Set(losses.flatMap((loss, index) => (loss === null ? [] : [index])));
  for (let size = -1; size !== behind.size; ) {
    size = behind.size;
    const waiting = new Waiting(
      actions.filter((_, index) => behind.has(index)),
      { deltas, present, encodeId },
    );
    for (const [index, action] of actions.entries()) if (waiting.stops(action)) behind.add(index);
  }
  return behind;
}

/** What is as it was for as long as some actions are not executed. */
class Waiting {
  private readonly kept = new Set<string>();
  private readonly missing = new Set<string>();
  private readonly converted = new Set<string>();

  constructor(
    waiting: readonly Action[],
    private readonly known: {
      readonly deltas: readonly Delta[];
      readonly present: FactBase;
      readonly encodeId: Encode;
    },
  ) {
    const { encodeId, deltas } = known;
    for (const action of waiting) {
      for (const id of action.destroys) this.kept.add(encodeId(id));
      for (const id of action.produces) this.missing.add(encodeId(id));
      const conversion = conversionOf(action, deltas);
      if (conversion !== null) this.converted.add(encodeId(conversion.column));
    }
  }

  stops({ produces, consumes, destroys }: Action): boolean {
    const { encodeId } = this.known;
    const isOf = (set: ReadonlySet<string>) => (id: StableId) => set.has(encodeId(id));
    return (
      produces.some(isOf(this.kept)) ||
      consumes.some((id) => this.isMissing(id)) ||
      destroys.some((id) => this.isNeeded(id)) ||
      [...produces, ...destroys].some((id) => this.isDefaultOfConverted(id))
    );
  }

  /** It is made by one of them only, or made again. */
  private isMissing(id: StableId): boolean {
    const key = this.known.encodeId(id);
    return this.missing.has(key) && (this.kept.has(key) || !this.known.present.has(id));
  }

  /** Something that stays depends on it, or is in it. */
  private isNeeded(id: StableId): boolean {
    const { present, encodeId } = this.known;
    const key = encodeId(id);
    if (this.kept.has(key)) return false;
    const stays = (one: StableId): boolean => {
      if (this.kept.has(encodeId(one))) return true;
      const parent = present.get(one)?.parent;
      return parent !== undefined && stays(parent);
    };
    return (
      present.incomingEdges(id).some(({ kind, from }) => kind !== 'owner' && stays(from)) ||
      present.facts().some(({ id: child, parent }) => parent !== undefined && encodeId(parent) === key && stays(child))
    );
  }

  private isDefaultOfConverted(id: StableId): boolean {
    if (id.kind !== 'default') return false;
    return this.converted.has(
      this.known.encodeId({ kind: 'column', schema: id.schema, table: id.table, name: id.name }),
    );
  }
}
