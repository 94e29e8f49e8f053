import { readTriggerFunctions } from '../../../../database/catalog/live-triggers.js';
import type { Queryable } from '../../../../database/queryable.js';
import { readTriggerRecords } from '../../../../database/records/trigger-registry.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { type DefiningStatement, readDefinitions, type SqlSource } from '../../../../services/sql-script.js';
import { isChangedByHand } from '../../../triggers/changed-by-hand.js';
import { qualified } from '../../inspection/find-relation.js';
import { LiveNames, readSearchPath } from '../live-names.js';
import type { ComparisonRun, Registry } from './comparison-run.js';
import type { LiveDifferences } from './live-difference.js';
import { noteDefinition } from './note-definition.js';
import { noteEffect, noteMode } from './note-effects.js';

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
  const run: ComparisonRun = {
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

async function follow(run: ComparisonRun, source: SqlSource, statement: DefiningStatement): Promise<void> {
  for (const effect of statement.effects) await noteEffect(run, effect, { source, statement, at: run.count });
  for (const { table, name } of statement.modes) await noteMode(run, table, name);
  const { definition } = statement;
  if (definition !== null) await noteDefinition(run, { source, statement, definition });
}
