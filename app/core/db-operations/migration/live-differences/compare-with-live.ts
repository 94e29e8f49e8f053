import { readFoundations } from '../../../../database/catalog/live-definitions.js';
import { readTriggerFunctions } from '../../../../database/catalog/live-triggers.js';
import { findNamedRoutines, findNamedType } from '../../../../database/catalog/named-objects.js';
import type { Queryable } from '../../../../database/queryable.js';
import { readTriggerRecords, type TriggerRecords } from '../../../../database/records/trigger-registry.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import {
  type DefiningStatement,
  readDefinitions,
  type SqlSource,
  type StatementEffect,
  type WrittenDefinition,
} from '../../../../services/sql-script.js';
import { isChangedByHand } from '../../../triggers/changed-by-hand.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { LiveNames, readSearchPath } from '../live-names.js';
import type { LiveDifference, LiveDifferences, UnsafeReplacement } from './live-difference.js';
import { type BothSides, printBeside } from './print-beside.js';

export type { LiveDifference, LiveDifferences } from './live-difference.js';

/**
 * What `sources`, executed in this order, make of the functions, procedures, triggers and views that are there. Of what is
 * made twice the last one counts.
 *
 * Each is made under another name in the session's temporary schema and rolled back, so that PostgreSQL prints both sides.
 * Where that is not possible (what it needs is made by the same run) the texts are compared, and the difference says so.
 *
 * @param db in an open transaction with the search_path that migrations have, which is rolled back afterwards
 * @example
 * const { differences, unsafe } = await compareWithLive(db, steps);
 * refuseUnsafe(unsafe, { isAllowed: isUnsafeAllowed(settings.allowUnsafe) });
 */
export async function compareWithLive(db: Queryable, sources: readonly SqlSource[]): Promise<LiveDifferences> {
  const names = new LiveNames(db, await readSearchPath(db));
  await db.query(PIN_TRANSACTION);
  const run: Run = {
    db,
    names,
    registry: await readRegistry(db),
    dropped: new Map(),
    touched: new Map(),
    differences: new Map(),
    unsafe: new Map(),
    count: 0,
  };
  const unread: string[] = [];
  for (const source of sources) {
    names.setPath(null);
    const statements = await readDefinitions(source);
    if (statements === null) unread.push(source.path);
    for (const statement of statements ?? []) {
      run.count += 1;
      await follow(run, source, statement);
    }
  }
  return {
    differences: [...run.differences.values()].map(({ difference }) => difference),
    unsafe: [...run.unsafe.values()],
    unread,
  };
}

interface Registry {
  readonly records: TriggerRecords;
  /** The functions that are not as they were installed, by schema and name. */
  readonly changed: ReadonlySet<string>;
}

interface Dropped {
  readonly source: SqlSource;
  readonly statement: DefiningStatement;
  readonly at: number;
}

/** What is known while the statements are gone through. */
interface Run {
  readonly db: Queryable;
  readonly names: LiveNames;
  readonly registry: Registry;
  /** By the oid of what is there. */
  readonly dropped: Map<string, Dropped>;
  /** Tables and types that were changed in a way that what is built on them would forbid, with the number of the statement. */
  readonly touched: Map<string, number>;
  readonly differences: Map<string, { difference: LiveDifference; table: string | null; name: string }>;
  readonly unsafe: Map<string, UnsafeReplacement>;
  count: number;
}

async function readRegistry(db: Queryable): Promise<Registry> {
  const records = await readTriggerRecords(db, null, 'nothing');
  if (records.functions.length === 0) return { records, changed: new Set() };
  await db.query(`select pg_catalog.set_config('search_path', '', true)`);
  const live = await readTriggerFunctions(db);
  await db.query(PIN_TRANSACTION);
  const changed = live.filter((one) => {
    const registered = records.functions.find(({ schema, name }) => schema === one.schema && name === one.name);
    return registered !== undefined && isChangedByHand(one, registered);
  });
  return { records, changed: new Set(changed.map(qualified)) };
}

async function follow(run: Run, source: SqlSource, statement: DefiningStatement): Promise<void> {
  for (const effect of statement.effects) await noteEffect(run, effect, { source, statement, at: run.count });
  for (const { table, name } of statement.modes) await noteMode(run, table, name);
  const { definition } = statement;
  if (definition !== null) await noteDefinition(run, { source, statement, definition });
}

