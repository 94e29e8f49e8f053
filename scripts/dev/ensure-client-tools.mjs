/**
 * Sees to it that pg_dump, pg_restore and psql are there before the quickstart and the tests run: says nothing when
 * they are, installs them when it can (root, sudo without a password, brew), and otherwise names the command to type.
 *
 * Plain Node: it runs before anything is built, and anybody may read what it does as root.
 */
import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** The embedded server's version: older tools cannot dump it. */
export const OLDEST_MAJOR = 15;

const TOOLS = ['pg_dump', 'pg_restore', 'psql'];

const PACKAGE_FOLDERS = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/usr/libexec/postgresql*',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/opt/homebrew/opt/libpq/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/usr/local/opt/libpq/bin',
  '/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin',
  '/home/linuxbrew/.linuxbrew/opt/libpq/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
];

const PGDG = {
  apt: `sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-client-${OLDEST_MAJOR}`,
  dnf: `install postgresql${OLDEST_MAJOR} from the repository that https://www.postgresql.org/download/linux/redhat/ sets up`,
};

/** How each package manager installs the tools, in the order in which they are looked for. */
const INSTALLERS = [
  {
    name: 'apt-get',
    steps: [
      ['apt-get', 'update'],
      ['apt-get', 'install', '-y', '--no-install-recommends', 'postgresql-client'],
    ],
    tooOld: PGDG.apt,
  },
  { name: 'dnf', steps: [['dnf', 'install', '-y', 'postgresql']], tooOld: PGDG.dnf },
  {
    name: 'apk',
    steps: [['apk', 'add', 'postgresql-client']],
    tooOld: `sudo apk add postgresql${OLDEST_MAJOR}-client`,
  },
  { name: 'brew', steps: [['brew', 'install', 'libpq']], tooOld: 'brew upgrade libpq', isOwn: true },
];

/**
 * Makes the tools available, or says how. Returns the exit code.
 *
 * @param {{ env?: NodeJS.ProcessEnv, print?: (line: string) => void, uid?: number }} options
 */
export async function ensureClientTools({
  env = process.env,
  print = console.error,
  uid = process.getuid?.() ?? -1,
} = {}) {
  const before = await findTools(env);
  if (before.some(({ major }) => major >= OLDEST_MAJOR)) return 0;
  print(
    `manage_db needs PostgreSQL's client tools (${TOOLS.join(', ')}), version ${OLDEST_MAJOR} or newer. ${describe(before)}`,
  );
  const installer = await findInstaller(env);
  if (installer === null) {
    print('Install them, see https://www.postgresql.org/download/, and run this again.');
    return 1;
  }
  const offered = installer.name === 'apt-get' ? await aptCandidate(env) : null;
  if (offered !== null && offered < OLDEST_MAJOR) {
    print(`This system's own package is version ${offered}: too old. Type:\n  ${installer.tooOld}`);
    return 1;
  }
  const prefix = await privilege(installer, env, uid);
  if (prefix === null) {
    print(`Type:\n  ${commandLine(installer.steps, ['sudo'])}`);
    return 1;
  }
  return install(installer, { env, print, prefix });
}

async function install(installer, { env, print, prefix }) {
  const command = commandLine(installer.steps, prefix);
  print(`Installing them: ${command}`);
  for (const step of installer.steps) {
    const code = await run([...prefix, ...step], { ...env, DEBIAN_FRONTEND: 'noninteractive' });
    // a mirror that is down for an update may still have the package
    if (code !== 0 && step !== installer.steps.at(-1)) continue;
    if (code !== 0) {
      print(`That failed (exit code ${code}). Once it can work, type:\n  ${command}`);
      return 1;
    }
  }
  const after = await findTools(env);
  if (after.some(({ major }) => major >= OLDEST_MAJOR)) return 0;
  print(`They are still missing or too old. ${describe(after)} Type:\n  ${installer.tooOld}`);
  return 1;
}

/**
 * The complete sets of tools of this machine: `[{ folder, version, major }]`. CLIENT_TOOLS_FOLDERS (separated like
 * PATH) replaces the folders that packages use.
 */
export async function findTools(env = process.env) {
  const patterns = env.CLIENT_TOOLS_FOLDERS?.split(delimiter) ?? PACKAGE_FOLDERS;
  const own = env.PG_BIN_DIR ? [env.PG_BIN_DIR] : [];
  const folders = env.PG_BIN_DIR ? own : [...(env.PATH ?? '').split(delimiter), ...patterns.flatMap(expand)];
  const found = await Promise.all([...new Set(folders)].filter((folder) => folder.startsWith('/')).map(readTools));
  return found.filter((tools) => tools !== null);
}

/** Folders that match a pattern with at most one `*`. */
export function expand(pattern) {
  const [before, after] = pattern.split('*');
  if (after === undefined) return [pattern];
  const parent = before.slice(0, before.lastIndexOf('/') + 1);
  const prefix = before.slice(parent.length);
  try {
    return readdirSync(parent)
      .filter((name) => name.startsWith(prefix))
      .map((name) => `${parent}${name}${after}`);
  } catch {
    return [];
  }
}

/** Debian's /usr/bin/pg_dump is a script around the versioned folders, which are looked at themselves. */
async function readTools(folder) {
  try {
    if (TOOLS.some((tool) => readFileSync(join(folder, tool)).subarray(0, 2).toString() === '#!')) return null;
    const outputs = await Promise.all(
      TOOLS.map((tool) => promisify(execFile)(join(folder, tool), ['--version'], { env: {} })),
    );
    const versions = outputs.map(({ stdout }) => /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout));
    if (versions.includes(null)) return null;
    return { folder, version: versions[0][1], major: Math.min(...versions.map((match) => Number(match[2]))) };
  } catch {
    return null;
  }
}

async function findInstaller(env) {
  for (const installer of INSTALLERS) if (await succeeds(installer.name, ['--version'], env)) return installer;
  return null;
}

/** The major version that `apt-get install postgresql-client` would bring, `null` where apt cannot say (no lists yet). */
async function aptCandidate(env) {
  try {
    const { stdout } = await promisify(execFile)('apt-cache', ['policy', 'postgresql-client'], {
      env: { ...env, LC_ALL: 'C' },
    });
    const major = Number(/Candidate: (\d+)/.exec(stdout)?.[1]);
    return Number.isInteger(major) ? major : null;
  } catch {
    return null;
  }
}

/** What has to stand before the command, or `null` where this user may not install anything. */
async function privilege(installer, env, uid) {
  if (installer.isOwn || uid === 0) return [];
  return (await succeeds('sudo', ['-n', 'true'], env)) ? ['sudo', '-n'] : null;
}

async function succeeds(command, args, env) {
  try {
    await promisify(execFile)(command, args, { env, timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

/** stdout is left alone: it belongs to what runs afterwards. */
function run([command, ...args], env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ['ignore', process.stderr.fd ?? 2, 'inherit'] });
    child.on('error', () => resolve(127));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function commandLine(steps, prefix) {
  return steps.map((step) => [...prefix.filter((word) => word !== '-n'), ...step].join(' ')).join(' && ');
}

function describe(found) {
  if (found.length === 0) return 'None were found.';
  return `Found, but too old: ${found.map(({ version, folder }) => `${version} in ${folder}`).join(', ')}.`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await ensureClientTools();
}
