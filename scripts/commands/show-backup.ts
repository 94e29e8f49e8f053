import type { ShownBackup } from '../../app/core/db-operations/show-backup.js';
import { type StorageArgs, storageFlag } from '../backup-flags.js';
import { defineCommand } from '../command.js';
import { backupState, backupVerified } from '../presenters/backup-state.js';
import type { Paint } from '../presenters/paint.js';
import { renderTable } from '../presenters/table.js';
import { formatAge, formatBytes, formatCount, formatCounted, formatDuration } from '../presenters/units.js';

interface Args extends StorageArgs {
  readonly id: string;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['show-backup latest', 'what is in the newest backup, and whether it was verified'],
    ['show-backup 20261121T0334 --env production --json', 'the whole manifest, for programs'],
  ],
  builder: (yargs) =>
    storageFlag(yargs).positional('id', {
      type: 'string',
      demandOption: true,
      describe: 'Its id, the beginning of exactly one, or "latest": the newest that was ever finished',
    }),
  async run({ id, storage }, { env }) {
    const { showBackup } = await import('../../app/core/db-operations/show-backup.js');
    const shown = await showBackup({ id: String(id), storage, ...(env === undefined ? {} : { env }) });
    return { data: shown, text: (paint) => describe(shown, paint) };
  },
});

function describe(shown: ShownBackup, paint: Paint): string {
  const facts = [...origin(shown), ...contents(shown), ...condition(shown, paint)];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
  return [paint.bold(shown.id), ...lines, '', tables(shown, paint)].join('\n');
}

type Fact = readonly [name: string, value: string];

function origin({ manifest, environment, path }: ShownBackup): readonly Fact[] {
  const { database, host, port, label, createdAt, startedAt, finishedAt, serverVersion, toolVersion, stamp } = manifest;
  const took = Date.parse(finishedAt) - Date.parse(startedAt);
  const said = stamp === null ? 'not stamped' : `stamped ${stamp.environment}${stamp.protected ? ', protected' : ''}`;
  return [
    ['of', `${environment}  ${database} on ${host}:${port}, ${said}`],
    ['label', label ?? '-'],
    ['made', `${createdAt}, ${formatAge(new Date(createdAt))}, in ${formatDuration(took)}`],
    ['with', `PostgreSQL ${serverVersion}, pg_dump ${toolVersion}`],
    ['at', path],
  ];
}

function contents({ manifest }: ShownBackup): readonly Fact[] {
  const { format, compression, encryption, files, extensions, roles, properties, migrationHead, leftOut } = manifest;
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const { schemas, tables: selected, excludedData } = manifest.selection;
  const what = { all: 'definitions and rows', schema: 'definitions without rows', data: 'rows without definitions' };
  const secret = encryption === null ? '' : `, encrypted with ${encryption}`;
  const only = [...schemas.map((name) => `schema ${name}`), ...selected.map((name) => `table ${name}`)];
  return [
    ['holds', `${what[manifest.contents]}${only.length === 0 ? '' : `, only of ${only.join(', ')}`}`],
    ['files', `${formatCounted(files.length, 'file')}, ${formatBytes(bytes)}: ${format}, ${compression}${secret}`],
    ['extensions', listed(extensions.map(({ name, version }) => `${name} ${version}`))],
    ['roles', listed(roles)],
    [
      'settings',
      listed(properties.settings.flatMap(({ role, settings }) => settings.map((one) => forRole(one, role)))),
    ],
    ['migration', migrationHead ?? '-'],
    ['left out', listed([...leftOut, ...excludedData.map((name) => `the rows of ${name}`)])],
  ];
}

function condition(shown: ShownBackup, paint: Paint): readonly Fact[] {
  const { verifications } = shown;
  const deep = verifications?.deep ?? null;
  return [
    ['state', backupState(shown, paint)],
    ['verified', backupVerified(shown, paint)],
    ...(verifications === null
      ? []
      : [['  files', `${verifications.files.at}, ${formatAge(new Date(verifications.files.at))}`] as const]),
    ...(deep === null
      ? []
      : [['  restored', `${deep.at}, ${formatAge(new Date(deep.at))}, on PostgreSQL ${deep.server}`] as const]),
  ];
}

/** The largest first. */
function tables({ manifest }: ShownBackup, paint: Paint): string {
  const rows = manifest.tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  const sorted = [...manifest.tables].sort((a, b) => (b.rows ?? -1) - (a.rows ?? -1));
  return [
    `${formatCounted(sorted.length, 'table')}, ${formatCounted(rows, 'row')}`,
    renderTable(
      paint,
      ['table', 'rows'],
      sorted.map((table) => [`${table.schema}.${table.name}`, table.rows === null ? null : formatCount(table.rows)]),
      [1],
    ),
  ].join('\n');
}

function forRole(setting: string, role: string | null): string {
  return role === null ? setting : `${setting} (${role})`;
}

function listed(items: readonly string[]): string {
  return items.length === 0 ? '-' : items.join(', ');
}
