import type { InitializeResult } from '../../app/core/db-operations/initialize.js';
import type { Paint } from './paint.js';
import { renderSkipped } from './skipped-triggers.js';
import { formatCount, formatCounted, formatDuration } from './units.js';

/** What `initialize-db` and `reset-database` did, step by step. */
export function renderInitialization(result: InitializeResult, durationMs: number, paint: Paint): string {
  const { migrations, triggers, seed } = result;
  const done = paint.green('✓');
  const lines = [
    `${done} database ${paint.bold(result.database)} ${result.databaseCreated ? 'created' : 'is there'}${result.stamped ? ', stamped now' : ''}`,
  ];
  if (result.migrationsFolder === null) lines.push('- no migrations folder here; make one: manage_db init');
  else
    lines.push(
      `${done} ${formatCounted(migrations.length, 'migration')} applied, ${formatCount(result.migrationsBefore)} in place already`,
    );
  for (const migration of migrations)
    lines.push(paint.dim(`    ${migration.version} ${migration.name}  ${formatDuration(migration.durationMs)}`));
  lines.push(
    `${done} triggers: ${formatCount(triggers.created.length)} created, ${formatCount(triggers.replaced.length)} replaced, ${formatCount(triggers.unchanged.length)} unchanged`,
    ...renderSkipped(triggers.skipped, paint),
  );
  if (seed !== null)
    lines.push(
      `${done} seed data: ${formatCount(seed.rows)} rows inserted${seed.rows === 0 ? ' (all there already)' : ''}`,
    );
  lines.push(`done in ${formatDuration(durationMs)}`);
  return lines.join('\n');
}
