import { listed } from '../../app/core/listed.js';
import type { ApplyTriggersResult } from '../../app/core/triggers/apply.js';
import type { Paint } from './paint.js';

type Skipped = ApplyTriggersResult['skipped'];

/** Reasons, each once, with the tables it holds for. */
export function renderSkipped(skipped: Skipped, paint: Paint): readonly string[] {
  return [...groupByReason(skipped)].map(([reason, items]) => {
    const tables = [...new Set(items.map(({ schema, table }) => `${schema}.${table}`))];
    return paint.dim(`- skipped ${listed(tables)}: ${reason}`);
  });
}

/** Node 20 has no Map.groupBy. */
function groupByReason(skipped: Skipped): Map<string, Skipped[number][]> {
  const groups = new Map<string, Skipped[number][]>();
  for (const item of skipped) groups.set(item.reason, [...(groups.get(item.reason) ?? []), item]);
  return groups;
}
