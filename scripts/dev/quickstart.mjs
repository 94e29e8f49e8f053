// `npm run quickstart`: client tools where they are missing, a build where there is none, then the tour.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
run('scripts/dev/ensure-client-tools.mjs');
run('scripts/dev/build.mjs', '--no-types');
run('dist/scripts/quickstart.js');

function run(script, ...args) {
  const { status, signal } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
}
