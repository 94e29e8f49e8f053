import type { InspectedTable } from '../../app/core/db-operations/inspection.js';
import { modeOf, triggerSection } from './inspected-triggers.js';
import type { Paint } from './paint.js';
import { printable, printableLines } from './printable.js';
import { cell, renderSection, type Section } from './section.js';
import { formatBytes, formatCount } from './units.js';

/** One relation in full: what it is, then each part that it has. */
export function renderInspectedTable(table: InspectedTable, paint: Paint): string {
  const sections = [
    columns(table),
    constraints(table, paint),
    indexes(table, paint),
    referencedBy(table),
    policies(table, paint),
    rules(table, paint),
    partitions(table),
    triggerSection(table.triggers, { paint, withTable: false }),
    privileges(table),
  ].filter(({ title, rows }) => title === 'Columns' || rows.length > 0);
  return [
    heading(table, paint),
    ...(table.definition === null ? [] : [`${paint.bold('Query')}\n${printableLines(table.definition)}`]),
    ...sections
      .filter(({ title }) => title !== 'Columns' || table.sequence === null)
      .map((s) => renderSection(s, paint)),
  ].join('\n\n');
}

function heading(table: InspectedTable, paint: Paint): string {
  const analyzed = table.rowEstimate === null ? 'never analyzed' : `about ${formatCount(table.rowEstimate)} rows`;
  const rows = table.populated === false ? 'never filled' : analyzed;
  const title = [
    paint.bold(printable(`${table.schema}.${table.name}`)),
    `${table.persistence === 'permanent' ? '' : `${table.persistence} `}${table.kind}`,
    ...(['view', 'sequence'].includes(table.kind) ? [] : [rows]),
    ...(table.sizeBytes === null ? [] : [sizes(table)]),
  ];
  return [title.join('  '), ...(table.comment === null ? [] : [printable(table.comment)]), ...facts(table)].join('\n');
}

function sizes({ sizeBytes, tableBytes, indexBytes, toastBytes }: InspectedTable): string {
  if (sizeBytes === null || sizeBytes === 0) return sizeOf(sizeBytes) ?? '';
  const parts = [
    ['table', tableBytes],
    ['indexes', indexBytes],
    ['toast', toastBytes],
  ] as const;
  return `${formatBytes(sizeBytes)} (${parts.map(([name, bytes]) => `${name} ${sizeOf(bytes)}`).join(', ')})`;
}

/** What is out of the ordinary, and who owns it. */
function facts(table: InspectedTable): readonly string[] {
  const { sequence } = table;
  const words: readonly (readonly [string, string | null])[] = [
    ['owner', table.owner],
    ['tablespace', table.tablespace],
    ['access method', table.accessMethod === 'heap' ? null : table.accessMethod],
    ['options', listed(table.options)],
    ['row security', table.rowSecurity === 'off' ? null : table.rowSecurity],
    ['replica identity', table.replicaIdentity === 'default' ? null : table.replicaIdentity],
    ['partitioned by', table.partitionKey],
    [table.partitionBound === null ? 'inherits from' : 'partition of', listed(table.parents)],
    ['bounds', table.partitionBound],
    ['inherited by', listed(table.heirs)],
    ['server', table.server],
    ...(sequence === null
      ? []
      : ([
          ['type', sequence.type],
          ['numbers', `${sequence.minimum} to ${sequence.maximum}, by ${sequence.increment}, from ${sequence.start}`],
          ['cache', sequence.cache === '1' ? null : sequence.cache],
          ['at its end', sequence.cycles ? 'begins again' : 'fails'],
          ['last value', sequence.lastValue],
          ['owned by', sequence.ownedBy],
        ] as const)),
  ];
  return words.flatMap(([name, value]) => (value === null ? [] : [`${name}: ${printable(value)}`]));
}

function columns({ columns }: InspectedTable): Section {
  return {
    title: 'Columns',
    head: ['column', 'type', 'null', 'default', 'storage', 'comment'],
    rows: columns.map((column) => [
      cell(column.name),
      cell(column.collation === null ? column.type : `${column.type} collate ${column.collation}`),
      column.nullable ? 'yes' : 'no',
      cell(defaultOf(column)),
      column.statisticsTarget === null ? column.storage : `${column.storage}, statistics ${column.statisticsTarget}`,
      cell(column.comment),
    ]),
  };
}

function defaultOf(column: InspectedTable['columns'][number]): string | null {
  if (column.identity !== null) return `identity ${column.identity}`;
  if (column.generated !== null) return `generated ${column.generated}: ${column.default}`;
  return column.default;
}

function constraints({ constraints }: InspectedTable, paint: Paint): Section {
  return {
    title: 'Constraints',
    head: ['name', 'kind', 'definition', 'comment'],
    rows: constraints.map((c) => [
      c.validated ? cell(c.name) : paint.yellow(`${cell(c.name)} (not validated)`),
      c.inherited ? `${c.kind}, inherited` : c.kind,
      cell(c.definition),
      cell(c.comment),
    ]),
  };
}

function indexes({ indexes }: InspectedTable, paint: Paint): Section {
  return {
    title: 'Indexes',
    head: ['name', 'unique', 'size', 'scans', 'definition', 'comment'],
    rows: indexes.map((i) => [
      i.valid ? cell(i.name) : paint.red(`${cell(i.name)} (invalid)`),
      i.primary ? 'primary' : i.unique ? 'yes' : 'no',
      sizeOf(i.sizeBytes),
      formatCount(i.scans),
      cell(i.definition),
      cell(i.comment),
    ]),
    numeric: [2, 3],
  };
}

function referencedBy({ referencedBy }: InspectedTable): Section {
  return {
    title: 'Referenced by',
    head: ['table', 'constraint', 'definition'],
    rows: referencedBy.map((r) => [cell(`${r.schema}.${r.table}`), cell(r.name), cell(r.definition)]),
  };
}

function policies({ policies, rowSecurity }: InspectedTable, paint: Paint): Section {
  const off = rowSecurity === 'off' ? paint.yellow(' (row security is off: they do nothing)') : '';
  return {
    title: `Policies${off}`,
    head: ['name', 'command', 'kind', 'roles', 'using', 'check', 'comment'],
    rows: policies.map((p) => [
      cell(p.name),
      p.command,
      p.permissive ? 'permissive' : 'restrictive',
      cell(p.roles.join(', ')),
      cell(p.using),
      cell(p.check),
      cell(p.comment),
    ]),
  };
}

function rules({ rules }: InspectedTable, paint: Paint): Section {
  return {
    title: 'Rules',
    head: ['name', 'enabled', 'definition', 'comment'],
    rows: rules.map((r) => [cell(r.name), modeOf(r.enabled, paint), cell(r.definition), cell(r.comment)]),
  };
}

function partitions({ partitions }: InspectedTable): Section {
  return {
    title: 'Partitions',
    head: ['partition', 'bounds'],
    rows: partitions.map((p) => [cell(`${p.schema}.${p.name}`), cell(p.bound)]),
  };
}

function privileges({ privileges }: InspectedTable): Section {
  return {
    title: 'Privileges',
    head: ['role', 'column', 'privileges', 'may grant'],
    rows: privileges.map((p) => [
      cell(p.role),
      cell(p.column),
      p.privileges.join(', '),
      p.grantable.length === p.privileges.length ? 'all of them' : listed(p.grantable),
    ]),
  };
}

function listed(texts: readonly string[]): string | null {
  return texts.length === 0 ? null : texts.join(', ');
}

function sizeOf(bytes: number | null): string | null {
  return bytes === null ? null : formatBytes(bytes);
}
