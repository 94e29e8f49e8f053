import { findNamedRoutines, findNamedType } from '../../../../database/catalog/named-objects.js';
import type { StatementEffect } from '../../../../services/sql-script.js';
import { type ComparisonRun, type Dropped, MODE_REMARK, triggerKey } from './comparison-run.js';

export async function noteEffect(run: ComparisonRun, effect: StatementEffect, dropped: Dropped): Promise<void> {
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
async function droppedBy(
  run: ComparisonRun,
  effect: Extract<StatementEffect, { type: 'drop' }>,
): Promise<readonly string[]> {
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

/** Whoever sets the mode afterwards has thought of it. */
export async function noteMode(
  run: ComparisonRun,
  written: { schema: string | null; name: string },
  name: string,
): Promise<void> {
  const table = await run.names.find(written);
  if (table === null) return;
  for (const [key, known] of run.differences) {
    if (known.table !== table.oid || known.name !== name) continue;
    const remarks = known.difference.remarks.filter((remark) => !remark.startsWith(MODE_REMARK));
    run.differences.set(key, { ...known, difference: { ...known.difference, remarks } });
  }
}
