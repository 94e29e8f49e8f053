import type { CopyPlan, CopyResult } from '../../app/core/db-operations/copy.js';
import { qualified } from '../../app/core/db-operations/inspection/find-relation.js';
import { listed } from '../../app/core/listed.js';
import type { Paint } from './paint.js';
import { formatBytes, formatCounted, formatDuration } from './units.js';

const MOST_NAMES = 6;

const PARTS: Record<CopyPlan['part'], string> = { all: '', schema: ', definitions only', data: ', rows only' };

/** What a copy will be: said before it begins. */
export function copyPlanLines({
  from,
  to,
  part,
  strategy,
  because,
  expected,
  tables,
  masking,
  ...more
}: CopyPlan): string[] {
  const { withoutRows, freeBytes } = more;
  if (expected === null) return [`  ${from} → ${to} by ${strategy}: ${because}`];
  const basis = expected.basis === 'history' ? 'as the last copy' : 'as a rule';
  const free = freeBytes === 'unknown' ? '' : `, ${formatBytes(freeBytes)} free`;
  return [
    `  ${from} → ${to} by ${strategy}${PARTS[part]}: ${because}`,
    `  About ${formatBytes(expected.bytes)} in ${formatDuration(expected.durationMs)} (${basis}); ${formatCounted(tables, 'table')}${free}`,
    ...(masking === null ? [] : [`  Masked: ${formatCounted(masking.columns, 'column')}, rules ${described(masking)}`]),
    ...(withoutRows.length === 0 ? [] : [`  Without rows: ${listed(withoutRows, MOST_NAMES)}`]),
  ];
}

/** What has become of it. */
export function copyLines(result: CopyResult, paint: Paint): string[] {
  const { database, environment, from, strategy, durationMs, tables, sizeBytes, copiedAt, plan, hooks } = result;
  const rows = tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
  const counted = strategy === 'stream' && plan.part !== 'schema' ? `, ${formatCounted(rows, 'row')}` : '';
  const size = sizeBytes === null ? '' : `, ${formatBytes(sizeBytes)}`;
  const { masking } = plan;
  return [
    `${paint.green('✓')} ${paint.bold(database)} of ${environment} is a copy of ${from} as it was at ${copiedAt}: by ${strategy} in ${formatDuration(durationMs)}, ${formatCounted(tables.length, 'table')}${counted}${size}`,
    ...(masking === null ? [] : [`  Masked with rules ${described(masking)}`]),
    ...disarmedLines(result),
    ...hooks.map((hook) => `  Ran ${hook.name} in ${formatDuration(hook.durationMs)}`),
  ];
}

function disarmedLines({ quarantined: { objects, rows, kept } }: CopyResult): string[] {
  const named = (all: typeof objects) => all.map(({ kind, name }) => `${name} (${kind})`);
  return [
    ...(objects.length === 0 ? [] : [`  Disarmed: ${listed(named(objects), MOST_NAMES)}`]),
    ...rows.map(
      (one) =>
        `  Quarantined: ${formatCounted(one.rows, 'row')} of ${qualified({ schema: one.schema, name: one.table })} (${one.action})`,
    ),
    ...(kept.length === 0 ? [] : [`  Still armed, as it was asked for: ${listed(named(kept), MOST_NAMES)}`]),
  ];
}

function described({ rules, checksum }: NonNullable<CopyPlan['masking']>): string {
  return `${checksum.slice(0, 12)}${rules === null ? '' : ` (${rules})`}`;
}
