import { existsSync, lstatSync } from 'node:fs';
import { beginsWith, writeFileAtomically } from './files.js';

/** Why what is at `path` is never written over, in words: it is a link, or no regular file. `null`: it is a file, or nothing. */
export function noPlainFile(path: string): string | null {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isSymbolicLink() === true) return 'it is a symbolic link';
  return stats?.isFile() === false ? 'it is no regular file' : null;
}

/**
 * Whether the file at `path` is somebody else's, in words: what we write is known by its first line. An empty one is nobody's.
 *
 * @param path of which {@link noPlainFile} has said nothing
 */
export function foreignFile(path: string, firstLine: string): string | null {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  const isFree = stats === undefined || stats.size === 0 || beginsWith(path, firstLine);
  return isFree ? null : 'there is a file that manage_db has not written';
}

/** Writes a file that is read by others, too; one that is there keeps the mode that somebody has given it. */
export function writeOwnFile(path: string, text: string): void {
  if (existsSync(path)) writeFileAtomically(path, text);
  else writeFileAtomically(path, text, 0o644);
}
