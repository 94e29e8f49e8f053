import type { Writable } from 'node:stream';
import { runOffline, type ToolResult } from '../../../../services/client-tools.js';
import { withTemporaryFile } from '../../../../services/work-folder.js';
import { type Entry, useList } from '../../database-state/contents.js';

/** An archive of pg_dump as a file, and how it is read. */
export interface ArchiveToRead {
  readonly pgRestore: string;
  readonly path: string;
  /** For messages: nothing is connected to. */
  readonly environment: string;
  /** Further ones of pg_restore: see `leavingOut`. */
  readonly args: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/**
 * What pg_restore executes for these entries of an archive, in the archive's order, as the text that it writes for psql. With `stdout`
 * it goes there as it comes, and is not kept.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export function textOfEntries(
  { pgRestore, path, environment, args, signal }: ArchiveToRead,
  entries: readonly Entry[],
  options: { readonly stdout?: Writable; readonly signal?: AbortSignal } = {},
): Promise<ToolResult> {
  return withTemporaryFile('list', useList(entries), (list) =>
    runOffline(pgRestore, [`--use-list=${list}`, '--file=-', ...args, path], { environment, signal, ...options }),
  );
}

/** The text without the command of psql that stands at its end since the minor releases of August 2025. */
export function withoutUnrestrict(text: string): string {
  return text.replace(/\n\\unrestrict \w+\s*$/, '\n');
}
