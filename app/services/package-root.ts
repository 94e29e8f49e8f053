import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let found: string | undefined;

/**
 * The folder of manage_db's own package.json. Shipped SQL and templates are read from below it, the same from the
 * sources, from the bundled `dist/` and from an installed tarball.
 */
export function packageRoot(): string {
  found ??= climb(dirname(fileURLToPath(import.meta.url)));
  return found;
}

/** This program's version, as its package.json says it: `0.1.0`. */
export function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'));
  const version = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : null;
  return typeof version === 'string' ? version : 'unknown';
}

function climb(folder: string): string {
  if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'app', 'database'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('manage_db is not installed completely: its package.json was not found.');
  return climb(parent);
}
