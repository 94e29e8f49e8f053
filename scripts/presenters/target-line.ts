import { formatAddress } from '../../app/config/database-url.js';
import type { Target } from '../../app/core/safety/gate.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';

/** What is worth a word beside the environment's name: nothing when the stamp says the same. */
function stampWords({ stamp, exists }: Target): readonly string[] {
  if (stamp === null || !exists) return [];
  const { state, says } = stamp;
  switch (state) {
    case 'trusted':
      return ['stamped'];
    case 'mismatch':
      return [`STAMPED ${says?.environment ?? ''}`];
    case 'copy':
      return [`COPY OF ${says?.environment ?? ''} (${says?.database ?? ''})`];
    default:
      return [state];
  }
}

/**
 * The first line of every command that changes something:
 * `▶ production  app@db1:5432/clinic  PostgreSQL 15.18  PROTECTED`.
 */
export function targetLine(target: Target, paint: Paint): string {
  const name = target.isProtected
    ? paint.red(paint.bold(target.environment))
    : paint.green(paint.bold(target.environment));
  return [
    `${paint.bold('▶')} ${name}`,
    printable(`${target.user}@${formatAddress(target)}/${target.database}`),
    ...(target.serverVersion === null ? [] : [`PostgreSQL ${target.serverVersion}`]),
    ...(target.isProtected ? [paint.red('PROTECTED')] : []),
    ...stampWords(target).map((words) => paint.yellow(printable(words))),
    ...(target.exists ? [] : [paint.yellow('does not exist yet')]),
  ].join('  ');
}
