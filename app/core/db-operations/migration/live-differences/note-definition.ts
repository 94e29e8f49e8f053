import { readFoundations } from '../../../../database/catalog/live-definitions.js';
import type { DefiningStatement, SqlSource, WrittenDefinition } from '../../../../services/sql-script.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { type ComparisonRun, type Dropped, MODE_REMARK, triggerKey } from './comparison-run.js';
import type { LiveDifference, UnsafeReplacement } from './live-difference.js';
import { type BothSides, printBeside } from './print-beside.js';

interface Made {
  readonly source: SqlSource;
  readonly statement: DefiningStatement;
  readonly definition: WrittenDefinition;
}

export async function noteDefinition(run: ComparisonRun, made: Made): Promise<void> {
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
  { registry }: ComparisonRun,
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
  run: ComparisonRun,
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
  { dropped }: ComparisonRun,
  { kind, name }: WrittenDefinition,
  { sides, table }: { readonly sides: BothSides; readonly table: string | null },
): Dropped | null {
  const key = kind === 'trigger' && table !== null ? triggerKey(table, name.name) : (sides.live?.oid ?? '');
  return dropped.get(key) ?? null;
}

function remarksOf(
  run: ComparisonRun,
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
