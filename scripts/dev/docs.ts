// What the manual has of the code itself: `npm run docs` writes it, tests/docs.test.ts compares it. With names (`npm run
// docs safety`), only those.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withDecisions } from './decision-table.js';
import { featureTestReportJsonSchema } from './feature-test-report-schema.js';
import { manifestJsonSchema } from './manifest-schema.js';
import { commandsPage } from './reference/commands-page.js';
import { errorsPage } from './reference/errors-page.js';
import { libraryPage } from './reference/library-page.js';
import { settingsPage } from './reference/settings-page.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

interface GeneratedPage {
  readonly name: string;
  readonly file: string;
  /** The whole file, made anew; some keep what people have written in it. */
  readonly make: (present: string) => string | Promise<string>;
}

/** Every file that is made, or partly made, of the code. */
export const GENERATED: readonly GeneratedPage[] = [
  { name: 'commands', file: 'docs/reference/commands.md', make: commandsPage },
  { name: 'settings', file: 'docs/reference/settings.md', make: settingsPage },
  { name: 'errors', file: 'docs/reference/errors.md', make: errorsPage },
  { name: 'library', file: 'docs/reference/library.md', make: libraryPage },
  { name: 'safety', file: 'docs/safety.md', make: withDecisions },
  { name: 'manifest', file: 'docs/manifest.schema.json', make: () => jsonText(manifestJsonSchema()) },
  {
    name: 'feature-tests',
    file: 'docs/feature-test-report.schema.json',
    make: () => jsonText(featureTestReportJsonSchema()),
  },
];

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function write(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !GENERATED.some((page) => page.name === name));
  if (unknown.length > 0) throw new Error(`There is no generated page ${unknown.join(', ')}.`);
  for (const { name, file, make } of GENERATED) {
    if (names.length > 0 && !names.includes(name)) continue;
    const path = join(ROOT, file);
    writeFileSync(path, await make(present(path)));
    if (file.endsWith('.json')) format(path);
  }
}

function present(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** As the linter wants it. */
function format(path: string): void {
  const biome = join(ROOT, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  spawnSync(process.execPath, [biome, 'format', '--write', path], { cwd: ROOT, stdio: 'inherit' });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write(process.argv.slice(2));
