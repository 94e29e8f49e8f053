import { readColumnsOfType } from '../../../../database/catalog/columns-of-type.js';
import {
  findNamedColumn,
  findNamedExtension,
  findNamedRoutines,
  findNamedSchema,
  findNamedType,
  type NamedRelation,
  readSequenceValue,
  readVolatileFunctions,
} from '../../../../database/catalog/named-objects.js';
import { type ObjectAddress, readOwnedObjects, readTakenAlong } from '../../../../database/catalog/taken-along.js';
import { RELATION_KINDS, type StatementEffect } from '../../../../services/sql-script.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import type { FoundLoss, LossWork } from './loss-work.js';
import { lossesOfConversion } from './losses-of-conversion.js';
import { lossesOfRows } from './losses-of-rows.js';
import { amount, takenBy } from './words.js';

type Effect<Type extends StatementEffect['type']> = Extract<StatementEffect, { readonly type: Type }>;

/** What one effect of a statement loses; tells `work.names` what becomes of the names. */
export async function lossesOf(work: LossWork, effect: StatementEffect): Promise<readonly FoundLoss[]> {
  const { names } = work;
  switch (effect.type) {
    case 'search path':
      names.setPath(effect.schemas);
      return [];
    case 'create relation':
      await names.create(effect.name, effect.isTemporary);
      return [];
    case 'create schema':
      names.createSchema(effect.name);
      return [];
    case 'rename relation':
      await names.rename(effect.name, { name: effect.to });
      return [];
    case 'move relation':
      await names.rename(effect.name, { schema: effect.to });
      return [];
    case 'rename schema':
      names.renameSchema(effect.name, effect.to);
      return [];
    case 'rename column':
    case 'add column':
      return noteColumn(work, effect);
    case 'drop':
      return lossesOfDrop(work, effect);
    case 'drop column':
      return lossesOfColumn(work, effect);
    case 'drop owned':
      return lossesOfOwned(work, effect);
    case 'drop database':
      return [
        {
          kind: 'dropped_database',
          object: quotedWhereNeeded(effect.name),
          ...NOT_COUNTED,
          sentence: `drops the database ${quotedWhereNeeded(effect.name)} with everything in it`,
        },
      ];
    case 'convert':
      return lossesOfConversion(work, effect);
    case 'delete':
    case 'update':
    case 'merge':
    case 'truncate':
      return lossesOfRows(work, effect);
    case 'call':
      return unforeseenCalls(work, effect);
    case 'unforeseen':
      return [unforeseen(effect.what)];
  }
}

const NOT_COUNTED = { rows: null, isEstimate: false } as const;

async function noteColumn({ names }: LossWork, effect: Effect<'rename column' | 'add column'>): Promise<readonly []> {
  const relation = await names.find(effect.table);
  if (relation === null) return [];
  if (effect.type === 'rename column') names.renameColumn(relation.oid, effect.name, effect.to);
  else await names.addColumn(relation.oid, effect.name);
  return [];
}

async function lossesOfDrop(work: LossWork, effect: Effect<'drop'>): Promise<readonly FoundLoss[]> {
  const roots = await rootsOf(work, effect);
  const cause = `${effect.kind} ${quotedWhereNeeded(effect.name.name)}`;
  const sequence = effect.kind === 'sequence' ? await lossOfSequence(work, effect, roots) : [];
  const losses = await lossesTogether(work, { roots, isCascade: effect.isCascade, cause });
  return [...sequence, ...losses];
}

/** Of what takes nothing with rows along, nothing is looked up. */
async function rootsOf(
  { db, names }: LossWork,
  { kind, name, isCascade, argumentTypes }: Effect<'drop'>,
): Promise<readonly ObjectAddress[]> {
  if (RELATION_KINDS.has(kind)) {
    const relation = await names.find(name);
    return relation === null ? [] : [{ catalog: 'pg_class', oid: relation.oid, column: 0 }];
  }
  if (kind === 'extension') return asList(await findNamedExtension(db, name.name));
  if (!isCascade) return [];
  if (kind === 'schema') {
    const [live] = names.schemasOf(name.name);
    return live === undefined ? [] : asList(await findNamedSchema(db, live));
  }
  if (kind === 'type' || kind === 'domain') {
    return asList(await findNamedType(db, [...names.schemasOf(name.schema)], name.name));
  }
  if (!['function', 'procedure', 'routine', 'aggregate'].includes(kind)) return [];
  return findNamedRoutines(db, names.schemasOf(name.schema), { name: name.name, argumentTypes });
}

function asList(address: ObjectAddress | null): readonly ObjectAddress[] {
  return address === null ? [] : [address];
}

async function lossesOfOwned(work: LossWork, { roles }: Effect<'drop owned'>): Promise<readonly FoundLoss[]> {
  const roots = await readOwnedObjects(work.db, roles);
  return lossesTogether(work, { roots, isCascade: true, cause: `what ${roles.join(', ')} owns` });
}

