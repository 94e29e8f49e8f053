import type { DropResult } from '../../app/core/db-operations/maintenance.js';
import type { Paint } from './paint.js';
import { formatCounted } from './units.js';

/** What was dropped, by its kinds, and how it comes back. */
export function droppedLines({ dropped, largeObjects, undo }: DropResult, paint: Paint): readonly string[] {
  const counts = new Map<string, number>();
  for (const { kind } of dropped) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (largeObjects > 0) counts.set('large object', largeObjects);
  const what = [...counts].map(([kind, count]) => formatCounted(count, kind)).join(', ');
  return [
    `${paint.green('✓')} dropped ${what === '' ? 'nothing: it was empty' : what}`,
    ...(undo === null ? [] : [`  Bring it back: ${undo}`]),
  ];
}
