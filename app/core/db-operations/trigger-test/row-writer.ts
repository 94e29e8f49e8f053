import type { WritableColumn } from '../../../database/catalog/writable-relations.js';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf } from '../../errors.js';
import { CandidateSource } from './candidates.js';
import { type Candidates, type ColumnCandidates, chooseRow } from './choose-row.js';
import type { Value } from './choose-values.js';
import type { ForeignKey, Models, RelationModel } from './model.js';
import { kept, NoRow, NothingToCopy, SessionEnded } from './savepoint.js';
import { insertStatement } from './statements.js';
import { endOf, messageFor, TIMED_OUT } from './stopped-by.js';
import { keyTexts, type Row, readReferenced, readRow } from './stored-rows.js';
import { mayBeNull } from './values.js';

/** What kind of row is wanted. */
export interface Wish {
  /**
   * `template`: like an existing one with keys of its own; `required`: only what must be given; `full`: everything that
   * may be given; `changed`: another value for everything in `avoided`.
   */
  readonly shape: 'template' | 'required' | 'full' | 'changed';
  /** Given, whatever else is chosen. */
  readonly fixed?: ReadonlyMap<string, Value>;
  readonly avoided?: ReadonlyMap<string, Value>;
  /** Rows that others refer to are made, even where there are some. */
  readonly hasFreshParents?: boolean;
  /** Partitions are left out of account. */
  readonly isAnywhere?: boolean;
}

/** In the order in which they are likely to be accepted. */
export const WISHES: readonly Wish[] = [
  { shape: 'template' },
  { shape: 'required' },
  { shape: 'full' },
  { shape: 'required', hasFreshParents: true },
  { shape: 'full', hasFreshParents: true, isAnywhere: true },
];

/** A row that is being made, of which others made for its sake may need a key. */
interface Pending {
  readonly model: RelationModel;
  readonly row: Row;
}

/** Keys that may be given or left null: looked for only where one is wanted. */
type OptionalKeys = Map<string, () => Promise<Value>>;

/** So many tables may stand in a chain of foreign keys. */
const DEEPEST = 20;

/** Makes rows that the tables accept, and the rows to which these refer. */
export class RowWriter {
  private readonly candidates: CandidateSource;
  private readonly failures = new Map<string, string>();

  constructor(
    private readonly db: Queryable,
    private readonly models: Models,
    /** Relations into which nothing more is inserted, with the reason: their triggers end the session, or take too long. */
    private readonly closed: Map<number, string> = new Map(),
  ) {
    this.candidates = new CandidateSource(db, models.types);
  }

  /**
   * The values of a new row. The rows to which it refers are inserted.
   *
   * @throws NoRow with the reason
   */
  async plan(model: RelationModel, wish: Wish, above: readonly Pending[] = []): Promise<Row> {
    const row: Row = new Map(wish.fixed);
    const pending: readonly Pending[] = [...above, { model, row }];
    if (wish.shape === 'template') await this.copyExisting(model, row);
    const perhaps: OptionalKeys = new Map();
    for (const key of model.foreignKeys) await this.follow(key, { model, wish, row, pending, perhaps });
    const candidates: Candidates = new Map();
    for (const column of model.columns.values()) {
      if (row.has(column.name)) continue;
      candidates.set(column.name, this.candidatesFor(column, model, wish, perhaps.get(column.name)));
    }
    return chooseRow(this.db, {
      model,
      row,
      candidates,
      types: this.models.types,
      isAnywhere: wish.isAnywhere === true,
    });
  }

  /**
   * Inserts a row, of the first kind that is accepted.
   *
   * @param returning SQL that is evaluated over the new row
   * @throws NoRow with the reason
   */
  async insert<Result extends object>(
    model: RelationModel,
    {
      fixed,
      returning,
      above = [],
    }: { fixed: ReadonlyMap<string, Value>; returning: string; above?: readonly Pending[] },
  ): Promise<Result> {
    if (above.length > DEEPEST) throw new NoRow(`The foreign keys of ${model.schema}.${model.name} lead too far.`);
    const reasonAgainst = this.closed.get(model.oid);
    if (reasonAgainst !== undefined) throw new NoRow(reasonAgainst);
    // otherwise a chain of tables would be tried in all ways, to the power of its length
    const attempt = [model.oid, ...fixed.keys()].join('\0');
    const known = above.length === 0 ? undefined : this.failures.get(attempt);
    if (known !== undefined) throw new NoRow(known);
    let reason = '';
    let isTooSlow = false;
    for (const wish of WISHES) {
      const outcome = await kept(this.db, async () => {
        const { text, values } = insertStatement(model, await this.plan(model, { ...wish, fixed }, above));
        const { rows } = await this.db.query<Result>(`${text} returning ${returning}`, [...values]);
        const [inserted] = rows;
        if (inserted === undefined) throw new NoRow('A trigger kept the row from being written.');
        return inserted;
      }).catch((error: unknown) => {
        if (error instanceof SessionEnded && !error.isWhileMaking) {
          error.isWhileMaking = true;
          this.closed.set(model.oid, `No row could be made for ${model.schema}.${model.name}: ${endOf(error)}`);
        }
        throw error;
      });
      if (outcome.ok) return outcome.value;
      if (!(outcome.error instanceof NothingToCopy)) reason = messageFor(outcome.error);
      isTooSlow = codeOf(outcome.error) === TIMED_OUT;
      if (isTooSlow) break;
    }
    const failure = `No row could be made for ${model.schema}.${model.name}: ${reason}`;
    if (isTooSlow) this.closed.set(model.oid, failure);
    this.failures.set(attempt, failure);
    throw new NoRow(failure);
  }

