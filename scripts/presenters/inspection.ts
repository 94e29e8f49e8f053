import type { InspectedTable, InspectResult } from '../../app/core/db-operations/inspection.js';
import type { Paint } from './paint.js';
import { renderTable } from './table.js';
import { formatBytes, formatCount } from './units.js';

/** What `inspect-db` shows to people: each part that was asked for, under its title. */
export function renderInspection(result: InspectResult, paint: Paint): string {
  const parts: string[] = [];
  const { database, schemas, tables, triggers, functions, table } = result;
  if (database !== undefined) {
    parts.push(`${paint.bold(database.name)}  PostgreSQL ${database.serverVersion}  ${sizeOf(database.sizeBytes)}`);
  }
  if (schemas !== undefined) {
    parts.push(
      section('Schemas', schemas.length, paint, () =>
        renderTable(
          paint,
          ['schema', 'tables', 'views', 'functions'],
          schemas.map((s) => [s.name, s.tables, s.views, s.functions]),
          [1, 2, 3],
        ),
      ),
    );
  }
  if (tables !== undefined) {
    parts.push(
      section('Tables', tables.length, paint, () =>
        renderTable(
          paint,
          ['schema', 'name', 'kind', 'rows (estimate)', 'size'],
          tables.map((t) => [
            t.schema,
            t.name,
            t.kind,
            t.rowEstimate === null ? null : formatCount(t.rowEstimate),
            sizeOf(t.sizeBytes),
          ]),
          [3, 4],
        ),
      ),
    );
  }
  if (triggers !== undefined) parts.push(renderTriggers(triggers, paint, true));
  if (functions !== undefined) {
    parts.push(
      section('Functions', functions.length, paint, () =>
        renderTable(
          paint,
          ['schema', 'function', 'returns', 'language', 'security'],
          functions.map((f) => [
            f.schema,
            `${f.name}(${f.arguments})`,
            f.returns,
            f.language,
            f.securityDefiner ? 'definer' : 'invoker',
          ]),
        ),
      ),
    );
  }
  if (table !== undefined) parts.push(renderOneTable(table, paint));
  return parts.join('\n\n');
}

function renderOneTable(table: InspectedTable, paint: Paint): string {
  const rows = table.rowEstimate === null ? 'never analyzed' : `about ${formatCount(table.rowEstimate)} rows`;
  const parts = [
    `${paint.bold(`${table.schema}.${table.name}`)}  ${table.kind}  ${rows}  ${sizeOf(table.sizeBytes) ?? ''}${table.comment === null ? '' : `\n${table.comment}`}`,
    section('Columns', table.columns.length, paint, () =>
      renderTable(
        paint,
        ['column', 'type', 'null', 'default', 'comment'],
        table.columns.map((column) => [
          column.name,
          column.type,
          column.nullable ? 'yes' : 'no',
          defaultOf(column),
          column.comment,
        ]),
      ),
    ),
  ];
  if (table.constraints.length > 0) {
    parts.push(
      section('Constraints', table.constraints.length, paint, () =>
        renderTable(
          paint,
          ['name', 'kind', 'definition'],
          table.constraints.map((c) => [c.name, c.kind, c.definition]),
        ),
      ),
    );
  }
  if (table.indexes.length > 0) {
    parts.push(
      section('Indexes', table.indexes.length, paint, () =>
        renderTable(
          paint,
          ['name', 'size', 'definition'],
          table.indexes.map((i) => [
            i.valid ? i.name : paint.red(`${i.name} (invalid)`),
            sizeOf(i.sizeBytes),
            i.definition,
          ]),
          [1],
        ),
      ),
    );
  }
  if (table.referencedBy.length > 0) {
    parts.push(
      section('Referenced by', table.referencedBy.length, paint, () =>
        renderTable(
          paint,
          ['table', 'constraint', 'definition'],
          table.referencedBy.map((r) => [`${r.schema}.${r.table}`, r.name, r.definition]),
        ),
      ),
    );
  }
  if (table.policies.length > 0) {
    parts.push(
      section('Policies', table.policies.length, paint, () =>
        renderTable(
          paint,
          ['name', 'command', 'using', 'check'],
          table.policies.map((p) => [p.name, p.command, p.using, p.check]),
        ),
      ),
    );
  }
  if (table.partitions.length > 0) {
    parts.push(
      section('Partitions', table.partitions.length, paint, () =>
        renderTable(
          paint,
          ['partition', 'bounds'],
          table.partitions.map((p) => [`${p.schema}.${p.name}`, p.bound]),
        ),
      ),
    );
  }
  if (table.triggers.length > 0) parts.push(renderTriggers(table.triggers, paint, false));
  return parts.join('\n\n');
}

function sizeOf(bytes: number | null): string | null {
  return bytes === null ? null : formatBytes(bytes);
}

function defaultOf(column: InspectedTable['columns'][number]): string | null {
  if (column.identity !== null) return `identity ${column.identity}`;
  if (column.generated !== null) return `generated ${column.generated}`;
  return column.default;
}

function renderTriggers(triggers: NonNullable<InspectResult['triggers']>, paint: Paint, withTable: boolean): string {
  return section('Triggers', triggers.length, paint, () =>
    renderTable(
      paint,
      [...(withTable ? ['table'] : []), 'trigger', 'fires', 'level', 'function', 'enabled'],
      triggers.map((t) => [
        ...(withTable ? [`${t.schema}.${t.table}`] : []),
        t.name,
        `${t.timing} ${t.events.join(' OR ')}`,
        t.level,
        t.function,
        t.enabled === 'disabled' ? paint.yellow(t.enabled) : t.enabled,
      ]),
    ),
  );
}

function section(title: string, count: number, paint: Paint, body: () => string): string {
  return `${paint.bold(title)} (${count})${count === 0 ? '' : `\n${body()}`}`;
}
