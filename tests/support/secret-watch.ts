import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SecretsSeen {
  /** What ran below the watched folders, by the names of the programs. */
  readonly programs: readonly string[];
  /** `command line of psql`, `environment of pg_dump`. */
  readonly told: readonly string[];
  /** Names and modes of the files that had a secret in them: `passfile 600`. */
  readonly files: readonly string[];
}

/** Looks at every process and at every file below `folders` again and again while `work` runs. */
export async function watchSecrets(
  { secrets, folders }: { readonly secrets: readonly string[]; readonly folders: readonly string[] },
  work: () => Promise<void>,
): Promise<SecretsSeen> {
  const isSecret = (text: string) => secrets.some((secret) => text.includes(secret));
  const programs = new Set<string>();
  const told = new Set<string>();
  const files = new Set<string>();
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      for (const { line, environment } of processes()) {
        const program = (line.split('\0')[0] ?? '').replace(/.*\//, '');
        if (folders.some((folder) => line.includes(folder) || environment.includes(folder))) programs.add(program);
        if (isSecret(line)) told.add(`command line of ${program}`);
        if (isSecret(environment)) told.add(`environment of ${program}`);
      }
      for (const path of folders.flatMap(filesBelow)) {
        const found = look(path);
        if (found !== null && isSecret(found.text)) files.add(`${path.replace(/.*\//, '')} ${found.mode.toString(8)}`);
      }
      await sleep(2);
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await watching;
  }
  return { programs: [...programs], told: [...told], files: [...files] };
}

export function processes(): { readonly line: string; readonly environment: string }[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    try {
      return [{ line: read('cmdline'), environment: read('environ') }];
    } catch {
      return [];
    }
  });
}

export function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    // something of it has gone in this moment
    return [];
  }
}

function look(path: string): { readonly text: string; readonly mode: number } | null {
  try {
    return { text: readFileSync(path, 'utf8'), mode: statSync(path).mode & 0o777 };
  } catch {
    return null;
  }
}