  private async copyExisting(model: RelationModel, row: Row): Promise<void> {
    const existing = await readRow(this.db, model, null);
    if (existing === null) throw new NothingToCopy(`${model.schema}.${model.name} has no row to copy.`);
    for (const [name, value] of existing) {
      const column = model.columns.get(name);
      const isOwn = model.uniqueColumns.has(name) || column?.identity !== null || column.generated !== null;
      if (!isOwn && !row.has(name)) row.set(name, value);
    }
  }

  /** Finds or makes the row to which `key` refers, where it must refer to one. */
  private async follow(
    key: ForeignKey,
    {
      model,
      wish,
      row,
      pending,
      perhaps,
    }: Pending & {
      readonly wish: Wish;
      readonly pending: readonly Pending[];
      readonly perhaps: OptionalKeys;
    },
  ): Promise<void> {
    const target = this.models.relations.get(key.targetOid);
    if (target === undefined) return;
    const known = key.columns.map((column) => row.get(column));
    if (known.includes(null)) return;
    const isGiven = known.every((value) => value !== undefined);
    if (isGiven && key.columns.every((column) => !wish.fixed?.has(column))) return;
    const open = key.columns.filter((column) => !row.has(column)).flatMap((name) => model.columns.get(name) ?? []);
    const mayBeNull = !isGiven && open.every(({ isNullable }) => isNullable);
    const isWanted = wish.shape === 'full' || wish.shape === 'changed';
    if (mayBeNull && !isWanted && key.columns.length > 1) return;
    const find = () =>
      this.targetOf(key, { model, target, row, pending, isFresh: wish.hasFreshParents === true, mayBeNull });
    const [only] = key.columns;
    if (mayBeNull && only !== undefined && key.columns.length === 1) {
      perhaps.set(only, async () => (await find())?.[0] ?? null);
      return;
    }
    const found = await find();
    key.columns.forEach((column, index) => {
      if (found !== null && !row.has(column)) row.set(column, found[index] ?? null);
    });
  }

  private async targetOf(
    key: ForeignKey,
    {
      model,
      target,
      row,
      pending,
      isFresh,
      mayBeNull,
    }: Pending & {
      readonly target: RelationModel;
      readonly pending: readonly Pending[];
      readonly isFresh: boolean;
      readonly mayBeNull: boolean;
    },
  ): Promise<readonly Value[] | null> {
    if (!isFresh) {
      const existing = await readReferenced(this.db, key, { model, target, row });
      if (existing !== null) return existing;
    }
    const made = pending.find((each) => each.model.oid === target.oid);
    // nothing that may be null is worth a circle, or a long chain
    if (made !== undefined) return mayBeNull ? null : this.reserve(key, made);
    if (mayBeNull && pending.length > 3) return null;
    const fixed = new Map<string, Value>();
    key.columns.forEach((column, index) => {
      const value = row.get(column);
      const name = key.targetColumns[index];
      if (value !== undefined && name !== undefined) fixed.set(name, value);
    });
    const making = (): Promise<{ key: readonly Value[] }> =>
      this.insert(target, { fixed, returning: keyTexts(key.targetColumns), above: pending });
    if (!mayBeNull) return (await making()).key;
    const outcome = await kept(this.db, making);
    return outcome.ok ? outcome.value.key : null;
  }

  /** The key that a row will have which is only being made: the circle is closed when it is inserted. */
  private async reserve(key: ForeignKey, { model, row }: Pending): Promise<readonly Value[]> {
    const reserved: Value[] = [];
    for (const name of key.targetColumns) {
      const column = model.columns.get(name);
      if (!row.has(name) && column !== undefined) {
        const [value] = await this.candidates.ofColumn(column);
        if (value === undefined)
          throw new NoRow(`No value is known for ${model.schema}.${model.name}.${name} (${column.type}).`);
        row.set(name, value);
      }
      reserved.push(row.get(name) ?? null);
    }
    return reserved;
  }

  private candidatesFor(
    column: WritableColumn,
    model: RelationModel,
    { shape, avoided }: Wish,
    findKey: (() => Promise<Value>) | undefined,
  ): ColumnCandidates {
    const isNullable = column.isNullable && mayBeNull(column.typeOid, this.models.types);
    const isKey = model.foreignKeys.some(({ columns }) => columns.includes(column.name));
    const isLeftOut = column.default !== null || (isNullable && shape !== 'full');
    return {
      values: async () => {
        const key = (await findKey?.()) ?? null;
        const given = !(isKey && isNullable) ? await this.candidates.ofColumn(column) : key === null ? [] : [key];
        const usual = column.default === null ? [] : await this.candidates.ofDefault(column.default);
        const empty: readonly Value[] = isNullable ? [null] : [];
        if (shape === 'changed') {
          const old = avoided?.get(column.name);
          const others = [...given, ...usual, ...empty].filter((value) => value !== old);
          return old === undefined ? others : [...others, old];
        }
        return shape === 'full' ? [...usual, ...given, ...empty] : [...usual, ...empty, ...given];
      },
      // what PostgreSQL fills in by itself, or may stay empty, is only chosen where a condition asks for it
      isOptional: isLeftOut && shape !== 'changed',
      isVaried: model.uniqueColumns.has(column.name) && !isNullable,
    };
  }
}