async function lossesOfColumn(
  work: LossWork,
  { table, name, isCascade }: Effect<'drop column'>,
): Promise<readonly FoundLoss[]> {
  const { db, names } = work;
  const relation = await names.find(table);
  const column = relation === null ? null : names.column(relation.oid, name);
  if (relation === null || column === null) return [];
  const root = await findNamedColumn(db, relation.oid, column);
  const cause = `column ${names.shown(relation)}.${quotedWhereNeeded(column)}`;
  const losses = await lossesTogether(work, { roots: asList(root), isCascade, cause });
  const values = await lossesOfValues(work, relation, column);
  names.loseColumn(relation.oid, name);
  return [...losses, ...values];
}

/** Where rows of a table, or values of a composite type, are values of a column, each of them loses a part. */
async function lossesOfValues(
  { db, names, counter }: LossWork,
  relation: NamedRelation,
  part: string,
): Promise<readonly FoundLoss[]> {
  const losses: FoundLoss[] = [];
  const name = `${names.shown(relation)}.${quotedWhereNeeded(part)}`;
  for (const holder of await readColumnsOfType(db, relation)) {
    const counted = await counter.valuesOf(holder, holder.column);
    if (counted.rows === 0 && !counted.isEstimate) continue;
    losses.push({
      kind: 'dropped_column',
      object: `${qualified(relation)}.${quotedWhereNeeded(part)}`,
      rows: counted.rows,
      isEstimate: counted.isEstimate,
      sentence: `drops ${name} in ${amount(counted, 'non-null value')} of ${names.shown(holder)}.${quotedWhereNeeded(holder.column)}`,
    });
  }
  return losses;
}

interface Together {
  readonly roots: readonly ObjectAddress[];
  readonly isCascade: boolean;
  readonly cause: string;
}

async function lossesTogether(work: LossWork, { roots, isCascade, cause }: Together): Promise<readonly FoundLoss[]> {
  const { db, names, counter } = work;
  const isRoot = (oid: string, isColumn: boolean): boolean =>
    roots.some((root) => root.oid === oid && (root.column !== 0) === isColumn);
  const losses: FoundLoss[] = [];
  for (const one of await readTakenAlong(db, roots, isCascade)) {
    if (names.isLost(one.oid) || (one.column !== null && names.isColumnLost(one.oid, one.column))) continue;
    const shown = names.shown(one);
    const by = takenBy(isRoot(one.oid, one.column !== null) ? null : cause);
    if (one.column !== null) {
      const counted = await counter.valuesOf(one, one.column);
      const column = quotedWhereNeeded(one.column);
      if (counted.rows !== 0 || counted.isEstimate) {
        losses.push({
          kind: 'dropped_column',
          object: `${qualified(one)}.${column}`,
          rows: counted.rows,
          isEstimate: counted.isEstimate,
          sentence: `drops ${amount(counted, 'non-null value')} of ${shown}.${column}${by}`,
        });
      }
      if (by !== '') names.loseColumn(one.oid, one.column);
      continue;
    }
    names.lose(one.oid);
    if (one.kind === 'materialized view') {
      const sentence = `drops materialized view ${shown}, whose rows its query would have to make again${by}`;
      losses.push({ kind: 'dropped_materialized_view', object: qualified(one), ...NOT_COUNTED, sentence });
      continue;
    }
    // the rows of a foreign table stay where they are
    if (one.kind === 'foreign table') continue;
    const counted = await counter.rowsOf(one, !one.isPartitioned);
    if (counted.rows === 0 && !counted.isEstimate) continue;
    losses.push({
      kind: 'dropped_table',
      object: qualified(one),
      rows: counted.rows,
      isEstimate: counted.isEstimate,
      sentence: `drops table ${shown} with ${amount(counted, 'row')}${by}`,
    });
  }
  return losses;
}

async function lossOfSequence(
  { db, names }: LossWork,
  { name }: Effect<'drop'>,
  [root]: readonly ObjectAddress[],
): Promise<readonly FoundLoss[]> {
  const relation = await names.find(name);
  if (relation === null || root === undefined) return [];
  names.lose(relation.oid);
  const value = await readSequenceValue(db, root.oid);
  if (value === null) return [];
  const sentence = `drops sequence ${names.shown(relation)}, which stands at ${value}`;
  return [{ kind: 'dropped_sequence', object: qualified(relation), ...NOT_COUNTED, sentence }];
}

async function unforeseenCalls({ db }: LossWork, { functions }: Effect<'call'>): Promise<readonly FoundLoss[]> {
  const called = await readVolatileFunctions(db, functions);
  return called.map((name) => unforeseen(`the function ${quotedWhereNeeded(name)}`));
}

function unforeseen(what: string): FoundLoss {
  const sentence = `executes ${what}: what is lost by it cannot be foreseen`;
  return { kind: 'unforeseen', object: null, ...NOT_COUNTED, sentence };
}
