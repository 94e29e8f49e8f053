import { formatAddress } from '../../app/config/database-url.js';
import type { Target } from '../../app/core/safety/gate.js';
import type { Paint } from './paint.js';

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
    `${target.user}@${formatAddress(target)}/${target.database}`,
    ...(target.serverVersion === null ? [] : [`PostgreSQL ${target.serverVersion}`]),
    ...(target.isProtected ? [paint.red('PROTECTED')] : []),
    ...(target.exists ? [] : [paint.yellow('does not exist yet')]),
  ].join('  ');
}
