import { createHash } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { makeFolder } from '../core/files.js';

/** Milliseconds. */
const LOAD_TIMEOUT = 15_000;

/**
 * Imports a TypeScript or JavaScript file of the workspace, as it is now: an edited file is read again. What was compiled
 * is kept below `cacheFolder`, by its content: it may hold a secret, so that folder is closed to others.
 *
 * @param cacheFolder closed to others before anything is written there; without it each start costs 100 ms more
 * @param virtualModules what an `import … from '<name>'` in the file gives; it need not be installed beside the file.
 * @returns the module with all that it exports.
 * @throws whatever the file throws, and an error when it is not done after 15 s.
 * @example await importWorkspaceFile('/srv/clinic/manage_db.config.ts', '/srv/clinic/.manage_db/cache', { manage_db: {} })
 */
export async function importWorkspaceFile(
  path: string,
  cacheFolder: string,
  virtualModules: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  if (isSelfContained(path, text)) return withinTime(import(`${pathToFileURL(path).href}?${contentHash(text)}`));
  const { createJiti } = await import('jiti');
  const jiti = createJiti(import.meta.url, {
    virtualModules: { ...virtualModules },
    moduleCache: false,
    fsCache: closedFolder(cacheFolder),
  });
  return withinTime(jiti.import(path));
}

/** JavaScript that imports nothing needs no help of jiti, which alone takes 50 ms to load. */
function isSelfContained(path: string, text: string): boolean {
  return path.endsWith('.mjs') && !/\bimport\b(?!\('manage_db'\)\.)|\bfrom\s*['"]/.test(text);
}

/** An edited file is another module; Node keeps the first one for ever. */
function contentHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** The folder's path, or `false` where it cannot be made: then nothing is kept. */
function closedFolder(path: string): string | false {
  try {
    makeFolder(path);
    chmodSync(path, 0o700);
    return path;
  } catch {
    return false;
  }
}

/** A file that awaits something which never comes would otherwise end the program without a word. */
async function withinTime<T>(loading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it is not done after ${LOAD_TIMEOUT / 1000} s`)), LOAD_TIMEOUT);
  });
  try {
    return await Promise.race([loading, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
