import { relative } from 'node:path';
import type { CreatedMigration } from '../../app/core/db-operations/create-migration.js';
import type { Paint } from './paint.js';
import { formatCounted } from './units.js';

/** The paths alone stand for themselves: an editor can be given them. */
export function renderCreatedMigration(created: CreatedMigration, paint: Paint): string {
  const { files, statements, destructive } = created;
  if (created.isEqual)
    return `${paint.green('✓')} no difference: the migrations make what is there, so none was written`;
  if (files.length === 0)
    return `${paint.yellow('!')} there is a difference, and no statement is known for it: none was written`;
  const lines = files.map(({ path }) => `${paint.green('✓')} ${relative(process.cwd(), path)}`);
  if (statements > 0)
    lines.push(paint.dim(`    ${formatCounted(statements, 'statement')}, tried and taken back in a scratch database`));
  if (destructive.length > 0) {
    lines.push(`${paint.yellow('!')} commented out, as rows or values are lost by it:`);
    for (const { direction, reason } of destructive) lines.push(`    ${direction.padEnd(4)} ${reason}`);
  }
  return lines.join('\n');
}
