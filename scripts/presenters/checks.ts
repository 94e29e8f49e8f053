import type { Paint } from './paint.js';

/** A finding with its remedy, of `check-database` or `doctor`. */
export interface ShownCheck {
  readonly name: string;
  readonly status: 'ok' | 'info' | 'warning' | 'critical';
  readonly detail: string;
  readonly fix: string | null;
}

/** One line a check, the remedy below it. */
export function renderChecks(checks: readonly ShownCheck[], paint: Paint): string {
  const width = Math.max(...checks.map(({ name }) => name.length), 0);
  return checks.map((check) => renderCheck(check, width, paint)).join('\n');
}

function renderCheck({ name, status, detail, fix }: ShownCheck, width: number, paint: Paint): string {
  const mark = { ok: paint.green('✓'), info: paint.blue('i'), warning: paint.yellow('!'), critical: paint.red('✗') }[
    status
  ];
  const line = `${mark} ${name.padEnd(width)}  ${detail}`;
  return fix === null ? line : `${line}\n  ${' '.repeat(width)}  ${paint.cyan('→')} ${fix}`;
}
