import type { TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { TriggerDeclaration } from './declaration.js';
import { type EveryTable, matchesPattern } from './every-table.js';
import { isInFilter, type Skipped, type TriggerFilter } from './planned-trigger.js';

interface Found {
  readonly tables: TriggerTarget[];
  readonly skipped: Skipped[];
}

/** The relations that a declaration means, out of all there are. */
export function findTables(
  declaration: TriggerDeclaration,
  targets: readonly TriggerTarget[],
  filter: TriggerFilter,
): Found {
  const { table, environments, name } = declaration;
  const found =
    typeof table === 'object' && 'kind' in table ? expand(declaration, table, targets) : named(declaration, targets);
  const tables = found.tables.filter((target) => isInFilter({ schema: target.schema, table: target.name }, filter));
  const skipped = found.skipped.filter((one) => isInFilter(one, filter));
  if (environments === null || environments.includes(filter.environment)) return { tables, skipped };
  const reason = `declared for ${environments.join(', ')}, and this is ${filter.environment}`;
  return { tables: [], skipped: tables.map((target) => ({ schema: target.schema, table: target.name, name, reason })) };
}

function expand(declaration: TriggerDeclaration, every: EveryTable, targets: readonly TriggerTarget[]): Found {
  const tables: TriggerTarget[] = [];
  const skipped: Skipped[] = [];
  for (const target of targets) {
    const isTable = target.kind === 'r' || target.kind === 'p' || target.kind === 'f';
    // row triggers of a partitioned table reach its partitions by themselves, also future ones
    if (!isTable || target.isPartition || target.isFromExtension) continue;
    if (every.only !== null && !matchesPattern(every.only, target.schema, target.name)) continue;
    if (!Object.keys(every.having).every((column) => Object.hasOwn(target.columns, column))) continue;
    if (every.lacking.some((column) => Object.hasOwn(target.columns, column))) continue;
    if (matchesPattern(every.except, target.schema, target.name)) continue;
    const reason = reasonAgainst(every, target);
    if (reason === null) tables.push(target);
    else skipped.push({ schema: target.schema, table: target.name, name: declaration.name, reason });
  }
  return { tables, skipped };
}

function reasonAgainst(every: EveryTable, target: TriggerTarget): string | null {
  if (every.skip !== null) return every.skip;
  if (target.kind === 'f') return 'a foreign table: its rows are written on another server';
  for (const [column, types] of Object.entries(every.having)) {
    const live = target.columns[column];
    if (live?.isGenerated) return `${column} is a generated column`;
    if (types !== null && live !== undefined && !types.includes(live.type)) {
      return `${column} is of type ${live.type}; the trigger is for ${types.join(' or ')}`;
    }
  }
  return null;
}

function named(declaration: TriggerDeclaration, targets: readonly TriggerTarget[]): Found {
  const { schema, name } = nameOf(declaration);
  const candidates = targets.filter((target) => target.name === name && (schema === null || target.schema === schema));
  const target = candidates.find((candidate) => candidate.schema === 'public') ?? candidates[0];
  const skipped = (reason: string): Found => ({
    tables: [],
    skipped: [{ schema: target?.schema ?? schema ?? '*', table: name, name: declaration.name, reason }],
  });
  if (target === undefined) return skipped('there is no such table');
  if (candidates.length > 1 && target.schema !== 'public') {
    return skipped(
      `it is in several schemas (${candidates.map((each) => each.schema).join(', ')}): write schema.table`,
    );
  }
  const reason = reasonAgainstNamed(declaration, target);
  return reason === null ? { tables: [target], skipped: [] } : skipped(reason);
}

function reasonAgainstNamed(declaration: TriggerDeclaration, target: TriggerTarget): string | null {
  const { timing, level, updateOf } = declaration;
  if (target.isFromExtension) return 'the table belongs to an extension';
  if (target.kind === 'm') return 'a materialized view cannot have triggers';
  const isView = target.kind === 'v';
  if (isView && timing !== 'instead of' && level === 'row') return 'a view can have row triggers only INSTEAD OF';
  if (!isView && timing === 'instead of') return 'INSTEAD OF is for views, and this is a table';
  if (target.kind === 'f') {
    const { constraint, referencing } = declaration;
    if (constraint !== null) return 'a foreign table cannot have constraint triggers';
    if (referencing.old !== null || referencing.new !== null) return 'a foreign table has no transition tables';
  }
  const missing = (updateOf ?? []).filter((column) => !Object.hasOwn(target.columns, column));
  return missing.length === 0 ? null : `it has no column ${missing.join(', ')}`;
}

function nameOf({ table }: TriggerDeclaration): { schema: string | null; name: string } {
  if (typeof table !== 'string') return 'kind' in table ? { schema: null, name: '' } : table;
  const [first = '', second] = table.split('.');
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
}
