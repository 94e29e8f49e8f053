import type { InspectedDatabase, InspectedRelation, InspectResult } from '../../app/core/db-operations/inspection.js';
import { renderInspectedTable } from './inspected-table.js';
import { triggerSection } from './inspected-triggers.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';
import { cell, renderSection, type Section } from './section.js';
import { formatBytes, formatCount, formatCounted } from './units.js';

/** What `inspect-db` shows to people: each part that was asked for, under its title. */
export function renderInspection(result: InspectResult, paint: Paint): string {
  const { database, schemas, tables, triggers, functions, table, diagram } = result;
  if (diagram !== undefined) return renderDiagram(diagram, paint);
  return [
    ...(database === undefined ? [] : [renderDatabase(database, paint)]),
    ...(schemas === undefined ? [] : [renderSection(schemaSection(schemas), paint)]),
    ...(tables === undefined ? [] : [renderSection(tableSection(tables), paint)]),
    ...(triggers === undefined ? [] : [renderSection(triggerSection(triggers, { paint, withTable: true }), paint)]),
    ...(functions === undefined ? [] : [renderSection(functionSection(functions), paint)]),
    ...(table === undefined ? [] : [renderInspectedTable(table, paint)]),
  ].join('\n\n');
}

/** The diagram itself is data for other programs; written to a file, it is only spoken of. */
function renderDiagram(
  { mermaid, path, tables, relationships }: NonNullable<InspectResult['diagram']>,
  paint: Paint,
): string {
  if (path === null) return mermaid.trimEnd();
  const contents = `${formatCounted(tables, 'table')}, ${formatCounted(relationships, 'relationship')}`;
  return `${paint.green('✓')} ${printable(path)}: ${contents}`;
}

function renderDatabase(database: InspectedDatabase, paint: Paint): string {
  const { name, serverVersion, sizeBytes, stamp, isStampHidden } = database;
  const head = `${paint.bold(printable(name))}  PostgreSQL ${serverVersion}  ${formatBytes(sizeBytes)}`;
  if (stamp === null) return `${head}\n${isStampHidden ? 'its stamp cannot be read by this login' : 'not stamped'}`;
  const kind = `${printable(stamp.environment)}${stamp.protected ? ', protected' : ''}`;
  return `${head}\nstamped as ${kind}, ${stamp.stampedAt} by ${printable(stamp.stampedBy)}`;
}

function schemaSection(schemas: NonNullable<InspectResult['schemas']>): Section {
  return {
    title: 'Schemas',
    head: ['schema', 'tables', 'views', 'functions', 'triggers', 'comment'],
    rows: schemas.map((s) => [cell(s.name), s.tables, s.views, s.functions, s.triggers, cell(s.comment)]),
    numeric: [1, 2, 3, 4],
  };
}

function tableSection(tables: NonNullable<InspectResult['tables']>): Section {
  return {
    title: 'Tables',
    head: ['schema', 'name', 'kind', 'rows (estimate)', 'size', 'table', 'indexes', 'toast'],
    rows: tables.map((t) => [
      cell(t.schema),
      cell(t.name),
      t.kind,
      rowsOf(t),
      ...[t.sizeBytes, t.tableBytes, t.indexBytes, t.toastBytes].map(sizeOf),
    ]),
    numeric: [3, 4, 5, 6, 7],
  };
}

/** One that was never filled cannot be read, whatever the statistics say. */
function rowsOf({ rowEstimate, populated }: InspectedRelation): string | null {
  if (populated === false) return 'never filled';
  return rowEstimate === null ? null : formatCount(rowEstimate);
}

function functionSection(functions: NonNullable<InspectResult['functions']>): Section {
  return {
    title: 'Functions',
    head: ['schema', 'function', 'kind', 'returns', 'language', 'volatility', 'security', 'comment'],
    rows: functions.map((f) => [
      cell(f.schema),
      cell(`${f.name}(${f.arguments})`),
      f.kind,
      cell(f.returns),
      f.language,
      f.volatility,
      f.securityDefiner ? 'definer' : 'invoker',
      cell(f.comment),
    ]),
  };
}

function sizeOf(bytes: number | null): string | null {
  return bytes === null ? null : formatBytes(bytes);
}
