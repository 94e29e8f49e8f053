// Builds dist/: the library and the CLI as bundles that share their chunks, and the library's types.
// Bundling yargs and zod halves the start of the CLI (docs/decisions/0001-bundled-cli.md).
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What is small, pure JavaScript and on the path of every command goes into the bundle; questions into chunks of their own. */
const bundled = [
  'yargs',
  'zod',
  'dotenv',
  'picocolors',
  'fastest-levenshtein',
  'cli-table3',
  'ms',
  'csv-stringify',
  'diff',
  'pg',
  '@inquirer/confirm',
  '@inquirer/input',
];

rmSync(join(root, 'dist'), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ['app/index.ts', 'scripts/manage_db.ts', 'scripts/test_db_features.ts', 'scripts/quickstart.ts'],
  outdir: 'dist',
  outbase: '.',
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  sourcemap: true,
  // half the bytes to compile at every start; names stay, for stack traces
  minifyWhitespace: true,
  minifySyntax: true,
  external: [...Object.keys(dependencies).filter((name) => !bundled.includes(name)), 'pg-native'],
  // pg asks `typeof Response` to recognise Cloudflare; in Node the mere question loads all of fetch, 20 ms
  define: { Response: 'undefined' },
  // bundled CommonJS (cli-table3) still calls require() for Node's own modules
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
chmodSync(join(root, 'dist/scripts/manage_db.js'), 0o755);

if (!process.argv.includes('--no-types')) {
  const types = spawnSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.types.json'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  process.exitCode = types.status ?? 1;
}