async function noteEffect(run: Run, effect: StatementEffect, dropped: Dropped): Promise<void> {
  const { db, names, touched } = run;
  switch (effect.type) {
    case 'search path':
      names.setPath(effect.schemas);
      return;
    case 'drop column':
    case 'convert': {
      const table = await names.find(effect.table);
      if (table !== null) touched.set(table.oid, run.count);
      return;
    }
    case 'drop':
      for (const oid of await droppedBy(run, effect)) run.dropped.set(oid, dropped);
      if (effect.kind === 'table' || effect.kind === 'materialized view') {
        const table = await names.find(effect.name);
        if (table !== null) touched.set(table.oid, run.count);
      }
      if (effect.kind === 'type' || effect.kind === 'domain') {
        const type = await findNamedType(db, [...names.schemasOf(effect.name.schema)], effect.name.name);
        if (type !== null) touched.set(type.oid, run.count);
      }
      return;
    default:
  }
}

/** The oids of the functions, views and triggers that a DROP names and that are there. */
async function droppedBy(run: Run, effect: Extract<StatementEffect, { type: 'drop' }>): Promise<readonly string[]> {
  const { db, names } = run;
  const { kind, name, argumentTypes } = effect;
  if (kind === 'view') {
    const view = await names.find(name);
    // a view that another one was built on goes with it
    if (view !== null) run.touched.set(view.oid, run.count);
    return view === null ? [] : [view.oid];
  }
  if (kind === 'trigger') {
    const table = effect.table === null ? null : await names.find(effect.table);
    return table === null ? [] : [triggerKey(table.oid, name.name)];
  }
  if (!['function', 'procedure', 'routine'].includes(kind)) return [];
  const found = await findNamedRoutines(db, names.schemasOf(name.schema), { name: name.name, argumentTypes });
  return found.map(({ oid }) => oid);
}

function triggerKey(table: string, name: string): string {
  return JSON.stringify([table, name]);
}

/** Whoever sets the mode afterwards has thought of it. */
async function noteMode(run: Run, written: { schema: string | null; name: string }, name: string): Promise<void> {
  const table = await run.names.find(written);
  if (table === null) return;
  for (const [key, known] of run.differences) {
    if (known.table !== table.oid || known.name !== name) continue;
    const remarks = known.difference.remarks.filter((remark) => !remark.startsWith(MODE_REMARK));
    run.differences.set(key, { ...known, difference: { ...known.difference, remarks } });
  }
}

const MODE_REMARK = 'Its mode is ';

interface Made {
  readonly source: SqlSource;
  readonly statement: DefiningStatement;
  readonly definition: WrittenDefinition;
}

async function noteDefinition(run: Run, made: Made): Promise<void> {
  const { db, names } = run;
  const { definition, source, statement } = made;
  const [schema = 'public'] = names.schemasOf(definition.name.schema);
  const table = definition.table === null ? null : await names.find(definition.table);
  const sides = await printBeside(db, { definition, schema, table, searchPath: names.searchPath });
  const object = sides.live?.identity ?? objectName(definition, { schema, table });
  const key = `${definition.kind === 'trigger' || definition.kind === 'view' ? definition.kind : 'routine'} ${object}`;
  const unsafe = sides.live === null ? null : await unsafeReplacement(run, made, { sides, table: table?.oid ?? null });
  if (unsafe !== null) run.unsafe.set(key, { ...unsafe, object });
  const difference: LiveDifference = {
    kind: definition.kind,
    object,
    ...(await differenceOf(run, made, { sides, schema, table: table?.schema === undefined ? null : table })),
    remarks: remarksOf(run, made, { sides, table: table?.oid ?? null }),
    isUnsafe: unsafe !== null,
    file: source.path,
    line: statement.line,
  };
  run.differences.set(key, { difference, table: table?.oid ?? null, name: definition.name.name });
}

