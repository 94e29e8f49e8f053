import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether this process may mount: root may, unless in a container that lets nobody. */
export function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'manage-db-mount-'));
  try {
    mountTmpfs(folder, 'size=1m');
    unmountTmpfs(folder);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(folder);
  }
}

export function mountTmpfs(folder: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
}

export function unmountTmpfs(folder: string): void {
  // what still ends in it must not keep it
  execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
}
