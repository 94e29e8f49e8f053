import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, ManageDbError, messageOf } from '../../errors.js';
import { compareVersions, newestVersion } from '../../migration-versions.js';

export interface NewMigration {
  /** In snake case. */
  readonly name: string;
  readonly extension: 'sql' | 'ts';
  readonly text: string;
}

export interface WrittenMigration {
  readonly path: string;
  /** `20261121033400`: UTC, and later than every other of the folder. */
  readonly version: string;
  readonly name: string;
}

/**
 * Writes new migrations in this order, each with a version that is later than every one that is there; all of them, or none. Any
 * number of writers may be at it. Nothing is ever overwritten.
 *
 * @throws ManageDbError `UNREADABLE_FILE` when the folder cannot be written
 */
export async function writeMigrations(
  folder: string,
  migrations: readonly NewMigration[],
): Promise<WrittenMigration[]> {
  const written: WrittenMigration[] = [];
  try {
    await mkdir(folder, { recursive: true });
    for (const migration of migrations) written.push(await writeOne(folder, migration));
    return written;
  } catch (error) {
    for (const { path } of written) await rm(path, { force: true }).catch(() => undefined);
    throw new ManageDbError('UNREADABLE_FILE', `No migration can be written to ${folder}: ${messageOf(error)}.`, {
      hint: `Check that you may write there: ls -ld ${folder}`,
      cause: error,
    });
  }
}

async function writeOne(folder: string, { name, extension, text }: NewMigration): Promise<WrittenMigration> {
  let version = versionAfter(newestVersion(await versionsIn(folder)), new Date());
  for (;;) {
    const path = join(folder, `${version}_${name}.${extension}`);
    if (await writeAlone(folder, { version, path, text })) return { path, version, name };
    version = versionAfter(newestVersion([version, ...(await versionsIn(folder))]), new Date());
  }
}

/**
 * Two files of different names can have one version: whoever writes holds the version first. `false`: somebody else has it, or
 * one that is later.
 */
async function writeAlone(
  folder: string,
  { version, path, text }: { readonly version: string; readonly path: string; readonly text: string },
): Promise<boolean> {
  const claim = join(folder, `.${version}.new`);
  try {
    await (await open(claim, 'wx')).close();
  } catch (error) {
    // also of one who was killed in this moment: then that version stays free
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    const newest = newestVersion(await versionsIn(folder));
    if (newest !== null && compareVersions(newest, version) >= 0) return false;
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } finally {
    await rm(claim, { force: true });
  }
}

/** Of all files that begin like a migration, also of those that are none: no order is to be read into their names. */
async function versionsIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).flatMap((file) => /^\d+/.exec(file)?.[0] ?? []);
}

/** The time, or what comes after `newest` where that is not earlier, such as a file from a clock that is ahead. */
function versionAfter(newest: string | null, now: Date): string {
  const time = timestamp(now);
  if (newest === null || BigInt(newest) < BigInt(time)) return time;
  const [, year, month, day, hour, minute, second] = TIMESTAMP.exec(newest) ?? [];
  const next = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`).getTime() + 1000;
  return Number.isNaN(next) ? String(BigInt(newest) + 1n) : timestamp(new Date(next));
}

const TIMESTAMP = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/;

/** `20261121033400`, UTC. */
export function timestamp(date: Date): string {
  return date.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14);
}