function objectName(
  { kind, name, table: written, argumentTypes }: WrittenDefinition,
  { schema, table }: { readonly schema: string; readonly table: { schema: string; name: string } | null },
): string {
  if (kind === 'trigger') {
    const on = table ?? { schema: written?.schema ?? schema, name: written?.name ?? '' };
    return `${quotedWhereNeeded(name.name)} on ${qualified(on)}`;
  }
  const own = qualified({ schema, name: name.name });
  return kind === 'view'
    ? own
    : `${own}(${argumentTypes.join(', ').replaceAll('"pg_catalog".', '').replaceAll('"', '')})`;
}

interface Found {
  readonly sides: BothSides;
  readonly schema: string;
  readonly table: { readonly schema: string; readonly name: string } | null;
}

async function differenceOf(
  { registry }: Run,
  { definition, statement }: Made,
  { sides, schema, table }: Found,
): Promise<Pick<LiveDifference, 'state' | 'patch' | 'isExact' | 'managedBy'>> {
  const { live, wanted } = sides;
  const { name } = definition.name;
  const registered =
    definition.kind === 'trigger'
      ? registry.records.triggers.find(
          (one) => one.name === name && one.schema === table?.schema && one.table === table?.name,
        )
      : undefined;
  const managedBy = registered === undefined ? null : (registered.pack ?? 'the registry');
  const isExact = live === null || wanted !== null;
  if (live === null) return { state: 'new', patch: '', isExact, managedBy };
  if (live.definition === wanted) return { state: 'unchanged', patch: '', isExact, managedBy };
  const isByHand =
    registered === undefined
      ? registry.changed.has(qualified({ schema, name }))
      : registered.isSameMajor && `${registered.definition}\n` !== live.definition;
  const { createTwoFilesPatch } = await import('diff');
  const text = wanted ?? `${statement.text.trimEnd()}\n`;
  const patch = createTwoFilesPatch('live', 'migration', live.definition, text, undefined, undefined, { context: 3 });
  return {
    state: isByHand ? 'changed_by_hand' : 'changed',
    // its first line is only a rule
    patch: patch.slice(patch.indexOf('\n') + 1),
    isExact,
    managedBy,
  };
}

async function unsafeReplacement(
  run: Run,
  { definition, source, statement }: Made,
  { sides, table }: { readonly sides: BothSides; readonly table: string | null },
): Promise<Omit<UnsafeReplacement, 'object'> | null> {
  const dropped = droppedBefore(run, definition, { sides, table });
  if (dropped === null || sides.live === null || sides.cannotReplace !== null) return null;
  // what it is built on was changed in between: it had to go first
  for (const foundation of await readFoundations(run.db, sides.live.oid)) {
    if ((run.touched.get(foundation) ?? 0) > dropped.at) return null;
  }
  return {
    kind: definition.kind,
    source: dropped.source,
    offset: dropped.statement.offset,
    statement: dropped.statement.text,
    rewrite: definition.replacing,
    made: { file: source.path, line: statement.line },
  };
}

function droppedBefore(
  { dropped }: Run,
  { kind, name }: WrittenDefinition,
  { sides, table }: { readonly sides: BothSides; readonly table: string | null },
): Dropped | null {
  const key = kind === 'trigger' && table !== null ? triggerKey(table, name.name) : (sides.live?.oid ?? '');
  return dropped.get(key) ?? null;
}

function remarksOf(
  run: Run,
  { definition }: Made,
  { sides, table }: { readonly sides: BothSides; readonly table: string | null },
): readonly string[] {
  const { live, because, cannotReplace } = sides;
  if (live === null) return [];
  const dropped = droppedBefore(run, definition, { sides, table });
  const remarks: string[] = [];
  if (because !== null) remarks.push(`It could not be made beside the live one (${because}): the texts are compared.`);
  if (cannotReplace !== null) {
    remarks.push(
      `It cannot be replaced (${cannotReplace})${dropped === null ? '.' : ': that it is dropped first is right.'}`,
    );
  } else if (dropped === null && !definition.isReplace) {
    remarks.push('It is there already, and CREATE without OR REPLACE fails.');
  }
  if ('mode' in live && live.mode !== 'origin') {
    remarks.push(`${MODE_REMARK}${live.mode}, and CREATE sets it back to origin: set it again after it.`);
  }
  return remarks;
}
